import { query } from "../api/client";
import { useQuery } from "../api/query";
import type { Assignment, Drift as Difference, Page } from "../api/answers";
import { param } from "../location";
import { both } from "../filter";
import { flags, useCommand } from "../parts/command";
import { Filter } from "../parts/Filter";
import { Problem } from "../parts/Note";
import { Ago, At } from "../parts/Time";
import { count, plural, wordOf } from "../words";
import { DriftActions, type Field } from "./DriftActions";

/** How many assignments are looked at: what one answer may have. */
const most = 500;
/** How many differences a report has at most: where it has so many, there may be more. */
const told = 20;

/** Drift is what differs from what was applied, by field across clusters. */
export function Drift() {
  const filter = param("filter");
  const all = both("drifted>0", filter);
  useCommand(`drift${flags({ filter })}`, "Drift");
  const { data, error } = useQuery<Page & { assignments?: Assignment[] }>(query("/v1/assignments", { filter: all, pageSize: most, orderBy: "since" }), ["Cluster"]);
  const fields = group(data?.assignments ?? []);
  const total = data?.totalSize ?? 0;
  const full = data?.assignments?.filter(({ status }) => (status.report?.drift ?? []).filter((d) => !d.corrected).length >= told).length ?? 0;
  return (
    <>
      <div class="head">
        <div>
          <h1>
            Drift <span class="dim n">{data && count(fields.length)}</span>
          </h1>
          {fields.length > 0 && (
            <p class="lead">
              {plural(fields.length, "field differs", "fields differ")} from what was applied, in {plural(new Set(fields.flatMap((f) => f.clusters)).size, "cluster")}, and {fields.length === 1 ? "is" : "are"} left so.
            </p>
          )}
        </div>
      </div>
      <section class="hung" aria-label="Fields">
        <div class="above">
          <Filter filter={filter} hint="Filter: bundle=web, env=prod, cluster=edge-1" bare="cluster" failure={error?.status === 400 ? error.message : undefined} />
        </div>
        {error && error.status !== 400 && <Problem failure={error} />}
        <ul class="rows fields">
          {fields.map((f) => (
            <li key={[f.bundle, f.kind, f.path, f.desired, f.live, f.manager].join()}>
              <div>
                <p class="m ink cut" title={f.path || "the whole object"}>
                  {f.path || "the whole object"}
                </p>
                <p class="dim cut">
                  {f.kind}, <a class="link m" href={`/bundles/${f.bundle}`}>{f.bundle}</a>, for <Ago time={f.since} />
                </p>
              </div>
              <dl class="facts two">
                <div>
                  <dt>desired</dt>
                  <dd class="m cut" title={f.desired}>
                    {f.desired || "none"}
                  </dd>
                </div>
                <div>
                  <dt>live</dt>
                  <dd class="m cut" title={f.live}>
                    {f.live || "none"}
                  </dd>
                </div>
              </dl>
              <div>
                <p class="m cut" title={f.manager}>
                  {f.manager || "manager unknown"}
                </p>
                <p class="st t-drifted">
                  <i class="fl drifted" />
                  {wordOf(f.reason || "left so")}
                </p>
              </div>
              <div>
                <p class="m cut" title={f.clusters.join(", ")}>
                  <a class="link" href={`/clusters/${f.clusters[0]}?bundle=${f.bundle}`}>
                    {f.clusters[0]}
                  </a>
                  {f.clusters.length > 1 && <span class="dim"> and {count(f.clusters.length - 1)} more</span>}
                </p>
                {f.unheard > 0 && (
                  <p class="st t-stale">
                    <i class="fl stale" />
                    {f.unheard === f.clusters.length ? "stale" : `${count(f.unheard)} of them stale`}, as of <At time={f.asOf} />
                  </p>
                )}
              </div>
              <DriftActions field={f} />
            </li>
          ))}
        </ul>
        {data && fields.length === 0 && <p class="more">No live object differs from what was applied, but for what was repaired.</p>}
        {full > 0 && <p class="more">Of a bundle in a cluster, the newest {told} are told; in {plural(full, "place")} there may be more.</p>}
        {total > most && <p class="more">The oldest {count(most)} of {count(total)} assignments. A filter shows others.</p>}
      </section>
    </>
  );
}

/** group puts the same difference in several clusters together, that of the most clusters first. */
function group(assignments: Assignment[]): Field[] {
  const fields = new Map<string, Field>();
  for (const { spec, status } of assignments) {
    for (const d of status.report?.drift ?? []) {
      if (d.corrected) continue;
      const field = fieldOf(d, spec.bundle);
      const key = JSON.stringify([field.bundle, field.kind, field.path, field.desired, field.live, field.manager]);
      const known = fields.get(key) ?? field;
      known.clusters.push(spec.cluster);
      if (status.phase === "Stale") {
        known.unheard++;
        if (status.asOf && (!known.asOf || status.asOf < known.asOf)) known.asOf = status.asOf;
      }
      if (d.since && (!known.since || d.since < known.since)) known.since = d.since;
      fields.set(key, known);
    }
  }
  return [...fields.values()].sort((a, b) => b.clusters.length - a.clusters.length);
}

const fieldOf = (d: Difference, bundle: string): Field => ({
  path: d.path ?? "",
  kind: d.object,
  bundle,
  desired: d.desired ?? "",
  live: d.live ?? "",
  manager: d.manager ?? "",
  reason: d.reason ?? "",
  since: d.since,
  clusters: [],
  unheard: 0,
  asOf: undefined,
});
