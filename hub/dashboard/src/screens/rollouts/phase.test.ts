import { expect, test } from "vitest";
import type { Rollout } from "../../api/answers";
import { flagOfMember, origins } from "./phase";

const rollout = (origins: NonNullable<Rollout["status"]["origins"]>): Rollout => ({ spec: { bundle: "web", revision: 4 }, status: { phase: "Progressing", origins } });

test("clusters come from the revisions that they ran", () => {
  expect(origins({ spec: { bundle: "web", revision: 4 }, status: { phase: "Pending" } })).toBe("");
  expect(origins(rollout([{ revision: 4, clusters: 1 }, { revision: 3, clusters: 2 }, { revision: 2, clusters: 1000 }, { clusters: 5 }]))).toBe("r3 (2), r2 (1,000)");
});

test("a cluster that went back has failed, one that goes back is on its way", () => {
  expect(["Given", "Entering", "Returning", "Failed", "Returned", "Lost", "Done"].map((state) => flagOfMember({ state }))).toEqual([
    "progressing", "progressing", "progressing", "degraded", "degraded", "stale", "ready",
  ]);
});
