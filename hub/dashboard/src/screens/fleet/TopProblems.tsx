import { query } from "../../api/client";
import { useQuery } from "../../api/query";
import type { Assignment, Facets, Page } from "../../api/types";
import { Block } from "../../parts/Block";
import { Problem } from "../../parts/Note";
import { Ago } from "../../parts/Time";
import { count, flagOf } from "../../words";

/** What counts as a problem here: the clusters say so, and somebody has to look. */
export const wrong = "phase in (Failed,Degraded,Held)";
const shown = 4;

export function TopProblems() {
  const { data, error } = useQuery<Facets>(query("/v1/facets/Assignment", { filter: wrong, facets: ["reason"], limit: shown }), ["Cluster"]);
  const reasons = data?.facets?.[0]?.values ?? [];
  return (
    <Block title="Top problems" n={data && `by cause, ${count(data.totalSize)} in all`}>
      {error && <Problem failure={error} />}
      <ul class="rows pr">
        {reasons.map((r) => (
          <Cause key={r.value} reason={r.value} n={r.count} />
        ))}
      </ul>
      {data && reasons.length === 0 && <p class="more">No cluster reports a failing bundle.</p>}
    </Block>
  );
}

/** Cause is one reason, and an example of what it means. */
function Cause({ reason, n }: { reason: string; n: number }) {
  const filter = `${wrong},reason=${reason}`;
  const { data } = useQuery<Page & { assignments?: Assignment[] }>(query("/v1/assignments", { filter, pageSize: 1, orderBy: "since" }), ["Cluster"]);
  const example = data?.assignments?.[0];
  const problem = example?.status.report?.problems?.[0];
  const message = problem?.message ?? example?.status.message ?? "";
  return (
    <li>
      <span class={`big t-${example ? flagOf(example.status.phase) : "degraded"}`}>
        <i class={`fl ${example ? flagOf(example.status.phase) : "degraded"}`} />
        {count(n)}
      </span>
      <div>
        <p class="cause cut" title={message}>
          {example ? <a href={`/clusters/${example.spec.cluster}?bundle=${example.spec.bundle}`}>{message || reason}</a> : reason}
        </p>
        <p class="dim cut" title={problem?.object}>
          {reason}
          {example && `, ${example.spec.bundle} in ${example.spec.cluster}`}
          {problem && `, ${problem.object}`}
          {example?.status.report?.since && (
            <>
              , for <Ago time={example.status.report.since} />
            </>
          )}
        </p>
      </div>
    </li>
  );
}
