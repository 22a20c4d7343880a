import { expect, test } from "vitest";
import type { Revision, Variant } from "../../api/answers";
import { artifactsOf, changesOf, groupsOf, nameOf, objectsText } from "./variants";

const revision = (digest: string, variants?: Variant[]): Revision => ({ metadata: { name: "web-1" }, spec: { bundle: "web", number: 1, digest, objects: 2, ...(variants && { variants }) } });

test("a revision without variants has one artifact", () => {
  expect(artifactsOf(revision("a"))).toEqual([{ digest: "a", objects: 2 }]);
  expect(objectsText(revision("a"))).toBe("2 objects");
});

test("a revision's objects are counted by variant", () => {
  expect(objectsText(revision("a", [{ digest: "a", objects: 3 }, { name: "small", digest: "b", objects: 1 }]))).toBe("1 to 3 objects");
});

test("a variant has the groups whose targets name it", () => {
  const r = revision("a", [{ digest: "a" }, { name: "small", digest: "s" }, { name: "spare", digest: "t" }]);
  r.spec.targets = [{ group: "prod" }, { group: "edge", variant: "small" }, { group: "shops", variant: "small" }];
  expect(artifactsOf(r).map((v) => [nameOf(v.name), groupsOf(r, v.name)])).toEqual([["no variant", ["prod"]], ["variant small", ["edge", "shops"]], ["variant spare", []]]);
});

test("what changes is told of each variant by itself", () => {
  const before = revision("a", [{ digest: "a" }, { name: "large", digest: "l" }, { name: "small", digest: "s" }]);
  const after = revision("a", [{ digest: "a" }, { name: "large", digest: "l2" }, { name: "new", digest: "n" }]);
  expect(changesOf(before, after)).toEqual([{ variant: { name: "large", digest: "l2" }, from: "l" }]);
  expect(changesOf(revision("o"), after).map((c) => c.from)).toEqual(["o", "o", "o"]);
  expect(changesOf(before, revision("b")).map((c) => c.from)).toEqual(["a"]);
});
