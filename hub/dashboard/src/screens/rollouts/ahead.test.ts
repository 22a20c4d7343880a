import { expect, test } from "vitest";
import type { Rollout } from "../../api/answers";
import { ahead, left } from "./ahead";

const rollout = (status: Partial<Rollout["status"]>, strategy: Rollout["spec"]["strategy"] = {}): Rollout => ({ spec: { bundle: "web", revision: 8, strategy }, status: { phase: "Progressing", stage: "canary", ...status } });
const two = [{ name: "canary", clusters: 1, given: 1, concurrency: 1 }, { name: "rest", clusters: 9, waiting: 9, away: 2, concurrency: 3, failureBudget: 2 }];

test("what is over has nothing ahead", () => {
  for (const phase of ["Completed", "RolledBack"]) expect(ahead(rollout({ phase, stages: two }))).toEqual([]);
});

test("stages follow each other, and a soak says when", () => {
  const steps = ahead(rollout({ waitsFor: "Clusters", stages: two }, { stages: [{ soak: "300s" }, {}] }), 1_000_000);
  expect(steps.map((s) => s.what)).toEqual(["Stage canary is done", "Stage rest begins", "Stage rest is done", "Every cluster that is there has r8", "1 more failure in stage canary stops it"]);
  expect(steps[0]?.at).toBe(1_300_000);
  expect(steps[3]?.about).toContain("2 clusters");
});

test("an approval can be given only when it is waited for", () => {
  const stages = [{ ...two[0]!, given: 0, done: 1, approval: "after" }, two[1]!];
  expect(ahead(rollout({ waitsFor: "Clusters", stages })).filter((s) => s.act)).toEqual([]);
  expect(ahead(rollout({ waitsFor: "Approval", stages })).filter((s) => s.act).map((s) => s.act)).toEqual(["approve"]);
});

test("a confirmation comes before everything else, and is given by an approval", () => {
  const [step] = ahead(rollout({ waitsFor: "Confirmation", confirmation: "ships: stored as v2", stages: two }));
  expect(step).toMatchObject({ about: "ships: stored as v2", act: "approve" });
});

test("a gate says when it opens", () => {
  const [step] = ahead(rollout({ waitsFor: "Gate", stages: two, gates: [{ gate: "night", type: "window", clusters: 9, opens: "2026-01-01T22:00:00Z" }] }));
  expect(step).toMatchObject({ what: "The window night opens", at: Date.parse("2026-01-01T22:00:00Z") });
});

test("what is said agrees in number", () => {
  const said = (stages: NonNullable<Rollout["status"]["stages"]>, strategy = {}) => ahead(rollout({ waitsFor: "Clusters", stages }, strategy)).map((s) => s.about);
  expect(said(two, { stages: [{ soak: "3600s" }, {}] })).toEqual(["1 cluster on its way, to be ready for 1 h", "9 clusters, 3 at a time", "9 clusters; 2 of them away, which does not block it", "2 clusters are away and get it when they return", "and 1 cluster that was given it goes back"]);
  expect(said([{ name: "canary", clusters: 3, given: 2, done: 1 }], { stages: [{ soak: "90s" }] })).toEqual(["2 clusters on their way, each to be ready for 1 min 30 s", "", "and 3 clusters that were given it go back"]);
});

test("more failures than there are clusters stop nothing", () => {
  const last = (budget: number, failed: number) => ahead(rollout({ stage: "all", stages: [{ name: "all", clusters: 3, given: 3 - failed, failed, failureBudget: budget }] })).at(-1)?.what;
  expect(last(2, 0)).toBe("3 more failures in stage all stop it");
  expect(last(2, 2)).toBe("1 more failure in stage all stops it");
  expect(last(3, 0)).toBe("No failure in stage all stops it");
});

test("failures from before do not count", () => {
  expect(left({ failed: 3, failedBefore: 2, failureBudget: 2 })).toBe(1);
  expect(left({ failed: 5, failureBudget: 2 })).toBe(0);
});
