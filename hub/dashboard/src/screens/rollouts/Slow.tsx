import { now } from "../../api/clock";
import type { Rollout, RolloutCluster } from "../../api/answers";
import { withParam } from "../../location";
import { Block } from "../../parts/Block";
import { Ago } from "../../parts/Time";
import { exact, timeOfDay } from "../../time";
import { count, wordOf } from "../../words";
import { flagOfMember } from "./phase";

/** How many are shown: what a person looks at one by one. */
const shown = 8;
/** How many the hub names at most. */
const named = 100;

/** Slow are the clusters that hold the rollout up or went back, those first that have for the longest, and what each waits for. Who merely waits for its turn, or is away, is counted elsewhere. */
export function Slow({ rollout: { spec, status } }: { rollout: Rollout }) {
  const clusters = status.clusters?.filter((c) => c.state !== "Waiting") ?? [];
  const some = (status.clusters?.length ?? 0) >= named ? " or more" : "";
  if (clusters.length === 0) return null;
  const more = clusters.length - shown;
  return (
    <Block title="What clusters wait for" n={count(clusters.length) + some}>
      <ul class="rows slow">
        {clusters.slice(0, shown).map((c) => (
          <Line key={c.cluster} cluster={c} bundle={spec.bundle} />
        ))}
      </ul>
      {more > 0 && (
        <p class="more">
          {count(more)}{some || " more"}. <a class="link" href={withParam("show", "moving")}>Those on their way</a>, <a class="link" href={withParam("show", "failed")}>those that fail</a>
        </p>
      )}
    </Block>
  );
}

function Line({ cluster: c, bundle }: { cluster: RolloutCluster; bundle: string }) {
  const due = Date.parse(c.due ?? "");
  const says = c.message || (c.reason && wordOf(c.reason)) || "";
  return (
    <li>
      <i class={`fl ${flagOfMember(c)}`} />
      <div>
        <p class="cut" title={c.cluster}>
          <a class="m ink" href={`/clusters/${c.cluster}?bundle=${bundle}`}>
            {c.cluster}
          </a>{" "}
          {[wordOf(c.state), c.away && "away", c.failedBefore && "failing before"].filter(Boolean).join(", ")}
        </p>
        {says && c.state !== "Returned" && (
          <p class="cut ink" title={says}>
            {says}
          </p>
        )}
        <p class="dim">
          {c.stage && `stage ${c.stage}, `}
          {c.revision ? `runs r${c.revision}` : "runs nothing"}
          {c.since && (
            <>
              , for <Ago time={c.since} />
            </>
          )}
        </p>
      </div>
      {due > now.value && (
        <span class="dim nowrap" title={`${exact(c.due ?? "")}: if it is ready, it has soaked by then; if not, it counts as failed`}>
          decided ≈ {timeOfDay(due)}
        </span>
      )}
    </li>
  );
}
