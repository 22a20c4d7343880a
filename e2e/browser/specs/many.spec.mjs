import { test } from "node:test";
import assert from "node:assert/strict";
import { accessible, api, contained, enter, eventually } from "./world.mjs";

/** The most nodes that a page may have, however large the fleet is. */
const most = 2000;

const nodes = (page) => page.evaluate(() => document.querySelectorAll("*").length);

test("a thousand clusters on the map, and none in the document", async () => {
  const page = await enter("/");
  await eventually(() => page.locator("[data-state=Ready]").innerText(), "900");
  const { facets } = await api(page, "GET", "/v1/facets/Cluster?facets=state");
  for (const { value, count } of facets[0].values) assert.equal(Number(await page.locator(`[data-state=${value}]`).innerText()), count, value);
  await page.locator(".hoist canvas").first().waitFor();
  assert.ok((await nodes(page)) < most, `${await nodes(page)} nodes`);
  await accessible(page, "map of 1000");
  await contained(page, "map of 1000");
  // Arrow keys walk through the squares.
  await page.locator(".hoist canvas").first().focus();
  await page.keyboard.press("ArrowDown");
  const name = await page.locator(".tip b").innerText();
  await page.keyboard.press("Enter");
  await page.waitForURL(`**/clusters/${name}`);
  assert.deepEqual(page.wrong, []);
});

test("the table has what is in the window, and all of it can be reached", async () => {
  const page = await enter("/clusters");
  await page.getByRole("link", { name: "shop-0000" }).waitFor();
  assert.ok((await nodes(page)) < most, `${await nodes(page)} nodes`);
  await eventually(async () => {
    await page.evaluate(() => scrollTo(0, document.body.scrollHeight));
    return page.getByRole("link", { name: "shop-0999" }).count();
  }, 1);
  assert.ok((await nodes(page)) < most, `${await nodes(page)} nodes`);
  assert.deepEqual(page.wrong, []);
});
