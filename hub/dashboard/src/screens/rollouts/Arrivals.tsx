import type { ComponentChildren } from "preact";
import type { Rollout, RolloutNames } from "../../api/answers";
import { Block } from "../../parts/Block";
import { seconds, span } from "../../time";
import { count } from "../../words";

/** How many clusters a row names; its title names more. */
const named = 5;

/** Arrivals are how long clusters took, and those that do not go with their stage: who is away, late, or new to the bundle. */
export function Arrivals({ rollout: { spec, status } }: { rollout: Rollout }) {
  const { pace, away, late, joined } = status;
  if (!pace && !away && !late && !joined) return null;
  const link = (name: string) => (
    <a class="m link" href={`/clusters/${name}?bundle=${spec.bundle}`}>
      {name}
    </a>
  );
  return (
    <Block title="Arrivals" n={pace && `${count(pace.clusters)} done`}>
      <ul class="rows ahead">
        {pace && (pace.clusters ?? 0) > 1 && (
          <Row head={span(seconds(pace.median))} what="or less for half of them">
            from being given r{spec.revision ?? 0} until they counted, soak included
          </Row>
        )}
        {pace && (
          <Row head={span(seconds(pace.slowest))} what={(pace.clusters ?? 0) > 1 ? "for the slowest" : "for the only one"}>
            {pace.slowestCluster ? link(pace.slowestCluster) : "which is gone, or not for you to see"}
          </Row>
        )}
        <Names these={away} flag="stale" what="away" about="They hold nothing up, and get it when they return" link={link} />
        <Names these={late} what="late" about="They were given it after their stage had passed" link={link} />
        <Names these={joined} what="new to the bundle since it began" about="They get it a few at a time" link={link} />
      </ul>
    </Block>
  );
}

function Row({ head, what, children }: { head: ComponentChildren; what: string; children: ComponentChildren }) {
  return (
    <li>
      <span class="ink nowrap">{head}</span>
      <div>
        <p class="ink">{what}</p>
        <p class="wrap">{children}</p>
      </div>
    </li>
  );
}

interface NamesProps {
  these: RolloutNames | undefined;
  flag?: string;
  what: string;
  about: string;
  link: (name: string) => ComponentChildren;
}

/** Names are clusters of a sort: how many there are, and the first of those that the caller may see. */
function Names({ these, flag, what, about, link }: NamesProps) {
  if (!these?.clusters) return null;
  const names = these.names?.slice(0, named) ?? [];
  const more = these.clusters - names.length;
  const head = (
    <span class="st">
      {flag && <i class={`fl ${flag}`} />}
      {count(these.clusters)}
    </span>
  );
  return (
    <Row head={head} what={what}>
      <span title={these.names?.join(", ")}>
        {about}
        {names.length > 0 && ": "}
        {names.map((name, i) => [i > 0 && ", ", link(name)])}
        {names.length > 0 && more > 0 && ` and ${count(more)} more`}
      </span>
    </Row>
  );
}
