import { query } from "../../api/client";
import { useQuery } from "../../api/query";
import type { Bundle, Page } from "../../api/answers";
import { Bar } from "../../parts/Bar";
import { Block } from "../../parts/Block";
import { count, partsOf, revisionOf, wordOf } from "../../words";
import { active, flagOfPhase, waits } from "../rollouts/phase";

/** How many the fleet's page shows: those first that somebody has to look at. */
const shown = 3;

/** ActiveRollouts are the revisions that are on their way, what each waits for, and how many clusters are ready. */
export function ActiveRollouts() {
  const { data } = useQuery<Page & { bundles?: Bundle[] }>(query("/v1/bundles", { filter: active, orderBy: "rollout,name", pageSize: shown }), ["Bundle", "Cluster"]);
  return (
    <Block title="Active rollouts" n={data && count(data.totalSize)} act={<a class="link" href="/rollouts">all</a>}>
      <ul class="rows rl">
        {data?.bundles?.map(({ metadata, status }) => {
          const { rollout, clusters } = status;
          if (!rollout) return null;
          const now = rollout.failure || waits(rollout);
          return (
            <li key={metadata.name}>
              <p class="cut" title={`${metadata.name} ${revisionOf(status)}`}>
                <a class="m ink" href={`/rollouts/${metadata.name}`}>
                  {metadata.name}
                </a>{" "}
                <span class="m dim">{revisionOf(status)}</span>
              </p>
              <span class="num">
                {count(clusters?.ready)} <span class="dim">of {count(clusters?.total)} ready</span>
              </span>
              <p class="cut" title={`${wordOf(rollout.phase)}, ${now}`}>
                <i class={`fl ${flagOfPhase(rollout.phase)}`} /> {wordOf(rollout.phase)} <span class="dim">{now}</span>
              </p>
              <Bar parts={partsOf(clusters)} />
            </li>
          );
        })}
      </ul>
      {data && !data.bundles?.length && <p class="more">No revision is on its way.</p>}
    </Block>
  );
}
