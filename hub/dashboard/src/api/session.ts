// Who is signed in. The credential is in a cookie that no script can read: all that is known here is what the hub says of it.

import { signal } from "@preact/signals";
import { call, Failure } from "./client";
import type { Who } from "./answers";

export type Session = { state: "unknown" | "none" } | { state: "failed"; failure: Failure } | { state: "signed in"; who: Who };

export const session = signal<Session>({ state: "unknown" });

/** whoAmI asks the hub whether the browser has a session. */
export async function whoAmI() {
  try {
    session.value = { state: "signed in", who: await call<Who>("GET", "/v1/whoami") };
  } catch (e) {
    if (!(e instanceof Failure)) throw e;
    session.value = e.status === 401 ? { state: "none" } : { state: "failed", failure: e };
  }
}

/** signIn begins a session with a token, or the code of a link; it throws a Failure. */
export async function signIn(credential: { token: string } | { code: string }) {
  await call("POST", "/session", credential);
  await whoAmI();
}

export async function signOut() {
  await call("DELETE", "/session");
  signOff();
}

/** signOff shows the sign-in: the hub does not know the session any more. */
export function signOff() {
  allowed.clear();
  session.value = { state: "none" };
}

const allowed = new Map<string, Promise<boolean>>();

/** may asks the hub, once, whether the caller may do something: to what is named, or to anything of the kind. */
export function may(verb: string, resource: string, about: { cluster?: string; bundle?: string } = {}): Promise<boolean> {
  const search = new URLSearchParams({ verb, resource, ...about }).toString();
  let answer = allowed.get(search);
  if (!answer) {
    answer = call<{ allowed?: boolean }>("GET", `/v1/cani?${search}`).then(
      (r) => r.allowed === true,
      () => (allowed.delete(search), false),
    );
    allowed.set(search, answer);
  }
  return answer;
}
