import { expect, test } from "vitest";
import { pointerOf, targetOf, withDelivery } from "./drift";

test("a path becomes a pointer, if there is one", () => {
  expect(pointerOf("spec.replicas")).toBe("/spec/replicas");
  expect(pointerOf("spec.template.spec.containers[name=web].image")).toBe("/spec/template/spec/containers/*/image");
  for (const path of ["", 'metadata.annotations["a.b/c"]', "metadata.labels.a/b"]) expect(pointerOf(path), path).toBeUndefined();
});

test("an object becomes a selector", () => {
  expect(targetOf("apps/Deployment shop/web")).toEqual({ group: "apps", kind: "Deployment", namespace: "shop", name: "web" });
  expect(targetOf("Namespace shop")).toEqual({ kind: "Namespace", name: "shop" });
});

test("what else a bundle says stays", () => {
  const bundle = { metadata: { name: "web" }, spec: { targets: [{ group: "prod" }], delivery: { keep: true } }, status: {} };
  expect(withDelivery(bundle, (d) => ({ ...d, drift: "correct" }))).toEqual({ resources: [{ bundle: { metadata: { name: "web" }, spec: { targets: [{ group: "prod" }], delivery: { keep: true, drift: "correct" } } } }] });
});
