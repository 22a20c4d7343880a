// What a part of a page shows: an answer of the hub, asked for again when something has changed.

import { useEffect, useRef, useState } from "preact/hooks";
import { effect, signal } from "@preact/signals";
import { call, Failure } from "./client";
import { versions, type Kind } from "./live";
import { signOff } from "./session";

/** The least time between two answers to the same question, in milliseconds: two paints a second. */
const pause = 500;

/** How many parts of the page have no answer to their newest question yet. */
export const awaited = signal(0);

export interface Query<T> {
  /** The newest answer, which may be one to the question of before while pending. */
  data?: T;
  error?: Failure;
  pending: boolean;
}

/** useQuery asks for a path, and again whenever one of the kinds changes; for nothing where path is empty. */
export function useQuery<T>(path: string, kinds: Kind[] = []): Query<T> & { again: () => void } {
  const [state, setState] = useState<Query<T>>({ pending: path !== "" });
  const again = useRef(() => {});
  const watched = kinds.join();
  useEffect(() => {
    if (!path) return setState({ pending: false });
    let answered = false;
    const answer = () => {
      if (!answered) awaited.value--;
      answered = true;
    };
    awaited.value++;
    const asker = ask<T>(path, (next) => {
      answer();
      setState((was) => ({ ...was, ...next }));
    });
    again.current = asker.again;
    setState((was) => ({ ...was, pending: true }));
    const stop = effect(() => {
      for (const kind of kinds) versions[kind].value;
      asker.again();
    });
    return () => {
      stop();
      asker.end();
      answer();
    };
  }, [path, watched]);
  return { ...state, again: () => again.current() };
}

/** ask asks at once when told to, but never twice at a time, nor twice within the pause. */
function ask<T>(path: string, tell: (state: Query<T> | Omit<Query<T>, "data">) => void) {
  const end = new AbortController();
  let busy = false;
  let due = false;
  const again = async () => {
    if (busy) {
      due = true;
      return;
    }
    busy = true;
    const began = Date.now();
    try {
      tell({ data: await call<T>("GET", path, undefined, end.signal), pending: false, ...noError });
    } catch (e) {
      if (end.signal.aborted) return;
      if (!(e instanceof Failure)) throw e;
      if (e.status === 401) return signOff(e.message);
      tell({ error: e, pending: false });
    }
    setTimeout(() => {
      busy = false;
      if (due && !end.signal.aborted) {
        due = false;
        void again();
      }
    }, began + pause - Date.now());
  };
  return { again: () => void again(), end: () => end.abort() };
}

/** noError takes an earlier failure away. */
const noError = { error: undefined } as object;
