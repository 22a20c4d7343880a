// What can be done in the pages is done here by keys alone. On the way, each stop has to show that it has the focus, and nothing may keep it.
import { test } from "node:test";
import assert from "node:assert/strict";
import { accessible, api, chord, contained, enter, eventually, hear, patience, shown } from "./world.mjs";

/** How many stops there may be before one is where one wants to be; more than any page has. */
const most = 200;

/** unseen says what is wrong with how the focus is shown; nothing where it is at the beginning of a page, or of what has opened. */
const unseen = (page) =>
  page.evaluate(() => {
    const e = document.activeElement;
    if (e === document.body || e.matches("#main, .float")) return "";
    const ring = e.matches(".filter input") ? e.closest(".filter") : e;
    const { outlineStyle, outlineWidth } = getComputedStyle(ring);
    const box = ring.getBoundingClientRect();
    const foot = document.querySelector("footer.cmd").getBoundingClientRect();
    const told = `${e.tagName} ${e.getAttribute("aria-label") ?? e.textContent}`.slice(0, 80);
    if (outlineStyle === "none" || outlineWidth === "0px") return `${told} has no ring`;
    if (box.bottom <= 0 || box.right <= 0 || box.left >= innerWidth) return `${told} is outside of the window`;
    if (!e.closest("footer") && box.bottom > foot.top + 1 && box.height < innerHeight / 2) return `${told} is below the foot`;
    return "";
  });

/** tab presses Tab until what is wanted has the focus. */
async function tab(page, wanted, key = "Tab") {
  await wanted.waitFor();
  for (let stops = 0; stops < most; stops++) {
    await page.keyboard.press(key);
    assert.equal(await unseen(page), "");
    if (await wanted.evaluate((e) => e === document.activeElement)) return;
  }
  assert.fail(`${key} does not lead to ${wanted}`);
}

/** arrive goes to a page, and past what stands above each. */
async function arrive(page, path) {
  await shown(page, path);
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await holds(page, "main", "the first stop skips to the content");
}

/** holds waits until what has the focus is of an id, or a name. It moves when the page paints, which may be after the hub has answered others. */
const holds = (page, name, what) => eventually(() => focused(page), name, what);

/** focused is the id of what has the focus, or its name. */
const focused = (page) => page.evaluate(() => document.activeElement.getAttribute("aria-label") || document.activeElement.id || document.activeElement.textContent.trim());

const button = (within, name) => within.getByRole("button", { name, exact: typeof name === "string" });

/** ask opens a question by its button, closes it and opens it again, and answers it. */
async function ask(page, name, { reason = "", confirm, fields = async () => {} }) {
  const opener = button(page.locator("main"), name).first();
  await tab(page, opener);
  await page.keyboard.press("Enter");
  await answer(page, name, { reason, confirm, fields });
}

/** answer answers a question that has just opened. */
async function answer(page, name, { reason = "", confirm, fields = async () => {} }) {
  const dialog = page.getByRole("dialog", { name });
  await dialog.waitFor();
  await holds(page, name, "the focus goes in");
  await page.keyboard.press("Escape");
  await eventually(() => dialog.count(), 0, "Escape closes");
  await eventually(async () => (await focused(page)).startsWith(name), true, "the focus comes back");
  await page.keyboard.press("Enter");
  await dialog.waitFor();
  await fields(dialog);
  if (reason) {
    await tab(page, dialog.getByLabel("Reason"));
    await page.keyboard.type(reason);
  }
  const yes = button(dialog, confirm);
  await eventually(() => yes.isEnabled(), true, "the hub has judged it");
  await tab(page, yes);
  await page.keyboard.press("Enter");
  await eventually(() => dialog.count(), 0, "it closes when it is done");
  await eventually(() => page.evaluate(() => document.activeElement === document.body), false, "the focus is somewhere");
}

