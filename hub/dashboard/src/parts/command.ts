// The yardarm command that says what the page shows: the line at the foot of each screen.

import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";

export const command = signal("yardarm status");

/** useCommand says which command shows the same, and what the page is called. */
export function useCommand(text: string, title: string) {
  useEffect(() => {
    command.value = `yardarm ${text}`;
    document.title = `${title} · Yardarm`;
  }, [text, title]);
}

/** quote is a word as a shell takes it. */
export const quote = (word: string): string => (/^[\w.,:=/@%+-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`);

/** flags writes options of a command; those that are empty are left out. */
export const flags = (values: Record<string, string>): string =>
  Object.entries(values)
    .filter(([, value]) => value)
    .map(([name, value]) => ` --${name} ${quote(value)}`)
    .join("");
