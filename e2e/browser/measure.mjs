// Measures what a browser makes of a large fleet, for `go run ./e2e/fleetsim -scenario dashboard`: the fleet's page and the table at rest, then the
// page while states change. It says "at rest" when the first part is done, takes "busy" and "over" for the second, and prints the figures as JSON.
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const { HUB, TOKEN, GROUP } = process.env;
const clusters = Number(process.env.CLUSTERS);

/** How often a thing is timed. The median counts. */
const times = 11;
/** How long anything may take. */
const patience = 120_000;

const words = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const say = (word) => process.stdout.write(`${word}\n`);

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || "/usr/bin/chromium", args: ["--no-sandbox"] });
const context = await browser.newContext({ ignoreHTTPSErrors: true, viewport: { width: 1440, height: 1000 }, reducedMotion: "reduce", baseURL: HUB });
context.setDefaultTimeout(patience);
// In each document: waits until a condition holds in a frame that is about to be painted, and answers when, since the navigation.
await context.addInitScript(() => {
  window.painted = (condition) =>
    new Promise((resolve) => {
      const look = () => (condition() ? requestAnimationFrame(() => resolve(performance.now())) : requestAnimationFrame(look));
      look();
    });
});
const page = await context.newPage();
const devtools = await context.newCDPSession(page);
await devtools.send("Network.setCacheDisabled", { cacheDisabled: true });
await page.goto("/access");
await page.getByLabel("Token").fill(TOKEN);
await page.getByRole("button", { name: "Sign in" }).click();
await page.locator("header.top").waitFor();

const figures = { nodes: 0 };
const median = (samples) => samples.sort((a, b) => a - b)[Math.floor(samples.length / 2)];
const nodes = async () => (figures.nodes = Math.max(figures.nodes, await page.evaluate(() => document.querySelectorAll("*").length)));

/** fleet shows the fleet's page, and answers when all clusters were painted. */
async function fleet() {
  await page.goto("/", { waitUntil: "commit" });
  return page.evaluate(
    (all) =>
      window.painted(() => {
        const total = document.querySelector(".sums .total .v")?.textContent?.replaceAll(",", "");
        const drawn = [...document.querySelectorAll(".hoist > p > .dim:nth-child(2)")].reduce((sum, e) => sum + Number(e.textContent.replaceAll(",", "")), 0);
        return Number(total) === all && drawn === all && document.querySelector(".hoist canvas, .hoist .cards") !== null;
      }),
    clusters,
  );
}

/** repeated times something, which is told how often it was done before. */
async function repeated(fn) {
  const samples = [];
  for (let i = 0; i < times; i++) samples.push(await fn(i));
  return median(samples);
}

// Who asks first after a hub's start waits until it has derived what it counts.
figures.first_after_start_ms = await fleet();
figures.first_paint_ms = await repeated(fleet);
await nodes();

/** timed presses what a selector names, and answers when the first row of the table is the one that is expected. */
const timed = (selector, first) =>
  page.evaluate(
    async ([selector, first]) => {
      const began = performance.now();
      document.querySelector(selector).click();
      return (await window.painted(() => document.querySelector("tbody td.name")?.textContent?.startsWith(first))) - began;
    },
    [selector, first],
  );

await page.goto("/clusters");
await page.locator("tbody td.name").first().waitFor();
await nodes();
figures.sort_ms = await repeated((i) => timed("th:nth-child(2) .sort", i % 2 ? "busy" : "shop"));
await page.goto("/clusters?order=name+desc");
await page.locator("tbody td.name", { hasText: "shop" }).first().waitFor();
const facet = `.facets a[title="${GROUP}"]`;
await page.locator(facet).waitFor();
figures.filter_ms = await repeated((i) => timed(facet, i % 2 ? "shop" : "busy"));
await nodes();

await page.goto("/");
await page.locator('html[data-stream="live"]').waitFor({ state: "attached" });
await page.locator(".hoist").first().waitFor();
// Processor time of the thread: how much else the machine does is none of the page's.
await devtools.send("Performance.enable", { timeDomain: "threadTicks" });
const measured = async () => {
  await devtools.send("HeapProfiler.collectGarbage");
  const { metrics } = await devtools.send("Performance.getMetrics");
  return { at: Date.now(), ...Object.fromEntries(metrics.map(({ name, value }) => [name, value])) };
};
say("at rest");
await words.next();
const before = await measured();
await words.next();
const { metrics } = await devtools.send("Performance.getMetrics");
const busy = metrics.find(({ name }) => name === "TaskDuration").value - before.TaskDuration;
figures.busy_percent = (100 * busy * 1000) / (Date.now() - before.at);
await nodes();

/** api asks the hub as no page does. */
const api = async (path) => (await page.request.get(path, { headers: { Authorization: `Bearer ${TOKEN}` } })).json();

/** From so many clusters on the map's squares are small; see hub/dashboard/src/screens/fleet. */
const layout = clusters > 2000 ? { rows: 24, side: 4, gap: 1 } : { rows: 12, side: 9, gap: 2 };

/** wrong counts the clusters of the group that are drawn as another state than the API answers: by the colour of a pixel in the lower left. */
async function wrong() {
  const states = (await api(`/v1/clusters?filter=group%3D${GROUP}&pageSize=1000&orderBy=name`)).clusters.map((c) => c.status.state);
  return page.evaluate(
    ([states, group, { rows, side, gap }]) => {
      const hoist = document.querySelector(`.hoist[aria-label="${group}"]`);
      const cards = [...hoist.querySelectorAll(".cards .fl")];
      if (cards.length > 0) return states.filter((state, i) => !cards[i]?.classList.contains(state.toLowerCase())).length;
      const probe = document.body.appendChild(document.createElement("i"));
      const g = hoist.querySelector("canvas").getContext("2d");
      const wrong = states.filter((state, i) => {
        probe.style.color = `var(--${state.toLowerCase()})`;
        const want = getComputedStyle(probe).color.match(/[\d.]+/g).slice(0, 3);
        const got = g.getImageData(Math.floor(i / rows) * (side + gap) + gap + 1, (i % rows) * (side + gap) + gap + side / 2, 1, 1).data;
        return want.some((value, n) => Math.abs(value - got[n]) > 8);
      }).length;
      probe.remove();
      return wrong;
    },
    [states, GROUP, layout],
  );
}

// The last reports are on their way. Every third cluster ends degraded, as scenario/dashboard.go has it.
const pause = () => new Promise((resolve) => setTimeout(resolve, 200));
const { totalSize: changed } = await api(`/v1/clusters?filter=group%3D${GROUP}&pageSize=1`);
const degraded = async () => (await api(`/v1/clusters?filter=group%3D${GROUP},state%3DDegraded&pageSize=1`)).totalSize;
for (const end = Date.now() + patience; (await degraded()) !== Math.ceil(changed / 3) && Date.now() < end; ) await pause();
figures.dropped = await wrong();
for (const end = Date.now() + patience / 12; figures.dropped > 0 && Date.now() < end; figures.dropped = await wrong()) await pause();
const after = await measured();
figures.heap_bytes = before.JSHeapUsedSize;
figures.heap_growth_bytes = after.JSHeapUsedSize - before.JSHeapUsedSize;
await browser.close();
say(JSON.stringify(figures));
process.exit(0);
