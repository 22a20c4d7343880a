import { expect, test } from "vitest";
import { differences, objectsOf } from "./differences";

const object = (name: string, data: object) => JSON.stringify({ apiVersion: "v1", kind: "ConfigMap", metadata: { name, namespace: "shop" }, data });

test("objects that came, went and changed, field by field", () => {
  const from = [object("gone", {}), object("same", { a: 1 }), object("web", { a: 1, list: [1, 2] })].join("\n");
  const to = [object("new", {}), object("same", { a: 1 }), object("web", { a: 2, list: [1], more: "x" })].join("\n");
  expect(differences(from, to)).toEqual([
    { name: "v1/ConfigMap shop/gone", kind: "removed", changes: [] },
    { name: "v1/ConfigMap shop/new", kind: "added", changes: [] },
    {
      name: "v1/ConfigMap shop/web",
      kind: "changed",
      changes: [
        { path: "data.a", from: "1", to: "2" },
        { path: "data.list[1]", from: "2", to: undefined },
        { path: "data.more", from: undefined, to: '"x"' },
      ],
    },
  ]);
  expect(differences(from, from)).toEqual([]);
});

test("objects are grouped by kind, the most first", () => {
  const of = (kind: string, name: string) => JSON.stringify({ apiVersion: "v1", kind, metadata: { name, namespace: "shop" } });
  expect(objectsOf([of("Secret", "c"), of("ConfigMap", "b"), of("ConfigMap", "a")].join("\n"))).toEqual([
    { kind: "v1/ConfigMap", names: ["shop/a", "shop/b"] },
    { kind: "v1/Secret", names: ["shop/c"] },
  ]);
});
