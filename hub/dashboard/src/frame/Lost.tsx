import { useEffect } from "preact/hooks";
import { now } from "../api/clock";
import { connection } from "../api/live";

/** Lost says since when the hub has not answered, and what happens next. */
export function Lost() {
  const { state, since, next } = connection.value;
  useEffect(() => {
    document.documentElement.dataset.stream = state;
  }, [state]);
  if (state !== "lost") return null;
  now.value; // counts on
  const wait = Math.max(0, Math.ceil(((next ?? 0) - Date.now()) / 1000));
  return (
    <p class="lost">
      <i class="fl stale" />
      <b>The hub has not answered since {new Date(since).toISOString().slice(11, 19)} UTC.</b>
      <span>All that is shown is as of then. Clusters go on with what they have.</span>
      {/* A screen reader would say each second. */}
      <span aria-hidden="true">{wait > 0 ? `Next attempt in ${wait} s.` : "Trying now."}</span>
    </p>
  );
}
