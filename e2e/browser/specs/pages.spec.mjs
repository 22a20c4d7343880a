import { test } from "node:test";
import assert from "node:assert/strict";
import { accessible, api, chord, contained, enter, eventually, hear, live, open, patience, shell, sums, TOKEN, world } from "./world.mjs";

const sum = async (page, state) => Number(await page.locator(`[data-state=${state}]`).innerText());

test("a link of yardarm dashboard signs in once", async () => {
  const link = (await shell("yardarm dashboard 2>/dev/null")).trim();
  for (const found of ["header.top", ".msg"]) {
    const page = await open();
    await page.goto(link);
    await page.locator(found).waitFor();
    assert.ok(!page.url().includes("code"), "the code stays in the address");
  }
});

test("nobody is let in without a credential, and the cookie is out of reach of scripts", async () => {
  const page = await open();
  await page.goto("/clusters?filter=env%3Dprod");
  await page.getByLabel("Token").fill("yat_nobody_knows");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByText("not known to this hub").waitFor();
  await accessible(page, "sign-in");
  await page.getByLabel("Token").fill(TOKEN);
  await page.getByRole("button", { name: "Sign in" }).click();
  // What was asked for is shown.
  await page.getByRole("heading", { name: /^Clusters/ }).waitFor();
  assert.match(page.url(), /filter=env%3Dprod/);
  assert.equal(await page.evaluate(() => document.cookie), "");
  const [cookie] = await page.context().cookies();
  assert.deepEqual([cookie.httpOnly, cookie.secure, cookie.sameSite], [true, true, "Strict"]);
  assert.ok(!cookie.value.includes("yat_"));
  // A call without the pages' header does not count, whoever sends the cookie.
  assert.equal(await page.evaluate(async () => (await fetch("/v1/hub")).status), 403);
  await page.getByRole("button", { name: /^Signed in as/ }).click();
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByLabel("Token").waitFor();
  await page.reload();
  await page.getByLabel("Token").waitFor();
  assert.deepEqual(page.wrong, []);
});

test("the fleet's sums are the API's, and the map has every cluster once", async () => {
  const page = await enter("/");
  await eventually(() => sum(page, "Degraded"), 1);
  await sums(page);
  const { totalSize } = await api(page, "GET", "/v1/facets/Cluster?facets=state");
  await eventually(() => page.locator(".cards li").count(), totalSize);
  await page.getByText("failed to pull registry.example.com").first().waitFor();
  await accessible(page, "fleet");
  await contained(page, "fleet");
  assert.deepEqual(page.wrong, []);
});

test("clusters are filtered, ordered and opened by keys, and the URL says all of it", async () => {
  const page = await enter("/clusters");
  await page.getByRole("link", { name: "shop-0003-failing" }).waitFor();
  await page.keyboard.press("/");
  await page.keyboard.type("state=Degraded");
  await page.keyboard.press("Enter");
  await eventually(() => page.locator("tbody tr").count(), 1);
  await page.getByRole("button", { name: "Name" }).click();
  await page.getByText("Columns").click();
  await page.getByLabel("team").check();
  await page.getByRole("columnheader", { name: "team" }).waitFor();
  const url = page.url();
  await page.reload();
  await page.getByRole("columnheader", { name: "team" }).waitFor();
  assert.equal(page.url(), url);
  await eventually(() => page.locator("tbody tr").count(), 1);
  await accessible(page, "clusters");
  await page.keyboard.press("j");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: /shop-0003-failing/ }).waitFor();
  await page.goBack();
  assert.equal(page.url(), url);
  // A view is kept under a name, and found by it.
  await page.getByText("Views").click();
  await page.getByLabel("Name of this view").fill("what fails");
  await page.getByRole("button", { name: "Keep" }).click();
  await page.goto("/bundles");
  await page.getByText("Views").click();
  await page.getByRole("link", { name: "what fails" }).click();
  await page.getByRole("columnheader", { name: "team" }).waitFor();
  assert.equal(page.url(), url);
  // A filter that is none says why.
  await page.getByLabel("Filter", { exact: true }).fill("nodes>many");
  await page.keyboard.press("Enter");
  await page.locator(".msg").waitFor();
  assert.deepEqual(page.wrong, []);
});

