// What a binding, or credentials, are for, in the words of the command line.

import type { LabelSelector, Scope } from "../../api/answers";

/** scopeText is as in "bundles web, env in (prod,test)"; one that is left out says what it means then. */
export function scopeText(what: string, s: Scope | undefined, leftOut: string): string {
  if (!s) return leftOut;
  const labels = s.selector && selectorText(s.selector);
  if (labels === "") return `all ${what}`;
  const parts = [...(s.names ?? []), ...(labels ? [labels] : [])];
  return parts.length > 0 ? `${what} ${parts.join(", ")}` : `no ${what}`;
}

/** selectorText is a selector in the grammar of -l; empty where it selects everything. */
function selectorText(s: LabelSelector): string {
  const labels = Object.entries(s.matchLabels ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
  return [
    ...labels.map(([key, value]) => `${key}=${value}`),
    ...(s.matchExpressions ?? []).map(({ key, operator, values = [] }) => {
      switch (operator) {
        case "In":
          return `${key} in (${values.join(",")})`;
        case "NotIn":
          return `${key} notin (${values.join(",")})`;
        case "DoesNotExist":
          return `!${key}`;
        default:
          return key;
      }
    }),
  ].join(",");
}
