// SPDX-License-Identifier: Apache-2.0
// Ctrl-K: pages, settings, metrics and past queries in one search; and the list of keys.
import { Fragment } from "preact";
import { Dialog } from "../components/dialog";
import { PickDialog } from "../components/picklist";
import { call } from "../data/client";
import { useLoad } from "../data/load";
import { t } from "../i18n/i18n";
import { queryHistory } from "./history";
import { Icon, type IconName } from "./icons";
import { prefs } from "./prefs";
import { go, routes } from "./router";
import s from "./shell.module.css";
import { keyList, overlay } from "./shortcuts";

interface Command {
  text: string;
  words: string;
  kind: string;
  icon: IconName;
  mono?: boolean;
  run: () => void;
}

const queryUrl = (expr: string) => `query?${new URLSearchParams({ "g0.expr": expr, "g0.tab": "graph" })}`;

function commands(metrics: string[]): Command[] {
  const pages = routes.map((r): Command => ({ text: t(r.title), words: r.words, kind: t("palette.page"), icon: "right", run: () => go(r.path) }));
  const set = (text: string, words: string, run: () => void): Command => ({ text, words, kind: t("palette.setting"), icon: "gear", run });
  const settings = [
    set(t("palette.dark"), "dark theme sombre", () => (prefs.theme.value = "dark")),
    set(t("palette.light"), "light theme clair", () => (prefs.theme.value = "light")),
    set(t("palette.zone"), "utc time zone fuseau", () => (prefs.zone.value = prefs.zone.value === "utc" ? "local" : "utc")),
    set("English", "english language langue anglais", () => (prefs.lang.value = "en")),
    set("Français", "french language langue", () => (prefs.lang.value = "fr")),
    set(t("palette.density"), "compact comfortable density", () => (prefs.density.value = prefs.density.value === "compact" ? "comfortable" : "compact")),
  ];
  const past = queryHistory.value.slice(0, 20).map((q): Command => ({ text: q, words: "", kind: t("palette.past"), icon: "clock", mono: true, run: () => go(queryUrl(q)) }));
  const names = metrics.map((m): Command => ({ text: m, words: "", kind: t("palette.metric"), icon: "graph", mono: true, run: () => go(queryUrl(m)) }));
  return [...pages, ...past, ...settings, ...names];
}

export function Palette() {
  const names = useLoad(async (signal) => (await call<string[]>("label/__name__/values", { limit: 20000 }, { signal })).data, []);
  return (
    <PickDialog label={t("palette.title")} items={commands(names.data ?? [])} text={(c) => `${c.text} ${c.words}`} close={() => (overlay.value = "")} pick={(c) => c.run()}
      show={(c) => (
        <>
          <span class="muted"><Icon name={c.icon} size={14} /></span>
          <span class={`grow breaks ${c.mono ? "mono" : ""}`}>{c.text}</span>
          <span class="meta">{c.kind}</span>
        </>
      )} />
  );
}

export function Help() {
  return (
    <Dialog label={t("help.title")} close={() => (overlay.value = "")}>
      <dl class={`body ${s["keys"]}`}>
        {keyList.map((k) => (
          <Fragment key={k.text}>
            <dt>{k.keys.map((x, i) => <span key={i}> <span class="kbd">{x}</span></span>)}</dt>
            <dd>{t(k.text)}</dd>
          </Fragment>
        ))}
        <dt><span class="kbd">{t("key.drag")}</span></dt>
        <dd>{t("help.drag")}</dd>
        <dt><span class="kbd">{t("key.shift_drag")}</span></dt>
        <dd>{t("help.shift_drag")}</dd>
        <dt><span class="kbd">{t("key.wheel")}</span></dt>
        <dd>{t("help.wheel")}</dd>
        <dt><span class="kbd">{t("key.double")}</span></dt>
        <dd>{t("help.double")}</dd>
        <dt><span class="kbd">{t("key.ctrl_click")}</span></dt>
        <dd>{t("help.ctrl_click")}</dd>
      </dl>
    </Dialog>
  );
}