test("drift is accepted, ignored and corrected", async () => {
  const page = await enter("/");
  const web = () => api(page, "GET", "/v1/bundles/web");
  const before = (await web()).status.latestRevision;
  await arrive(page, "/drift");
  await ask(page, "Accept…", { confirm: /^Accept it for 1 cluster/ });
  await eventually(async () => (await web()).status.latestRevision, before + 1);
  await arrive(page, "/drift");
  await ask(page, "Ignore…", { confirm: "Ignore this field" });
  await eventually(async () => (await web()).spec.delivery?.ignore?.[0].paths, ["/spec/replicas"]);
  await arrive(page, "/drift");
  await ask(page, "Correct…", { confirm: "Correct drift of web" });
  await eventually(async () => (await web()).spec.delivery?.drift, "correct");
  assert.deepEqual(page.wrong, []);
});

test("a window is made and removed, and a bundle is frozen and let go", async () => {
  const page = await enter("/");
  const gates = async () => ((await api(page, "GET", "/v1/gates")).gates ?? []).map((g) => [g.metadata.name, g.spec.reason]);
  await arrive(page, "/bundles/base");
  await ask(page, "Window…", {
    reason: "at night",
    confirm: "Keep this window for base",
    fields: async (dialog) => {
      await tab(page, dialog.getByLabel("Revisions go on"));
      await page.keyboard.press("ArrowDown");
      await tab(page, dialog.getByLabel("For how many hours"));
      await page.keyboard.press("ControlOrMeta+a");
      await page.keyboard.type("2");
      await dialog.getByText('"duration":"7200s"').waitFor();
    },
  });
  await eventually(gates, [["deny-bundle-base", "at night"]]);
  await ask(page, "Remove…", { confirm: "Remove deny-bundle-base" });
  await eventually(gates, []);
  await holds(page, "main", "the focus is not lost with the button");
  await ask(page, "Freeze…", {
    reason: "inventory",
    confirm: "Freeze base",
    fields: async (dialog) => {
      await tab(page, dialog.getByLabel("How long"));
      await page.keyboard.press("ArrowDown");
      await dialog.getByText("--for 1h").waitFor();
    },
  });
  await eventually(gates, [["freeze-bundle-base", "inventory"]]);
  await arrive(page, "/bundles/base");
  await ask(page, "Lift…", { confirm: "Lift freeze-bundle-base" });
  await eventually(gates, []);
  assert.deepEqual(page.wrong, []);
});

test("a rollout is paused, resumed, approved, promoted and undone", async () => {
  const page = await enter("/");
  const rollout = async () => (await api(page, "GET", "/v1/bundles/pay/rollout")).status;
  await arrive(page, "/rollouts/pay");
  /** steer presses a key, which opens the question as its button does. */
  const steer = async (key, name, confirm) => {
    await button(page.locator(".head"), name).waitFor();
    await page.keyboard.press(key);
    await answer(page, name, { confirm });
  };
  await steer("p", "Pause…", "Pause r2");
  await eventually(async () => (await rollout()).phase, "Paused");
  await steer("p", "Resume…", "Resume r2");
  await eventually(async () => (await rollout()).waitsFor, "Approval");
  await steer("a", "Approve…", "Approve r2");
  await eventually(async () => (await rollout()).phase, "Completed");
  const soak = { stages: [{ name: "canary", clusters: "1", soak: "3600s" }, { name: "rest", concurrency: "100%" }] };
  const { spec } = await api(page, "GET", "/v1/bundles/pay");
  await api(page, "POST", "/v1/apply", { resources: [{ bundle: { apiVersion: "yardarm.dev/v1", kind: "Bundle", metadata: { name: "pay" }, spec: { ...spec, rollout: soak } } }] });
  await api(page, "POST", "/v1/bundles/pay:undo", { bundle: "pay", toRevision: 1 });
  await page.getByRole("heading", { level: 1, name: /r3/ }).waitFor();
  await steer("u", "Undo…", "Return to r2");
  await page.getByRole("heading", { level: 1, name: /r4/ }).waitFor();
  await steer("o", "Promote…", "Promote r4");
  await eventually(async () => (await rollout()).stage, "rest");
  assert.deepEqual(page.wrong, []);
});

