// The whole state of a page is its URL, so that each view is a link.

import { signal } from "@preact/signals";

export interface Place {
  path: string;
  search: URLSearchParams;
}

const read = (): Place => ({ path: location.pathname, search: new URLSearchParams(location.search) });

export const place = signal(read());

/** go shows another page. */
export function go(href: string) {
  history.pushState(null, "", href);
  place.value = read();
  scrollTo(0, 0);
}

/** replace shows another page, or the same by another URL, in the place of this one in the browser's history. */
export function replace(href: string) {
  history.replaceState(null, "", location.origin + href);
  place.value = read();
}

/** setParam changes one parameter of the page's URL; empty takes it away. Typing makes no history. */
export function setParam(name: string, value: string, replace = false) {
  const href = withParam(name, value);
  if (replace) history.replaceState(null, "", href);
  else history.pushState(null, "", href);
  place.value = read();
}

/** withParam is the page's URL with another value of a parameter. */
export function withParam(name: string, value: string): string {
  const search = new URLSearchParams(place.value.search);
  if (value) search.set(name, value);
  else search.delete(name);
  const text = search.toString();
  return place.value.path + (text ? `?${text}` : "");
}

export const param = (name: string): string => place.value.search.get(name) ?? "";

/** listen follows the browser's buttons, and takes links of this origin. */
export function listen() {
  addEventListener("popstate", () => (place.value = read()));
  addEventListener("click", (e) => {
    const link = e.target instanceof Element ? e.target.closest("a") : null;
    if (!link || e.defaultPrevented || e.button !== 0 || e.metaKey || e.ctrlKey || e.shiftKey || link.target) return;
    if (link.origin !== location.origin || link.pathname.startsWith("/v1/") || link.hash) return;
    e.preventDefault();
    go(link.pathname + link.search);
  });
}
