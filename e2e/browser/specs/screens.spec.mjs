// Writes a picture of every screen in both themes and at each size into SCREENS, to be looked at, and those of the README into README. What can be told without
// looking is checked even where nobody looks: that nothing is wider than its window, or cut without a title that says the rest; what axe finds in what opens; and
// that the command under each page, and in each question, is one.
import { test } from "node:test";
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { isDeepStrictEqual } from "node:util";
import { accessible, api, contained, enter, eventually, live, picture, shell, shown, TOKEN, untold } from "./world.mjs";

const sizes = { 1440: [1440, 1000], 1024: [1024, 768], 390: [390, 844] };
const screens = {
  fleet: "/",
  clusters: "/clusters?labels=team&order=bundles.ready+desc&filter=env+in+(prod,test)",
  cluster: "/clusters/shop-0003-failing?bundle=web",
  stale: "/clusters/lone-1?bundle=web",
  bundles: "/bundles?order=clusters.failed+desc",
  bundle: "/bundles/web?revision=2",
  rollouts: "/rollouts",
  rollout: "/rollouts/pay",
  problems: "/problems?filter=bundle%3Dweb",
  drift: "/drift",
  activity: "/activity",
  changes: "/activity?of=changes&filter=actor%21%3Dhub",
  enrol: "/enrol?name=edge-9",
  access: "/access",
};

/** What is asked before something is done, and what opens otherwise, by the page and the button. */
const opened = {
  accept: ["/drift", "Accept…"],
  correct: ["/drift", "Correct…"],
  ignore: ["/drift", "Ignore…"],
  window: ["/bundles/web", "Window…"],
  freeze: ["/rollouts", "Freeze…"],
  return: ["/bundles/web", "Return…"],
  "delete-bundle": ["/bundles/web", "Delete…"],
  "reconcile-bundle": ["/bundles/web", "Reconcile now"],
  approve: ["/rollouts/pay", "Approve…"],
  pause: ["/rollouts/pay", "Pause…"],
  undo: ["/rollouts/pay", "Undo…"],
  ban: ["/clusters/shop-0003-failing", "Ban…"],
  "delete-cluster": ["/clusters/shop-0003-failing", "Delete…"],
  "reconcile-assignment": ["/clusters/shop-0003-failing?bundle=web", "Reconcile now", ".detail"],
  revoke: ["/access", "Revoke…"],
  views: ["/clusters", "Views"],
  columns: ["/clusters", "Columns"],
  who: ["/", "Signed in as"],
};

/** What is shown where there is nothing to show, or something is wrong. */
const nothing = {
  "no-page": ["/nowhere", "There is no page /nowhere"],
  "no-cluster": ["/clusters/nobody", "there is no"],
  "no-bundle": ["/bundles/nothing", "there is no"],
  "no-rollout": ["/rollouts/nothing", "no "],
  "no-filter": ["/clusters?filter=nodes%3Emany", "nodes"],
  "none-of-fleet": ["/?filter=name%3Dnobody", "No cluster matches"],
  "none-of-clusters": ["/clusters?filter=name%3Dnobody", "No cluster matches"],
  "none-of-bundles": ["/bundles?filter=name%3Dnothing", "No bundle matches"],
  "none-of-rollouts": ["/rollouts?filter=name%3Dnothing", "No rollout"],
  "none-of-problems": ["/problems?filter=bundle%3Dpay", "No cluster"],
  "none-of-drift": ["/drift?filter=bundle%3Dpay", "No live object differs"],
  "none-of-activity": ["/activity?filter=reason%3DNone", "Nothing has happened"],
  "none-of-changes": ["/activity?of=changes&filter=name%3Dnothing", "no such"],
};

/** succeeds runs the command under a page: one that does not end by itself for a while, and one whose answer can be no, which is 1. */
const succeeds = (command) => shell(/--watch|--follow|enroll/.test(command) ? `timeout 2 ${command} || test $? = 124` : /^yardarm why/.test(command) ? `${command} || test $? = 1` : command);

