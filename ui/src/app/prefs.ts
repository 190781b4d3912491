// SPDX-License-Identifier: Apache-2.0
// What a person chose, kept in this browser.
import { effect, signal, type Signal } from "@preact/signals";

export function stored<T>(name: string, initial: T): Signal<T> {
  const key = `vigie.${name}`;
  let value = initial;
  try {
    const text = localStorage.getItem(key);
    if (text !== null) value = JSON.parse(text) as T;
  } catch {
    // No storage, or something else's value: the initial one serves.
  }
  const s = signal(value);
  let first = true;
  effect(() => {
    const text = JSON.stringify(s.value);
    if (!first) {
      try {
        localStorage.setItem(key, text);
      } catch {
        // Full or forbidden: the choice lasts as long as the page.
      }
    }
    first = false;
  });
  return s;
}

export const prefs = {
  theme: stored<"auto" | "light" | "dark">("theme", "auto"),
  lang: stored<"auto" | "en" | "fr">("lang", "auto"),
  zone: stored<"local" | "utc">("zone", "local"),
  density: stored<"compact" | "comfortable">("density", "compact"),
  rail: stored<"open" | "folded">("rail", "open"),
};

const wantsDark = matchMedia("(prefers-color-scheme: dark)");
const systemDark = signal(wantsDark.matches);
wantsDark.addEventListener("change", () => (systemDark.value = wantsDark.matches));

/** Follows the choices on <html>; `dark` tells charts which palette is on. */
export const dark = signal(false);
effect(() => {
  const theme = prefs.theme.value === "auto" ? (systemDark.value ? "dark" : "light") : prefs.theme.value;
  document.documentElement.dataset["theme"] = theme;
  document.documentElement.dataset["density"] = prefs.density.value;
  dark.value = theme === "dark";
});
