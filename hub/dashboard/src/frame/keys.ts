// Keys that work on every page. Those of lists are in parts/Rows.tsx.

import { signal } from "@preact/signals";
import { go } from "../location";

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
let went = -Infinity;

export function listenKeys() {
  addEventListener("keydown", (e) => {
    if (e.key === "k" && (e.ctrlKey || e.metaKey)) {
      e.preventDefault();
      helping.value = false;
      jumping.value = true;
      return;
    }
    if (!ours(e)) return;
    const second = places[e.key];
    if (second && e.timeStamp - went < patience) {
      went = -Infinity;
      return go(second[0]);
    }
    switch (e.key) {
      case "g":
        went = e.timeStamp;
        break;
      case "/": {
        e.preventDefault();
        const filter = document.getElementById("filter");
        if (filter) filter.focus();
        else jumping.value = true;
        break;
      }
      case "?":
        helping.value = true;
        break;
      default:
        // The buttons that show a key.
        document.querySelector<HTMLElement>(`[data-key="${CSS.escape(e.key)}"]`)?.click();
    }
  });
}

/** ours tells whether a key is the page's: it is for no field, no dialog, and not for the browser. */
export const ours = (e: KeyboardEvent): boolean => !(e.ctrlKey || e.metaKey || e.altKey || typing(e.target) || jumping.value || helping.value);

const typing = (target: EventTarget | null) =>
  target instanceof HTMLInputElement || target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement;