for (const [width, [w, h]] of Object.entries(sizes)) {
  const wide = width === "1440";
  test(`screens at ${width}`, async () => {
    const page = await enter("/", TOKEN, { viewport: { width: w, height: h } });
    for (const [name, path] of Object.entries(screens)) {
      await shown(page, path);
      await contained(page, `${name} at ${width}`);
      await untold(page, `${name} at ${width}`);
      await picture(page, `${name}-${width}`);
      if (!wide) continue;
      // The URL says all of it.
      assert.equal(new URL(page.url()).pathname + new URL(page.url()).search, path);
      await succeeds(await page.locator("footer code").innerText());
    }
  });

  if (width === "1024") continue;

  test(`what opens, and what is empty, at ${width}`, async () => {
    const page = await enter("/", TOKEN, { viewport: { width: w, height: h } });
    await api(page, "POST", "/v1/tokens", { name: `ci-${width}`, role: "publisher" });
    for (const [name, [path, button, within = "body"]] of Object.entries(opened)) {
      await shown(page, path);
      await page.locator(within).getByRole("button", { name: button }).first().click();
      const float = page.locator(".menu > .float");
      await float.waitFor();
      if (await float.locator(".buttons").count()) await float.locator(".buttons .btn:first-child:enabled").waitFor();
      await contained(page, `${name} at ${width}`);
      const { x, width: across } = await float.boundingBox();
      assert.ok(x >= 0 && x + across <= w, `${name} at ${width} is out of the window`);
      await picture(page, `open-${name}-${width}`);
      if (!wide) continue;
      await accessible(page, name, undefined, ".menu > .float");
      const commands = await float.locator(".shell code").allInnerTexts();
      assert.deepEqual(commands.length, /^(Correct|Ignore|Views|Columns|Signed)/.test(button) ? 0 : 1, `${name} says its command`);
      for (const command of commands) await shell(`${command} --dry-run`);
    }
    for (const [name, [path, text]] of Object.entries(nothing)) {
      await shown(page, path);
      await page.locator("main").getByText(text).first().waitFor();
      await contained(page, `${name} at ${width}`);
      await untold(page, `${name} at ${width}`);
      await picture(page, `${name}-${width}`);
      if (wide) await accessible(page, name, undefined, "main");
    }
    assert.deepEqual(page.wrong, []);
  });
}

/** What is chosen on a page: by the links, tabs, orders and terms that say so, without what goes on by itself in them. */
const chosen = (page) =>
  page.locator("main").evaluate((main) => {
    const said = main.cloneNode(true);
    for (const time of said.querySelectorAll("time")) time.remove();
    return [...said.querySelectorAll('[aria-current="true"], [aria-pressed="true"], [aria-expanded="true"], th:is([aria-sort$="scending"]), .token')].map((e) => `${e.getAttribute("aria-sort") ?? ""} ${e.textContent}`);
  });

/** Each kind of choice, by its page and what is pressed. */
const choices = [
  ["/", ".facets a"],
  ["/clusters?filter=env%3Dprod&order=state", ".facets a >> nth=1"],
  ["/clusters?filter=env%3Dprod&order=state", ".sort >> nth=0"],
  ["/bundles", ".sort >> nth=2"],
  ["/bundles/web", ".rev .link"],
  ["/rollouts", ".seg-ctl button >> nth=1"],
  ["/rollouts/pay", ".seg-ctl a >> nth=2"],
  ["/clusters/shop-0003-failing", ".bl a"],
  ["/activity", ".seg-ctl button >> nth=3"],
  ["/activity?of=changes", ".audit .link.m >> nth=0"],
];

test("what is chosen is in the URL, all of it", async () => {
  const page = await enter("/");
  for (const [path, control] of choices) {
    await shown(page, path);
    const [before, was] = [page.url(), await chosen(page)];
    await page.locator("main").locator(control).first().click();
    await page.waitForURL((url) => url.href !== before);
    await eventually(async () => isDeepStrictEqual(await chosen(page), was), false, `${control} on ${path} says that it is chosen`);
    await page.locator('main[aria-busy="false"]').waitFor();
    const there = await chosen(page);
    await shown(page, page.url());
    await eventually(() => chosen(page), there, `${control} on ${path}`);
  }
  assert.deepEqual(page.wrong, []);
});

test("the README's pictures", { skip: !process.env.README }, async () => {
  const page = await enter("/", TOKEN, { viewport: { width: 1440, height: 960 } });
  await shown(page, "/");
  const devtools = await page.context().newCDPSession(page);
  for (const theme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme: theme });
    const { data } = await devtools.send("Page.captureScreenshot", { format: "webp", quality: 80 });
    writeFileSync(`${process.env.README}/fleet-${theme}.webp`, Buffer.from(data, "base64"));
  }
});