test("a cluster says which object fails, why, and what can be done", async () => {
  const page = await enter("/clusters/shop-0003-failing?bundle=web");
  await page.getByText("apps/Deployment shop/web").first().waitFor();
  await page.getByText("401 Unauthorized").first().waitFor();
  await accessible(page, "cluster");
  await contained(page, "cluster");
  await page.getByLabel("Label to set").fill("tier=1");
  await page.getByRole("button", { name: "Set", exact: true }).click();
  await page.locator(".token", { hasText: "tier=1" }).waitFor();
  const { metadata } = await api(page, "GET", "/v1/clusters/shop-0003-failing");
  assert.equal(metadata.labels.tier, "1");
  // What a page does not show at once is said for a moment.
  const heard = await hear(page);
  await page.getByRole("button", { name: "Reconcile now" }).first().click();
  await page.getByText("1 assignment").waitFor();
  await page.getByRole("dialog").getByRole("button", { name: "Reconcile now" }).click();
  await eventually(async () => (await heard()).includes("asked for"), true);
  assert.deepEqual(page.wrong, []);
});

test("jump goes to anything, and ? lists the keys", async () => {
  const page = await enter("/");
  await page.keyboard.press("Control+k");
  await page.getByRole("combobox").fill("0003");
  await page.getByRole("option", { name: /shop-0003-failing/ }).waitFor();
  await accessible(page, "jump");
  await page.keyboard.press("Enter");
  await page.waitForURL("**/clusters/shop-0003-failing");
  await page.getByRole("heading", { name: /shop-0003-failing/ }).waitFor();
  await page.keyboard.press("?");
  await page.getByText("copy the command at the foot").waitFor();
  await page.keyboard.press("Escape");
  await chord(page, "c", "/clusters");
});

test("a bundle has its groups, its rollout, and what differs between its revisions", async () => {
  const page = await enter("/bundles");
  await page.getByRole("link", { name: "web", exact: true }).click();
  await page.getByRole("heading", { name: /^web/ }).waitFor();
  await page.getByRole("heading", { name: /^Rollout/ }).waitFor();
  await page.getByRole("link", { name: "diff to r1" }).click();
  await page.locator(".diff .del", { hasText: '"one"' }).waitFor();
  await page.locator(".diff .add", { hasText: '"two"' }).waitFor();
  await accessible(page, "bundle");
  await contained(page, "bundle");
  await page.getByRole("button", { name: "Return…" }).click();
  await page.getByText(/clusters? are to run it/).waitFor();
  await page.getByRole("button", { name: "Return to r1" }).click();
  await page.locator(".rev", { hasText: "return to revision 1" }).waitFor();
  const { revisions } = await api(page, "GET", "/v1/bundles/web/revisions");
  assert.equal(revisions[0].spec.provenance.undoOf, 1);
  assert.deepEqual(page.wrong, []);
});

