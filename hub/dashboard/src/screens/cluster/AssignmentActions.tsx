import type { Assignment } from "../../api/answers";
import { useMay } from "../../frame/useMay";
import { Ask } from "../../parts/Ask";
import { Shell } from "../../parts/Note";

/** What the page learns by itself, since it follows the cluster. */
const nothing = () => {};

/** AssignmentActions are what may be done to a bundle in one cluster. */
export function AssignmentActions({ assignment }: { assignment: Assignment }) {
  const { cluster, bundle } = assignment.spec;
  const mayReconcile = useMay("reconcile", "assignments", { cluster, bundle });
  const mayAccept = useMay("accept", "assignments", { cluster, bundle });
  return (
    <div class="acts">
      {mayAccept && assignment.status.phase === "Held" && (
        <Ask label="Accept…" confirm={`Accept ${bundle} in ${cluster}`} danger method="POST" path="/v1/accept" body={{ cluster, bundle }} command={`yardarm accept cluster/${cluster} bundle/${bundle}`} done={nothing}>
          <p>{assignment.status.message}</p>
          <p>Accepting lets go of what is held: a deletion that asks is carried out.</p>
        </Ask>
      )}
      {mayReconcile && (
        <Ask label="Reconcile now" confirm="Reconcile now" method="POST" path="/v1/reconcile" body={{ cluster, bundle }} command={`yardarm reconcile cluster/${cluster} bundle/${bundle}`} done={nothing} told="asked for">
          <p>The spoke compares {bundle} with what is in the cluster at once, and tries again what failed.</p>
        </Ask>
      )}
      <a class="btn" href={`/bundles/${bundle}`}>
        Bundle
      </a>
      <Shell command={`yardarm preview bundle/${bundle} --cluster ${cluster}`} />
    </div>
  );
}
