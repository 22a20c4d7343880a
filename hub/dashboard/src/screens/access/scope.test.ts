import { expect, test } from "vitest";
import type { Scope } from "../../api/answers";
import { scopeText } from "./scope";

test("a scope is told as the command line tells it", () => {
  const expressions = [
    { key: "env", operator: "In", values: ["prod", "test"] }, { key: "tier", operator: "NotIn", values: ["1"] },
    { key: "team", operator: "Exists" }, { key: "old", operator: "DoesNotExist" },
  ];
  for (const [scope, text] of [
    [undefined, "every bundle"],
    [{}, "no bundles"],
    [{ selector: {} }, "all bundles"],
    [{ names: ["web"], selector: {} }, "all bundles"],
    [{ names: ["web", "api"] }, "bundles web, api"],
    [{ names: ["web"], selector: { matchLabels: { team: "shop", env: "prod" } } }, "bundles web, env=prod,team=shop"],
    [{ selector: { matchExpressions: expressions } }, "bundles env in (prod,test),tier notin (1),team,!old"],
  ] as [Scope | undefined, string][]) {
    expect(scopeText("bundles", scope, "every bundle")).toBe(text);
  }
});
