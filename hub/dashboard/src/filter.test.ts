import { expect, test } from "vitest";
import { chosen, terms, toggle, understand } from "./filter";

test("terms are split at commas, but not in parentheses", () => {
  expect(terms("a=b, group in (x,y),c")).toEqual(["a=b", "group in (x,y)", "c"]);
  expect(terms("")).toEqual([]);
});

test("a word alone is part of a name", () => {
  expect(understand("shop-1")).toBe("name=*shop-1*");
  expect(understand("env=prod,shop")).toBe("env=prod,name=*shop*");
  expect(understand("nodes>3")).toBe("nodes>3");
});

test("toggling adds a value, joins it with others of its key, and takes it away", () => {
  const one = toggle("env=prod", "group", "b");
  expect(one).toBe("env=prod,group=b");
  const two = toggle(one, "group", "a");
  expect(two).toBe("env=prod,group in (a,b)");
  expect(chosen(two, "group")).toEqual(["a", "b"]);
  expect(toggle(toggle(two, "group", "a"), "group", "b")).toBe("env=prod");
});
