import { now } from "../api/clock";
import { clock, exact, span } from "../time";

/** Ago is how long ago something was, counting on. */
export function Ago({ time }: { time: string | undefined }) {
  if (!time) return null;
  return (
    <time dateTime={time} title={exact(time)}>
      {span((now.value - Date.parse(time)) / 1000)}
    </time>
  );
}

/** At is a moment. */
export function At({ time }: { time: string | undefined }) {
  if (!time) return null;
  return (
    <time dateTime={time} title={exact(time)}>
      {clock(time, now.value)}
    </time>
  );
}
