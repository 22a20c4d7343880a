import { query } from "../../api/client";
import { useQuery } from "../../api/query";
import type { Bundle, Page } from "../../api/answers";
import { Bar } from "../../parts/Bar";
import { Block } from "../../parts/Block";
import { Empty, Problem } from "../../parts/Note";
import { count, partsOf, revisionOf } from "../../words";

/** How many bundles the fleet's page shows: those with most to tell. */
const shown = 4;

export function TopBundles() {
  const { data, error } = useQuery<Page & { bundles?: Bundle[] }>(
    query("/v1/bundles", { pageSize: shown, orderBy: "clusters.failed desc,clusters.held desc,clusters.progressing desc,clusters.pending desc,name" }),
    ["Bundle", "Cluster"],
  );
  return (
    <Block title="Bundles" n={data && count(data.totalSize)} act={<a class="link" href="/bundles">all</a>}>
      {error && <Problem failure={error} />}
      <ul class="rows ro">
        {data?.bundles?.map((b) => {
          const counts = b.status.clusters;
          return (
            <li key={b.metadata.name}>
              <a class="m ink cut" href={`/bundles/${b.metadata.name}`} title={b.metadata.name}>
                {b.metadata.name}
              </a>
              <span class="dim m">{revisionOf(b.status)}</span>
              <Bar parts={partsOf(counts)} />
              <span class="num">
                {count(counts?.ready)} <span class="dim">of {count(counts?.total)} ready</span>
              </span>
            </li>
          );
        })}
      </ul>
      {data && !data.bundles?.length && (
        <Empty command="yardarm publish DIR --bundle web --to prod">No bundle has been published. This publishes a folder of manifests to a group:</Empty>
      )}
    </Block>
  );
}
