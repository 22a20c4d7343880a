import { query } from "../../api/client";
import { useQuery } from "../../api/query";
import type { Problems } from "../../api/answers";
import { Block } from "../../parts/Block";
import { Problem } from "../../parts/Note";
import { Share } from "../../parts/Share";
import { Ago } from "../../parts/Time";
import { count, flagOf, saidOf, wordOf } from "../../words";

/** How many causes the fleet's page shows. */
const shown = 4;

/** TopProblems are the causes with the most clusters. */
export function TopProblems() {
  const { data, error } = useQuery<Problems>(query("/v1/problems", { limit: shown, examples: 1 }), ["Cluster"]);
  return (
    <Block title="Top problems" n="by cause" act={<a class="link" href="/problems">all {data && count(data.totalSize)}</a>}>
      {error && <Problem failure={error} />}
      <ul class="rows pr shared">
        {data?.problems?.map((p) => {
          const flag = flagOf(p.phase);
          const where = [p.reason, p.bundles?.join(", "), p.examples?.[0]?.object].filter(Boolean).join(", ");
          return (
            <li key={[p.phase, p.reason, p.kind, p.message].join()}>
              <span class={`big t-${flag}`}>
                <i class={`fl ${flag}`} />
                {count(p.clusters)} <span class="sr">{wordOf(p.phase)}</span>
              </span>
              <div>
                <p class="cause cut" title={saidOf(p)}>
                  <a href="/problems">{saidOf(p)}</a>
                </p>
                <p class="dim cut" title={where}>
                  {where}, for <Ago time={p.since} />
                </p>
              </div>
              {p.shared?.[0] && <Share trait={p.shared[0]} />}
            </li>
          );
        })}
      </ul>
      {data && !data.problems?.length && <p class="more">No cluster reports a failing bundle.</p>}
    </Block>
  );
}
