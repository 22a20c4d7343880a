import { query } from "../../api/client";
import { useQuery } from "../../api/query";
import type { Facets, Page } from "../../api/answers";
import { Bar } from "../../parts/Bar";
import { count, flagOf, plural, share, states, wordOf } from "../../words";

/** Sums says how many clusters are in which state, each counted once. */
export function Sums({ facets }: { facets: Facets | undefined }) {
  const groups = useQuery<Page>(query("/v1/clustergroups", { pageSize: 1 }), ["ClusterGroup"]).data;
  const counts = new Map(facets?.facets?.find((f) => f.name === "state")?.values?.map((v) => [v.value, v.count]));
  const total = facets?.totalSize ?? 0;
  const parts = states.map((s) => ({ flag: flagOf(s), word: wordOf(s), n: counts.get(s) ?? 0 }));
  return (
    <section class="state" aria-label="State of the fleet">
      <Bar parts={parts} className="yardbar" />
      <div class="sums">
        <a class="total" href="/clusters">
          <span class="w">clusters</span>
          <span class="v">{facets ? count(total) : "…"}</span>
          <span class="d">{groups && plural(groups.totalSize ?? 0, "group")}</span>
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
              <span class="d">{share(n, total)}</span>
            </a>
          );
        })}
      </div>
    </section>
  );
}
