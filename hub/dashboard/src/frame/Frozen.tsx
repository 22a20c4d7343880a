import { GateRows, useGates } from "../parts/Gates";
import { aboutOf } from "../parts/gates";

/** Frozen says, on every page, that nothing moves: who has frozen everything, why and until when. */
export function Frozen() {
  const all = useGates().filter((g) => !g.spec?.window && aboutOf(g) === "everything");
  if (all.length === 0) return null;
  return (
    <section class="frozen" aria-label="Frozen">
      <GateRows gates={all} />
    </section>
  );
}
