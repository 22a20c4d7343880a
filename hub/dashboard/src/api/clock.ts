// The hub's clock: what is "since" something is counted by it, not by that of the machine that shows it.

import { signal } from "@preact/signals";

/** How far the hub's clock is ahead, in milliseconds. */
let ahead = 0;

/** noteServerTime takes the Date header of an answer, which is exact to the second. */
export function noteServerTime(date: string | null) {
  const time = date ? Date.parse(date) : NaN;
  if (!Number.isNaN(time) && Math.abs(time - Date.now() - ahead) > 2000) ahead = time - Date.now();
}

/** hubTime is the hub's time of this moment, in milliseconds. */
export const hubTime = (): number => Date.now() + ahead;

/** now is the hub's time in milliseconds. It changes once a second, so that what is counted from it is painted so often. */
export const now = signal(Date.now());

setInterval(() => {
  if (!document.hidden) now.value = hubTime();
}, 1000);
