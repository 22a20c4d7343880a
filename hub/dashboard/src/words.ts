// The hub's words and how the pages show them: a flag's shape, and a word in lower case.

import type { Bundle, Cause, PhaseCounts } from "./api/answers";

/** The states of a cluster, in the one order in which they are counted and shown. */
export const states = ["Ready", "Progressing", "Degraded", "Drifted", "Stale", "NeverConnected"] as const;
export type State = (typeof states)[number];

/** flagOf is the class of a state's or a phase's flag. */
export function flagOf(word: string): string {
  switch (word) {
    case "Ready":
    case "Connected":
    case "Active":
      return "ready";
    case "Progressing":
    case "Removing":
    case "Deleting":
      return "progressing";
    case "Degraded":
    case "Failed":
    case "Banned":
      return "degraded";
    case "Drifted":
      return "drifted";
    case "Stale":
    case "Unknown":
      return "stale";
    case "Pending":
      return "waiting";
    case "Held":
      return "paused";
    default:
      return "never";
  }
}

/** wordOf is how a word of the hub is read: NeverConnected as "never connected". */
export const wordOf = (word: string): string => word.replace(/(?<=[a-z])(?=[A-Z])/g, " ").toLowerCase();

export const count = (n: number | undefined): string => (n ?? 0).toLocaleString("en");

/** plural is a number and its noun. */
export const plural = (n: number, one: string, many = `${one}s`): string => `${count(n)} ${n === 1 ? one : many}`;

/** toRun says how many clusters are to run what is asked about. */
export const toRun = (n = 0): string => `${plural(n, "cluster")} ${n === 1 ? "is" : "are"} to run it.`;

/** share is a part of a whole in per cent; it is none, or all, only where that is so. */
export function share(n: number, of: number): string {
  if (of === 0) return "";
  const percent = (100 * n) / of;
  if (n > 0 && percent < 0.1) return "< 0.1 %";
  if (n < of && percent > 99.9) return "> 99.9 %";
  return `${percent.toFixed(1)} %`;
}

/** saidOf is what one of the clusters that fail says of it, in its own words: those of the cause have placeholders where clusters differ. */
export const saidOf = ({ examples, message, reason }: Cause): string => examples?.[0]?.message || message || reason || "";

/** revisionOf is the revision that a bundle's clusters are to run, and the one that is on its way to them. */
export function revisionOf({ revision = 0, latestRevision = 0 }: Bundle["status"]): string {
  if (revision === latestRevision) return revision ? `r${revision}` : "";
  return revision ? `r${revision} → r${latestRevision}` : `→ r${latestRevision}`;
}

/** parts are a bundle's clusters, or a cluster's bundles, by flag, each counted once. */
export function partsOf(c: PhaseCounts | undefined): { flag: string; word: string; n: number }[] {
  if (!c) return [];
  return [
    { flag: "ready", word: "ready", n: c.ready ?? 0 },
    { flag: "progressing", word: "progressing", n: c.progressing ?? 0 },
    { flag: "waiting", word: "pending", n: c.pending ?? 0 },
    { flag: "degraded", word: "failed", n: c.failed ?? 0 },
    { flag: "paused", word: "held", n: c.held ?? 0 },
    { flag: "stale", word: "stale", n: c.stale ?? 0 },
    { flag: "never", word: "never connected", n: c.neverConnected ?? 0 },
  ].filter((p) => p.n > 0);
}
