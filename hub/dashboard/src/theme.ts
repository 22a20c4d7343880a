// Light or dark: the system's setting, unless somebody has said otherwise here.

import { signal } from "@preact/signals";

const key = "yardarm-theme";
const system = matchMedia("(prefers-color-scheme: dark)");

/** Counts changes, for what is drawn and not styled. */
export const themeVersion = signal(0);

export function applyTheme() {
  const chosen = localStorage.getItem(key);
  if (chosen) document.documentElement.dataset.theme = chosen;
  system.addEventListener("change", () => themeVersion.value++);
}

export function toggleTheme() {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : system.matches;
  root.dataset.theme = dark ? "light" : "dark";
  localStorage.setItem(key, root.dataset.theme);
  themeVersion.value++;
}
