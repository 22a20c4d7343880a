// What the specs share: a browser, a signed-in page, and ways to ask the hub and the world.
import { after, before } from "node:test";
import { mkdirSync } from "node:fs";
import assert from "node:assert/strict";
import { AxeBuilder } from "@axe-core/playwright";
import { chromium } from "playwright-core";

export const { HUB, TOKEN, CONTROL } = process.env;

/** How long anything may take that usually takes a second: the machine is shared. */
export const patience = 60_000;

let browser;
before(async () => {
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ["--no-sandbox"] });
});
after(() => browser.close());

/** open answers a page of a browser that knows nothing yet, and what goes wrong in it: errors, and what the policy refuses. Its clock may be ahead, by milliseconds. */
export async function open({ ahead = 0, ...options } = {}) {
  const context = await browser.newContext({ ignoreHTTPSErrors: true, viewport: { width: 1440, height: 1000 }, reducedMotion: "reduce", baseURL: HUB, ...options });
  context.setDefaultTimeout(patience);
  const page = await context.newPage();
  if (ahead) await page.addInitScript(`{ const now = Date.now; Date.now = () => now() + ${ahead}; }`);
  page.wrong = [];
  page.on("pageerror", (e) => page.wrong.push(String(e)));
  page.on("console", (m) => {
    // A refused call is the page's to tell.
    if (m.type() === "error" && !m.text().includes("Failed to load resource")) page.wrong.push(m.text());
  });
  return page;
}

/** enter opens a page and signs in. */
export async function enter(path = "/", token = TOKEN, options = {}) {
  const page = await open(options);
  await page.goto(path);
  await page.getByLabel("Token").fill(token);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.locator("header.top").waitFor();
  return page;
}

/** live waits until a page is told of changes. */
export const live = (page) => page.locator('html[data-stream="live"]').waitFor({ state: "attached" });

/** shown goes to a page, and waits until it has its answers. */
export async function shown(page, path) {
  await page.goto(path);
  await live(page);
  await page.locator('main[aria-busy="false"]').waitFor();
}

/** api calls the hub as the administrator, as no page does. */
export async function api(page, method, path, data) {
  const response = await page.request.fetch(path, { method, headers: { Authorization: `Bearer ${TOKEN}` }, ...(data ? { data } : {}) });
  assert.equal(response.status(), 200, `${method} ${path}: ${await response.text()}`);
  return response.json();
}

/** world asks for what a browser cannot do, and answers what came of it. */
export async function world(path, form) {
  const response = await fetch(CONTROL + path, { method: "POST", ...(form && { body: new URLSearchParams(form) }) });
  const text = await response.text();
  assert.equal(response.status, 200, text);
  return text;
}

/** shell runs a command as somebody would who pastes it, and fails where it does. */
export const shell = (command) => world("/shell", { command });

/** eventually waits until fn answers what is expected. */
export async function eventually(fn, expected, what) {
  const end = Date.now() + patience;
  for (;;) {
    const got = await fn();
    try {
      assert.deepEqual(got, expected, what);
      return;
    } catch (e) {
      if (Date.now() > end) throw e;
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** chord presses "g" and a letter until they have led to a path: on a busy machine the letter can come too late for the page. */
export const chord = (page, letter, path) =>
  eventually(async () => {
    await page.keyboard.press("g");
    await page.keyboard.press(letter);
    return new URL(page.url()).pathname;
  }, path, `g ${letter}`);

/** sums waits until how many clusters the page says are in each state is what the hub answers. */
export const sums = (page) =>
  eventually(async () => {
    const { facets } = await api(page, "GET", "/v1/facets/Cluster?facets=state");
    const shown = await Promise.all(facets[0].values.map(({ value }) => page.locator(`[data-state=${value}]`).innerText()));
    return facets[0].values.filter(({ count }, i) => Number(shown[i].replaceAll(",", "")) !== count);
  }, [], "states of which the page says something else");

/** accessible has axe look at a page, or a part of it, in each theme: at everything in the first, and in others at what is different there, which is the colours. */
export async function accessible(page, name, themes = ["light", "dark"], within = "html") {
  for (const [i, theme] of themes.entries()) {
    await page.evaluate((t) => (document.documentElement.dataset.theme = t), theme);
    // There are no frames, for whose sake another page would be opened each time.
    const axe = new AxeBuilder({ page }).setLegacyMode().include(within);
    const { violations } = await (i > 0 ? axe.withRules(["color-contrast"]) : axe).analyze();
    const told = violations.map((v) => `${v.id}: ${v.help}\n  ${v.nodes.map((n) => `${n.html} ${n.failureSummary}`).join("\n  ")}`);
    assert.equal(told.length, 0, `${name}, ${theme}:\n${told.join("\n")}`);
  }
  await page.evaluate(() => delete document.documentElement.dataset.theme);
}

/** hear begins to note what a screen reader would say by itself, and answers what reads the notes: each text of a live region, when it changes. */
export async function hear(page) {
  await page.evaluate(() => {
    window.heard = [];
    const said = new WeakMap();
    const text = (region) => {
      const copy = region.cloneNode(true);
      for (const hidden of copy.querySelectorAll('[aria-hidden="true"]')) hidden.remove();
      return copy.textContent.trim();
    };
    const listen = (first) => {
      for (const region of document.querySelectorAll("[role=status], [role=alert], [aria-live]")) {
        const now = text(region);
        if (!first && said.get(region) !== now && now !== "") window.heard.push(now);
        said.set(region, now);
      }
    };
    listen(true);
    new MutationObserver(() => listen(false)).observe(document.body, { subtree: true, childList: true, characterData: true });
  });
  return () => page.evaluate(() => window.heard);
}

/** folder is where pictures go; nowhere where nobody asks for them. */
const folder = process.env.SCREENS;

/** picture keeps one of a page in each theme, to be looked at. */
export async function picture(page, name) {
  if (!folder) return;
  mkdirSync(folder, { recursive: true });
  for (const theme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme: theme });
    await page.screenshot({ path: `${folder}/${name.replace(/(?=-\d+$)/, `-${theme}`)}.png` });
  }
  await page.emulateMedia({ colorScheme: null });
}

/** contained fails where something is wider than the window. */
export async function contained(page, name) {
  const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.ok(over <= 0, `${name} is ${over} px wider than the window`);
}

/** untold fails where a text is cut and no title says the rest. */
export async function untold(page, name) {
  const cut = await page.evaluate(() =>
    [...document.querySelectorAll("body *")]
      .filter((e) => {
        const style = getComputedStyle(e);
        const clips = style.textOverflow === "ellipsis" && style.overflowX !== "visible";
        return clips && e.scrollWidth > e.clientWidth && e.checkVisibility() && !e.closest("[title]") && !e.querySelector("[title]");
      })
      .map((e) => `${e.className || e.tagName}: ${e.textContent}`),
  );
  assert.deepEqual(cut, [], `${name}: cut without a title`);
}
