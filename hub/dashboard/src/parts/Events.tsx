import { useEffect, useState } from "preact/hooks";
import { query, request, Failure } from "../api/client";
import { lines } from "../api/lines";
import { connection, versions } from "../api/live";
import { signOff } from "../api/session";
import type { Event } from "../api/answers";
import { both } from "../filter";
import { count } from "../words";
import { Problem } from "./Note";
import { At } from "./Time";

interface Props {
  cluster?: string;
  bundle?: string;
  filter?: string;
  /** How many of the newest are shown. */
  tail?: number;
}

/** Events are what has happened, the newest first. */
export function Events({ cluster = "", bundle = "", filter = "", tail = 20 }: Props) {
  const [events, setEvents] = useState<Event[] | undefined>();
  const [failure, setFailure] = useState<Failure | undefined>();
  // Whatever happens to clusters and bundles is what events tell of.
  const version = versions.Cluster.value + versions.Bundle.value + versions.ClusterGroup.value;
  const live = connection.value.state === "live";
  useEffect(() => {
    const end = new AbortController();
    read(query("/v1/events", { cluster, bundle, filter, tail }), end.signal)
      .then((all) => (setEvents(all.reverse()), setFailure(undefined)))
      .catch((e: unknown) => {
        if (end.signal.aborted) return;
        if (!(e instanceof Failure)) throw e;
        if (e.status === 401) signOff(e.message);
        else setFailure(e);
      });
    return () => end.abort();
  }, [cluster, bundle, filter, tail, version, live]);
  return (
    <>
      {failure && <Problem failure={failure} />}
      <ul class="rows events">
        {events?.map((e) => (
          <li key={e.sequence}>
            <At time={e.time} />
            <span class="st">
              {e.type === "Warning" && (
                <>
                  <i class="fl degraded" />
                  <span class="sr">warning</span>
                </>
              )}
              <b>{e.reason}</b>
            </span>
            <span>
              {e.message} {e.actor && <span class="dim">by {e.actor}</span>}
            </span>
            <span class="m dim">
              {e.cluster && !cluster && <a href={`/clusters/${e.cluster}`}>{e.cluster}</a>} {e.bundle && !bundle && <a href={`/bundles/${e.bundle}`}>{e.bundle}</a>}
            </span>
          </li>
        ))}
      </ul>
      {events && events.length >= tail && (
        <p class="more">
          The newest {count(tail)}. {cluster || bundle ? <a class="link" href={query("/activity", { filter: both(cluster && `cluster=${cluster}`, bundle && `bundle=${bundle}`) })}>more of them</a> : "A filter finds others, and yardarm events tells all."}
        </p>
      )}
      {events?.length === 0 && <p class="more">Nothing has happened that the hub still remembers.</p>}
    </>
  );
}

async function read(path: string, end: AbortSignal): Promise<Event[]> {
  const response = await request("GET", path, undefined, end);
  const all: Event[] = [];
  if (response.body) for await (const line of lines<{ result?: { event: Event } }>(response.body)) if (line.result) all.push(line.result.event);
  return all;
}
