// How a rollout's phase is shown, and what it waits for, in a sentence.

import type { Rollout, RolloutCluster, RolloutSummary } from "../../api/answers";
import { count } from "../../words";

/** active finds the bundles whose rollout is not over: also what has gone back, since somebody has to look at it. */
export const active = "rollout in (Pending,Progressing,Paused,RollingBack,RolledBack)";

/** flagOfPhase: a person or a rule holds what is paused; what goes back is on its way. */
export function flagOfPhase(phase: string): string {
  if (phase === "Completed") return "ready";
  if (phase === "Paused") return "paused";
  if (phase === "RolledBack") return "degraded";
  return phase === "Pending" ? "waiting" : "progressing";
}

/** flagOfMember: as lanes draw them, those that went back count as failures. */
export function flagOfMember({ state }: Pick<RolloutCluster, "state">): string {
  switch (state) {
    case "Done":
      return "ready";
    case "Failed":
    case "Returned":
      return "degraded";
    case "Lost":
      return "stale";
    case "Waiting":
      return "waiting";
    default:
      return "progressing";
  }
}

/** origins are the revisions that clusters come from, as in "r3 (2), r2 (10)"; those that had none, or this one already, come from nowhere. */
export function origins({ spec, status }: Rollout): string {
  return (status.origins ?? [])
    .filter((o) => o.revision && o.revision !== spec.revision)
    .map((o) => `r${o.revision} (${count(o.clusters)})`)
    .join(", ");
}

/** waits is what is waited for. */
export function waits({ phase, waitsFor, stage = "" }: Pick<RolloutSummary, "phase" | "waitsFor" | "stage">): string {
  switch (waitsFor) {
    case "Approval":
      return `waits for somebody to approve stage ${stage}`;
    case "Confirmation":
      return "waits for somebody to confirm that stored versions change";
    case "Clusters":
      return `waits for the clusters of stage ${stage} that are on their way`;
    case "Gate":
      return `waits for a gate before going on with stage ${stage}`;
    case "Presence":
      return `waits for clusters of stage ${stage} to come back`;
    case "Operator":
      return "waits for somebody to resume, retry or undo it";
  }
  return phase === "Completed" ? "every cluster that is there has it" : "";
}
