// SPDX-License-Identifier: Apache-2.0
// Addresses to pages, over the History API and below <base>.
import { signal } from "@preact/signals";
import type { ComponentType } from "preact";
import type { Key } from "../i18n/i18n";

export interface Route {
  path: string;
  title: Key;
  /** More words under which the search finds the page. */
  words: string;
  /** The page, as its lazy chunk exports it. */
  load: () => Promise<{ default: ComponentType }>;
}

export const routes: Route[] = [
  { path: "query", title: "nav.graph", words: "query expression promql explore requête", load: () => import("../pages/query/query") },
  { path: "alerts", title: "nav.alerts", words: "firing pending alertes", load: () => import("../pages/alerts") },
  { path: "targets", title: "nav.targets", words: "scrape up down health cibles", load: () => import("../pages/targets") },
  { path: "rules", title: "nav.rules", words: "recording alerting groups règles", load: () => import("../pages/rules") },
  { path: "service-discovery", title: "nav.discovery", words: "sd labels dropped relabel découverte", load: () => import("../pages/discovery") },
  { path: "status", title: "nav.status", words: "runtime build version information", load: () => import("../pages/status") },
  { path: "tsdb-status", title: "nav.tsdb", words: "cardinality storage head cardinalité", load: () => import("../pages/tsdb") },
  { path: "flags", title: "nav.flags", words: "command line options", load: () => import("../pages/flags") },
  { path: "config", title: "nav.config", words: "configuration yaml", load: () => import("../pages/config") },
];

const base = new URL(document.baseURI).pathname;

/** Addresses that Prometheus or older links use, and the page that answers them here. */
const elsewhere: Record<string, string> = { "": "query", graph: "query", explore: "query", "metrics-explorer": "query", agent: "targets", "alertmanager-discovery": "status" };

/** Path below the base, without slashes at its ends. */
function pathOf(url: { pathname: string }): string {
  const p = url.pathname.startsWith(base) ? url.pathname.slice(base.length) : url.pathname;
  const path = p.replace(/^\/+|\/+$/g, "");
  return elsewhere[path] ?? path;
}

export const place = signal({ path: pathOf(location), search: location.search });
const read = () => (place.value = { path: pathOf(location), search: location.search });
addEventListener("popstate", read);

export function href(path: string): string {
  return base + path;
}

/** Goes to PATH?SEARCH below the base. `replace` leaves no step to come back to. */
export function go(to: string, replace = false): void {
  const url = href(to);
  if (url === location.pathname + location.search) return;
  history[replace ? "replaceState" : "pushState"](null, "", url);
  const before = place.value.path;
  read();
  if (place.value.path !== before) scrollTo(0, 0);
}

/** Plain clicks on links to our pages stay in this document. */
document.addEventListener("click", (e) => {
  const a = (e.target as Element).closest?.("a[href]") as HTMLAnchorElement | null;
  if (!a || e.defaultPrevented || e.button !== 0 || e.metaKey || e.ctrlKey || e.shiftKey || e.altKey) return;
  if (a.target || a.origin !== location.origin || a.hasAttribute("download")) return;
  if (!a.pathname.startsWith(base) || !routes.some((r) => r.path === pathOf(a))) return;
  if (a.hash && a.pathname === location.pathname) return;
  e.preventDefault();
  go(a.pathname.slice(base.length) + a.search);
});
