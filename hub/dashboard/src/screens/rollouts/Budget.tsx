import type { StageStatus } from "../../api/answers";
import { Block } from "../../parts/Block";
import { count } from "../../words";
import { left, spent } from "./ahead";

/** How many failures have a square each; a budget of more is written. */
const squares = 40;

/** Budget is how many clusters of the stage that is under way may still fail: one square each, so that nobody has to subtract. */
export function Budget({ stage, bundle }: { stage: StageStatus; bundle: string }) {
  const budget = stage.failureBudget ?? 0;
  return (
    <Block title="Failure budget" n={`${count(left(stage))} left of ${count(budget)} in stage ${stage.name}`}>
      {budget <= squares && (
        <p class="squares budget" aria-hidden="true">
          {Array.from({ length: Math.max(budget, spent(stage)) }, (_, i) => (
            <i key={i} class={`fl ${i < spent(stage) ? "degraded" : "never"}`} />
          ))}
        </p>
      )}
      <p class="more">
        {spent(stage) === 0 ? "No cluster of the stage has failed with it." : `${count(spent(stage))} failed. `}
        {spent(stage) > 0 && <a class="link" href={`/problems?filter=bundle%3D${bundle}`}>see the problems</a>}
        {budget === 0 && " The first failure ends it."}
      </p>
    </Block>
  );
}
