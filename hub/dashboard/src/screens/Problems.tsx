import { query } from "../api/client";
import { useQuery } from "../api/query";
import type { Cause, Problems as Answer } from "../api/answers";
import { param } from "../location";
import { flags, useCommand } from "../parts/command";
import { Filter } from "../parts/Filter";
import { Problem } from "../parts/Note";
import { Share } from "../parts/Share";
import { Ago, At } from "../parts/Time";
import { count, flagOf, plural, saidOf, wordOf } from "../words";

/** Problems are causes, and for each which clusters have it and what those share. */
export function Problems() {
  const filter = param("filter");
  useCommand(`problems${flags({ filter })}`, "Problems");
  const { data, error } = useQuery<Answer>(query("/v1/problems", { filter, examples: 5 }), ["Cluster"]);
  return (
    <>
      <div class="head">
        <div>
          <h1>
            Problems <span class="dim n">{data && count(data.totalSize)}</span>
          </h1>
          {!!data?.clusters && (
            <p class="lead">
              {count(data.failingClusters)} of {plural(data.clusters, "cluster")} {data.failingClusters === 1 ? "has" : "have"} something that fails, is degraded or is held.
            </p>
          )}
        </div>
      </div>
      <section class="hung" aria-label="Causes">
        <div class="above">
          <Filter filter={filter} hint="Filter: bundle=web, env=prod, reason=ImagePullBackOff" bare="bundle" failure={error?.status === 400 ? error.message : undefined} />
        </div>
        {error && error.status !== 400 && <Problem failure={error} />}
        <ul class="rows causes">
          {data?.problems?.map((p) => (
            <CauseRow key={[p.phase, p.reason, p.kind, p.message].join()} cause={p} />
          ))}
        </ul>
        {!!data?.problems?.length && data.problems.length < (data.totalSize ?? 0) && (
          <p class="more">The {count(data.problems.length)} of most clusters. A filter shows others.</p>
        )}
        {data && !data.problems?.length && <p class="more">No cluster reports a failing bundle.</p>}
      </section>
    </>
  );
}

function CauseRow({ cause }: { cause: Cause }) {
  const flag = flagOf(cause.phase);
  const more = (cause.clusters ?? 0) - new Set(cause.examples?.map((e) => e.cluster)).size;
  return (
    <li>
      <span class={`big t-${flag}`} title={wordOf(cause.phase)}>
        <i class={`fl ${flag}`} />
        {count(cause.clusters)} <span class="sr">{wordOf(cause.phase)}</span>
      </span>
      <div>
        <h2>{cause.reason || wordOf(cause.phase)}</h2>
        <p class="ink wrap">{saidOf(cause)}</p>
        {(cause.clusters ?? 0) > 1 && saidOf(cause) !== cause.message && <p class="dim wrap">and alike elsewhere: {cause.message}</p>}
        <p class="dim">
          {cause.kind && `${cause.kind}, `}
          {cause.bundles?.map((b) => (
            <span key={b}>
              <a class="link m" href={`/bundles/${b}`}>
                {b}
              </a>{" "}
            </span>
          ))}
          {cause.since && (
            <>
              since <At time={cause.since} /> (<Ago time={cause.since} />)
            </>
          )}
        </p>
        {!!cause.unheardClusters && (
          <p class="t-stale">
            and in {plural(cause.unheardClusters, "more cluster")} when {cause.unheardClusters === 1 ? "it was" : "they were"} last heard, as of <At time={cause.unheardSince} />
          </p>
        )}
        <ul class="examples">
          {cause.examples?.map((e) => (
            <li key={`${e.cluster}.${e.bundle}`}>
              <a class="link m" href={`/clusters/${e.cluster}?bundle=${e.bundle}`}>
                {e.cluster}
              </a>{" "}
              <span class="dim m" title={e.object}>
                {e.bundle} r{e.revision ?? 0} {e.object}
              </span>
            </li>
          ))}
          {more > 0 && (
            <li>
              and {count(more)} more, among <a class="link" href={query("/clusters", { filter: `bundle in (${cause.bundles?.join()}),phase=${cause.phase}` })}>all clusters where something is {wordOf(cause.phase)}</a>
            </li>
          )}
        </ul>
      </div>
      <div class="shares">
        {cause.shared?.map((s) => (
          <Share key={s.key + s.value} trait={s} />
        ))}
        {!cause.shared?.length && <p class="dim">Nothing that these clusters share tells them from the others.</p>}
      </div>
    </li>
  );
}
