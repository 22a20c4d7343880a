import { useQuery } from "../../api/query";
import type { Rollout } from "../../api/answers";
import { Block } from "../../parts/Block";
import { Problem } from "../../parts/Note";
import { At } from "../../parts/Time";
import { wordOf } from "../../words";
import { Lanes } from "../rollouts/Lanes";
import { flagOfPhase, waits } from "../rollouts/phase";
import { Steer } from "../rollouts/Steer";

/** RolloutBlock is how the newest revision goes through the bundle's clusters, at a glance; its own page says all. */
export function RolloutBlock({ bundle }: { bundle: string }) {
  const { data: r, error, again } = useQuery<Rollout>(`/v1/bundles/${bundle}/rollout`, ["Bundle", "Cluster"]);
  if (error?.status === 404) return null;
  if (!r) return error ? <Problem failure={error} /> : null;
  const { status, spec } = r;
  const over = status.phase === "Completed";
  return (
    <Block
      title="Rollout"
      n={`of r${spec.revision ?? 0}`}
      act={
        <>
          {!over && <Steer rollout={r} changed={again} />}
          <a class="link" href={`/rollouts/${bundle}`}>
            all of it
          </a>
        </>
      }
    >
      <p class="st">
        <i class={`fl ${flagOfPhase(status.phase)}`} />
        <b>{wordOf(status.phase)}</b>
        <span>
          {waits(status)} <span class="dim">since <At time={status.since} /></span>
        </span>
      </p>
      {status.failure && <p class="msg">{status.failure}</p>}
      <Lanes rollout={r} />
    </Block>
  );
}
