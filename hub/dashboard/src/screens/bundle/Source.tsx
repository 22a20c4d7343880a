import type { SourceStatus } from "../../api/answers";
import { Block } from "../../parts/Block";
import { Ago } from "../../parts/Time";

/** How much of a commit tells it from others, in letters. */
const short = 12;

/** Source is what the hub has found where the bundle comes from, as of when, and what is wrong with it. */
export function Source({ status: { commit = "", author, subject, ref, asOf, problem, held } }: { status: SourceStatus }) {
  return (
    <Block title="Source" n={ref}>
      <ul class="rows ahead">
        <li>
          <span>
            <i class={`fl ${problem ? "degraded" : held ? "paused" : "ready"}`} />
          </span>
          <div>
            <p class="ink">
              <span class="m" title={commit}>
                {commit.slice(0, short) || "no commit yet"}
              </span>{" "}
              {subject} <span class="dim">{author && `by ${author}`}</span>
            </p>
            {problem && (
              <p class="t-degraded">
                {problem.reason}: {problem.message} {problem.file && <span class="m">{`${problem.file}${problem.line ? `:${problem.line}` : ""}`}</span>}{" "}
                {problem.commit && problem.commit !== commit && <>in {problem.commit.slice(0, short)} </>}
                for <Ago time={problem.since} />
              </p>
            )}
            {held && <p>{held}</p>}
          </div>
          <div class="dim">{asOf ? <>looked <Ago time={asOf} /> ago</> : "not looked yet"}</div>
        </li>
      </ul>
    </Block>
  );
}
