import { test } from "node:test";
import assert from "node:assert/strict";
import { accessible, api, contained, eventually, live, open, world } from "./world.mjs";

const where = "/clusters?filter=env%3Dprod";

/** provider has the identity provider do something; see e2e/provider/provider.mjs. */
const provider = (command) => world(`/provider/${encodeURIComponent(command)}`);

/** toProvider leaves the sign-in for the provider's first page. */
async function toProvider(page) {
  await page.getByRole("button", { name: "Sign in with corp" }).click();
  await page.waitForURL(/\/interaction\//);
}

/** come signs in at the provider, and lets it tell the hub. */
async function come(page, who) {
  await toProvider(page);
  await page.locator("input[name=login]").fill(who);
  await page.locator("input[name=password]").fill("any");
  await page.getByRole("button", { name: "Sign-in" }).click();
  await page.getByRole("button", { name: "Continue" }).click();
}

const session = async (page) => (await page.context().cookies()).filter((c) => c.name === "__Host-yardarm").map((c) => c.value)[0];

const ask = (page, path) =>
  page.evaluate(async (path) => {
    const response = await fetch(path, { headers: { "X-Yardarm-Page": "1" } });
    return { status: response.status, ...(await response.json()) };
  }, path);

test("a person signs in by an identity provider, comes back to where they were, and signs out", async () => {
  const page = await open();
  await page.goto(where);
  await page.getByRole("button", { name: "Sign in with corp" }).waitFor();
  await accessible(page, "sign-in");
  await contained(page, "sign-in");
  await come(page, "ann+ops");
  await page.getByRole("heading", { name: /^Clusters/ }).waitFor();
  await live(page);
  assert.equal(new URL(page.url()).pathname + new URL(page.url()).search, where);
  await page.getByRole("button", { name: "Signed in as user/corp:ann+ops" }).click();
  await page.getByText(/^until 20.* UTC$/).waitFor();
  for (const cookie of await page.context().cookies(process.env.HUB)) assert.deepEqual([cookie.httpOnly, cookie.secure, cookie.sameSite], [true, true, "Strict"], cookie.name);
  assert.equal(await page.evaluate(() => document.cookie), "");
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("button", { name: "Sign in with corp" }).waitFor();
  assert.equal(await session(page), undefined);
  await page.reload();
  await page.getByRole("button", { name: "Sign in with corp" }).waitFor();
  assert.deepEqual(page.wrong, []);
});

test("an ID token that is about to end is renewed, by calls at one time once", async () => {
  await provider("ttl 20");
  const page = await open();
  await page.goto(where);
  await come(page, "bob+ops");
  await live(page);
  const before = await session(page);
  const answers = await Promise.all(["/session", "/v1/whoami", "/v1/hub", "/v1/clusters"].map((path) => ask(page, path)));
  assert.deepEqual(answers.map((a) => a.status), [200, 200, 200, 200]);
  assert.equal(answers[0].renewed, true);
  assert.notEqual(await session(page), before);
  await provider("ttl 3600");
});

test("a sign-in that has ended stops the page, says so, and the next one leads back", async () => {
  await provider("ttl 20"); // so each call finds that its token is about to end
  const page = await open();
  await page.goto(where);
  await come(page, "cat+ops");
  await live(page);
  await page.evaluate(() => (window.sameDocument = true));
  await provider("clock 5000000"); // weeks later, when the provider renews nothing
  await api(page, "POST", "/v1/clusters/shop-0000:label", { set: { seen: "1" } });
  await page.getByText(/has ended.*sign in again/i).waitFor();
  assert.ok(await page.evaluate(() => window.sameDocument), "the page was not loaded anew");
  await accessible(page, "ended");
  await provider("clock 0");
  await provider("ttl 3600");
  await page.context().clearCookies({ domain: "127.0.0.1" }); // the provider's, which would not ask who it is
  await come(page, "cat+ops");
  await page.getByRole("heading", { name: /^Clusters/ }).waitFor();
  await live(page);
  assert.equal(new URL(page.url()).pathname + new URL(page.url()).search, where);
});

test("who is refused, by the provider or by the hub, is told why and where they were", async () => {
  const page = await open();
  await page.goto(where);
  await toProvider(page);
  await page.getByText("Cancel").click();
  await page.getByText("you are not signed in: access_denied").waitFor();
  assert.equal(new URL(page.url()).pathname + new URL(page.url()).search, where);
  await accessible(page, "refused");
  await come(page, "eve");
  await page.getByText("its claim groups is none of those that this hub asks of").waitFor();
  assert.equal(await session(page), undefined);
});

test("an answer that this browser has not asked for lets nobody in", async () => {
  const page = await open();
  await page.goto("/signin?code=another's&state=guessed");
  await page.getByText("no sign-in is under way in this browser").waitFor();
  await toProvider(page);
  await page.goto("/signin?code=another's&state=guessed");
  await page.getByText("that is not the answer to the sign-in that is under way here").waitFor();
  await eventually(() => session(page), undefined);
  // And what was under way has ended with it.
  await page.goto("/signin?code=another's&state=guessed");
  await page.getByText("no sign-in is under way in this browser").waitFor();
});