test("activity is filtered, by what was changed and what was denied", async () => {
  const page = await enter("/");
  await arrive(page, "/activity");
  await tab(page, button(page.locator("main"), "Changes"));
  await page.keyboard.press("Enter");
  const changes = page.getByRole("region", { name: "Changes" });
  await changes.locator("li").first().waitFor();
  await page.keyboard.press("/");
  await page.keyboard.type("kind=Bundle");
  await page.keyboard.press("Enter");
  await page.waitForURL(/filter=.*kind%3DBundle/);
  await eventually(async () => (await changes.locator(".audit li").allInnerTexts()).every((text) => text.includes("bundle/")), true);
  await tab(page, button(page, "Remove kind=Bundle"), "Shift+Tab");
  await page.keyboard.press("Enter");
  await page.waitForURL((url) => !url.search.includes("Bundle"));
  await holds(page, "filter", "the focus is not lost with the button");
  await tab(page, button(page.locator("main"), "Denied"), "Shift+Tab");
  await page.keyboard.press("Enter");
  await page.locator("footer code", { hasText: "yardarm audit --follow --filter kind=Denial" }).waitFor();
  assert.deepEqual(page.wrong, []);
});

test("a cluster is enrolled, and one is banned and let in again", async () => {
  const page = await enter("/");
  await chord(page, "e", "/enrol");
  await holds(page, "main", "a page that is gone to has the focus");
  await tab(page, page.getByLabel("Name"));
  await page.keyboard.type("edge-9");
  await page.keyboard.press("Tab");
  await page.keyboard.type("env=test");
  await page.keyboard.press("Enter");
  await page.getByText("waiting for its spoke").waitFor();
  await holds(page, "Command", "the focus is at what is to be run");
  await eventually(async () => (await api(page, "GET", "/v1/clusters/edge-9")).status.phase, "Enrolling");
  await arrive(page, "/clusters/shop-0002");
  await ask(page, "Ban…", { reason: "stolen", confirm: "Ban shop-0002" });
  await page.getByText(/Banned by/).waitFor();
  await ask(page, "Unban…", { confirm: "Unban shop-0002" });
  await eventually(() => page.getByText(/Banned by/).count(), 0);
  assert.deepEqual(page.wrong, []);
});

test("the jump, the keys and the menus take the focus, give it back, and leave the page alone meanwhile", async () => {
  const page = await enter("/");
  await arrive(page, "/rollouts/pay");
  const opened = page.locator("dialog[open]");
  const at = button(page.locator("main"), "Freeze…");
  await tab(page, at);
  for (const [key, first] of [["Control+k", "jump"], ["?", ""]]) {
    await page.keyboard.press(key);
    await opened.waitFor();
    if (first) await holds(page, first);
    // What is beneath hears no key, and Tab stays in the dialog or goes to the browser's own.
    if (!first) for (const other of ["u", "g", "c"]) await page.keyboard.press(other);
    for (let i = 0; i < 4; i++) {
      await page.keyboard.press("Tab");
      assert.ok(await page.evaluate(() => document.activeElement === document.body || document.activeElement.closest("dialog[open]") !== null), "Tab leaves the dialog for the page");
    }
    await page.keyboard.press("Escape");
    await eventually(() => opened.count(), 0);
    await eventually(() => at.evaluate((e) => e === document.activeElement), true, "the focus comes back");
    assert.equal(await page.getByRole("dialog").count(), 0);
    assert.ok(page.url().endsWith("/rollouts/pay"));
  }
  await page.keyboard.press("Control+k");
  await page.keyboard.type("nothing-of-that-name");
  await opened.getByText("Nothing is called so.").waitFor();
  await page.keyboard.press("ControlOrMeta+a");
  await page.keyboard.type("shop-0003");
  await opened.getByRole("option", { name: /shop-0003-failing/ }).waitFor();
  await page.keyboard.press("Enter");
  await page.waitForURL("**/clusters/shop-0003-failing");
  await holds(page, "main");
  // Menus: Escape gives the focus back, and who goes on by Tab has left.
  await arrive(page, "/clusters");
  for (const name of ["Columns", "Views"]) {
    await tab(page, button(page, name));
    await page.keyboard.press("Enter");
    const menu = page.getByRole("dialog", { name });
    await menu.waitFor();
    await page.keyboard.press("Escape");
    await eventually(() => menu.count(), 0);
    await holds(page, name);
    await page.keyboard.press("Enter");
    await menu.waitFor();
    for (let i = 0; i < 20 && (await menu.count()) > 0; i++) await page.keyboard.press("Tab");
    assert.equal(await menu.count(), 0, "it is not in the way of what is beyond it");
    assert.equal(await unseen(page), "");
  }
  // Rows of a table, from the first that is in sight.
  const names = await page.locator("tbody td.name").allInnerTexts();
  for (const [key, name] of [["j", names[0]], ["j", names[1]], ["j", names[2]], ["k", names[1]]]) {
    await page.keyboard.press(key);
    await holds(page, name);
    assert.equal(await unseen(page), "");
  }
  await page.keyboard.press("Enter");
  await page.waitForURL(`**/clusters/${names[1]}`);
  // The command at the foot.
  await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
  await page.keyboard.press("y");
  await page.locator("footer").getByText("copied").waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), `yardarm describe cluster ${names[1]}`);
  assert.deepEqual(page.wrong, []);
});

