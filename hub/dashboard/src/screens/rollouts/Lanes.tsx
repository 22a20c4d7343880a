import type { Rollout, StageStatus } from "../../api/answers";
import { Bar } from "../../parts/Bar";
import { count } from "../../words";
import { spent } from "./ahead";

/** How many clusters of a stage are drawn one by one; more are a bar. */
const squares = 120;

/** partsOf are a stage's clusters by how far they are. */
const partsOf = (s: StageStatus) => [
  { flag: "ready", word: "done", n: s.done ?? 0 },
  { flag: "progressing", word: "on their way", n: (s.given ?? 0) + (s.returning ?? 0) },
  { flag: "degraded", word: "failed", n: (s.failed ?? 0) + (s.returned ?? 0) },
  { flag: "stale", word: "lost", n: s.lost ?? 0 },
  { flag: "waiting", word: "waiting", n: s.waiting ?? 0 },
];

/** Lanes are the stages side by side; between two stands what the first asks for, as a thick line while it is shut. */
export const Lanes = ({ rollout }: { rollout: Rollout }) => (
  <ol class="lanes">
    {rollout.status.stages?.map((s) => (
      <Lane key={s.name} stage={s} rollout={rollout} />
    ))}
  </ol>
);

function Lane({ stage: s, rollout }: { stage: StageStatus; rollout: Rollout }) {
  const { status } = rollout;
  const under = s.name === status.stage && status.phase !== "Completed";
  const shut = under && (status.waitsFor === "Approval" || status.waitsFor === "Confirmation" || status.waitsFor === "Gate" || status.phase === "Paused");
  const parts = partsOf(s).filter((p) => p.n > 0);
  const budget = s.failureBudget ?? 0;
  return (
    <li aria-current={under ? "step" : undefined} class={shut ? "shut" : ""}>
      <p>
        <b>{s.name}</b> <span class="dim">{count(s.done)} of {count(s.clusters)}</span>
      </p>
      {(s.clusters ?? 0) <= squares ? (
        <span class="squares" role="img" aria-label={parts.map((p) => `${count(p.n)} ${p.word}`).join(", ") || "none"}>
          {parts.flatMap((p) => Array.from({ length: p.n }, (_, i) => <i key={p.flag + i} class={`fl ${p.flag}`} />))}
        </span>
      ) : (
        <Bar parts={parts} />
      )}
      <p>{parts.map((p) => `${count(p.n)} ${p.word}`).join(", ") || "no cluster"}{s.away ? `, ${count(s.away)} of them away` : ""}</p>
      <p class={spent(s) > budget ? "t-degraded" : "dim"}>
        {count(spent(s))} failed of {count(budget)} allowed{s.failedBefore ? `; ${count(s.failedBefore)} failed before` : ""}
      </p>
      {s.approval && (
        <p class="st">
          <i class={`fl ${s.approved ? "ready" : "waiting"}`} />
          {s.approved ? "approved" : "needs an approval"} {s.approval} it
        </p>
      )}
    </li>
  );
}
