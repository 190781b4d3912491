// SPDX-License-Identifier: Apache-2.0
// Small pieces that pages share.
import type { ComponentChildren } from "preact";
import { Icon, type IconName } from "../app/icons";
import { prefs } from "../app/prefs";
import { copy } from "../app/toast";
import type { ApiError } from "../data/client";
import type { Loaded } from "../data/load";
import { ago, t } from "../i18n/i18n";
import { formatInstant } from "../time/time";

export type State = "ok" | "warn" | "crit" | "info" | "";
const icons: Record<State, IconName> = { ok: "check", warn: "warn", crit: "cross", info: "info", "": "info" };

/** A state is always icon, word and colour. */
export function Badge({ state, children }: { state: State; children: ComponentChildren }) {
  return <span class={`badge ${state}`}><Icon name={icons[state]} size={12} />{children}</span>;
}

export function CopyButton({ text, label }: { text: string; label?: string }) {
  const name = label ?? t("common.copy");
  return <button class="btn ghost icon no-print" style={{ minHeight: "20px", width: "22px" }} title={name} aria-label={name} onClick={() => copy(text)}><Icon name="copy" size={13} /></button>;
}

/** A moment: how long ago, with the exact instant on hover. */
export function When({ at }: { at: string | number | undefined }) {
  const ms = typeof at === "number" ? at : Date.parse(at ?? "");
  return <time class="nowrap" dateTime={Number.isFinite(ms) && ms > 0 ? new Date(ms).toISOString() : undefined} title={ms > 0 ? formatInstant(ms, prefs.zone.value === "utc") : undefined}>{ago(ms, Date.now())}</time>;
}

export function Failed({ error, retry }: { error: ApiError; retry?: () => void }) {
  return (
    <div class="note crit" role="alert">
      <Icon name="cross" />
      <div class="grow">{error.kind === "unreachable" ? t("common.unreachable") : error.message} <span class="meta">{error.status ? `${error.kind}` : ""}</span></div>
      {retry && <button class="btn" onClick={retry}>{t("common.retry")}</button>}
    </div>
  );
}

/** What a page shows of a load: a late "loading", the error, and the data while there is any. */
export function Shown<T>({ of, children }: { of: Loaded<T>; children: (data: T) => ComponentChildren }) {
  return (
    <>
      {of.error && <Failed error={of.error} retry={of.reload} />}
      {of.data !== undefined ? children(of.data) : !of.error && <div class="wait">{t("common.loading")}</div>}
    </>
  );
}

export function SearchBox({ value, set, label }: { value: string; set: (s: string) => void; label: string }) {
  return (
    <input class="input" type="search" data-search style={{ width: "min(320px, 100%)", flex: "0 1 320px" }} value={value} placeholder={label} aria-label={label} spellcheck={false}
      onInput={(e) => set(e.currentTarget.value)} />
  );
}

export function KeyValues({ rows, caption }: { rows: [ComponentChildren, ComponentChildren][]; caption: string }) {
  return (
    <table class="kv">
      <caption class="sr">{caption}</caption>
      <tbody>{rows.map(([k, v], i) => <tr key={i}><th scope="row">{k}</th><td>{v}</td></tr>)}</tbody>
    </table>
  );
}
