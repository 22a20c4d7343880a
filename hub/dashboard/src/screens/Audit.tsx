import { useEffect, useState } from "preact/hooks";
import { call, Failure, query } from "../api/client";
import { connection } from "../api/live";
import { signOff } from "../api/session";
import type { AuditChange, AuditEntry, AuditPage } from "../api/answers";
import { terms } from "../filter";
import { withParam } from "../location";
import { Filter } from "../parts/Filter";
import { Problem } from "../parts/Note";
import { At } from "../parts/Time";
import { count, plural, wordOf } from "../words";

/** How many entries one answer has at most. */
const size = 100;
/** How many are kept while new ones come, so that a page that stays open does not grow. */
const most = 500;
/** How often it is asked what is new, in milliseconds: the log has no watch, since few follow it. The command line asks as often. */
const every = 2000;
/** How many changes of one entry are named. */
const named = 3;

/** Audit is who has changed what, and who was denied it, the newest first. */
export function Audit({ filter }: { filter: string }) {
  const { entries, failure, next, older } = useAudit(filter);
  return (
    <section class="hung" aria-label="Changes">
      <div class="above">
        <Filter filter={filter} hint="Filter: actor=token/ci, kind=Bundle, name=web, action=PublishRevision" failure={failure?.status === 400 ? failure.message : undefined} />
      </div>
      {failure && failure.status !== 400 && <Problem failure={failure} />}
      <ul class="rows events audit">
        {entries?.flatMap((e) => (e.denials?.length ? e.denials.map((d, i) => <Denied key={`${e.sequence} ${i}`} denial={d} filter={filter} />) : <Changed key={e.sequence} entry={e} filter={filter} />))}
      </ul>
      {entries?.length === 0 && !next && <p class="more">There is no such entry.</p>}
      {next && (
        <p class="more">
          <button class="btn" onClick={older}>
            Older
          </button>
        </p>
      )}
    </section>
  );
}

function Changed({ entry: e, filter }: { entry: AuditEntry; filter: string }) {
  const more = Math.max(0, (e.changes?.length ?? 0) - named) + (e.moreChanges ?? 0);
  return (
    <li>
      <At time={e.time} />
      <span class="st">
        <b class="cut" title={e.requestId ? `${e.action}, request ${e.requestId}` : e.action}>
          {e.action || "by itself"}
        </b>
      </span>
      <span>
        {e.changes?.slice(0, named).map((c, i) => (
          <span key={`${c.kind} ${c.name}`}>
            {i > 0 && ", "}
            <Name change={c} /> {c.outcome}
          </span>
        ))}
        {more > 0 && ` and ${count(more)} more`} <span class="dim">by</span> <Actor actor={e.actor} filter={filter} />
      </span>
      <span class="m dim">{e.address}</span>
    </li>
  );
}

function Denied({ denial: d, filter }: { denial: NonNullable<AuditEntry["denials"]>[number]; filter: string }) {
  return (
    <li>
      <At time={d.last} />
      <span class="st">
        <i class="fl degraded" />
        <b class="cut" title={d.requestId ? `${d.action}, request ${d.requestId}` : d.action}>
          {d.action}
        </b>
      </span>
      <span>
        denied {plural(Number(d.calls), "time")} ({wordOf(d.reason.toLowerCase().replaceAll("_", " "))}) <span class="dim">to</span> {d.actor ? <Actor actor={d.actor} filter={filter} /> : "somebody unknown"}
      </span>
      <span class="m dim">{d.address}</span>
    </li>
  );
}

/** Actor leads to what else they did. */
const Actor = ({ actor, filter }: { actor: string; filter: string }) => (
  <a class="link m" href={withParam("filter", [...terms(filter).filter((t) => !t.startsWith("actor")), `actor=${actor}`].join(","))}>
    {actor}
  </a>
);

/** Name leads to what was changed, where there is a page of it. */
function Name({ change: { kind, name, outcome } }: { change: AuditChange }) {
  const text = `${kind.toLowerCase()}${name ? `/${name}` : ""}`;
  const page = { Bundle: "bundles", Cluster: "clusters", Rollout: "rollouts" }[kind];
  return page && outcome !== "deleted" ? (
    <a class="link m" href={`/${page}/${name}`}>
      {text}
    </a>
  ) : (
    <span class="m">{text}</span>
  );
}

/** useAudit asks for the newest entries, then for what is new, and for older ones on demand. */
function useAudit(filter: string) {
  const [entries, setEntries] = useState<AuditEntry[] | undefined>();
  const [failure, setFailure] = useState<Failure | undefined>();
  const [next, setNext] = useState("");
  const live = connection.value.state === "live";
  const ask = (more: { after?: string; pageToken?: string }, signal?: AbortSignal) => call<AuditPage>("GET", query("/v1/audit", { filter, pageSize: size, ...more }), undefined, signal);
  const failed = (e: unknown) => {
    if (!(e instanceof Failure)) throw e;
    if (e.status === 401) signOff(e.message);
    else setFailure(e);
  };
  useEffect(() => {
    const end = new AbortController();
    let timer = 0;
    let newest = "";
    const look = async () => {
      try {
        const page = await ask(newest ? { after: newest } : {}, end.signal);
        const first = newest === "";
        newest = page.newest ?? "0";
        setFailure(undefined);
        if (first) setNext(page.nextPageToken ?? "");
        if (first || page.entries) setEntries((was) => [...(page.entries ?? []), ...((!first && was) || [])].slice(0, most));
      } catch (e) {
        if (end.signal.aborted) return;
        failed(e);
        if (e instanceof Failure && e.status !== 0) return;
      }
      if (!end.signal.aborted) timer = window.setTimeout(() => void look(), every);
    };
    void look();
    return () => (end.abort(), clearTimeout(timer));
  }, [filter, live]);
  const older = () =>
    void ask({ pageToken: next }).then((page) => {
      setNext(page.nextPageToken ?? "");
      setEntries((was) => [...(was ?? []), ...(page.entries ?? [])]);
    }, failed);
  return { entries, failure, next, older };
}
