// A hub that has only just begun: each screen says what would be there, and how it comes there.
import { test } from "node:test";
import assert from "node:assert/strict";
import { accessible, contained, enter, picture, shown, TOKEN, untold } from "./world.mjs";

const screens = {
  fleet: ["/", "yardarm enroll NAME"],
  clusters: ["/clusters", "yardarm enroll NAME"],
  bundles: ["/bundles", "yardarm publish DIR"],
  rollouts: ["/rollouts", "yardarm publish DIR"],
  problems: ["/problems", "No cluster"],
  drift: ["/drift", "No live object differs"],
  activity: ["/activity", "local-admin"],
  access: ["/access", "Tokens"],
};

for (const [width, height] of [[1440, 1000], [390, 844]]) {
  test(`a hub without clusters, at ${width}`, async () => {
    const page = await enter("/", TOKEN, { viewport: { width, height } });
    for (const [name, [path, text]] of Object.entries(screens)) {
      await shown(page, path);
      await page.locator("main").getByText(text).first().waitFor();
      if (name === "fleet") await page.locator(".sums").getByText("2 groups").waitFor(); // which have no cluster
      await contained(page, name);
      await untold(page, name);
      await picture(page, `empty-${name}-${width}`);
      if (width > 1000) await accessible(page, name, undefined, "main");
    }
    assert.deepEqual(page.wrong, []);
  });
}
