import type { Condition } from "../api/answers";
import { wordOf } from "../words";
import { Ago } from "./Time";

/** How each status is shown. What is a condition at all is good while it is true. */
const flags: Record<string, string> = { True: "ready", False: "degraded" };

/** Conditions are what is so, or is not, why, and since when; of a cluster that is stale, what was so when it was last heard of. */
export function Conditions({ conditions = [], stale = false }: { conditions: Condition[] | undefined; stale?: boolean }) {
  if (conditions.length === 0) return null;
  return (
    <ul class="rows slow" aria-label="Conditions">
      {conditions.map((c) => (
        <li key={c.type}>
          <i class={`fl ${stale ? "stale" : (flags[c.status] ?? "never")}`} />
          <div>
            <p class="ink">
              {stale && "was "}
              {c.status === "False" && "not "}
              {wordOf(c.type)}
              {c.status === "Unknown" && ": unknown"} <span class="dim">{c.reason}</span>
            </p>
            {c.message && <p class="wrap">{c.message}</p>}
          </div>
          <span class="dim nowrap">
            {c.lastTransitionTime && (
              <>
                for <Ago time={c.lastTransitionTime} />
              </>
            )}
          </span>
        </li>
      ))}
    </ul>
  );
}