test("the keys are listed, all of them, and go where the list says", async () => {
  const page = await enter("/");
  await shown(page, "/clusters");
  const dialog = page.getByRole("dialog", { name: "Keys" });
  const opener = page.locator("footer").getByRole("button", { name: "Keys" });
  await opener.focus();
  for (const open of ["?", "Enter"]) {
    await page.keyboard.press(open);
    await dialog.waitFor();
    await accessible(page, "keys", undefined, "dialog[open]");
    await button(dialog, "Close").click();
    await eventually(() => dialog.count(), 0, "it closes");
    await holds(page, "Keys", "the focus comes back");
  }
  await page.keyboard.press("?");
  const rows = await dialog.locator(".keylist > div").evaluateAll((all) => all.map((row) => [row.querySelector("dt").textContent, row.querySelector("dd").textContent]));
  await page.setViewportSize({ width: 390, height: 844 });
  await contained(page, "keys at 390");
  await page.setViewportSize({ width: 1440, height: 1000 });
  await page.keyboard.press("Escape");
  const places = rows.filter(([key]) => key.startsWith("g "));
  assert.deepEqual(places.map(([, title]) => title), ["Fleet", "Clusters", "Bundles", "Rollouts", "Problems", "Drift", "Activity", "Enrol", "Access"]);
  for (const [key, title] of places) {
    await chord(page, key.split(" ")[1], title === "Fleet" ? "/" : `/${title.toLowerCase()}`);
    await page.getByRole("heading", { level: 1, name: new RegExp(`^${title}`) }).waitFor({ state: "attached" });
  }
  // Each button that a key presses has it in the list.
  const listed = rows.flatMap(([keys]) => keys.split(" "));
  for (const path of ["/", "/bundles/web", "/rollouts/pay"]) {
    await shown(page, path);
    const keys = await page.locator("[data-key]").evaluateAll((all) => all.map((e) => e.dataset.key));
    assert.ok(keys.length > 0);
    assert.deepEqual(keys.filter((key) => !listed.includes(key)), [], path);
  }
  assert.deepEqual(page.wrong, []);
});

test("a screen reader hears nothing of what changes by itself, and all of what it asks for", async () => {
  const page = await enter("/");
  await shown(page, "/?filter=team%20in%20(pay,shop)");
  const heard = await hear(page);
  // Changes that the page paints.
  const painted = await page.evaluate(() => {
    window.paints = 0;
    new MutationObserver(() => window.paints++).observe(document.body, { subtree: true, childList: true, characterData: true });
  });
  assert.equal(painted, undefined);
  for (let i = 0; i < 4; i++) {
    await api(page, "POST", "/v1/clusters/shop-0004:label", { set: { team: i % 2 ? "shop" : "nobody" }, overwrite: true });
    await eventually(() => page.getByTitle("shop-0004: ready").count(), i % 2);
  }
  await page.waitForFunction(() => window.paints > 4, null, { timeout: patience });
  assert.deepEqual(await heard(), []);
  assert.deepEqual(page.wrong, []);
});
