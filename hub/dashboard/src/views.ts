// Saved views: a view is a link, and its name is kept in this browser alone.

import { signal } from "@preact/signals";

export interface View {
  name: string;
  href: string;
}

const key = "yardarm-views";
/** How many are kept: a list that one can still read. */
const most = 50;

export const views = signal<View[]>(parse(localStorage.getItem(key)));

/** parse reads what is kept; what is none of ours counts as nothing, and a link leads to this hub only. */
export function parse(text: string | null): View[] {
  try {
    const all = JSON.parse(text ?? "[]") as unknown;
    return Array.isArray(all) ? all.filter(isView).slice(0, most) : [];
  } catch {
    return [];
  }
}

function isView(v: unknown): v is View {
  const { name, href } = (v ?? {}) as Partial<View>;
  return typeof name === "string" && typeof href === "string" && /^\/(?![/\\])/.test(href);
}

/** saveView keeps a link under a name; one of that name is replaced. */
export const saveView = (name: string, href: string) => keep([{ name, href }, ...views.value.filter((v) => v.name !== name)].slice(0, most));

export const forgetView = (name: string) => keep(views.value.filter((v) => v.name !== name));

function keep(next: View[]) {
  views.value = next;
  localStorage.setItem(key, JSON.stringify(next));
}
