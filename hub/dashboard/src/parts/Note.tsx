import type { ComponentChildren } from "preact";
import type { Failure } from "../api/client";
import { Copy } from "./Copy";

/** Problem says why something is not shown. */
export const Problem = ({ failure }: { failure: Failure }) => (
  <div class="note" role="alert">
    <i class="fl degraded" />
    <div>
      <p class="ink">{failure.message}</p>
      {failure.status === 0 && <p>What is shown is as of the last answer. It is asked for again as soon as the hub is there.</p>}
    </div>
  </div>
);

/** Empty says what would be here, and the command that brings it. */
export const Empty = ({ children, command }: { children: ComponentChildren; command?: string }) => (
  <div class="empty">
    <p>{children}</p>
    {command && <Shell command={command} />}
  </div>
);

/** NoCluster says why there is none: none matches the filter, or the fleet has yet to begin. */
export const NoCluster = ({ filter }: { filter: string }) =>
  filter ? <Empty>No cluster matches {filter}.</Empty> : <Empty command="yardarm enroll NAME -l env=prod">There is no cluster yet. This adds one:</Empty>;

/** Words up to so many letters are kept whole where a command has several lines. */
const whole = 40;

/** Shell is a command to copy. */
export const Shell = ({ command }: { command: string }) => (
  <div class="shell">
    <code tabIndex={0} role="group" aria-label="Command">
      {command.split(" ").map((word, i) => [i > 0 && " ", word.length > whole ? word : <span key={i}>{word}</span>])}
    </code>
    <Copy text={command} />
  </div>
);
