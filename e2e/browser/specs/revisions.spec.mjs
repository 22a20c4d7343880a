import { test } from "node:test";
import assert from "node:assert/strict";
import { accessible, api, contained, enter, eventually, untold } from "./world.mjs";

/** sound is what holds of every page that is shown. */
async function sound(page, name) {
  await accessible(page, name);
  await contained(page, name);
  await untold(page, name);
  assert.deepEqual(page.wrong, []);
}

test("a bundle says who has signed what it runs, and which group gets which variant", async () => {
  const page = await enter("/bundles/site");
  const { status } = await api(page, "GET", "/v1/bundles/site");
  assert.match(status.source.signer, /^Ada of the yard SHA256:/);
  const source = page.getByRole("region", { name: "Source" });
  await source.getByText("of commits, by Ada of the yard").waitFor();
  await source.getByText("signed by Ada of the yard SHA256:").waitFor();
  await page.getByRole("region", { name: "Revisions" }).getByTitle(status.source.signer).getByText("signed by Ada of the yard").waitFor();
  const groups = page.getByRole("region", { name: "Groups" });
  await groups.locator("li", { hasText: "prod no variant" }).waitFor();
  await groups.locator("li", { hasText: "test variant small" }).getByRole("link", { name: "variant small" }).click();
  // The objects are those of what was chosen, and each variant says for whom it is.
  const variants = page.getByRole("list", { name: "Variants" });
  await variants.locator("li", { hasText: "variant small" }).getByText("for test").waitFor();
  await variants.locator("li", { hasText: "no variant" }).getByText("for prod").waitFor();
  assert.match(page.url(), /variant=small$/);
  await page.locator("footer code", { hasText: "yardarm describe bundle site" }).waitFor();
  await sound(page, "signed bundle");
  // So does a cluster that gets one.
  const { assignments } = await api(page, "GET", "/v1/assignments?bundle=site&filter=group%3Dtest&pageSize=1");
  await page.goto(`/clusters/${assignments[0].spec.cluster}?bundle=site`);
  await page.getByText("it gets the variant small").waitFor();
});

test("a rollout says whom it took over from, how long clusters took, who is away or new, and what the slow ones wait for", async () => {
  const page = await enter("/rollouts/web");
  // What is counted may still grow, by the cluster that is new.
  const status = async () => (await api(page, "GET", "/v1/bundles/web/rollout")).status;
  await page.getByText("it has taken over from r2, which was under way").waitFor();
  const come = async () => `clusters come from ${(await status()).origins.filter((o) => o.revision).map((o) => `r${o.revision} (${o.clusters})`).join(", ")}`;
  await eventually(async () => page.getByText(await come(), { exact: true }).count(), 1);
  const arrivals = page.getByRole("region", { name: "Arrivals" });
  await arrivals.getByText("or less for half of them").waitFor();
  await eventually(async () => arrivals.locator("li", { hasText: "for the slowest" }).getByRole("link", { name: (await status()).pace.slowestCluster }).count(), 1);
  await arrivals.locator("li", { hasText: "away" }).getByRole("link", { name: "lone-1" }).waitFor();
  await arrivals.locator("li", { hasText: "new to the bundle" }).getByRole("link", { name: "late-1" }).waitFor();
  const slow = page.getByRole("region", { name: "What clusters wait for" });
  await slow.locator("li", { hasText: "shop-0007-moving" }).getByText("1 of 3 replicas is available").waitFor();
  await page.locator("footer code", { hasText: "yardarm rollout status bundle/web" }).waitFor();
  await sound(page, "rollout with arrivals");
  await slow.getByRole("link", { name: "shop-0007-moving" }).click();
  await page.waitForURL("**/clusters/shop-0007-moving?bundle=web");
});

test("a rollout says who was given its revision after their stage had passed", async () => {
  const page = await enter("/rollouts/base");
  const late = page.getByRole("region", { name: "Arrivals" }).locator("li", { hasText: "late" });
  await late.getByText("They were given it after their stage had passed").waitFor();
  assert.deepEqual([await late.locator(".st").innerText(), await late.getByRole("link").allInnerTexts()], ["1", ["shop-0002"]]);
  await page.locator("main").getByText("every cluster that is there has it").first().waitFor();
  await sound(page, "rollout with a late cluster");
  await late.getByRole("link", { name: "shop-0002" }).click();
  await page.waitForURL("**/clusters/shop-0002?bundle=base");
});

