import { useEffect } from "preact/hooks";
import { now } from "../api/clock";
import { ends, signOff, whoAmI } from "../api/session";
import { timeOfDay } from "../time";

/** How long before its end a sign-in is spoken of, in milliseconds. */
const notice = 5 * 60_000;

/** Ending says that the sign-in is about to end, and leads to the next one, which leads back to this page. */
export function Ending() {
  const end = ends.value;
  const left = end ? end - now.value : Infinity;
  const over = left <= 0;
  useEffect(() => void (over && whoAmI()), [over]);
  if (left > notice || over) return null;
  return (
    <p class="lost">
      <i class="fl soaking" />
      <b>Your sign-in ends at {timeOfDay(end)} UTC.</b>
      <button class="btn" onClick={() => signOff("")}>
        Sign in again
      </button>
    </p>
  );
}
