import { expect, test } from "vitest";
import { layOut } from "./regions";

test("clusters are drawn by group, region and name, whatever comes first and whatever state they are in", () => {
  const cells = [
    { name: "c", state: "Ready", group: "prod", region: "eu" },
    { name: "z", state: "Stale" },
    { name: "a", state: "Degraded", group: "prod", region: "eu" },
    { name: "b", state: "Ready", group: "prod", region: "ap" },
  ];
  const order = (all: typeof cells) => layOut(all).map((g) => [g.name, g.total, g.regions.map((r) => [r.name, r.cells.map((c) => c.name)])]);
  const want = [
    ["prod", 3, [["ap", ["b"]], ["eu", ["a", "c"]]]],
    ["", 1, [["", ["z"]]]],
  ];
  expect(order(cells)).toEqual(want);
  expect(order([...cells].reverse().map((c) => ({ ...c, state: "Ready" })))).toEqual(want);
});
