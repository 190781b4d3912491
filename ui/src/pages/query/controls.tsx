// SPDX-License-Identifier: Apache-2.0
// Range, end and resolution of a panel.
import { useEffect, useState } from "preact/hooks";
import { Icon } from "../../app/icons";
import { prefs } from "../../app/prefs";
import { t } from "../../i18n/i18n";
import { formatDuration, formatInstant, parseDuration, parseInstant } from "../../time/time";
import s from "./query.module.css";
import { stepOf, type Density, type Panel } from "./state";

interface Props {
  panel: Panel;
  change: (over: Partial<Panel>) => void;
}

const MIN = 60_000;
const RANGES = [MIN, 5 * MIN, 10 * MIN, 30 * MIN, 60 * MIN, 120 * MIN, 360 * MIN, 720 * MIN, 1440 * MIN, 2880 * MIN, 7 * 1440 * MIN, 14 * 1440 * MIN, 28 * 1440 * MIN, 56 * 1440 * MIN, 112 * 1440 * MIN, 182 * 1440 * MIN, 365 * 1440 * MIN];

/** A text field that is taken on Enter or when left, and marked while it cannot be read. */
function TextField({ label, text, read, set, cls, hint }: { label: string; text: string; read: (s: string) => boolean; set: (s: string) => void; cls: string | undefined; hint?: string }) {
  const [draft, setDraft] = useState(text);
  useEffect(() => setDraft(text), [text]);
  const bad = draft.trim() !== "" && !read(draft);
  const take = () => {
    if (bad) setDraft(text);
    else if (draft !== text) set(draft);
  };
  return (
    <input class={`input ${cls ?? ""}`} aria-label={label} title={label} value={draft} aria-invalid={bad} placeholder={hint} spellcheck={false} autocomplete="off"
      onInput={(e) => setDraft(e.currentTarget.value)} onBlur={take} onKeyDown={(e) => e.key === "Enter" && take()} />
  );
}

function EndField({ panel, change, label, jump_ms }: Props & { label: string; jump_ms: number }) {
  const utc = prefs.zone.value === "utc";
  const move = (by: number) => change({ end_ms: (panel.end_ms ?? Date.now()) + by });
  return (
    <span class="group">
      <button class="btn icon" aria-label={t("time.back")} title={t("time.back")} onClick={() => move(-jump_ms)}><Icon name="left" /></button>
      <TextField label={label} cls={s["end"]} hint={label} text={panel.end_ms === null ? "" : formatInstant(panel.end_ms, utc)}
        read={(x) => parseInstant(x, Date.now(), utc) !== undefined}
        set={(x) => change({ end_ms: x.trim() === "" || x.trim() === "now" ? null : parseInstant(x, Date.now(), utc)! })} />
      {panel.end_ms !== null && <button class="btn" onClick={() => change({ end_ms: null })}>{t("time.now")}</button>}
      <button class="btn icon" aria-label={t("time.forth")} title={t("time.forth")} onClick={() => move(jump_ms)}><Icon name="right" /></button>
    </span>
  );
}

export function TableControls({ panel, change }: Props) {
  return <div class={s["controls"]}><EndField panel={panel} change={change} label={t("time.evaluation")} jump_ms={600_000} /></div>;
}

function RangeField({ panel, change }: Props) {
  const smaller = RANGES.filter((r) => r < panel.range_ms).pop();
  const larger = RANGES.find((r) => r > panel.range_ms);
  return (
    <span class="group">
      <button class="btn icon" aria-label={t("time.shorter")} title={t("time.shorter")} disabled={!smaller} onClick={() => smaller && change({ range_ms: smaller })}>−</button>
      <TextField label={t("time.range")} cls={s["range"]} text={formatDuration(panel.range_ms)} read={(x) => (parseDuration(x) ?? 0) > 0}
        set={(x) => change({ range_ms: parseDuration(x) ?? panel.range_ms })} />
      <button class="btn icon" aria-label={t("time.longer")} title={t("time.longer")} disabled={!larger} onClick={() => larger && change({ range_ms: larger })}><Icon name="plus" size={14} /></button>
    </span>
  );
}

const FIXED = ["10s", "30s", "1m", "5m", "15m", "1h"];

function ResolutionField({ panel, change }: Props) {
  const r = panel.resolution;
  const value = r.type === "auto" ? r.density : r.type === "fixed" && FIXED.includes(formatDuration(r.step_ms)) ? formatDuration(r.step_ms) : "custom";
  const pick = (v: string) => {
    if (v === "low" || v === "medium" || v === "high") change({ resolution: { type: "auto", density: v as Density } });
    else if (v === "custom") change({ resolution: { type: "custom", step_ms: stepOf(panel) } });
    else change({ resolution: { type: "fixed", step_ms: parseDuration(v)! } });
  };
  return (
    <label class="field">
      {t("query.resolution")}
      <select class="select" value={value} onChange={(e) => pick(e.currentTarget.value)}>
        <optgroup label={t("query.res_auto")}>
          <option value="low">{t("query.res_low")}</option>
          <option value="medium">{t("query.res_medium")}</option>
          <option value="high">{t("query.res_high")}</option>
        </optgroup>
        <optgroup label={t("query.res_fixed")}>{FIXED.map((f) => <option key={f} value={f}>{f}</option>)}</optgroup>
        <option value="custom">{t("query.res_custom")}</option>
      </select>
      {value === "custom" && r.type !== "auto" && (
        <TextField label={t("query.res_custom")} cls={s["step"]} text={formatDuration(r.step_ms)} read={(x) => (parseDuration(x) ?? 0) > 0}
          set={(x) => change({ resolution: { type: "custom", step_ms: parseDuration(x) ?? r.step_ms } })} />
      )}
    </label>
  );
}

export function GraphControls({ panel, change }: Props) {
  const stacked = panel.display === "stacked";
  return (
    <div class={s["controls"]}>
      <RangeField panel={panel} change={change} />
      <EndField panel={panel} change={change} label={t("time.end")} jump_ms={panel.range_ms / 2} />
      <ResolutionField panel={panel} change={change} />
      <span class="group" role="group" aria-label={t("query.display")}>
        <button class="btn" aria-pressed={!stacked} onClick={() => change({ display: "lines" })}>{t("query.lines")}</button>
        <button class="btn" aria-pressed={stacked} onClick={() => change({ display: "stacked" })}>{t("query.stacked")}</button>
      </span>
      <button class="btn" aria-pressed={panel.min === 0} onClick={() => change({ min: panel.min === null ? 0 : null })}>{t("query.from_zero")}</button>
    </div>
  );
}
