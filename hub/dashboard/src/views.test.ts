import { expect, test, vi } from "vitest";

const view = { name: "prod", href: "/clusters?filter=env%3Dprod" };
vi.stubGlobal("localStorage", { getItem: () => JSON.stringify([view]) });

test("what is kept is read, and what is no view of this hub is not", async () => {
  const { parse, views } = await import("./views");
  expect(views.value).toEqual([view]);
  expect(parse(JSON.stringify([view]))).toEqual([view]);
  for (const text of [null, "", "{", "null", "{}", '[1,{"name":"a"}]']) expect(parse(text)).toEqual([]);
  for (const href of ["https://elsewhere", "//elsewhere", "/\\elsewhere", "javascript:x"]) expect(parse(JSON.stringify([{ name: "a", href }]))).toEqual([]);
});
