// SPDX-License-Identifier: Apache-2.0
// The configuration as loaded; secrets are masked by the server.
import { Icon } from "../app/icons";
import { copy } from "../app/toast";
import { Shown } from "../components/parts";
import { call } from "../data/client";
import { useLoad } from "../data/load";
import { t } from "../i18n/i18n";
import s from "./config.module.css";

const COLOURED_MAX = 5000; // lines; longer files are shown plain

function Value({ text }: { text: string }) {
  const kind = /^\s*#/.test(text) ? s["rem"] : /^\s*(["'|>]|$)/.test(text) ? s["str"] : /^\s*(-?[\d.]+(ms|[smhdwy]|[KMGT]?i?B)?|true|false|null|~)\s*$/.test(text) ? s["num"] : s["str"];
  return <span class={kind}>{text}</span>;
}

function Line({ text }: { text: string }) {
  const m = /^(\s*(?:- )*)([\w.$\-"'/]+)(:)(\s.*|)$/.exec(text);
  if (m) return <span class={s["line"]}>{m[1]}<span class={s["key"]}>{m[2]}</span>{m[3]}<Value text={m[4]!} />{"\n"}</span>;
  return <span class={s["line"]}><Value text={text} />{"\n"}</span>;
}

export default function ConfigPage() {
  const loaded = useLoad(async (signal) => (await call<{ yaml: string }>("status/config", {}, { signal })).data.yaml, []);
  return (
    <div class="stack">
      <Shown of={loaded}>
        {(yaml) => {
          const lines = yaml.replace(/\n$/, "").split("\n");
          if (!yaml.trim()) return <div class="card empty"><b>{t("config.none")}</b></div>;
          return (
            <section class="card">
              <header>
                <span class="grow muted">{t("config.about")}</span>
                <button class="btn no-print" onClick={() => copy(yaml)}><Icon name="copy" size={14} />{t("common.copy")}</button>
              </header>
              <pre class={s["code"]} tabIndex={0}>{lines.length > COLOURED_MAX ? yaml : lines.map((l, i) => <Line key={i} text={l} />)}</pre>
            </section>
          );
        }}
      </Shown>
    </div>
  );
}
