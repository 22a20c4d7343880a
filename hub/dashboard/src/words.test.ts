import { expect, test } from "vitest";
import { revisionOf } from "./words";

test("a bundle's revision is told from one that is on its way", () => {
  expect(revisionOf({})).toBe("");
  expect(revisionOf({ latestRevision: 1 })).toBe("→ r1");
  expect(revisionOf({ latestRevision: 2, revision: 1 })).toBe("r1 → r2");
  expect(revisionOf({ latestRevision: 2, revision: 2 })).toBe("r2");
});
