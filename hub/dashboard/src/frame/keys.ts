// Keys that work on every page. Those of lists are in parts/Rows.tsx.

import { signal } from "@preact/signals";
import { go } from "../location";
import { command } from "../parts/command";

/** Whether the jump, or the list of keys, is open. */
export const jumping = signal(false);
export const helping = signal(false);

/** Where "g" and a letter go. */
export const places: Record<string, [href: string, title: string]> = {
  f: ["/", "Fleet"],
  c: ["/clusters", "Clusters"],
  b: ["/bundles", "Bundles"],
  r: ["/rollouts", "Rollouts"],
  p: ["/problems", "Problems"],
  d: ["/drift", "Drift"],
  a: ["/activity", "Activity"],
  e: ["/enrol", "Enrol"],
  x: ["/access", "Access"],
};

/** How long a letter is awaited after "g", in milliseconds. */
const patience = 1000;
let went = 0;

export function listenKeys() {
  addEventListener("keydown", (e) => {
    if (e.key === "k" && (e.ctrlKey || e.metaKey)) {
      e.preventDefault();
      jumping.value = true;
      return;
    }
    if (e.ctrlKey || e.metaKey || e.altKey || typing(e.target)) return;
    const second = places[e.key];
    if (second && e.timeStamp - went < patience) {
      went = 0;
      return go(second[0]);
    }
    switch (e.key) {
      case "g":
        went = e.timeStamp;
        break;
      case "/":
        e.preventDefault();
        (document.getElementById("filter") ?? document.querySelector<HTMLElement>(".jump"))?.focus();
        break;
      case "?":
        helping.value = true;
        break;
      case "y":
        void navigator.clipboard.writeText(command.value);
        break;
      default:
        // A page's own: the buttons that show a key.
        document.querySelector<HTMLElement>(`[data-key="${CSS.escape(e.key)}"]`)?.click();
    }
  });
}

const typing = (target: EventTarget | null) =>
  target instanceof HTMLInputElement || target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement;
