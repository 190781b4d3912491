// SPDX-License-Identifier: Apache-2.0
// Errors, warnings, infos and advice of a run, each with its place in the query.
import { Icon } from "../../app/icons";
import { offsetOf, positionOf } from "../../data/client";
import { t } from "../../i18n/i18n";
import s from "./query.module.css";
import type { Run } from "./run";

/** The line of the query that a message speaks of, with the token underlined. */
function Excerpt({ expr, message }: { expr: string; message: string }) {
  const at = positionOf(message);
  if (!at) return null;
  const from = offsetOf(expr, at);
  const begin = expr.lastIndexOf("\n", from - 1) + 1;
  const newline = expr.indexOf("\n", from);
  const end = newline < 0 ? expr.length : newline;
  const length = /^[\w:]+/.exec(expr.slice(from, end))?.[0].length ?? 1;
  return (
    <pre>{expr.slice(begin, from)}<span class="mark">{expr.slice(from, from + length) || " "}</span>{expr.slice(from + length, end)}</pre>
  );
}

function Note({ kind, icon, text, expr }: { kind: string; icon: "cross" | "warn" | "info"; text: string; expr: string }) {
  return (
    <div class={`note ${kind}`} role={kind === "crit" ? "alert" : "note"}>
      <Icon name={icon} />
      <div class="grow">
        {text}
        <Excerpt expr={expr} message={text} />
      </div>
    </div>
  );
}

export function Notes({ expr, run, apply }: { expr: string; run: Run; apply: (expr: string) => void }) {
  const { error, result, hints } = run;
  if (!error && !result?.warnings.length && !result?.infos.length && !hints.length) return null;
  const errorText = error && (error.kind === "unreachable" ? t("common.unreachable") : error.message);
  return (
    <div class={s["notes"]}>
      {error && <Note kind="crit" icon="cross" text={errorText ?? ""} expr={expr} />}
      {!error && result?.warnings.map((w) => <Note key={w} kind="warn" icon="warn" text={w} expr={expr} />)}
      {!error && result?.infos.map((i) => <Note key={i} kind="" icon="info" text={i} expr={expr} />)}
      {!error && hints.map((h) => (
        <div key={h.kind + h.name} class="note">
          <Icon name="info" />
          <div class="row">
            <span>{h.kind === "unknown" ? t("hint.unknown", { name: h.name }) : t("hint.counter", { name: h.name })}</span>
            {h.kind === "counter" && <button class="btn mono" onClick={() => apply(h.fix)}>{h.fix}</button>}
            {h.kind === "unknown" && h.near.length > 0 && <span>{t("hint.meant")}</span>}
            {h.kind === "unknown" && h.near.map((n) => <button key={n} class="btn mono" onClick={() => apply(expr.replaceAll(h.name, n))}>{n}</button>)}
          </div>
        </div>
      ))}
    </div>
  );
}
