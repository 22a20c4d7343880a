import type { SharedTrait } from "../api/answers";
import { count } from "../words";

/** Share is what failing clusters have and others have less: both measures on one scale, and both numbers written out. */
export function Share({ trait }: { trait: SharedTrait }) {
  const { failing = 0, failingTotal = 0, others = 0, othersTotal = 0 } = trait;
  const text = `${count(failing)} of ${count(failingTotal)}, but ${count(others)} of ${count(othersTotal)} others`;
  return (
    <div class="share" title={text}>
      <code class="ink cut" title={`${trait.key}=${trait.value}`}>
        {trait.key}={trait.value}
      </code>
      <span class="pair" aria-hidden="true">
        <i style={{ "--f": failingTotal ? failing / failingTotal : 0 }} />
        <i style={{ "--f": othersTotal ? others / othersTotal : 0 }} />
      </span>
      <span>{text}</span>
    </div>
  );
}
