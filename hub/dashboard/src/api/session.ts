// Who is signed in. The credential is in a cookie that no script can read: all that is known here is what the hub says of it.

import { signal } from "@preact/signals";
import { call, Failure } from "./client";
import { replace } from "../location";
import type { Who } from "./answers";

export type Session = { state: "unknown" } | { state: "none"; why: string } | { state: "failed"; failure: Failure } | { state: "signed in"; who: Who };

export const session = signal<Session>({ state: "unknown" });

/** ends is when the sign-in does, in milliseconds by the hub's clock; 0 where nothing ends it. */
export const ends = signal(0);

/** Where a browser comes back to from an identity provider, with what the provider has said. */
const callback = "/signin";

/** What this tab showed when it went there. */
const left = "yardarm.left";

/** arrive signs in by what the URL brings: the code of a link, or what an identity provider has said. Then it asks the hub who that is. */
export async function arrive() {
  const code = new URLSearchParams(location.hash.slice(1)).get("code") ?? "";
  let answer = "";
  if (location.pathname === callback) {
    answer = location.search.slice(1);
    replace(sessionStorage.getItem(left) ?? "/");
    sessionStorage.removeItem(left);
  } else if (code) {
    replace(location.pathname + location.search);
  }
  if (!code && !answer) return whoAmI();
  try {
    await signIn(code ? { code } : { answer });
  } catch (e) {
    signOff(e instanceof Failure ? e.message : String(e));
  }
}

/** whoAmI asks the hub whether the browser has a session. */
export async function whoAmI() {
  try {
    const who = await call<Who>("GET", "/v1/whoami");
    session.value = { state: "signed in", who };
    void untilWhen(who);
  } catch (e) {
    if (!(e instanceof Failure)) throw e;
    if (e.status !== 401) session.value = { state: "failed", failure: e };
    else if (session.value.state !== "none") signOff(session.value.state === "signed in" ? e.message : "");
  }
}

/** untilWhen asks when the session ends. Who shows a client certificate has none. */
async function untilWhen(who: Who) {
  try {
    const answer = await call<{ ends: string; renewed: boolean }>("GET", "/session");
    const last = Date.parse(answer.ends);
    ends.value = answer.renewed || !who.expires ? last : Math.min(last, Date.parse(who.expires));
  } catch {
    ends.value = who.expires ? Date.parse(who.expires) : 0;
  }
}

/** signIn begins a session with a token, the code of a link, or what an identity provider has said; it throws a Failure. */
export async function signIn(credential: { token: string } | { code: string } | { answer: string }) {
  await call("POST", "/session", credential);
  await whoAmI();
}

/** providers are the identity providers by which people sign in. */
export async function providers(): Promise<string[]> {
  return (await call<{ pages?: string[] }>("GET", "/.well-known/yardarm")).pages ?? [];
}

/** goToProvider leaves the page for an identity provider's, which leads back to where one was; it throws a Failure. */
export async function goToProvider(provider: string) {
  const { url } = await call<{ url: string }>("POST", "/session/signin", { provider });
  sessionStorage.setItem(left, location.pathname + location.search);
  location.assign(url);
}

export async function signOut() {
  await call("DELETE", "/session");
  signOff("");
}

/** signOff shows the sign-in, and why: the hub does not know the session any more. */
export function signOff(why: string) {
  allowed.clear();
  session.value = { state: "none", why };
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
