// What happens next to a rollout, and when, as far as the hub's answer tells.

import type { Rollout } from "../../api/answers";
import { seconds, toTheSecond } from "../../time";
import { plural } from "../../words";

export interface Step {
  /** When, in milliseconds; undefined where it depends on people or clusters. */
  at?: number | undefined;
  what: string;
  about: string;
  flag?: "degraded";
  /** What a person may do about it. */
  act?: "approve" | "resume";
}

/** ahead are the steps that are still to come, in their order; readySince is when the last cluster of this stage that soaks got ready. */
export function ahead(r: Rollout, readySince?: number): Step[] {
  const { status, spec } = r;
  const stages = status.stages ?? [];
  const at = stages.findIndex((s) => s.name === status.stage);
  if (status.phase === "Completed" || status.phase === "RolledBack" || at < 0) return [];
  const steps: Step[] = [];
  if (status.phase === "Paused") steps.push({ what: "Somebody resumes it", about: "or undoes it; until then no further cluster is given the revision", act: "resume" });
  if (status.waitsFor === "Confirmation") steps.push({ what: "Somebody confirms that stored versions change", about: status.confirmation ?? "", act: "approve" });
  for (const gate of status.gates ?? []) {
    steps.push({ at: gate.opens ? Date.parse(gate.opens) : undefined, what: gate.type === "freeze" ? `The freeze ${gate.gate} is lifted` : `The ${gate.type} ${gate.gate} opens`,
      about: `it holds back ${plural(gate.clusters ?? 0, "cluster")}${gate.reason ? `: ${gate.reason}` : ""}` });
  }
  if (status.phase === "RollingBack") return [...steps, { what: "Every cluster that was given it is back", about: "at its own last good revision" }];
  stages.slice(at).forEach((s, i) => {
    const { soak, approval } = spec.strategy?.stages?.[at + i] ?? {};
    const under = i === 0;
    const asks = (when: string) => !s.approved && (s.approval ?? approval) === when;
    if (asks("before")) {
      const now = under && status.waitsFor === "Approval";
      steps.push({ what: `Stage ${s.name} waits for an approval`, about: "of somebody who may approve", ...(now ? { act: "approve" } : {}) });
    }
    const left = (s.clusters ?? 0) - (s.done ?? 0);
    if (!under || (s.waiting ?? 0) > (s.away ?? 0)) {
      steps.push({ what: under ? `Stage ${s.name} goes on` : `Stage ${s.name} begins`, about: `${plural(left, "cluster")}, ${s.concurrency ?? 1} at a time` });
    }
    const soaks = seconds(soak);
    const waits = under && s.given ? `${plural(s.given, "cluster")} on ${s.given === 1 ? "its" : "their"} way` : plural(left, "cluster");
    if (left > 0) {
      steps.push({
        at: under && readySince !== undefined && soaks ? readySince + soaks * 1000 : undefined,
        what: `Stage ${s.name} is done`,
        about: `${waits}${soaks ? `, ${left > 1 ? "each " : ""}to be ready for ${toTheSecond(soaks)}` : ""}${s.away ? `; ${s.away === left ? "" : `${s.away} of them `}away, which does not block it` : ""}`,
      });
    }
    if (asks("after")) {
      const now = under && status.waitsFor === "Approval";
      steps.push({ what: `Stage ${s.name} waits for an approval`, about: "before the next begins", ...(now ? { act: "approve" } : {}) });
    }
  });
  const away = stages.reduce((sum, s) => sum + (s.away ?? 0), 0);
  steps.push({ what: `Every cluster that is there has r${spec.revision ?? 0}`, about: away ? `${plural(away, "cluster")} ${away === 1 ? "is away and gets it when it returns" : "are away and get it when they return"}` : "" });
  const stage = stages[at];
  if (stage && status.phase === "Progressing") {
    const more = left(stage) + 1;
    const may = (stage.clusters ?? 0) - (stage.failed ?? 0) - (stage.returned ?? 0);
    const touched = stages.reduce((sum, s) => sum + (s.given ?? 0) + (s.done ?? 0) + (s.failed ?? 0) + (s.lost ?? 0), 0);
    if (more > may) steps.push({ what: `No failure in stage ${stage.name} stops it`, about: "all of its clusters may fail" });
    else {
      steps.push({
        flag: "degraded",
        what: `${plural(more, "more failure")} in stage ${stage.name} stop${more === 1 ? "s" : ""} it`,
        about: spec.strategy?.onFailure === "pause" ? "and it waits for an operator" : `and ${plural(touched, "cluster")} that ${touched === 1 ? "was" : "were"} given it ${touched === 1 ? "goes" : "go"} back`,
      });
    }
  }
  return steps;
}

/** spent is how many failures count against a stage's budget; left, how many it may still have. */
export const spent = (s: { failed?: number; failedBefore?: number; returning?: number; returned?: number }): number =>
  Math.max(0, (s.failed ?? 0) - (s.failedBefore ?? 0));
export const left = (s: Parameters<typeof spent>[0] & { failureBudget?: number }): number => Math.max(0, (s.failureBudget ?? 0) - spent(s));
