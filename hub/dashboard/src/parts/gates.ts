// What gates are about, in words and as the command line has it.

import type { Gate } from "../api/answers";

/** About names what a gate is of; nothing for all of the hub. */
export interface About {
  bundle?: string;
  cluster?: string;
  group?: string;
}

/** freezeName is that of a freeze of one bundle, one cluster, or all: as the command line calls it. */
export const freezeName = ({ bundle, cluster }: About): string => ["freeze", ...(bundle ? ["bundle", bundle] : []), ...(cluster ? ["cluster", cluster] : []), ...(bundle || cluster ? [] : ["all"])].join("-").slice(0, 63).replace(/\W+$/, "");

/** windowName is that of a window: there is one of each effect for one thing. */
export const windowName = ({ bundle, cluster, group }: About, effect: string): string =>
  [effect, ...(bundle ? ["bundle", bundle] : cluster ? ["cluster", cluster] : group ? ["group", group] : ["all"])].join("-").slice(0, 63).replace(/\W+$/, "");

/** aboutOf says what a gate is about. */
export function aboutOf({ spec }: Gate): string {
  const parts = [
    spec?.bundles && (spec.bundles.names?.join(", ") ?? "some bundles"),
    spec?.groups?.length && `in ${spec.groups.join(", ")}`,
    spec?.clusters && `in ${spec.clusters.names?.join(", ") ?? "some clusters"}`,
  ].filter((part) => part);
  return parts.join(" ") || "everything";
}

/** concerns tells whether a gate is about something, as far as names tell; by a selector or a group it may be, and the rollout says whether it is. */
export function concerns({ spec }: Gate, { bundle, cluster }: About): boolean {
  const within = (scope: { names?: string[] } | undefined, name: string | undefined) => !scope || name === undefined || !scope.names || scope.names.includes(name);
  if (cluster !== undefined && spec?.bundles && !bundle) return false;
  return within(spec?.bundles, bundle) && within(spec?.clusters, cluster) && !(bundle !== undefined && cluster === undefined && spec?.clusters);
}
