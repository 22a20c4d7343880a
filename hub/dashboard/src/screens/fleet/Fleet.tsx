import { query } from "../../api/client";
import { useQuery } from "../../api/query";
import type { Facets as Answer } from "../../api/answers";
import { param, withParam } from "../../location";
import { Block } from "../../parts/Block";
import { flags, useCommand } from "../../parts/command";
import { Facets, Narrow } from "../../parts/Facets";
import { Filter } from "../../parts/Filter";
import { GatesOf } from "../../parts/Gates";
import { Problem } from "../../parts/Note";
import { count, flagOf, states, wordOf } from "../../words";
import { ActiveRollouts } from "./ActiveRollouts";
import { FleetMap } from "./FleetMap";
import { Sums } from "./Sums";
import { TopBundles } from "./TopBundles";
import { TopProblems } from "./TopProblems";

export const titles = { group: "Group", presence: "Presence", region: "Region", provider: "Provider", distribution: "Distribution", version: "Kubernetes" };

/** Fleet answers at one look: is all well, what is not, and where. */
export function Fleet() {
  const filter = param("filter");
  useCommand(filter ? `get clusters${flags({ filter })}` : "status", "Fleet");
  const all = useQuery<Answer>(query("/v1/facets/Cluster", { facets: ["state"] }), ["Cluster"]);
  const narrowed = useQuery<Answer>(query("/v1/facets/Cluster", { filter, facets: Object.keys(titles) }), ["Cluster", "ClusterGroup"]);
  const total = all.data?.totalSize ?? 0;
  return (
    <>
      <h1 class="sr">Fleet</h1>
      {all.error && <Problem failure={all.error} />}
      <Sums facets={all.data} />
      <GatesOf about={{}} />
      <div class="cols two">
        <div class="stack">
          <ActiveRollouts />
          <TopBundles />
        </div>
        <TopProblems />
      </div>
      <Block
        title="Clusters"
        n={narrowed.data && all.data && `${count(narrowed.data.totalSize)} of ${count(total)}`}
        act={
          <>
            <div class="seg-ctl" role="group" aria-label="View">
              <a href={withParam("filter", filter)} aria-current="true">
                Map
              </a>
              <a href={query("/clusters", { filter })}>Table</a>
            </div>
            <div class="legend">
              {states.map((s) => (
                <span key={s}>
                  <i class={`fl ${flagOf(s)}`} />
                  {wordOf(s)}
                </span>
              ))}
            </div>
          </>
        }
      >
        <div class="field">
          <Narrow>
            <Facets answer={narrowed.data} filter={filter} titles={titles} />
          </Narrow>
          <div class="sea">
            <Filter filter={filter} hint="Filter: a name, env=prod, presence=stale, state=degraded, bundle=web" failure={narrowed.error?.message} />
            <FleetMap />
          </div>
        </div>
      </Block>
    </>
  );
}
