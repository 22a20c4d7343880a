import { test } from "node:test";
import assert from "node:assert/strict";
import { accessible, api, contained, enter, eventually, live, world } from "./world.mjs";

test("what is changed in a cluster shows while one looks on, and is accepted for that cluster alone", async () => {
  const page = await enter("/drift");
  await live(page);
  await page.getByText("No live object differs").waitFor();
  await world("/real/edge-1/edit?key=level&value=debug");
  const row = page.locator(".fields > li");
  await row.getByText("data.level").waitFor();
  for (const text of ['"info"', '"debug"', "kubectl-edit", "edge-1"]) await row.getByText(text).first().waitFor();
  await row.getByRole("button", { name: "Accept…" }).click();
  // What it reaches is shown before it is done: by the hub, and again for whom else one chooses.
  const ask = page.getByRole("dialog", { name: "Accept…" });
  await ask.getByText("1 cluster of prod").waitFor();
  await ask.getByText('data.level: "info" → "debug"').waitFor();
  await ask.getByText(/Nothing changes in \d other clusters/).waitFor();
  await ask.getByText("yardarm drift accept bundle/shop cluster/edge-1").waitFor();
  await accessible(page, "accept");
  await contained(page, "accept");
  await ask.getByLabel("For whom").selectOption("prod");
  await ask.getByText(/[2-9] clusters of prod/).waitFor();
  await ask.getByLabel("For whom").selectOption("");
  await ask.getByText("1 cluster of prod").waitFor();
  await ask.getByRole("button", { name: "Accept it for 1 cluster" }).click();
  await page.getByText("No live object differs").waitFor();
  const ready = async (name) => (await api(page, "GET", `/v1/clusters/${name}/assignments/shop`)).status;
  await eventually(async () => (await ready("edge-1")).phase, "Ready");
  assert.equal((await ready("edge-1")).report.objects.drifted, undefined);
  assert.deepEqual([await world("/real/edge-1/read?key=level"), await world("/real/edge-2/read?key=level")], ["debug", "info"]);
  // It can be taken back, and who did it is known.
  await page.goto("/bundles/shop");
  await page.locator(".rev", { hasText: "accepts ConfigMap default/shop data.level as it is in edge-1" }).waitFor();
  await page.goto("/activity?of=changes&filter=action%3DAcceptDrift");
  await page.getByRole("link", { name: "bundle/shop" }).waitFor();
  await page.goto("/bundles/shop");
  await page.getByRole("button", { name: "Return…" }).last().click();
  await page.getByRole("button", { name: "Return to r1" }).click();
  await eventually(() => world("/real/edge-1/read?key=level"), "info");
  assert.deepEqual(page.wrong, []);
});

test("a spoke that is killed is never shown ready again, also by a hub that has restarted", async () => {
  const page = await enter("/");
  await live(page);
  await page.getByTitle("edge-2: ready").waitFor();
  await world("/real/edge-2/kill");
  await page.getByTitle("edge-2: stale").waitFor();
  // From here on, every paint is looked at.
  const watch = () =>
    page.evaluate(() => {
      window.shown = [];
      new MutationObserver(() => {
        for (const e of document.querySelectorAll('[title^="edge-2: "]')) window.shown.push(e.title);
      }).observe(document.body, { subtree: true, childList: true, attributes: true, characterData: true });
    });
  await watch();
  await world("/hub/stop");
  await page.getByText(/The hub has not answered since/).waitFor();
  await world("/hub/start");
  await live(page);
  await page.getByTitle("edge-1: ready").waitFor();
  assert.deepEqual((await page.evaluate(() => window.shown)).filter((title) => title.includes("ready")), []);
  const { clusters = [] } = await api(page, "GET", "/v1/clusters?filter=state%3DReady,name%3Dedge-*");
  assert.deepEqual(clusters.map((c) => c.metadata.name), ["edge-1"]);
  // The others come back meanwhile, and the page hears of each a moment later.
  const ready = async () => (await api(page, "GET", "/v1/clusters?filter=state%3DReady&pageSize=1")).totalSize;
  await eventually(async () => Number(await page.locator("[data-state=Ready]").innerText()) - (await ready()), 0);
  await page.goto("/clusters/edge-2");
  await page.getByText(/stale since|not come back|unknown/).first().waitFor();
  assert.equal(await page.locator(".bl .fl.ready").count(), 0);
  assert.deepEqual(page.wrong, []);
});
