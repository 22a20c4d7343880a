import { useQuery } from "../../api/query";
import type { Rollout as Answer } from "../../api/answers";
import { Block } from "../../parts/Block";
import { useCommand } from "../../parts/command";
import { Freeze, Lift, useGates } from "../../parts/Gates";
import { Empty, Problem } from "../../parts/Note";
import { Ago, At } from "../../parts/Time";
import { count, wordOf } from "../../words";
import { Arrivals } from "./Arrivals";
import { Budget } from "./Budget";
import { Lanes } from "./Lanes";
import { Next } from "./Next";
import { flagOfPhase, origins, waits } from "./phase";
import { Slow } from "./Slow";
import { Steer } from "./Steer";
import { Timeline } from "./Timeline";

/** Rollout is one revision's way through its clusters: how far it is, what holds it, what happens next, and what can be done about it. */
export function Rollout({ bundle }: { bundle: string }) {
  useCommand(`rollout status bundle/${bundle}`, `Rollout of ${bundle}`);
  const { data: r, error, again } = useQuery<Answer>(`/v1/bundles/${bundle}/rollout`, ["Bundle", "Cluster"]);
  if (!r) {
    return (
      <>
        <h1 class="title m">{bundle}</h1>
        {error && <Problem failure={error} />}
      </>
    );
  }
  const { status, spec } = r;
  const stages = status.stages ?? [];
  const done = stages.reduce((sum, s) => sum + (s.done ?? 0), 0);
  const all = stages.reduce((sum, s) => sum + (s.clusters ?? 0), 0);
  const under = stages.find((s) => s.name === status.stage);
  const come = origins(r);
  const from = status.settledRevision && status.settledRevision !== spec.revision ? `r${status.settledRevision} → ` : "";
  return (
    <>
      <div class="head">
        <div>
          <h1>
            <span class="dim n">Rollout</span> <a class="m" href={`/bundles/${bundle}`}>{bundle}</a>{" "}
            <span class="m dim">
              {from}r{spec.revision ?? 0}
            </span>
          </h1>
          <p class="lead facts-line">
            <span class="st">
              <i class={`fl ${flagOfPhase(status.phase)}`} />
              <b>{wordOf(status.phase)}</b>
            </span>
            <span>{waits(status)}</span>
            {status.begun && (
              <span>
                begun <At time={status.begun} />, <Ago time={status.begun} /> ago
              </span>
            )}
            <span>
              <b>{count(done)}</b> of {count(all)} done
            </span>
          </p>
          {(status.supersedes || come) && (
            <p class="lead facts-line dim">
              {status.supersedes && <span>it has taken over from r{status.supersedes}, which was under way</span>}
              {come && <span>clusters come from {come}</span>}
            </p>
          )}
        </div>
        <div class="act">
          <Steer rollout={r} changed={again} />
          <Freeze about={{ bundle }} />
        </div>
      </div>
      {error && <Problem failure={error} />}
      {status.failure && <p class="msg">{status.failure}</p>}
      <Block title="Stages" n={stages.length}>
        {stages.length > 0 ? <Lanes rollout={r} /> : <Empty>It has yet to begin.</Empty>}
      </Block>
      <div class="cols rolling">
        <div class="stack">
          <Next rollout={r} changed={again} />
          {under && status.phase !== "Completed" && <Budget stage={under} bundle={bundle} />}
          <Gates rollout={r} changed={again} />
          <Arrivals rollout={r} />
          <Actions rollout={r} />
        </div>
        <div class="stack">
          <Slow rollout={r} />
          <Timeline rollout={r} />
        </div>
      </div>
    </>
  );
}

/** Gates are what holds clusters back whose turn it is. */
function Gates({ rollout, changed }: { rollout: Answer; changed: () => void }) {
  const { status } = rollout;
  const shut = useGates();
  if (!status.gates?.length && !status.gatesOverridden) return null;
  return (
    <Block title="Gates" n={status.gatesOverridden ? "overridden" : count(status.gates?.length)} act={<Steer rollout={rollout} changed={changed} only="override" />}>
      <ul class="rows ahead">
        {status.gates?.map((g) => (
          <li key={g.gate}>
            <span>
              <i class="fl paused" />
            </span>
            <div>
              <p class="ink m">{g.gate}</p>
              <p>
                {g.type}, holds {count(g.clusters)}
                {g.reason && `: ${g.reason}`}
                {g.actor && <span class="dim"> by {g.actor}</span>}
              </p>
            </div>
            <div>
              {g.opens && <At time={g.opens} />} {shut.filter((s) => s.metadata.name === g.gate && !s.spec?.window).map((s) => <Lift key={s.metadata.name} gate={s} />)}
            </div>
          </li>
        ))}
      </ul>
    </Block>
  );
}

/** Actions are who did what to it. */
function Actions({ rollout: { status } }: { rollout: Answer }) {
  if (!status.actions?.length) return null;
  return (
    <Block title="What was done">
      {status.actions.map((a) => (
        <p key={`${a.time}${a.action}`} class="more">
          {a.action} {a.stage && `at stage ${a.stage} `}by {a.actor}, <Ago time={a.time} /> ago{a.message && `: ${a.message}`}
        </p>
      ))}
    </Block>
  );
}
