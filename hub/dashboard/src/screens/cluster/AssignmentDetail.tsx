import type { Assignment } from "../../api/answers";
import { Conditions } from "../../parts/Conditions";
import { DriftList } from "../../parts/DriftList";
import { Ago, At } from "../../parts/Time";
import { count, plural } from "../../words";
import { AssignmentActions } from "./AssignmentActions";
import { Why } from "./Why";

/** AssignmentDetail says why a bundle is as it is in a cluster: which object, what, and since when. */
export function AssignmentDetail({ assignment }: { assignment: Assignment }) {
  const { phase, report, asOf, message, reason } = assignment.status;
  const { variant } = assignment.spec;
  const o = report?.objects;
  return (
    <div class="detail">
      <p class="dim">
        {reason}
        {asOf && (
          <>
            , as of <At time={asOf} />
          </>
        )}
        {o && `; of ${plural(o.total ?? 0, "object")} ${count(o.applied)} applied, ${count(o.ready)} ready, ${count(o.failed)} failed`}
        {o?.pruning ? `, ${count(o.pruning)} still to be removed` : ""}
        {variant && (
          <>
            ; it gets the variant <span class="m">{variant}</span>
          </>
        )}
      </p>
      {message && <p>{message}</p>}
      <Why cluster={assignment.spec.cluster} bundle={assignment.spec.bundle} />
      <ul class="rows">
        {report?.problems?.map((p) => (
          <li key={p.object + p.reason} class="note">
            <i class="fl degraded" />
            <div>
              <p class="ink m">{p.object}</p>
              <p>
                {p.reason}: {p.message}
              </p>
              <p class="dim">
                {p.file && `from ${p.file}, `}
                {p.since && (
                  <>
                    for <Ago time={p.since} />
                  </>
                )}
              </p>
            </div>
          </li>
        ))}
      </ul>
      <Conditions conditions={report?.conditions} stale={phase === "Stale"} />
      <DriftList drift={report?.drift ?? []} />
      <AssignmentActions assignment={assignment} />
    </div>
  );
}
