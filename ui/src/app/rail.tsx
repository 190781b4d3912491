// SPDX-License-Identifier: Apache-2.0
import { signal } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import { call } from "../data/client";
import type { QueryData } from "../data/prom";
import { t, tn } from "../i18n/i18n";
import { Icon, type IconName } from "./icons";
import { prefs } from "./prefs";
import { place, routes } from "./router";
import s from "./shell.module.css";

const icons: Record<string, IconName> = {
  query: "graph", alerts: "bell", targets: "target", rules: "rules", "service-discovery": "discovery",
  status: "info", "tsdb-status": "db", flags: "flag", config: "config",
};
const near = ["query", "alerts", "targets"]; // on the bottom bar of a phone
const COUNT_EVERY_MS = 30_000;

export const downTargets = signal(0);
export const firingAlerts = signal(0);

async function countOf(query: string): Promise<number> {
  const { data } = await call<QueryData>("query", { query });
  return data.resultType === "vector" ? Number(data.result[0]?.value?.[1] ?? 0) : 0;
}

/** Counters of the rail: two small queries, twice a minute, while the page is in sight. */
function useCounters() {
  useEffect(() => {
    const look = () => {
      if (document.hidden) return;
      countOf("count(up == 0)").then((n) => (downTargets.value = n), () => undefined);
      countOf('count(ALERTS{alertstate="firing"})').then((n) => (firingAlerts.value = n), () => undefined);
    };
    const first = setTimeout(look, 400);
    const timer = setInterval(look, COUNT_EVERY_MS);
    return () => {
      clearTimeout(first);
      clearInterval(timer);
    };
  }, []);
}

function Item({ path, preload, far }: { path: string; preload: (p: string) => void; far?: boolean }) {
  const route = routes.find((r) => r.path === path)!;
  const down = path === "targets" ? downTargets.value : 0;
  const firing = path === "alerts" ? firingAlerts.value : 0;
  const about = down ? tn("rail.down", down) : firing ? tn("rail.firing", firing) : undefined;
  return (
    <a class={`${s["item"]} ${far ? s["far"] : ""}`} href={path} aria-current={place.value.path === path ? "page" : undefined}
      title={prefs.rail.value === "folded" ? t(route.title) : undefined} onPointerEnter={() => preload(path)}>
      <Icon name={icons[path] ?? "info"} />
      <span class={s["label"]}>{t(route.title)}</span>
      {about && <span class={`badge crit ${s["count"]}`} title={about} aria-label={about}>{down || firing}</span>}
    </a>
  );
}

export function Rail({ preload }: { preload: (path: string) => void }) {
  const [more, setMore] = useState(false);
  useCounters();
  useEffect(() => setMore(false), [place.value.path]);
  const folded = prefs.rail.value === "folded";
  const far = routes.map((r) => r.path).filter((p) => !near.includes(p));
  return (
    <nav class={s["rail"]} aria-label={t("shell.nav")}>
      <a class={s["brand"]} href="query">
        <svg width="20" height="20" viewBox="0 0 32 32" aria-hidden="true">
          <rect width="32" height="32" rx="7" fill="var(--accent)" />
          <path d="M5 11l7 13 5-9 3 5 7-13" fill="none" stroke="var(--on-accent)" stroke-width="3" stroke-linecap="round" stroke-linejoin="round" />
        </svg>
        <span class={s["label"]}>vigie</span>
      </a>
      <Item path="query" preload={preload} />
      <Item path="alerts" preload={preload} />
      <div class={s["section"]}><span>{t("nav.section_status")}</span></div>
      <Item path="targets" preload={preload} />
      {far.map((p) => <Item key={p} path={p} preload={preload} far />)}
      <button class={s["more"]} aria-expanded={more} onClick={() => setMore(!more)}>
        <Icon name="menu" />
        <span class={s["label"]}>{t("nav.more")}</span>
      </button>
      {more && <div class={`pop ${s["sheet"]}`}>{far.map((p) => <Item key={p} path={p} preload={preload} />)}</div>}
      <button class={`${s["item"]} ${s["fold"]}`} aria-expanded={!folded} aria-label={t(folded ? "shell.unfold" : "shell.fold")}
        onClick={() => (prefs.rail.value = folded ? "open" : "folded")}>
        <Icon name={folded ? "right" : "left"} />
        <span class={s["label"]}>{t("shell.fold")}</span>
      </button>
    </nav>
  );
}
