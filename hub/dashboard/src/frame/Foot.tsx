import { now } from "../api/clock";
import { connection, cursor } from "../api/live";
import { command } from "../parts/command";
import { Copy } from "../parts/Copy";
import { helping } from "./keys";

/** Foot is the line under each page: the command that says the same, and whether the hub answers. */
export function Foot() {
  const live = connection.value.state === "live";
  return (
    <footer class="cmd">
      <code title={command.value}>{command.value}</code>
      <Copy text={command.value} shortcut="y" />
      <span class="live">
        <span class="st" title={live ? "The hub answers" : "The hub does not answer"}>
          {live ? <i class="pennant" /> : <i class="fl stale" />}
          <span class="state">{connection.value.state}</span>
        </span>
        <span class="idx m">{cursor.value}</span>
        <time class="keys">{new Date(now.value).toISOString().slice(11, 19)} UTC</time>
        <a class="link keys" href="/api" target="_blank" rel="noreferrer" title="What the API takes and answers">
          API
        </a>
        <button class="link keys" onClick={() => (helping.value = true)} aria-label="Keys">
          <kbd>?</kbd>
        </button>
      </span>
    </footer>
  );
}
