// SPDX-License-Identifier: Apache-2.0
// The expression browser: panels, each with a query, in the address and in the order of the address.
import { useEffect, useRef, useState } from "preact/hooks";
import { Icon } from "../../app/icons";
import { stored } from "../../app/prefs";
import { go, place } from "../../app/router";
import { keys } from "../../app/shortcuts";
import { copy } from "../../app/toast";
import { t } from "../../i18n/i18n";
import { PanelView } from "./panel";
import s from "./query.module.css";
import { decodePanels, encodePanels, newPanel, type Panel } from "./state";

const refresh = stored<number>("query.refresh", 0);
const EVERY: [number, string][] = [[5, "5s"], [10, "10s"], [30, "30s"], [60, "1m"], [300, "5m"]];

/** The address's panels as state; own writes do not make new panels. */
function usePanels(): [Panel[], (panels: Panel[], replace?: boolean) => void] {
  const search = place.value.search;
  const written = useRef<string>();
  const [panels, setPanels] = useState<Panel[]>(() => orOne(decodePanels(search)));
  useEffect(() => {
    if (search === written.current) return;
    written.current = search;
    setPanels(orOne(decodePanels(search)));
  }, [search]);
  const write = (next: Panel[], replace = false) => {
    written.current = `?${encodePanels(next)}`;
    setPanels(next);
    go(`query${written.current}`, replace);
  };
  return [panels, write];
}

const orOne = (panels: Panel[]) => (panels.length ? panels : [newPanel()]);

export default function QueryPage() {
  const [panels, write] = usePanels();
  const [tick, setTick] = useState(0);
  const again = () => setTick((n) => n + 1);

  useEffect(() => {
    if (!refresh.value) return;
    const timer = setInterval(() => document.hidden || again(), refresh.value * 1000);
    return () => clearInterval(timer);
  }, [refresh.value]);

  useEffect(() => {
    keys.set("r", again);
    keys.set("y", () => void copy(location.href));
    keys.set("T", () => write(panels.map((p) => ({ ...p, tab: p.tab === "table" ? "graph" : "table" }))));
    return () => ["r", "y", "T"].forEach((k) => keys.delete(k));
  });

  const change = (id: number, over: Partial<Panel>, replace = false) => write(panels.map((p) => (p.id === id ? { ...p, ...over } : p)), replace);
  const add = (like?: Panel) => {
    const base = like ?? panels[panels.length - 1];
    const at = like ? panels.indexOf(like) + 1 : panels.length;
    const one = newPanel({ ...base, expr: like?.expr ?? "" });
    write([...panels.slice(0, at), one, ...panels.slice(at)]);
  };

  return (
    <div class={s["page"]}>
      {panels.map((p, i) => (
        <PanelView key={p.id} panel={p} tick={tick} first={i === 0} only={panels.length === 1}
          change={(over, replace) => change(p.id, over, replace)}
          copyOf={() => add(p)}
          remove={() => write(panels.length > 1 ? panels.filter((x) => x.id !== p.id) : [newPanel()])} />
      ))}
      <div class={`${s["toolbar"]} no-print`}>
        <button class="btn" onClick={() => add()}><Icon name="plus" />{t("query.add")}</button>
        <button class="btn ghost" onClick={() => copy(location.href)}><Icon name="link" />{t("query.copy_link")}</button>
        <span class="grow" />
        <button class="btn ghost" onClick={again}><Icon name="refresh" />{t("common.refresh")}</button>
        <label class="field">
          {t("query.every")}
          <select class="select" value={refresh.value} onChange={(e) => (refresh.value = Number(e.currentTarget.value))}>
            <option value={0}>{t("query.off")}</option>
            {EVERY.map(([n, text]) => <option key={n} value={n}>{text}</option>)}
          </select>
        </label>
      </div>
    </div>
  );
}
