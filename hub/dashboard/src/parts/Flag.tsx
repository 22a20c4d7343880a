import { flagOf, wordOf } from "../words";

/** Flag is a state as a shape. A word stands beside it, here or where it is used. */
export const Flag = ({ state }: { state: string }) => <i class={`fl ${flagOf(state)}`} />;

/** StateWord is a flag and its word. */
export const StateWord = ({ state, more }: { state: string; more?: string | undefined }) => (
  <span class={`st ${state === "Ready" ? "" : `t-${flagOf(state)}`}`}>
    <Flag state={state} />
    <span>
      {wordOf(state)}
      {more && <span class="dim">, {more}</span>}
    </span>
  </span>
);
