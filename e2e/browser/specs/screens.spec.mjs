// Writes a picture of every screen in both themes and at each size into SCREENS, to be looked at, and those of the README into README. Whether something is
// wider than its window, or cut without a title that says the rest, is checked even where nobody looks.
import { test } from "node:test";
import { writeFileSync } from "node:fs";
import { contained, enter, live, picture, TOKEN, untold } from "./world.mjs";

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
  changes: "/activity?of=changes&filter=actor%21%3Dhub",
  enrol: "/enrol",
  access: "/access",
};
/** What is asked before something is done, by the page and the button. */
const asked = { accept: ["/drift", "Accept…"], window: ["/bundles/web", "Window…"], freeze: ["/rollouts", "Freeze…"] };

const shown = async (page, path) => {
  await page.goto(path);
  await live(page);
  await page.locator('main[aria-busy="false"]').waitFor();
};

for (const [width, [w, height]] of Object.entries(sizes)) {
  test(`screens at ${width}`, async () => {
    const page = await enter("/", TOKEN, { viewport: { width: w, height } });
    for (const [name, path] of Object.entries(screens)) {
      await shown(page, path);
      await contained(page, `${name} at ${width}`);
      await untold(page, `${name} at ${width}`);
      await picture(page, `${name}-${width}`);
    }
    for (const [name, [path, button]] of Object.entries(asked)) {
      await shown(page, path);
      await page.getByRole("button", { name: button }).first().click();
      await page.locator(".float.ask .buttons .btn:first-child:enabled").waitFor();
      await contained(page, `${name} at ${width}`);
      await picture(page, `${name}-${width}`);
    }
  });
}

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
