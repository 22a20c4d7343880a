import { query } from "../../api/client";
import type { Facets } from "../../api/answers";
import { Bar } from "../../parts/Bar";
import { count, flagOf, plural, states, wordOf } from "../../words";

/** Sums says how many clusters are in which state, each counted once. */
export function Sums({ facets }: { facets: Facets | undefined }) {
  const valuesOf = (name: string) => facets?.facets?.find((f) => f.name === name)?.values ?? [];
  const counts = new Map(valuesOf("state").map((v) => [v.value, v.count]));
  const total = facets?.totalSize ?? 0;
  const parts = states.map((s) => ({ flag: flagOf(s), word: wordOf(s), n: counts.get(s) ?? 0 }));
  const share = (n: number) => (total ? `${((100 * n) / total).toFixed(1)} %` : "");
  return (
    <section class="state" aria-label="State of the fleet">
      <Bar parts={parts} className="yardbar" />
      <div class="sums">
        <a class="total" href="/clusters">
          <span class="w">clusters</span>
          <span class="v">{facets ? count(total) : "…"}</span>
          <span class="d">{plural(valuesOf("group").length, "group")}</span>
        </a>
        {states.map((s) => {
          const n = counts.get(s) ?? 0;
          const flag = flagOf(s);
          return (
            <a key={s} class={n ? `t-${flag}` : ""} href={query("/clusters", { filter: `state=${s}` })}>
              <span class="w">
                <i class={`fl ${flag}`} />
                {wordOf(s)}
              </span>
              <span class="v" data-state={s}>
                {facets ? count(n) : "…"}
              </span>
              <span class="d">{share(n)}</span>
            </a>
          );
        })}
      </div>
    </section>
  );
}
