// SPDX-License-Identifier: Apache-2.0
// The frame of every page: rail, top bar, search, help, messages.
import { signal } from "@preact/signals";
import { Component, type ComponentChildren, type ComponentType } from "preact";
import { useEffect, useErrorBoundary, useRef, useState } from "preact/hooks";
import { lang, t } from "../i18n/i18n";
import { Icon } from "./icons";
import { Help, Palette } from "./palette";
import { prefs } from "./prefs";
import { Rail } from "./rail";
import { go, place, routes } from "./router";
import s from "./shell.module.css";
import { listen, overlay } from "./shortcuts";
import { toasts } from "./toast";

const pages = new Map<string, ComponentType>();
const ready = signal(0);

/** Loads the page of a path once; `ready` counts the arrivals. */
async function loadPage(path: string): Promise<void> {
  const route = routes.find((r) => r.path === path);
  if (!route || pages.has(path)) return;
  pages.set(path, (await route.load()).default);
  ready.value++;
}

export function preload(path: string): void {
  void loadPage(path).catch(() => undefined);
}

function Page() {
  const { path } = place.value;
  const route = routes.find((r) => r.path === path);
  const [failed, setFailed] = useState<Error>();
  void ready.value;

  useEffect(() => {
    setFailed(undefined);
    loadPage(path).catch(setFailed);
    document.title = `${route ? t(route.title) : t("shell.lost")} · vigie`;
  }, [path, lang.value]);

  if (!route) {
    return (
      <div class="empty">
        <b>{t("shell.lost")}</b>
        <code>{path}</code>
        <a href={routes[0]!.path}>{t("nav.graph")}</a>
      </div>
    );
  }
  const View = pages.get(path);
  if (failed && !View) return <Broken error={failed} retry={() => location.reload()} />;
  if (!View) return <div class="wait">{t("common.loading")}</div>;
  return (
    <Guard key={path}>
      <View />
    </Guard>
  );
}

function Broken({ error, retry }: { error: Error; retry: () => void }) {
  return (
    <div class="note crit" role="alert">
      <Icon name="cross" />
      <div class="grow">
        <b>{t("shell.broken")}</b>
        <pre>{error.message}</pre>
      </div>
      <button class="btn" onClick={retry}>{t("common.retry")}</button>
    </div>
  );
}

/** One failing page breaks neither the rail nor the next page. */
function Guard({ children }: { children: ComponentChildren }) {
  const [error, reset] = useErrorBoundary();
  return error ? <Broken error={error as Error} retry={reset} /> : <>{children}</>;
}

function Choice<T extends string>({ label, value, options, set }: { label: string; value: T; options: [T, string][]; set: (v: T) => void }) {
  return (
    <label>
      <span>{label}</span>
      <select class="select" value={value} onChange={(e) => set(e.currentTarget.value as T)}>
        {options.map(([v, text]) => <option key={v} value={v}>{text}</option>)}
      </select>
    </label>
  );
}

function Settings({ close }: { close: () => void }) {
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const away = (e: Event) => box.current?.parentElement?.contains(e.target as Node) || close();
    const esc = (e: KeyboardEvent) => e.key === "Escape" && close();
    addEventListener("pointerdown", away);
    addEventListener("keydown", esc);
    return () => {
      removeEventListener("pointerdown", away);
      removeEventListener("keydown", esc);
    };
  }, []);
  const auto = t("settings.auto");
  return (
    <div class={`pop ${s["menu"]}`} ref={box} role="group" aria-label={t("settings.title")}>
      <Choice label={t("settings.theme")} value={prefs.theme.value} set={(v) => (prefs.theme.value = v)}
        options={[["auto", auto], ["light", t("settings.light")], ["dark", t("settings.dark")]]} />
      <Choice label={t("settings.language")} value={prefs.lang.value} set={(v) => (prefs.lang.value = v)}
        options={[["auto", auto], ["en", "English"], ["fr", "Français"]]} />
      <Choice label={t("settings.zone")} value={prefs.zone.value} set={(v) => (prefs.zone.value = v)}
        options={[["local", t("settings.local")], ["utc", "UTC"]]} />
      <Choice label={t("settings.density")} value={prefs.density.value} set={(v) => (prefs.density.value = v)}
        options={[["compact", t("settings.compact")], ["comfortable", t("settings.comfortable")]]} />
    </div>
  );
}

function TopBar() {
  const route = routes.find((r) => r.path === place.value.path);
  const [open, setOpen] = useState(false);
  return (
    <header class={s["top"]}>
      <h1>{route ? t(route.title) : t("shell.lost")}</h1>
      <button class={`btn ${s["find"]}`} onClick={() => (overlay.value = "palette")} aria-label={t("shell.search")}>
        <Icon name="search" />
        <span>{t("shell.search")}</span>
        <span class="kbd">{t("key.ctrl_k")}</span>
      </button>
      <button class="btn ghost icon" onClick={() => (overlay.value = "help")} title={t("help.title")} aria-label={t("help.title")}>
        <Icon name="help" />
      </button>
      <div>
        <button class="btn ghost icon" aria-expanded={open} onClick={() => setOpen(!open)} title={t("settings.title")} aria-label={t("settings.title")}>
          <Icon name="gear" />
        </button>
        {open && <Settings close={() => setOpen(false)} />}
      </div>
    </header>
  );
}

export class Shell extends Component {
  override componentDidMount() {
    listen();
    if (!routes.some((r) => r.path === place.value.path)) return;
    const { pathname } = location;
    if (/\/graph\/?$/.test(pathname) || pathname === new URL(document.baseURI).pathname) go(`query${location.search}`, true);
  }

  override render() {
    return (
      <div class={`${s["shell"]} ${prefs.rail.value === "folded" ? s["folded"] : ""}`}>
        <a class={`btn ${s["skip"]}`} href="#main" onClick={(e) => { e.preventDefault(); document.getElementById("main")?.focus(); }}>{t("shell.skip")}</a>
        <Rail preload={preload} />
        <div class={s["col"]}>
          <TopBar />
          <main class={s["main"]} id="main" tabIndex={-1}><Page /></main>
        </div>
        {overlay.value === "palette" && <Palette />}
        {overlay.value === "help" && <Help />}
        <div class={s["toasts"]} role="status" aria-live="polite">
          {toasts.value.map((m) => <div key={m.id} class={s["toast"]}>{m.text}</div>)}
        </div>
      </div>
    );
  }
}