test("a rollout says what it waits for, and is paused, undone and approved in place, by keys", async () => {
  const page = await enter("/rollouts");
  await page.getByRole("link", { name: "pay", exact: true }).click();
  await page.waitForURL("**/rollouts/pay");
  await page.getByText("waits for somebody to approve stage canary").first().waitFor();
  const steps = page.locator(".ahead").first();
  for (const step of ["Stage canary waits for an approval", "Stage rest begins", "Every cluster that is there has r2"]) await steps.getByText(step).waitFor();
  await steps.getByRole("button", { name: "Approve…" }).waitFor();
  await page.locator(".lanes .shut").waitFor();
  await eventually(() => page.locator(".falls tbody tr").count(), 1, "only the canary is to run r2");
  await accessible(page, "rollout");
  await contained(page, "rollout");
  await page.keyboard.press("p");
  await page.getByRole("button", { name: "Pause r2" }).click();
  await page.getByText("waits for somebody to resume").first().waitFor();
  await page.keyboard.press("u");
  await page.getByText(/clusters? are to run it/).waitFor();
  await page.getByRole("button", { name: "Return to r1" }).click();
  await page.getByRole("heading", { level: 1, name: /r3/ }).waitFor();
  await page.getByText("waits for somebody to approve stage canary").first().waitFor();
  await page.keyboard.press("a");
  await page.getByRole("button", { name: "Approve r3" }).click();
  await page.getByText("every cluster that is there has it").first().waitFor();
  const { status } = await api(page, "GET", "/v1/bundles/pay/rollout");
  assert.deepEqual([status.phase, status.settledRevision], ["Completed", 3]);
  await page.goto("/rollouts");
  await page.getByRole("link", { name: "web", exact: true }).waitFor();
  await eventually(() => page.getByRole("link", { name: "pay", exact: true }).count(), 0, "what is over is not active");
  await page.getByRole("button", { name: "All" }).click();
  await page.getByRole("link", { name: "pay", exact: true }).waitFor();
  assert.deepEqual(page.wrong, []);
});

test("a bundle is frozen and its rollout waits; the freeze is lifted, and one of everything is told on every page", async () => {
  const page = await enter("/bundles/base");
  await page.getByRole("button", { name: "Freeze…" }).click();
  await page.getByLabel("How long").selectOption("8");
  await page.getByText("yardarm freeze --bundle base --for 8h").waitFor();
  await accessible(page, "freeze");
  await page.getByLabel("Reason").fill("inventory");
  await page.getByRole("button", { name: "Freeze base" }).click();
  const gate = page.getByRole("region", { name: "Gates" });
  await gate.getByText("inventory").waitFor();
  await gate.getByText(/until/).waitFor();
  await accessible(page, "frozen bundle");
  await contained(page, "frozen bundle");
  const made = await api(page, "GET", "/v1/gates/freeze-bundle-base");
  assert.deepEqual([made.spec.bundles.names, made.spec.reason, made.status.state], [["base"], "inventory", "Shut"]);
  // What comes now waits for it, and says so where it is steered.
  await api(page, "POST", "/v1/bundles/base:undo", { bundle: "base", toRevision: 1 });
  await page.goto("/rollouts/base");
  const block = page.getByRole("region", { name: "Gates" });
  await block.getByText("freeze-bundle-base").waitFor();
  await block.getByRole("button", { name: "Override gates…" }).waitFor();
  await accessible(page, "held rollout");
  await contained(page, "held rollout");
  // Who passes it over says why.
  await block.getByRole("button", { name: "Override gates…" }).click();
  const override = page.getByRole("button", { name: "Override for r3" });
  assert.ok(await override.isDisabled());
  await page.getByLabel("Reason").fill("the shop is down");
  await page.getByText("-m 'the shop is down'").waitFor();
  await override.click();
  await page.getByText("every cluster that is there has it").first().waitFor();
  await page.goto("/bundles/base");
  await gate.getByRole("button", { name: "Lift…" }).click();
  await page.getByRole("button", { name: "Lift freeze-bundle-base" }).click();
  await eventually(() => gate.count(), 0);
  await page.goto("/rollouts");
  await page.getByRole("button", { name: "Freeze…" }).click();
  await page.getByLabel("Reason").fill("Black Friday");
  await page.getByRole("button", { name: "Freeze everything" }).click();
  await page.goto("/problems");
  const everywhere = page.getByRole("region", { name: "Frozen" });
  await everywhere.getByText("Black Friday").waitFor();
  await accessible(page, "frozen");
  await contained(page, "frozen");
  await everywhere.getByRole("button", { name: "Lift…" }).click();
  await page.getByRole("button", { name: "Lift freeze-all" }).click();
  await eventually(() => everywhere.count(), 0);
  assert.deepEqual(page.wrong, []);
});

