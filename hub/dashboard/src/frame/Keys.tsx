import { Dialog } from "./Dialog";
import { helping, places } from "./keys";

const keys: [string, string][] = [
  ["/", "filter"],
  ["Ctrl K", "jump to a cluster, a bundle or a page"],
  ...Object.entries(places).map(([key, [, title]]): [string, string] => [`g ${key}`, title]),
  ["j k", "move in a list"],
  ["Enter", "open what is chosen"],
  ["arrows", "move in the map; Home and End, too"],
  ["a p o", "approve, pause, promote a rollout"],
  ["x r u", "override its gates, retry, undo it"],
  ["y", "copy the command at the foot"],
  ["?", "this list"],
  ["Esc", "close what has opened"],
];

/** Keys lists all keys. */
export const Keys = () => (
  <Dialog open={helping} label="Keys">
    <h2>Keys</h2>
    <dl class="keylist">
      {keys.map(([key, what]) => (
        <div key={key}>
          <dt>
            <kbd>{key}</kbd>
          </dt>
          <dd>{what}</dd>
        </div>
      ))}
    </dl>
    <button class="btn" onClick={() => (helping.value = false)}>
      Close
    </button>
  </Dialog>
);
