// SPDX-License-Identifier: Apache-2.0
// Texts by key. English is in the shell; other languages come when asked for.
import { computed, signal } from "@preact/signals";
import { prefs } from "../app/prefs";
import en from "./en.json";

export type Key = keyof typeof en;
type Stem<K> = K extends `${infer S}_other` ? S : never;
export type PluralKey = Stem<Key>;
export type Lang = "en" | "fr";
type Vars = Record<string, string | number>;

const texts = signal<Record<string, string>>(en);

export const lang = computed<Lang>(() => {
  const asked = prefs.lang.value === "auto" ? navigator.language : prefs.lang.value;
  return asked.toLowerCase().startsWith("fr") ? "fr" : "en";
});

/** Fetches the texts of the chosen language. The page stays in English when that fails. */
export async function loadTexts(): Promise<void> {
  const wanted = lang.value;
  const loaded: Record<string, string> = wanted === "fr" ? (await import("./fr.json")).default : en;
  if (lang.value === wanted) texts.value = loaded;
  document.documentElement.lang = wanted;
}

const fill = (text: string, vars: Vars) => text.replace(/\{(\w+)\}/g, (_, k: string) => String(vars[k] ?? ""));

export function t(key: Key, vars: Vars = {}): string {
  return fill(texts.value[key] ?? en[key], vars);
}

/** The text of a count: {n} is the number, written in the language's way. */
export function tn(key: PluralKey, n: number, vars: Vars = {}): string {
  const form = new Intl.PluralRules(lang.value).select(n);
  const text = texts.value[`${key}_${form}`] ?? texts.value[`${key}_other`] ?? en[`${key}_other` as Key];
  return fill(text, { n: count(n), ...vars });
}

export function count(n: number): string {
  return new Intl.NumberFormat(lang.value).format(n);
}

/** "12 seconds ago", "in 3 minutes". */
export function ago(ms: number, now: number): string {
  if (!Number.isFinite(ms) || ms <= 0) return t("common.never");
  const s = (ms - now) / 1000;
  const f = new Intl.RelativeTimeFormat(lang.value, { numeric: "always", style: "narrow" });
  const a = Math.abs(s);
  if (a < 60) return f.format(Math.round(s), "second");
  if (a < 3600) return f.format(Math.round(s / 60), "minute");
  if (a < 86400 * 2) return f.format(Math.round(s / 3600), "hour");
  return f.format(Math.round(s / 86400), "day");
}
