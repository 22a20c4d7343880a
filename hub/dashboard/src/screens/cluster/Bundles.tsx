import { query } from "../../api/client";
import { useQuery } from "../../api/query";
import type { Assignment, Page } from "../../api/answers";
import { param, withParam } from "../../location";
import { Block } from "../../parts/Block";
import { StateWord } from "../../parts/Flag";
import { Empty, Problem } from "../../parts/Note";
import { Ago } from "../../parts/Time";
import { count, wordOf } from "../../words";
import { AssignmentDetail } from "./AssignmentDetail";

/** How many of a cluster's bundles are shown; more than a cluster has. */
const most = 500;

/** Bundles are what a cluster is to run, and how far it is. The one that the URL names is told in full. */
export function Bundles({ cluster }: { cluster: string }) {
  const { data, error } = useQuery<Page & { assignments?: Assignment[] }>(query("/v1/assignments", { cluster, pageSize: most, orderBy: "bundle" }), ["Cluster", "Bundle"]);
  const open = param("bundle");
  return (
    <Block title="Bundles" n={data && count(data.totalSize)}>
      {error && <Problem failure={error} />}
      <ul class="rows bl">
        {data?.assignments?.map((a) => {
          const { status, spec } = a;
          const stale = status.phase === "Stale";
          const drifted = status.report?.objects?.drifted ?? 0;
          return (
            <li key={spec.bundle}>
              <a href={withParam("bundle", open === spec.bundle ? "" : spec.bundle)} aria-expanded={open === spec.bundle}>
                <StateWord state={status.phase} more={stale && status.report ? `was ${wordOf(status.report.phase)}` : undefined} />
                <span class="m ink cut" title={spec.bundle}>
                  {spec.bundle}
                </span>
                <span class="m dim">r{spec.revision ?? 0}</span>
                <span class="cut" title={status.message}>
                  {status.message ?? ""}
                </span>
                <span class="num">
                  {drifted > 0 && <span class="st t-drifted" title="objects that differ from what was applied"><i class="fl drifted" />{count(drifted)} <span class="sr">drifted</span></span>} <Ago time={status.report?.since} />
                </span>
              </a>
              {open === spec.bundle && <AssignmentDetail assignment={a} />}
            </li>
          );
        })}
      </ul>
      {data && !data.assignments?.length && <Empty>No bundle is for any of its groups.</Empty>}
    </Block>
  );
}
