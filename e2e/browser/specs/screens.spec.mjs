// Writes a picture of every screen in both themes and at each size into SCREENS, to be looked at. Whether something is wider than its window is checked
// even where nobody looks.
import { test } from "node:test";
import { mkdirSync } from "node:fs";
import { contained, enter, live, TOKEN } from "./world.mjs";

const folder = process.env.SCREENS;
const sizes = { 1440: [1440, 1000], 1024: [1024, 768], 390: [390, 844] };
const screens = {
  fleet: "/",
  clusters: "/clusters?labels=team",
  cluster: "/clusters/shop-0003-failing?bundle=web",
  bundles: "/bundles",
  bundle: "/bundles/web?revision=2",
  rollouts: "/rollouts",
  rollout: "/rollouts/pay",
  problems: "/problems",
  drift: "/drift",
  activity: "/activity",
  enrol: "/enrol",
  access: "/access",
};

for (const [width, [w, height]] of Object.entries(sizes)) {
  test(`screens at ${width}`, async () => {
    const page = await enter("/", TOKEN, { viewport: { width: w, height } });
    for (const [name, path] of Object.entries(screens)) {
      await page.goto(path);
      await live(page);
      await page.locator('main[aria-busy="false"]').waitFor();
      await contained(page, `${name} at ${width}`);
      if (!folder) continue;
      mkdirSync(folder, { recursive: true });
      for (const theme of ["light", "dark"]) {
        await page.emulateMedia({ colorScheme: theme });
        await page.screenshot({ path: `${folder}/${name}-${theme}-${width}.png` });
      }
    }
  });
}