test("a window is made with its next times shown first, stands where it counts, and is removed", async () => {
  const page = await enter("/bundles/base");
  await page.getByRole("button", { name: "Window…" }).click();
  const ask = page.getByRole("dialog", { name: "Window…" });
  await ask.getByLabel("It begins at").fill("0 25 * * *");
  await ask.getByText("is no schedule").waitFor();
  assert.ok(await ask.getByRole("button", { name: "Keep this window for base" }).isDisabled());
  await ask.getByLabel("In the time zone").fill("Asia/Kathmandu");
  await ask.getByLabel("For how many hours").fill("2");
  const times = ask.locator(".times li");
  // 5:45 ahead, in every season. From an hour of now on, so that the window is open, or is not, at whatever hour this runs.
  const hours = (on) => [0, 2, 6].map((more) => (new Date().getUTCHours() + on + more + 24) % 24);
  const [, closes, begun] = hours(-1);
  await ask.getByLabel("It begins at").fill(`30 ${begun} * * *`);
  await eventually(() => times.first().innerText().then((t) => /^now to \w+ [\d-]+ (\d+):45$/.exec(t)?.[1]), `${closes}`.padStart(2, "0"));
  const [from, to, local] = hours(6).map((hour) => `${hour}`.padStart(2, "0"));
  const schedule = `30 ${Number(local)} * * *`;
  await ask.getByLabel("It begins at").fill(schedule);
  await eventually(() => times.filter({ hasText: new RegExp(`\\d ${from}:45 to \\w+ [\\d-]+ ${to}:45`) }).count(), 5);
  await accessible(page, "window");
  await contained(page, "window");
  await ask.getByLabel("Revisions go on").selectOption("deny");
  await ask.getByLabel("Reason").fill("they are asleep");
  await ask.getByText('"effect":"deny"').waitFor();
  await eventually(() => times.count(), 5);
  await ask.getByRole("button", { name: "Keep this window for base" }).click();
  const gates = page.getByRole("region", { name: "Gates" });
  await gates.getByText("they are asleep").waitFor();
  await gates.getByText("not in the 2 h from").waitFor();
  const made = await api(page, "GET", "/v1/gates/deny-bundle-base");
  assert.deepEqual([made.spec.bundles.names, made.spec.window], [["base"], { effect: "deny", schedule, duration: "7200s", timeZone: "Asia/Kathmandu" }]);
  await accessible(page, "bundle with a window");
  await contained(page, "bundle with a window");
  await gates.getByRole("button", { name: "Remove…" }).click();
  await gates.getByText("yardarm delete gate/deny-bundle-base").waitFor();
  await page.getByRole("button", { name: "Remove deny-bundle-base" }).click();
  await eventually(() => gates.count(), 0);
  // Of a group, and of one cluster.
  await page.goto("/rollouts");
  await page.getByRole("button", { name: "Window…" }).click();
  await ask.getByLabel("Where").selectOption("test");
  await ask.getByText('"groups":["test"]').waitFor();
  await ask.getByRole("button", { name: "Keep this window for test" }).click();
  await eventually(async () => (await api(page, "GET", "/v1/gates")).gates?.map((g) => [g.metadata.name, g.spec.groups]), [["allow-group-test", ["test"]]]);
  await page.goto("/clusters/shop-0001");
  await page.getByRole("button", { name: "Window…" }).click();
  await ask.getByText('"clusters":{"names":["shop-0001"]}').waitFor();
  await api(page, "DELETE", "/v1/gates/allow-group-test");
  assert.deepEqual(page.wrong, []);
});

