// How a rollout's phase is shown, and what it waits for, in a sentence.

import type { RolloutSummary } from "../../api/answers";

/** flagOfPhase: a person or a rule holds what is paused; what goes back is on its way. */
export function flagOfPhase(phase: string): string {
  if (phase === "Completed") return "ready";
  if (phase === "Paused") return "paused";
  if (phase === "RolledBack") return "degraded";
  return phase === "Pending" ? "waiting" : "progressing";
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
