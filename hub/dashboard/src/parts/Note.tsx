import type { ComponentChildren } from "preact";
import type { Failure } from "../api/client";

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

/** Shell is a command to copy. */
export const Shell = ({ command }: { command: string }) => (
  <div class="shell" tabIndex={0} role="group" aria-label="Command">
    <code>{command}</code>
  </div>
);