test("a bundle's source says where it comes from, and what is wrong there", async () => {
  const page = await enter("/bundles");
  const source = { git: { url: "https://git.example.com/team/shop.git", ref: { branch: "main" }, path: "deploy/web", interval: "600s" } };
  await api(page, "POST", "/v1/apply", { resources: [{ bundle: { apiVersion: "yardarm.dev/v1", kind: "Bundle", metadata: { name: "sourced" }, spec: { source } } }] });
  await page.goto("/bundles/sourced");
  const block = page.getByRole("region", { name: "Source" });
  for (const text of [source.git.url, "branch main", "deploy/web", "10 min"]) await block.getByText(text, { exact: true }).waitFor();
  await block.getByText("nothing found yet").waitFor();
  await block.locator(".t-degraded").waitFor();
  await accessible(page, "source");
  await contained(page, "source");
  await api(page, "DELETE", "/v1/bundles/sourced?workloads=WORKLOADS_KEEP");
  assert.deepEqual(page.wrong, []);
});

test("who changed what is shown to those who may know, as it happens, and by actor", async () => {
  const page = await enter("/activity");
  const { secret } = await api(page, "POST", "/v1/tokens", { name: "labeller", role: "operator" });
  await page.getByRole("button", { name: "Changes" }).click();
  const changes = page.getByRole("region", { name: "Changes" });
  await changes.getByText("token/labeller created").waitFor();
  const as = (method, path, data) => page.request.fetch(path, { method, headers: { Authorization: `Bearer ${secret}` }, data });
  await as("POST", "/v1/clusters/shop-0004:label", { set: { seen: "1" } });
  const row = changes.locator("li", { hasText: "LabelCluster" }).first();
  await row.getByRole("link", { name: "cluster/shop-0004" }).waitFor();
  await row.getByRole("link", { name: "token/labeller" }).click();
  await eventually(() => changes.locator(".audit li").count(), 1, "by that actor alone");
  assert.match(page.url(), /of=changes&filter=actor%3Dtoken%2Flabeller$/);
  await page.locator("footer code", { hasText: "yardarm audit --follow --filter actor=token/labeller" }).waitFor();
  await accessible(page, "changes");
  await contained(page, "changes");
  await page.reload();
  await eventually(() => changes.locator(".audit li").count(), 1);
  // A filter that is none says why.
  await page.getByLabel("Filter", { exact: true }).fill("nothing=a");
  await page.keyboard.press("Enter");
  await page.locator(".msg").waitFor();
  // Who may not get the log is not offered it, and refused.
  const other = await enter("/activity", secret);
  await other.getByText("RevisionPublished").first().waitFor();
  assert.equal(await other.getByRole("button", { name: "Changes" }).count(), 0);
  await other.goto("/activity?of=changes");
  await other.getByText("may not get audit").waitFor();
  assert.deepEqual(page.wrong, []);
});

test("who else is told of what happens is shown to those who may know, and whether it reaches them", async () => {
  const page = await enter("/activity");
  await api(page, "POST", "/v1/apply", { resources: [{ notification: { apiVersion: "yardarm.dev/v1", kind: "Notification", metadata: { name: "ops" }, spec: { url: "https://hooks.example.com/x", severity: "warning" } } }] });
  await page.reload();
  await page.getByRole("region", { name: "Others who are told" }).getByText("hooks.example.com").waitFor();
  await contained(page, "notifications");
  const { secret } = await api(page, "POST", "/v1/tokens", { name: "onlooker", role: "viewer" });
  const viewer = await enter("/activity", secret);
  await viewer.getByText("RevisionPublished").first().waitFor();
  assert.equal(await viewer.getByText("hooks.example.com").count(), 0);
  assert.deepEqual(page.wrong, []);
});

