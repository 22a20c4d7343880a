import { query } from "../../api/client";
import { useQuery } from "../../api/query";
import type { Bundle, Page } from "../../api/answers";
import { both } from "../../filter";
import { param, setParam } from "../../location";
import { Bar } from "../../parts/Bar";
import { flags, useCommand } from "../../parts/command";
import { Filter } from "../../parts/Filter";
import { Freeze, GatesOf } from "../../parts/Gates";
import { Empty, Problem } from "../../parts/Note";
import { Rows, type Column } from "../../parts/Rows";
import { Window } from "../../parts/Window";
import { count, partsOf, revisionOf, wordOf } from "../../words";
import { active, flagOfPhase, waits } from "./phase";

/** How many are shown; more than run at a time. */
const most = 500;

const href = (b: Bundle) => `/rollouts/${b.metadata.name}`;

const columns: Column<Bundle>[] = [
  {
    title: "Phase",
    order: "rollout",
    cell: ({ status: { rollout } }) =>
      rollout && (
        <span class="st">
          <i class={`fl ${flagOfPhase(rollout.phase)}`} />
          {wordOf(rollout.phase)}
        </span>
      ),
  },
  { title: "Bundle", order: "name", className: "name", cell: (b) => <a href={href(b)} title={b.metadata.name}>{b.metadata.name}</a> },
  { title: "Revision", order: "latest", className: "m", cell: (b) => revisionOf(b.status) },
  { title: "Stage", className: "m c-v", cell: (b) => b.status.rollout?.stage },
  { title: "Clusters", order: "clusters.ready", className: "c-g", cell: (b) => <Bar parts={partsOf(b.status.clusters)} /> },
  { title: "Now", cell: ({ status: { rollout } }) => rollout && <span class="cut" title={rollout.failure || waits(rollout)}>{rollout.failure || waits(rollout)}</span> },
];

/** Rollouts are the revisions that are on their way, and on demand those that have arrived. */
export function Rollouts() {
  const all = param("all") !== "";
  const typed = param("filter");
  const filter = both(all ? "rollout in (Completed,Pending,Progressing,Paused,RollingBack,RolledBack)" : active, typed);
  const order = param("order") || "rollout desc";
  useCommand(`get bundles${flags({ filter, sort: order })}`, "Rollouts");
  const { data, error } = useQuery<Page & { bundles?: Bundle[] }>(query("/v1/bundles", { filter, orderBy: order, pageSize: most }), ["Bundle", "Cluster"]);
  const rows = data?.bundles ?? [];
  return (
    <>
      <div class="head">
        <h1>
          Rollouts <span class="dim n">{data && count(data.totalSize)}</span>
        </h1>
        <div class="act">
          <div class="seg-ctl" role="group" aria-label="Which rollouts">
            <button aria-pressed={!all} onClick={() => setParam("all", "")}>
              Active
            </button>
            <button aria-pressed={all} onClick={() => setParam("all", "yes")}>
              All
            </button>
          </div>
          <Freeze about={{}} />
          <Window about={{}} />
        </div>
      </div>
      <GatesOf about={{}} />
      <section class="hung" aria-label="Rollouts">
        <div class="above">
          <Filter filter={typed} hint="Filter: a name, group=prod, rollout=Paused" failure={error?.status === 400 ? error.message : undefined} />
        </div>
        {error && error.status !== 400 && <Problem failure={error} />}
        {rows.length > 0 && <Rows label="Table of rollouts" columns={columns} rows={rows} name={(b) => b.metadata.name} order={order} />}
        {(data?.totalSize ?? 0) > most && <p class="foot dim">The first {count(most)} of {count(data?.totalSize)}. A filter, or another order, shows others.</p>}
        {data && rows.length === 0 && (typed ? <Empty>No rollout matches {typed}.</Empty> : <Empty command="yardarm publish DIR --bundle web --to prod">{all ? "There has been no rollout." : "No rollout is under way."} This begins one:</Empty>)}
      </section>
    </>
  );
}
