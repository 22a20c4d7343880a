import { useCallback, useState } from "preact/hooks";
import { useSignal } from "@preact/signals";
import { query } from "../api/client";
import { useQuery } from "../api/query";
import type { Cluster, Facets as Answer, Page } from "../api/answers";
import { param, setParam } from "../location";
import { Bar, Ready } from "../parts/Bar";
import { flags, useCommand } from "../parts/command";
import { Facets, Narrow } from "../parts/Facets";
import { Filter } from "../parts/Filter";
import { StateWord } from "../parts/Flag";
import { Menu } from "../parts/Menu";
import { NoCluster, Problem } from "../parts/Note";
import { Presence } from "../parts/Presence";
import { Rows, type Column } from "../parts/Rows";
import { count, flagOf, states, wordOf } from "../words";

/** How many rows are asked for at first, and at most: what an answer may have. Beyond that, a filter finds faster. */
const few = 100;
const most = 1000;

/** Of how many labels the values are counted: those that have a column, and then those that most clusters have. */
const labelled = 4;

const titles = { state: "State", group: "Group", presence: "Presence", region: "Region", provider: "Provider", distribution: "Distribution", version: "Kubernetes" };

const columns: Column<Cluster>[] = [
  { title: "State", order: "state", cell: (c) => <StateWord state={c.status.state} more={c.status.phase === "Active" || c.status.phase === "Enrolling" ? undefined : wordOf(c.status.phase)} /> },
  { title: "Name", order: "name", className: "name", cell: (c) => <a href={`/clusters/${c.metadata.name}`} title={c.metadata.name}>{c.metadata.name}</a> },
  { title: "Presence", order: "presence", cell: (c) => <Presence cluster={c} /> },
  { title: "Groups", className: "m c-g", cell: (c) => c.status.groups?.join(", ") },
  { title: "Region", order: "region", className: "m c-r", cell: (c) => c.status.facts?.region },
  { title: "Version", order: "version", className: "m c-v", cell: (c) => c.status.facts?.kubernetesVersion ?? <span class="dim">unknown</span> },
  { title: "Bundles ready", order: "bundles.ready", cell: (c) => <Ready counts={c.status.bundles} none="none" /> },
];

/** Clusters is the table: what there is, narrowed by facets and a filter, all of it by the hub. */
export function Clusters() {
  const filter = param("filter");
  const order = param("order") || "name";
  const labels = param("labels").split(",").filter(Boolean);
  const [size, setSize] = useState(few);
  useCommand(`get clusters${flags({ filter, sort: order === "name" ? "" : order })}`, "Clusters");
  const list = useQuery<Page & { clusters?: Cluster[] }>(query("/v1/clusters", { filter, orderBy: order, pageSize: size }), ["Cluster"]);
  const facets = useQuery<Answer>(query("/v1/facets/Cluster", { filter, facets: [...Object.keys(titles), "label"] }), ["Cluster", "ClusterGroup"]);
  const byName = new Map(facets.data?.facets?.map((f) => [f.name, f.values ?? []]));
  const keys = byName.get("label")?.map((v) => v.value) ?? [];
  const told = [...new Set([...labels, ...keys])].slice(0, labelled);
  const ofLabels = useQuery<Answer>(told.length > 0 ? query("/v1/facets/Cluster", { filter, facets: told.map(labelField) }) : "", ["Cluster"]);
  const rows = list.data?.clusters ?? [];
  const total = list.data?.totalSize ?? 0;
  const more = useCallback(() => {
    if (list.data?.nextPageToken && rows.length >= size) setSize(Math.min(size * 2, most));
  }, [list.data, size]);
  const counts = new Map(byName.get("state")?.map((v) => [v.value, v.count]));
  return (
    <>
      <div class="head">
        <h1>
          Clusters <span class="dim n">{list.data && count(total)}</span>
        </h1>
        <div class="act">
          <LabelColumns keys={keys} chosen={labels} />
          <div class="seg-ctl" role="group" aria-label="View">
            <a href={query("/", { filter })}>Map</a>
            <a href={query("/clusters", { filter, order, labels: labels.join() })} aria-current="true">
              Table
            </a>
          </div>
        </div>
      </div>
      <div class="deck">
        <Narrow>
          <Facets answer={facets.data} filter={filter} titles={titles} />
          <Facets answer={ofLabels.data} filter={filter} titles={Object.fromEntries(told.map((key) => [labelField(key), key]))} />
        </Narrow>
        <section class="list" aria-label="Clusters">
          <Filter filter={filter} hint="Filter: a name, env=prod, presence=stale, bundles.failed>0" failure={list.error?.status === 400 ? list.error.message : undefined} />
          <Bar className="thin" parts={states.map((s) => ({ flag: flagOf(s), word: wordOf(s), n: counts.get(s) ?? 0 }))} />
          {list.error && list.error.status !== 400 && <Problem failure={list.error} />}
          {rows.length > 0 && (
            <Rows
              label="Table of clusters"
              columns={[...columns, ...labels.map(labelColumn)]}
              rows={rows}
              name={(c) => c.metadata.name}
              order={order}
              more={more}
            />
          )}
          {list.data && rows.length === 0 && <NoCluster filter={filter} />}
          {total > most && rows.length >= most && <p class="foot dim">The first {count(most)} of {count(total)}. A filter, or another order, shows others.</p>}
        </section>
      </div>
    </>
  );
}

/** labelField is a label as a field, whatever else has its name. */
const labelField = (key: string): string => `labels.${key}`;

const labelColumn = (key: string): Column<Cluster> => ({
  title: key,
  order: labelField(key),
  className: "m",
  cell: (c) => <span title={c.metadata.labels?.[key]}>{c.metadata.labels?.[key]}</span>,
});

/** LabelColumns chooses which labels have a column. */
function LabelColumns({ keys, chosen }: { keys: string[]; chosen: string[] }) {
  const open = useSignal(false);
  if (keys.length === 0) return null;
  const toggle = (key: string) => setParam("labels", (chosen.includes(key) ? chosen.filter((k) => k !== key) : [...chosen, key]).join());
  return (
    <Menu open={open} label="Columns">
      {keys.map((key) => (
        <label key={key} class="check">
          <input type="checkbox" checked={chosen.includes(key)} onChange={() => toggle(key)} /> <span class="m">{key}</span>
        </label>
      ))}
    </Menu>
  );
}
