// SPDX-License-Identifier: Apache-2.0
// Keys of the whole program; pages add theirs with `keys`.
import { signal } from "@preact/signals";
import type { Key } from "../i18n/i18n";
import { prefs } from "./prefs";
import { go } from "./router";

export const overlay = signal<"" | "palette" | "help">("");

/** What the help shows, and the only list of keys there is. */
export const keyList: { keys: string[]; text: Key }[] = [
  { keys: ["Ctrl", "K"], text: "help.palette" },
  { keys: ["?"], text: "help.help" },
  { keys: ["/"], text: "help.focus" },
  { keys: ["["], text: "help.rail" },
  { keys: ["g", "q"], text: "help.go_query" },
  { keys: ["g", "t"], text: "help.go_targets" },
  { keys: ["g", "a"], text: "help.go_alerts" },
  { keys: ["g", "r"], text: "help.go_rules" },
  { keys: ["g", "s"], text: "help.go_status" },
  { keys: ["Enter"], text: "help.run" },
  { keys: ["Shift", "Enter"], text: "help.newline" },
  { keys: ["Ctrl", "Space"], text: "help.complete" },
  { keys: ["r"], text: "help.refresh" },
  { keys: ["T"], text: "help.table" },
  { keys: ["y"], text: "help.copy_link" },
];

/** Actions of the page in sight, by key. */
export const keys = new Map<string, () => void>();

const places: Record<string, string> = { q: "query", t: "targets", a: "alerts", r: "rules", s: "status", d: "service-discovery", c: "config", f: "flags" };
let afterG = 0;

function isTyping(e: KeyboardEvent): boolean {
  const el = e.target as HTMLElement;
  return el.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(el.tagName);
}

function onKey(e: KeyboardEvent): void {
  if ((e.ctrlKey || e.metaKey) && e.key.toLowerCase() === "k") {
    e.preventDefault();
    overlay.value = overlay.value === "palette" ? "" : "palette";
    return;
  }
  if (e.ctrlKey || e.metaKey || e.altKey || isTyping(e) || overlay.value) return;
  const went = afterG && performance.now() - afterG < 1500 ? places[e.key] : undefined;
  afterG = 0;
  if (went !== undefined) {
    go(went);
  } else if (e.key === "g") {
    afterG = performance.now();
    return;
  } else if (e.key === "?") {
    overlay.value = "help";
  } else if (e.key === "[") {
    prefs.rail.value = prefs.rail.value === "open" ? "folded" : "open";
  } else if (e.key === "/") {
    document.querySelector<HTMLElement>("main [data-search], main .cm-content, main textarea")?.focus();
  } else {
    const action = keys.get(e.key);
    if (!action) return;
    action();
  }
  e.preventDefault();
}

export function listen(): void {
  addEventListener("keydown", onKey);
}
