import { query } from "../api/client";
import { useQuery } from "../api/query";
import type { Bundle, Page } from "../api/answers";
import { param } from "../location";
import { Ready } from "../parts/Bar";
import { flags, useCommand } from "../parts/command";
import { Filter } from "../parts/Filter";
import { Empty, Problem } from "../parts/Note";
import { Rows, type Column } from "../parts/Rows";
import { count, revisionOf } from "../words";

/** How many are shown; more than a fleet has. */
const most = 500;

const columns: Column<Bundle>[] = [
  { title: "Name", order: "name", className: "name", cell: (b) => <a href={`/bundles/${b.metadata.name}`} title={b.metadata.name}>{b.metadata.name}</a> },
  { title: "Revision", order: "revision", className: "m", cell: (b) => revisionOf(b.status) },
  { title: "Clusters ready", order: "clusters.ready", cell: (b) => <Ready counts={b.status.clusters} none="no cluster" /> },
  { title: "Failed", order: "clusters.failed", className: "num", cell: (b) => <N n={b.status.clusters?.failed} flag="degraded" /> },
  { title: "Held", order: "clusters.held", className: "num c-v", cell: (b) => <N n={b.status.clusters?.held} flag="paused" /> },
  { title: "Drifted", order: "clusters.drifted", className: "num c-v", cell: (b) => <N n={b.status.clusters?.drifted} flag="drifted" /> },
  { title: "Stale", order: "clusters.stale", className: "num c-v", cell: (b) => <N n={b.status.clusters?.stale} flag="stale" /> },
  { title: "Groups", className: "m c-g", cell: (b) => b.spec?.targets?.map((t) => t.group).join(", ") },
];

/** Bundles is what the fleet is to run. */
export function Bundles() {
  const filter = param("filter");
  const order = param("order") || "name";
  useCommand(`get bundles${flags({ filter, sort: order === "name" ? "" : order })}`, "Bundles");
  const { data, error } = useQuery<Page & { bundles?: Bundle[] }>(query("/v1/bundles", { filter, orderBy: order, pageSize: most }), ["Bundle", "Cluster"]);
  const rows = data?.bundles ?? [];
  return (
    <>
      <div class="head">
        <h1>
          Bundles <span class="dim n">{data && count(data.totalSize)}</span>
        </h1>
      </div>
      <section class="hung" aria-label="Bundles">
        <div class="above">
          <Filter filter={filter} hint="Filter: a name, group=prod, clusters.failed>0" failure={error?.status === 400 ? error.message : undefined} />
        </div>
        {error && error.status !== 400 && <Problem failure={error} />}
        {rows.length > 0 && (
          <Rows label="Table of bundles" columns={columns} rows={rows} name={(b) => b.metadata.name} order={order} />
        )}
        {(data?.totalSize ?? 0) > most && <p class="foot dim">The first {count(most)} of {count(data?.totalSize)}. A filter, or another order, shows others.</p>}
        {data && rows.length === 0 && (filter ? <Empty>No bundle matches {filter}.</Empty> : <Empty command="yardarm publish DIR --bundle web --to prod">No bundle has been published. This publishes a folder of manifests to a group:</Empty>)}
      </section>
    </>
  );
}

/** N is a number that is worth a flag if it is one at all. */
const N = ({ n, flag }: { n: number | undefined; flag: string }) =>
  n ? (
    <span class={`st t-${flag}`}>
      <i class={`fl ${flag}`} />
      {count(n)}
    </span>
  ) : (
    <span class="dim">0</span>
  );
