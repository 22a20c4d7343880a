import { query } from "../../api/client";
import { now } from "../../api/clock";
import { useQuery } from "../../api/query";
import type { Assignment, Rollout } from "../../api/answers";
import { Block } from "../../parts/Block";
import { exact } from "../../time";
import { ahead } from "./ahead";
import { Steer } from "./Steer";

/** Next is what happens next, when, and what a person may do about it; also what happens if it goes wrong. */
export function Next({ rollout, changed }: { rollout: Rollout; changed: () => void }) {
  const { bundle, revision = 0 } = rollout.spec;
  const newest = useQuery<{ assignments?: Assignment[] }>(query("/v1/assignments", { bundle, filter: `revision=${revision},phase=Ready`, orderBy: "since desc", pageSize: 1 }), ["Cluster", "Bundle"]);
  const since = newest.data?.assignments?.[0]?.status.report?.since;
  const steps = ahead(rollout, since ? Date.parse(since) : undefined);
  return (
    <Block title="What happens next">
      <ol class="rows ahead">
        {steps.map((s) => (
          <li key={s.what}>
            {s.at !== undefined && s.at > now.value ? (
              <time dateTime={new Date(s.at).toISOString()} title={exact(new Date(s.at).toISOString())}>
                ≈ {new Date(s.at).toISOString().slice(11, 16)}
              </time>
            ) : (
              <span>{s.flag && <i class={`fl ${s.flag}`} />}</span>
            )}
            <div>
              <p class="ink">{s.what}</p>
              {s.about && <p>{s.about}</p>}
            </div>
            <div>{s.act && <Steer rollout={rollout} changed={changed} only={s.act} />}</div>
          </li>
        ))}
      </ol>
      {steps.length === 0 && <p class="more">Nothing: {rollout.status.phase === "Completed" ? "every cluster that is there has it." : "it is over. Retry it, or publish another revision."}</p>}
    </Block>
  );
}