test("problems are by cause, and drift by field", async () => {
  const page = await enter("/problems");
  await page.getByText("failed to pull registry.example.com/").first().waitFor();
  await accessible(page, "problems");
  await chord(page, "d", "/drift");
  await page.getByText("spec.replicas").waitFor();
  await page.getByText("kubectl-edit").waitFor();
  await accessible(page, "drift");
  await page.getByRole("button", { name: "Ignore…" }).click();
  await page.getByText("/spec/replicas").waitFor();
  await page.getByRole("button", { name: "Ignore this field" }).click();
  await eventually(async () => (await api(page, "GET", "/v1/bundles/web")).spec.delivery?.ignore, [{ target: { group: "apps", kind: "Deployment", namespace: "shop", name: "web" }, paths: ["/spec/replicas"] }]);
  assert.deepEqual(page.wrong, []);
});

test("activity tells who did what, and enrolling shows the cluster that is awaited", async () => {
  const page = await enter("/activity");
  await page.getByText("RevisionPublished").first().waitFor();
  await accessible(page, "activity");
  await page.getByRole("link", { name: "Enrol" }).click();
  await page.getByLabel("Name").fill("edge-9");
  await page.getByLabel("Labels").fill("env=test");
  await page.getByRole("button", { name: "Make a token" }).click();
  await page.getByText("waiting for its spoke").waitFor();
  await page.getByText(/^cluster: edge-9/m).waitFor();
  await accessible(page, "enrol");
  assert.deepEqual(page.wrong, []);
});

test("a token is made, shown once, and revoked", async () => {
  const page = await enter("/access");
  await page.getByLabel("Name of a new token").fill("web-ci");
  await page.getByLabel("Its role").selectOption("publisher");
  await page.getByRole("button", { name: "Make a token" }).click();
  await page.getByText("shown this once").waitFor();
  await accessible(page, "access");
  await page.locator(".tokens li", { hasText: "web-ci" }).getByRole("button", { name: "Revoke…" }).click();
  await page.getByRole("button", { name: "Revoke web-ci" }).click();
  await eventually(() => page.locator(".tokens li", { hasText: "web-ci" }).count(), 0);
  assert.deepEqual(page.wrong, []);
});

test("a spoke that is killed is stale within seconds, and counts as ready nowhere", async () => {
  const page = await enter("/");
  await eventually(() => page.getByTitle("lone-1: ready").count(), 1);
  await world("/spokes/lone-1/kill");
  await page.getByTitle("lone-1: stale").waitFor();
  await eventually(async () => (await api(page, "GET", "/v1/clusters?filter=state%3DReady,name%3Dlone-1")).clusters, undefined);
  await sums(page);
  await page.goto("/clusters/lone-1");
  await page.getByText(/stale since/).waitFor();
  assert.equal(await page.locator(".bl .fl.ready").count(), 0);
  await page.getByText("was ready").first().waitFor();
});

test("a hub that restarts is lost and found again, without a reload", async () => {
  // By a machine whose clock is wrong: what is told is of the hub's.
  const page = await enter("/clusters", TOKEN, { ahead: 5 * 3_600_000 });
  await live(page);
  await eventually(() => page.locator("tbody").getByText(/connected \d+ h/).count(), 0);
  await page.evaluate(() => (window.sameDocument = true));
  const heard = await hear(page);
  await world("/hub/stop");
  const lost = await page.getByText(/The hub has not answered since/).innerText();
  const [hours, minutes, seconds] = lost.match(/\d\d/g).map(Number);
  const day = 86_400_000;
  const ago = (Date.now() - (hours * 3600 + minutes * 60 + seconds) * 1000 + day) % day;
  assert.ok(ago < 10 * patience || ago > day - patience, `${lost} It is ${new Date().toISOString()}`);
  await contained(page, "lost");
  await eventually(() => page.locator("html").getAttribute("data-stream"), "lost");
  assert.ok((await page.locator("tbody tr").count()) > 0, "what was known is still shown");
  await world("/hub/start");
  await live(page);
  await eventually(() => page.getByText(/The hub has not answered since/).count(), 0);
  await eventually(async () => (await page.locator("tbody .t-stale").count()) <= 2, true);
  assert.ok(await page.evaluate(() => window.sameDocument), "the page was not loaded anew");
  // A screen reader says it, and not each second until the next attempt.
  assert.ok((await heard()).some((text) => text.includes("has not answered")));
  assert.deepEqual((await heard()).filter((text) => text.includes("ttempt")), []);
  // A hub that stops writes down whom it has denied what.
  await page.goto("/activity");
  await page.getByRole("button", { name: "Denied" }).click();
  const denied = page.getByRole("region", { name: "Changes" }).locator("li", { hasText: "ListAudit" });
  await denied.getByText("permission denied").waitFor();
  await denied.getByRole("link", { name: "token/labeller" }).waitFor();
  await accessible(page, "denied");
});

