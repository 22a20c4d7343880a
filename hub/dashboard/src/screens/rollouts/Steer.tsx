import type { Rollout } from "../../api/answers";
import { useMay } from "../../frame/useMay";
import { Ask } from "../../parts/Ask";
import { quote } from "../../parts/command";
import { toRun } from "../../words";

const verbs = [
  { verb: "approve", key: "a", label: "Approve…", when: (r: Rollout) => r.status.waitsFor === "Approval", says: "The stage goes on." },
  { verb: "approve", key: "a", label: "Confirm…", when: (r: Rollout) => r.status.waitsFor === "Confirmation", says: (r: Rollout) => `You confirm this: ${r.status.confirmation ?? ""}. Its first stage begins.` },
  { verb: "pause", key: "p", label: "Pause…", when: (r: Rollout) => r.status.phase === "Progressing" || r.status.phase === "Pending", says: "No further cluster is given the revision; those on their way finish." },
  { verb: "resume", key: "p", label: "Resume…", when: (r: Rollout) => r.status.phase === "Paused", says: "It goes on where it stopped." },
  { verb: "promote", key: "o", label: "Promote…", when: goesOn, says: "The next stage begins though this one is not over: what is left of its soak is not waited for. Approvals and failures are not passed over so." },
  { verb: "override", key: "x", label: "Override gates…", when: (r: Rollout) => !!r.status.gates?.length && !r.status.gatesOverridden, says: "No freeze and no window holds this revision back any more." },
  { verb: "retry", key: "r", label: "Retry…", when: (r: Rollout) => r.status.phase === "RolledBack" || !!r.status.failure, says: "Clusters that failed are given the revision again." },
];

/** goesOn tells whether there is a next stage to go on with; what somebody is to approve or confirm first is not passed over. */
function goesOn({ status, spec }: Rollout): boolean {
  const stages = status.stages ?? [];
  const at = stages.findIndex((s) => s.name === status.stage);
  const approved = !spec.strategy?.stages?.[at]?.approval || stages[at]?.approved;
  return status.phase === "Progressing" && status.waitsFor !== "Confirmation" && at >= 0 && at < stages.length - 1 && !!approved;
}

interface Props {
  rollout: Rollout;
  changed: () => void;
  /** Only this verb, and as what is to be done first. */
  only?: string;
}

/** Steer is what may be done to a rollout as it is. */
export function Steer({ rollout, changed, only }: Props) {
  const { bundle, revision } = rollout.spec;
  const maySteer = useMay("steer", "rollouts", { bundle });
  const mayApprove = useMay("approve", "rollouts", { bundle });
  const mayOverride = useMay("override", "rollouts", { bundle });
  const may: Record<string, boolean> = { approve: mayApprove, override: mayOverride };
  return (
    <>
      {verbs
        .filter((v) => (only ? v.verb === only : true) && (may[v.verb] ?? maySteer) && v.when(rollout))
        .map((v) => (
          <Ask
            key={v.label}
            label={v.label}
            confirm={v.verb === "override" ? `Override for r${revision ?? 0}` : `${v.label.slice(0, -1)} r${revision ?? 0}`}
            primary={only !== undefined}
            {...(only ? {} : { shortcut: v.key })}
            method="POST"
            path={`/v1/bundles/${bundle}/rollout:${v.verb}`}
            body={{ bundle, revision }}
            command={(why) => `yardarm rollout ${v.verb} bundle/${bundle} --revision ${revision ?? 0}${why || v.verb === "override" ? ` -m ${quote(why || "WHY")}` : ""}`}
            reason="message"
            needed={v.verb === "override"}
            done={changed}
          >
            <p>{typeof v.says === "string" ? v.says : v.says(rollout)}</p>
          </Ask>
        ))}
      {!only && <Undo rollout={rollout} changed={changed} />}
    </>
  );
}

/** Undo goes back to the revision that came to its end last. */
function Undo({ rollout, changed }: { rollout: Rollout; changed: () => void }) {
  const { bundle, revision = 0 } = rollout.spec;
  const to = rollout.status.settledRevision ?? 0;
  const allowed = useMay("undo", "bundles", { bundle });
  if (!allowed || to === 0 || to === revision) return null;
  return (
    <Ask label="Undo…" confirm={`Return to r${to}`} danger shortcut="u" method="POST" path={`/v1/bundles/${bundle}:undo`} body={{ bundle, toRevision: to }} command={`yardarm rollout undo bundle/${bundle} --to-revision ${to}`} done={changed} touches={touches}>
      <p>A new revision with the content of r{to} is made, and goes through the clusters as any other.</p>
    </Ask>
  );
}

function touches(answer: unknown) {
  return <p class="ink">{toRun((answer as { clusters?: number }).clusters)}</p>;
}
