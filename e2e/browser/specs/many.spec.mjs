import { test } from "node:test";
import assert from "node:assert/strict";
import { accessible, api, contained, enter, eventually, live, picture, sums, TOKEN, untold } from "./world.mjs";

/** The most nodes that a page may have, however large the fleet is. */
const most = 2000;

const nodes = (page) => page.evaluate(() => document.querySelectorAll("*").length);

/** drawn is how many clusters the groups of the map say that they have. */
const drawn = async (page) => (await page.locator(".hoist > p > .dim:nth-child(2)").allInnerTexts()).reduce((sum, n) => sum + Number(n.replaceAll(",", "")), 0);

/** spoken are the names that the browser gives a screen reader, of all that has a role. */
async function spoken(page, role) {
  const devtools = await page.context().newCDPSession(page);
  const { nodes } = await devtools.send("Accessibility.getFullAXTree");
  return nodes.filter((n) => !n.ignored && n.role?.value === role).map((n) => n.name.value);
}

test("ten thousand clusters on the map, and none in the document", async () => {
  const page = await enter("/");
  await eventually(() => drawn(page), 10_000);
  await sums(page);
  await page.locator(".hoist canvas").first().waitFor();
  assert.ok((await nodes(page)) < most, `${await nodes(page)} nodes`);
  await accessible(page, "map of 10000");
  await contained(page, "map of 10000");
  await page.getByText("Flags are too small").waitFor();
  // Who cannot see it hears, region by region, how many there are in which state.
  await eventually(async () => {
    const boxes = await spoken(page, "listbox");
    const told = (words) => boxes.reduce((sum, box) => sum + Number((box.match(new RegExp(`([\\d,]+) ${words}`)) ?? ["", "0"])[1].replaceAll(",", "")), 0);
    const { facets, totalSize } = await api(page, "GET", "/v1/facets/Cluster?facets=state");
    const counts = [{ value: "cluster", count: totalSize }, ...facets[0].values];
    return counts.filter(({ value, count }) => told(value.replace(/(?<=[a-z])(?=[A-Z])/g, " ").toLowerCase()) !== count);
  }, [], "states of which the map tells something else");
  assert.deepEqual(page.wrong, []);
});

test("a thousand of them, by a filter, as squares that keys walk through", async () => {
  const page = await enter("/?filter=team%20in%20(pay,shop)");
  await live(page);
  await eventually(() => drawn(page), 1000);
  await page.locator(".hoist canvas").first().focus();
  await page.keyboard.press("ArrowDown");
  const name = await page.locator(".tip b").innerText();
  assert.match((await spoken(page, "option")).join(), new RegExp(`^${name}, [a-z ]+$`), "a screen reader hears the one that is pointed at");
  await page.keyboard.press("Enter");
  await page.waitForURL(`**/clusters/${name}`);
  assert.deepEqual(page.wrong, []);
});

test("the table has what is in the window, and as much as a list may have can be reached", async () => {
  const page = await enter("/clusters?order=name+desc");
  await page.getByRole("link", { name: "shop-0999" }).waitFor();
  assert.ok((await nodes(page)) < most, `${await nodes(page)} nodes`);
  await eventually(async () => {
    await page.evaluate(() => scrollTo(0, document.body.scrollHeight));
    return page.getByText("The first 1,000 of 10,000").count();
  }, 1);
  assert.ok((await nodes(page)) < most, `${await nodes(page)} nodes`);
  // What is beyond is found by a filter.
  await page.goto("/clusters?filter=name%3Dshop-0003-failing");
  await page.getByRole("link", { name: "shop-0003-failing" }).waitFor();
  await eventually(() => page.locator("tbody tr:not([aria-hidden])").count(), 1);
  assert.deepEqual(page.wrong, []);
});

test("a problem of more clusters than are named leads to all of them", async () => {
  const page = await enter("/problems");
  const { problems } = await api(page, "GET", "/v1/problems?examples=1");
  const cause = page.locator(".causes > li", { hasText: "ImagePullBackOff" });
  await cause.getByText(`and ${problems[0].clusters - 5} more`).waitFor();
  await cause.getByRole("link", { name: "all clusters where something is degraded" }).click();
  await page.getByRole("heading", { name: `Clusters ${problems[0].clusters}` }).waitFor();
  assert.deepEqual(page.wrong, []);
});

/** Pictures of what is large, at the sizes at which it is laid out in other ways. */
for (const [width, height] of [[1440, 1000], [390, 844]]) {
  test(`what is large fits a window of ${width}`, async () => {
    const page = await enter("/", TOKEN, { viewport: { width, height } });
    for (const [name, path] of Object.entries({ "fleet-10000": "/", "fleet-1000": "/?filter=team%20in%20(pay,shop)", "clusters-10000": "/clusters?labels=team" })) {
      await page.goto(path);
      await live(page);
      await page.locator('main[aria-busy="false"]').waitFor();
      await page.locator(".hoist canvas, tbody td.name").first().waitFor();
      await contained(page, `${name} at ${width}`);
      await untold(page, `${name} at ${width}`);
      await picture(page, `${name}-${width}`);
    }
  });
}