test("who may only look is offered nothing else, and refused it", async () => {
  const admin = await enter("/");
  const { secret } = await api(admin, "POST", "/v1/tokens", { name: "looker", role: "viewer" });
  const page = await enter("/clusters/shop-0001", secret);
  await page.getByRole("heading", { name: /shop-0001/ }).waitFor();
  await page.getByText("env=prod").first().waitFor();
  assert.equal(await page.getByRole("button", { name: /Ban|Delete|Freeze|Window|Reconcile|Set/ }).count(), 0);
  assert.equal(await page.getByRole("link", { name: "Enrol" }).count(), 0);
  const refused = await page.evaluate(async () => {
    const headers = { "X-Yardarm-Page": "1", "Content-Type": "application/json" };
    return (await fetch("/v1/clusters/shop-0001:ban", { method: "POST", headers, body: JSON.stringify({ reason: "no" }) })).status;
  });
  assert.equal(refused, 403);
  // A token that is revoked ends its session: the page stops, and asks who is there.
  await admin.request.fetch("/v1/tokens/looker", { method: "DELETE", headers: { Authorization: `Bearer ${TOKEN}` } });
  await page.getByLabel("Token").waitFor({ timeout: patience });
});

test("a ban asks, says what it touches, and shows", async () => {
  const page = await enter("/clusters/shop-0002");
  await page.getByRole("button", { name: "Ban…" }).click();
  await page.getByText("its stream is cut within a second").waitFor();
  await accessible(page, "ban");
  await page.getByLabel("Reason").fill("stolen");
  await page.getByRole("button", { name: "Ban shop-0002" }).click();
  await page.getByText(/Banned by/).waitFor();
  await page.getByText("stolen").first().waitFor();
  await page.getByText(/stale since/).waitFor();
});

test("who wants no motion gets none", async () => {
  const moving = (page) => page.evaluate(() => [...document.querySelectorAll("*")].filter((e) => /[1-9]/.test(getComputedStyle(e).transitionDuration + getComputedStyle(e).animationDuration)).map((e) => e.className));
  const still = await enter("/enrol?name=edge-9");
  const other = await enter("/enrol?name=edge-9", TOKEN, { reducedMotion: "no-preference" });
  for (const page of [still, other]) await page.getByLabel("Name").waitFor();
  assert.notDeepEqual(await moving(other), [], "something does move");
  for (const path of ["/enrol?name=edge-9", "/", "/clusters", "/bundles/web", "/drift", "/activity?of=changes"]) {
    await still.goto(path);
    await live(still);
    assert.deepEqual(await moving(still), [], path);
  }
});

test("all fits a telephone", async () => {
  const page = await enter("/", TOKEN, { viewport: { width: 390, height: 844 } });
  for (const path of ["/", "/clusters", "/clusters/shop-0003-failing?bundle=web", "/bundles/web", "/problems", "/drift", "/activity?of=changes", "/access"]) {
    await page.goto(path);
    await page.locator("main h1").waitFor({ state: "attached" });
    await live(page);
    await contained(page, path);
    // Its colours are those of a wide window.
    await accessible(page, path, ["light"]);
  }
});
