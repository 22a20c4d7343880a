import { query } from "../../api/client";
import { now } from "../../api/clock";
import { useQuery } from "../../api/query";
import type { Assignment, Page, Rollout } from "../../api/answers";
import { param, withParam } from "../../location";
import { both } from "../../filter";
import { Block } from "../../parts/Block";
import { Problem } from "../../parts/Note";
import { Ago } from "../../parts/Time";
import { seconds, span, ticks, toTheSecond } from "../../time";
import { count, flagOf, wordOf } from "../../words";

/** How many clusters have a line. */
const shown = 25;

/** Which clusters, by the filter that finds them among those that are to run the revision. */
const views = { all: "", failed: "phase in (Degraded,Failed)", moving: "phase in (Pending,Progressing)", held: "phase=Held", absent: "phase in (Stale,NeverConnected)" };
type View = keyof typeof views;
const titles: Record<View, string> = { all: "All", failed: "Failing", moving: "On their way", held: "Held", absent: "Absent" };

/** Timeline is each cluster on one scale, from the rollout's begin: since when it is how it is, and until when it is to soak. */
export function Timeline({ rollout }: { rollout: Rollout }) {
  const { bundle, revision = 0 } = rollout.spec;
  const view = (Object.keys(views).find((v) => v === param("show")) ?? "all") as View;
  const filter = both(`revision=${revision}`, views[view]);
  const { data, error } = useQuery<Page & { assignments?: Assignment[] }>(query("/v1/assignments", { bundle, filter, orderBy: "since desc", pageSize: shown }), ["Cluster", "Bundle"]);
  const begun = Date.parse(rollout.status.begun ?? "") || now.value;
  const soak = Math.max(0, ...(rollout.spec.strategy?.stages ?? []).map((s) => seconds(s.soak))) * 1000;
  const running = rollout.status.phase !== "Completed" && rollout.status.phase !== "RolledBack";
  // A rollout that is over ends where its last cluster was ready; one that runs, a little after now, so that what is expected has room.
  const last = Math.max(...(data?.assignments ?? []).map((a) => Date.parse(a.status.report?.since ?? "") || 0), begun);
  const end = running ? now.value + Math.max(soak, (now.value - begun) / 8) : last + Math.max(1000, (last - begun) / 4);
  const place = (time: number) => `${(100 * Math.min(1, Math.max(0, (time - begun) / (end - begun)))).toFixed(2)}%`;
  return (
    <Block
      title="Clusters"
      n={data && `${count(data.totalSize)} to run r${revision}`}
      act={
        <div class="seg-ctl" role="group" aria-label="Which clusters">
          {Object.entries(titles).map(([v, title]) => (
            <a key={v} href={withParam("show", v === "all" ? "" : v)} aria-current={v === view ? "true" : undefined}>
              {title}
            </a>
          ))}
        </div>
      }
    >
      {error && <Problem failure={error} />}
      <div class="scroll" tabIndex={0} role="group" aria-label="Clusters of the rollout">
        <table class="falls">
          <thead>
            <tr>
              <th scope="col">Cluster</th>
              <th scope="col" class="num">
                Ready after
              </th>
              <th scope="col" class="fall">
                <span class="axis">
                  {ticks((end - begun) / 1000).map((t) => (
                    <span key={t} style={{ "--at": place(begun + t * 1000) }}>
                      {t === 0 ? "begun" : toTheSecond(t)}
                    </span>
                  ))}
                </span>
              </th>
              <th scope="col">Now</th>
            </tr>
          </thead>
          <tbody>
            {data?.assignments?.map((a) => (
              <Fall key={a.spec.cluster} assignment={a} begun={begun} soak={soak} running={running} place={place} />
            ))}
          </tbody>
        </table>
      </div>
      {data && !data.assignments?.length && <p class="more">None.</p>}
      {(data?.totalSize ?? 0) > shown && (
        <p class="more">
          The {shown} that changed last. <a class="link" href={query("/clusters", { filter: `bundle=${bundle}` })}>All clusters</a>
        </p>
      )}
    </Block>
  );
}

interface Line {
  assignment: Assignment;
  begun: number;
  soak: number;
  running: boolean;
  place: (time: number) => string;
}

function Fall({ assignment: a, begun, soak, running, place }: Line) {
  const { phase, report, message } = a.status;
  const { cluster, bundle } = a.spec;
  const since = Math.max(begun, Date.parse(report?.since ?? "") || begun);
  const ready = phase === "Ready";
  const soaks = running && ready && since + soak > now.value;
  const flag = soaks ? "soaking" : flagOf(phase);
  const until = running ? now.value : Math.max(since, begun);
  const word = soaks ? `soaks ${span((since + soak - now.value) / 1000)} more` : wordOf(phase);
  return (
    <tr>
      <td class="name">
        <i class={`fl ${flag}`} />
        <a class="m" href={`/clusters/${cluster}?bundle=${bundle}`} title={cluster}>
          {cluster}
        </a>
      </td>
      <td class="num">{ready ? span((since - begun) / 1000) : ""}</td>
      <td class="fall">
        <span class="lane" role="img" aria-label={`${word} since ${span((since - begun) / 1000)} after the begin`}>
          <i class="before" style={{ "--from": "0%", "--to": place(since) }} />
          <i class={`b-${flag}`} style={{ "--from": place(since), "--to": place(until) }} />
          {soaks && <i class="b-expected" style={{ "--from": place(now.value), "--to": place(since + soak) }} />}
          {running && <i class="b-now" style={{ "--from": place(now.value) }} />}
        </span>
      </td>
      <td class="cut" title={message || wordOf(phase)}>
        {word}
        {!soaks && report?.since && <span class="dim">, for <Ago time={report.since} /></span>}
      </td>
    </tr>
  );
}
