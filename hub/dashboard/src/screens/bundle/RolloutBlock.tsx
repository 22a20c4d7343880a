import { useQuery } from "../../api/query";
import type { Rollout, StageStatus } from "../../api/answers";
import { useMay } from "../../frame/useMay";
import { Ask } from "../../parts/Ask";
import { Bar } from "../../parts/Bar";
import { Block } from "../../parts/Block";
import { Problem } from "../../parts/Note";
import { Ago, At } from "../../parts/Time";
import { count, wordOf } from "../../words";

/** RolloutBlock is how the newest revision goes through its clusters, stage by stage: what has been done, what is awaited, and what is left of each budget. */
export function RolloutBlock({ bundle }: { bundle: string }) {
  const { data: r, error, again } = useQuery<Rollout>(`/v1/bundles/${bundle}/rollout`, ["Bundle", "Cluster"]);
  if (error?.status === 404) return null;
  if (!r) return error ? <Problem failure={error} /> : null;
  const { status, spec } = r;
  return (
    <Block title="Rollout" n={`of r${spec.revision ?? 0}`} act={<Steer rollout={r} changed={again} />}>
      <p class="st">
        <i class={`fl ${rolloutFlag(status.phase)}`} />
        <b>{wordOf(status.phase)}</b>
        <span>
          {next(r)} <span class="dim">since <At time={status.since} /></span>
        </span>
      </p>
      {status.failure && <p class="msg">{status.failure}</p>}
      <ol class="lanes">
        {status.stages?.map((s) => (
          <Lane key={s.name} stage={s} under={s.name === status.stage} />
        ))}
      </ol>
      {!!status.clusters?.length && (
        <ul class="rows wayfarers">
          {status.clusters.slice(0, 12).map((c) => (
            <li key={c.cluster}>
              <a class="m ink cut" href={`/clusters/${c.cluster}?bundle=${bundle}`}>
                {c.cluster}
              </a>
              <span>
                {wordOf(c.state)}
                {c.away ? ", away" : ""}
                {c.failedBefore ? ", was failing before" : ""}
              </span>
              <span class="m dim">
                r{c.fromRevision ?? 0} → r{c.revision ?? 0}
              </span>
              <span class="dim">{c.stage}</span>
            </li>
          ))}
        </ul>
      )}
      {status.actions?.map((a) => (
        <p key={`${a.time}${a.action}`} class="more">
          {a.action} by {a.actor}, <Ago time={a.time} /> ago{a.message && `: ${a.message}`}
        </p>
      ))}
    </Block>
  );
}

/** rolloutFlag: a person or a rule holds what is paused; what goes back is on its way. */
function rolloutFlag(phase: string): string {
  if (phase === "Completed") return "ready";
  if (phase === "Paused") return "paused";
  if (phase === "RolledBack") return "degraded";
  return phase === "Pending" ? "waiting" : "progressing";
}

/** next is what happens next, in a sentence. */
function next({ status }: Rollout): string {
  switch (status.waitsFor) {
    case "Approval":
      return `waits for somebody to approve stage ${status.stage}`;
    case "Clusters":
      return `waits for the clusters of stage ${status.stage} that are on their way`;
    case "Gate":
      return `waits for a gate before going on with stage ${status.stage}`;
    case "Presence":
      return `waits for clusters of stage ${status.stage} to come back`;
    case "Operator":
      return "waits for somebody to resume, retry or undo it";
  }
  return status.phase === "Completed" ? "every cluster that is there has it" : "";
}

/** Lane is one stage: its clusters by how far they are, and one square for each failure that it may have. */
function Lane({ stage: s, under }: { stage: StageStatus; under: boolean }) {
  const parts = [
    { flag: "ready", word: "done", n: s.done ?? 0 },
    { flag: "progressing", word: "on their way", n: (s.given ?? 0) + (s.returning ?? 0) },
    { flag: "degraded", word: "failed", n: (s.failed ?? 0) + (s.returned ?? 0) },
    { flag: "stale", word: "lost", n: s.lost ?? 0 },
    { flag: "waiting", word: "waiting", n: s.waiting ?? 0 },
  ];
  const budget = s.failureBudget ?? 0;
  const spent = Math.max(0, (s.failed ?? 0) - (s.failedBefore ?? 0));
  return (
    <li aria-current={under ? "step" : undefined}>
      <p>
        <b>{s.name}</b> <span class="dim">{count(s.clusters)}</span>
      </p>
      <Bar parts={parts} />
      <p>
        {count(s.done)} done{s.given ? `, ${count(s.given)} on their way` : ""}
        {s.waiting ? `, ${count(s.waiting)} waiting` : ""}
        {s.away ? ` (${count(s.away)} away)` : ""}
      </p>
      <p class={spent > budget ? "t-degraded" : "dim"}>
        {count(spent)} failed of {count(budget)} allowed
        {s.approval && `; ${s.approved ? "approved" : "approval"} ${s.approval} it`}
      </p>
    </li>
  );
}

const verbs = [
  { verb: "approve", label: "Approve…", when: (r: Rollout) => r.status.waitsFor === "Approval", says: "The stage goes on." },
  { verb: "pause", label: "Pause…", when: (r: Rollout) => r.status.phase === "Progressing" || r.status.phase === "Pending", says: "No further cluster is given the revision; those on their way finish." },
  { verb: "resume", label: "Resume…", when: (r: Rollout) => r.status.phase === "Paused", says: "It goes on where it stopped." },
  { verb: "promote", label: "Promote…", when: (r: Rollout) => r.status.phase === "Progressing" || r.status.phase === "Paused", says: "The stage that is under way counts as done, whatever it waits for, and the next begins." },
  { verb: "retry", label: "Retry…", when: (r: Rollout) => r.status.phase === "RolledBack" || !!r.status.failure, says: "Clusters that failed are given the revision again." },
];

/** Steer is what may be done to a rollout as it is. */
function Steer({ rollout, changed }: { rollout: Rollout; changed: () => void }) {
  const { bundle, revision } = rollout.spec;
  const maySteer = useMay("steer", "rollouts", { bundle });
  const mayApprove = useMay("approve", "rollouts", { bundle });
  return (
    <>
      {verbs
        .filter((v) => (v.verb === "approve" ? mayApprove : maySteer) && v.when(rollout))
        .map((v) => (
          <Ask key={v.verb} label={v.label} confirm={`${v.label.slice(0, -1)} r${revision ?? 0}`} method="POST" path={`/v1/bundles/${bundle}/rollout:${v.verb}`} body={{ bundle, revision }} reason="message" done={changed}>
            <p>{v.says}</p>
          </Ask>
        ))}
    </>
  );
}
