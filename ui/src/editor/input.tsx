// SPDX-License-Identifier: Apache-2.0
import { useEffect, useRef, useState } from "preact/hooks";
import { queryHistory } from "../app/history";
import { t } from "../i18n/i18n";
import s from "./input.module.css";
import type { Editor, Mark } from "./promql";

/**
 * What others may do to the text. The editor is not told of `text` as it changes: while one types, an older
 * text would come back after a newer one was written.
 */
export interface QueryHandle {
  insert: (text: string) => void;
  set: (text: string) => void;
}

interface Props {
  text: string;
  change: (text: string) => void;
  run: () => void;
  marks: Mark[];
  autofocus: boolean;
  handle: { current: QueryHandle | null };
}

/** A query being written: a plain text area at once, the editor when its chunk has come. */
export function QueryInput(props: Props) {
  const host = useRef<HTMLDivElement>(null);
  const area = useRef<HTMLTextAreaElement>(null);
  const editor = useRef<Editor>();
  const latest = useRef(props);
  latest.current = props;
  const [rich, setRich] = useState(false);

  useEffect(() => {
    let gone = false;
    if (props.autofocus) area.current?.focus({ preventScroll: true });
    void import("./promql").then(({ makeEditor }) => {
      if (gone || !host.current) return;
      const focused = document.activeElement === area.current;
      editor.current = makeEditor({
        parent: host.current,
        text: latest.current.text,
        base: new URL(document.baseURI).pathname.replace(/\/$/, ""),
        label: t("query.expression"),
        hint: t("query.hint"),
        past: () => queryHistory.value,
        change: (text) => latest.current.change(text),
        run: () => latest.current.run(),
      });
      setRich(true);
      if (focused) editor.current.focus();
    }, () => undefined);
    return () => {
      gone = true;
      editor.current?.destroy();
      editor.current = undefined;
    };
  }, []);

  useEffect(() => editor.current?.mark(props.marks), [props.marks, rich]);
  props.handle.current = {
    set: (text) => editor.current?.set(text),
    insert: (text) => {
      if (editor.current) editor.current.insert(text);
      else props.change(props.text + text);
    },
  };

  return (
    <div class={s["box"]} ref={host}>
      {!rich && (
        <textarea ref={area} class={s["area"]} rows={1} value={props.text} spellcheck={false} autocapitalize="off" aria-label={t("query.expression")} placeholder={t("query.hint")}
          onInput={(e) => props.change(e.currentTarget.value)}
          onKeyDown={(e) => {
            if (e.key !== "Enter" || e.shiftKey) return;
            e.preventDefault();
            props.run();
          }} />
      )}
    </div>
  );
}
