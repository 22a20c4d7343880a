import { useState } from "preact/hooks";
import type { ComponentChildren } from "preact";
import type { Facets as Answer } from "../api/answers";
import { chosen, toggle } from "../filter";
import { withParam } from "../location";
import { count, states, wordOf } from "../words";

/** How many values of a facet are shown before "more" is asked for. */
const shown = 7;

/** Fields whose values have an order of their own, the same everywhere; of others, the most frequent come first. */
const orders: Record<string, readonly string[]> = { state: states, presence: ["Connected", "Unknown", "Stale", "NeverConnected"] };

interface Props {
  answer: Answer | undefined;
  filter: string;
  /** Titles by field. Facets come in this order. */
  titles: Record<string, string>;
}

/** Facets are what there is of each field, how often, and links that narrow what is shown to it. */
export function Facets({ answer, filter, titles }: Props) {
  const byName = new Map(answer?.facets?.map((f) => [f.name, f]));
  const total = answer?.totalSize || 1;
  return (
    <>
      {Object.entries(titles).map(([name, title]) => {
        const values = byName.get(name)?.values ?? [];
        const picked = chosen(filter, name);
        // What is chosen stays, though nothing may have it any more.
        const all = [...values, ...picked.filter((p) => !values.some((v) => v.value === p)).map((value) => ({ value, count: 0 }))];
        if (all.length === 0) return null;
        const ordered = orders[name];
        if (ordered) all.sort((a, b) => ordered.indexOf(a.value) - ordered.indexOf(b.value));
        return (
          <details key={name} open>
            <summary>{title}</summary>
            <ul>
              {all.slice(0, shown).map((v) => (
                <li key={v.value}>
                  <a
                    href={withParam("filter", toggle(filter, name, v.value))}
                    aria-current={picked.includes(v.value) ? "true" : undefined}
                    style={{ "--f": v.count / total }}
                    title={v.value}
                  >
                    <span class="v m">{ordered ? wordOf(v.value) : v.value}</span>
                    <span class="n">{count(v.count)}</span>
                  </a>
                </li>
              ))}
            </ul>
            {all.length > shown && <p class="all dim">{byName.get(name)?.others ? "many" : count(all.length - shown)} more; narrow by the filter</p>}
          </details>
        );
      })}
    </>
  );
}

/** Narrow holds facets, beside what they narrow; in a narrow window, behind a button. */
export function Narrow({ children }: { children: ComponentChildren }) {
  const [asked, ask] = useState(false);
  return (
    <aside class={`facets ${asked ? "asked" : ""}`} aria-label="Facets">
      <button type="button" class="btn narrow" aria-expanded={asked} onClick={() => ask(!asked)}>
        Narrow down
      </button>
      {children}
    </aside>
  );
}
