// Times as the pages write them: UTC, exact where it matters, and how long ago beside it.

const minute = 60;
const hour = 60 * minute;
const day = 24 * hour;

/** span is a length of time in its two largest units: "4 s", "20 min", "3 d 4 h". */
export function span(seconds: number): string {
  const s = Math.max(0, Math.round(seconds));
  if (s < minute) return `${s} s`;
  if (s < hour) return `${Math.floor(s / minute)} min`;
  if (s < day) return two(Math.floor(s / hour), "h", Math.floor((s % hour) / minute), "min");
  return two(Math.floor(s / day), "d", Math.floor((s % day) / hour), "h");
}

const two = (a: number, unit: string, b: number, smaller: string) => (b ? `${a} ${unit} ${b} ${smaller}` : `${a} ${unit}`);

/** seconds reads a length of time as the hub writes it: "21600s"; 0 where there is none. */
export const seconds = (duration: string | undefined): number => Number.parseFloat(duration ?? "") || 0;

/** Lengths that people count in, in seconds; beyond them, whole days. */
const round = [1, 2, 5, 10, 15, 30, minute, 2 * minute, 5 * minute, 10 * minute, 15 * minute, 30 * minute, hour, 2 * hour, 3 * hour, 6 * hour, 12 * hour, day];
/** How many marks a scale has at most, and up to which part of it: its last one has its words beyond it. */
const marks = { most: 4, until: 0.85 };

/** ticks are where a scale of a length has its marks, both in seconds: at 0, and at round times after it. */
export function ticks(seconds: number): number[] {
  const end = seconds * marks.until;
  const step = round.find((s) => end / s < marks.most) ?? Math.ceil(end / marks.most / day) * day;
  return Array.from({ length: Math.floor(end / step) + 1 }, (_, i) => i * step);
}

/** toTheSecond is a span that does not leave out the seconds of minutes: for lengths that somebody has set, and marks of a scale. */
export const toTheSecond = (s: number): string => (s > minute && s < hour && s % minute ? two(Math.floor(s / minute), "min", s % minute, "s") : span(s));

/** clock is the time of day of a moment that is less than a day from now, and the date of one that is not. */
export function clock(time: string, now: number): string {
  const date = new Date(time);
  const iso = date.toISOString();
  return Math.abs(now - date.getTime()) < day * 1000 ? iso.slice(11, 19) : iso.slice(0, 10);
}

/** timeOfDay is the time of day of a moment, in milliseconds, to the minute. */
export const timeOfDay = (moment: number): string => new Date(moment).toISOString().slice(11, 16);

/** exact is a moment in full, for titles. */
export const exact = (time: string): string => `${new Date(time).toISOString().slice(0, 19).replace("T", " ")} UTC`;
