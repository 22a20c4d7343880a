import { expect, test } from "vitest";
import { revisionOf, share, toRun } from "./words";

test("a bundle's revision is told from one that is on its way", () => {
  expect(revisionOf({})).toBe("");
  expect(revisionOf({ latestRevision: 1 })).toBe("→ r1");
  expect(revisionOf({ latestRevision: 2, revision: 1 })).toBe("r1 → r2");
  expect(revisionOf({ latestRevision: 2, revision: 2 })).toBe("r2");
});

test("a share is none or all only where that is so", () => {
  expect([share(0, 10_000), share(3, 10_000), share(9_997, 10_000), share(10_000, 10_000), share(1, 3), share(0, 0)]).toEqual(["0.0 %", "< 0.1 %", "> 99.9 %", "100.0 %", "33.3 %", ""]);
});

test("one cluster is, and several are, to run it", () => {
  expect([toRun(1), toRun(2), toRun()]).toEqual(["1 cluster is to run it.", "2 clusters are to run it.", "0 clusters are to run it."]);
});
