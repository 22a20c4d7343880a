import { expect, test } from "vitest";
import { clock, seconds, span, ticks, toTheSecond } from "./time";

test("spans have their two largest units", () => {
  for (const [seconds, text] of [[0, "0 s"], [59.4, "59 s"], [60, "1 min"], [3600, "1 h"], [3900, "1 h 5 min"], [273_600, "3 d 4 h"], [-5, "0 s"]] as const) {
    expect(span(seconds)).toBe(text);
  }
});

test("a moment of another day is a date", () => {
  const now = Date.parse("2026-11-26T10:00:00Z");
  expect(clock("2026-11-26T08:57:13.5Z", now)).toBe("08:57:13");
  expect(clock("2026-11-16T08:57:13Z", now)).toBe("2026-11-16");
});

test("a length of time is read as the hub writes it", () => {
  expect(seconds("21600s")).toBe(21_600);
  expect(seconds("0.500s")).toBe(0.5);
  expect(seconds(undefined)).toBe(0);
});

test("a scale has its marks at times that one can say", () => {
  expect(ticks(0)).toEqual([0]);
  expect(ticks(5)).toEqual([0, 2, 4]);
  expect(ticks(330)).toEqual([0, 120, 240]);
  expect(ticks(3600)).toEqual([0, 900, 1800, 2700]);
  expect(ticks(20 * 86400)).toEqual([0, 5, 10, 15].map((d) => d * 86400));
  for (let length = 1; length < 1e7; length *= 1.7) {
    expect(ticks(length).length).toBeLessThanOrEqual(4);
    expect(new Set(ticks(length).map(toTheSecond)).size, `marks of ${length} s`).toBe(ticks(length).length);
  }
  expect(ticks(120).map(toTheSecond)).toEqual(["0 s", "30 s", "1 min", "1 min 30 s"]);
});
