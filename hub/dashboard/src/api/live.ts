// The one stream that a page holds: it says what has changed, and the page asks for what it shows again (query.ts). So nothing is merged here that a
// server has filtered, ordered and counted, and a page that was cut off catches up by the same way.

import { signal, type Signal } from "@preact/signals";
import { query, request, Failure } from "./client";
import { hubTime } from "./clock";
import { lines } from "./lines";
import { signOff } from "./session";

export type Kind = "Cluster" | "ClusterGroup" | "Bundle" | "Gate";

/** Cell is a cluster as the map shows it. */
export interface Cell {
  name: string;
  state: string;
  group?: string;
  region?: string;
}

interface Step {
  cells?: Cell[];
  gone?: string[];
  changed?: Kind[];
  complete?: boolean;
  cursor?: string;
}

export interface Connection {
  state: "connecting" | "live" | "lost";
  /** Since when, by the hub's clock. */
  since: number;
  /** When the next attempt is made, while it is lost, by this machine's clock. */
  next?: number;
}

export const connection = signal<Connection>({ state: "connecting", since: hubTime() });
/** The hub's place in its history, as it last said. */
export const cursor = signal("");
/** versions count the changes of each kind. */
export const versions: Record<Kind, Signal<number>> = { Cluster: signal(0), ClusterGroup: signal(0), Bundle: signal(0), Gate: signal(0) };
/** cells are those of the page's map, by name; changed in place, and then counted. */
export const cells = new Map<string, Cell>();
export const cellsVersion = signal(0);

/** The hub says something every 15 s; after more than twice that it is gone. */
const silence = 35_000;
const backoff = { first: 500, most: 10_000 };

export interface Wanted {
  cells: boolean;
  filter: string;
}

/** follow opens the stream until it is stopped. */
export function follow(wanted: Wanted): () => void {
  const end = new AbortController();
  cells.clear();
  void run(wanted, end.signal);
  return () => end.abort();
}

async function run(wanted: Wanted, end: AbortSignal) {
  for (let failures = 0; !end.aborted; failures++) {
    try {
      if (await attend(wanted, end, () => (failures = 0))) continue;
    } catch (e) {
      if (end.aborted) return;
      if (e instanceof Failure && e.status === 401) return signOff(e.message);
    }
    if (end.aborted) return;
    // Full jitter: all pages of a hub that restarts do not come back at once.
    const wait = 200 + Math.random() * Math.min(backoff.most, backoff.first * 2 ** failures);
    const since = connection.value.state === "lost" ? connection.value.since : hubTime();
    connection.value = { state: "lost", since, next: Date.now() + wait };
    await sleep(wait, end);
  }
}

/** The code of what is wrong with a credential, in the line that ends a stream. */
const unauthenticated = 16;

/** attend reads one stream to its end, and tells whether the next one is to follow at once: where the credential has ended there may be another one. */
async function attend(wanted: Wanted, end: AbortSignal, answered: () => void): Promise<boolean> {
  const attempt = new AbortController();
  const stop = () => attempt.abort();
  end.addEventListener("abort", stop);
  let timer = setTimeout(stop, silence);
  try {
    const response = await request("GET", query("/v1/overview", { ...wanted }), undefined, attempt.signal);
    if (!response.body) return false;
    const had = new Set(cells.keys());
    let whole = false;
    for await (const line of lines<{ result?: Step; error?: { code?: number } }>(response.body)) {
      clearTimeout(timer);
      timer = setTimeout(stop, silence);
      if (!line.result) return whole && line.error?.code === unauthenticated;
      take(line.result, whole ? undefined : had);
      if (line.result.complete && !whole) {
        whole = true;
        for (const name of had) cells.delete(name); // gone while nobody told
        answered();
        connection.value = { state: "live", since: hubTime() };
      }
    }
    return false;
  } finally {
    clearTimeout(timer);
    end.removeEventListener("abort", stop);
  }
}

function take(step: Step, had?: Set<string>) {
  for (const cell of step.cells ?? []) {
    cells.set(cell.name, cell);
    had?.delete(cell.name);
  }
  for (const name of step.gone ?? []) cells.delete(name);
  if (step.cursor) cursor.value = step.cursor;
  if (!step.complete) return;
  if (step.cells || step.gone || had) cellsVersion.value++;
  for (const kind of step.changed ?? []) versions[kind].value++;
}

function sleep(milliseconds: number, end: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    end.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
  });
}