test("bindings and source credentials say what they are for", async () => {
  const page = await enter("/access");
  const binding = page.getByRole("region", { name: "Role bindings" }).locator("li", { hasText: "site-team" });
  await binding.getByText("bundles site, team in (shop,site), all cluster groups").waitFor();
  const credentials = page.getByRole("region", { name: "Source credentials" }).locator("li", { hasText: "site-repo" });
  await credentials.getByText("password, ca").waitFor();
  await credentials.getByText("bundles site, team in (site) may name them; site does").waitFor();
  assert.equal(await page.getByText("nobody looks at it").count(), 0);
  await page.locator("footer code", { hasText: "yardarm get tokens,roles,rolebindings,sourcecredentials" }).waitFor();
  await sound(page, "access with scopes");
  // Who sees a part is told which, and of no credentials.
  const { secret } = await api(page, "POST", "/v1/tokens", { name: "site-looker", role: "viewer", bundles: { names: ["site"] }, clusterGroups: { names: ["test"] } });
  const other = await enter("/access", secret);
  await other.getByText("viewer: bundles site, cluster groups test").waitFor();
  await eventually(() => other.getByRole("region", { name: "Source credentials" }).count(), 0);
  assert.deepEqual(other.wrong, []);
});

test("any two revisions are compared, and a page's address says which", async () => {
  const page = await enter("/bundles/web?revision=3");
  const revisions = page.getByRole("region", { name: "Revisions" });
  await revisions.locator(".add", { hasText: "three" }).waitFor();
  await revisions.locator(".del", { hasText: "two" }).waitFor();
  await revisions.getByLabel("What r3 has other than").selectOption({ label: "r1: says one" });
  await revisions.locator(".del", { hasText: "one" }).waitFor();
  assert.match(page.url(), /revision=3&against=1$/);
  await page.reload();
  await revisions.locator(".del", { hasText: "one" }).waitFor();
  const third = revisions.locator("li", { hasText: "says three" }).getByRole("link", { name: "diff to r2" });
  await third.click();
  await eventually(() => revisions.locator(".diff").count(), 0);
  await third.click();
  await revisions.locator(".diff").waitFor();
  await sound(page, "revisions compared");
});

test("the fleet's page has the rollouts that are under way, and clusters are counted by their labels", async () => {
  const page = await enter("/");
  const active = page.getByRole("region", { name: "Active rollouts" });
  await active.locator("li", { hasText: "waits for the clusters of stage all" }).getByRole("link", { name: "web" }).waitFor();
  assert.equal(await active.getByRole("link", { name: "site" }).count(), 0, "what is over is not active");
  await sound(page, "fleet with a rollout");
  await page.goto("/clusters");
  const shops = page.getByRole("complementary", { name: "Facets" }).locator("details", { hasText: "team" }).getByRole("link", { name: /^shop/ });
  const { facets } = await api(page, "GET", "/v1/facets/Cluster?facets=labels.team");
  await shops.getByText(String(facets[0].values.find((v) => v.value === "shop").count), { exact: true }).waitFor();
  await shops.click();
  await eventually(() => page.locator("tbody td.name").count(), facets[0].values.find((v) => v.value === "shop").count);
  assert.match(page.url(), /filter=labels.team%3Dshop$/);
  await sound(page, "clusters by a label");
});

test("a cluster says which conditions hold, and which do not", async () => {
  const page = await enter("/clusters/shop-0003-failing?bundle=web");
  const conditions = page.getByRole("list", { name: "Conditions" });
  await conditions.locator("li", { hasText: "not healthy" }).getByText("1 of 45 objects is failing").waitFor();
  assert.equal(await conditions.locator(".fl.degraded").count(), 1);
  await conditions.locator("li", { hasText: "applied" }).locator(".fl.ready").waitFor();
  await sound(page, "conditions");
});
