// SPDX-License-Identifier: Apache-2.0
// The PromQL editor: CodeMirror with highlighting, completion from the server and checks while typing.
// A lazy chunk: QueryInput shows a plain text area until it is here.
import { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap, completionStatus, acceptCompletion, selectedCompletion,
  type CompletionContext, type CompletionResult } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, insertNewlineAndIndent } from "@codemirror/commands";
import { bracketMatching, HighlightStyle, indentOnInput, syntaxHighlighting } from "@codemirror/language";
import { lintKeymap, setDiagnostics, type Diagnostic } from "@codemirror/lint";
import { EditorState, Prec, Transaction } from "@codemirror/state";
import { EditorView, keymap, placeholder, tooltips } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { PromQLExtension } from "@prometheus-io/codemirror-promql";

const colors = HighlightStyle.define([
  { tag: [tags.name, tags.variableName], color: "var(--q-name)" },
  { tag: tags.number, color: "var(--q-num)" },
  { tag: tags.string, color: "var(--q-str)" },
  { tag: [tags.keyword, tags.modifier, tags.operatorKeyword], color: "var(--q-key)" },
  { tag: tags.function(tags.variableName), color: "var(--q-fn)" },
  { tag: [tags.labelName, tags.propertyName], color: "var(--text-2)" },
  { tag: [tags.operator, tags.arithmeticOperator, tags.logicOperator], color: "var(--text)" },
  { tag: tags.comment, color: "var(--text-2)", fontStyle: "italic" },
]);

const look = EditorView.theme({
  "&": { backgroundColor: "transparent", color: "var(--text)", fontSize: "13px" },
  "&.cm-focused": { outline: "none" },
  ".cm-scroller": { fontFamily: "var(--mono)", lineHeight: "20px" },
  ".cm-content": { padding: "6px 0", caretColor: "var(--text)" },
  ".cm-line": { padding: "0 8px" },
  ".cm-cursor": { borderLeftColor: "var(--text)" },
  ".cm-placeholder": { color: "var(--text-2)", fontFamily: "var(--sans)" },
  ".cm-matchingBracket": { backgroundColor: "color-mix(in srgb, var(--accent) 22%, transparent)", outline: "none" },
  ".cm-tooltip": { border: "1px solid var(--line)", borderRadius: "6px", backgroundColor: "var(--surface)", color: "var(--text)", boxShadow: "var(--shadow)", overflow: "hidden" },
  ".cm-tooltip.cm-tooltip-autocomplete > ul": { fontFamily: "var(--mono)", fontSize: "12px", maxHeight: "320px", minWidth: "min(280px, 90vw)" },
  ".cm-tooltip.cm-tooltip-autocomplete > ul > li": { padding: "2px 8px", display: "flex", gap: "8px" },
  ".cm-tooltip-autocomplete ul li[aria-selected]": { backgroundColor: "var(--accent)", color: "var(--on-accent)" },
  ".cm-completionIcon": { display: "none" },
  ".cm-completionDetail": { marginLeft: "auto", fontStyle: "normal", opacity: ".75", fontSize: "11px" },
  ".cm-completionMatchedText": { textDecoration: "none", fontWeight: "650" },
  ".cm-tooltip.cm-completionInfo": { padding: "8px 10px", maxWidth: "360px", fontFamily: "var(--sans)", whiteSpace: "pre-wrap" },
  ".cm-diagnostic": { padding: "6px 10px", fontFamily: "var(--sans)", borderLeft: "3px solid var(--crit)" },
  ".cm-diagnostic-warning": { borderLeftColor: "var(--warn)" },
});

export interface EditorOptions {
  parent: HTMLElement;
  text: string;
  base: string; // path of the server's root, without a slash at its end
  label: string;
  hint: string;
  past: () => string[];
  change: (text: string) => void;
  run: () => void;
}

export interface Mark {
  from: number;
  to: number;
  text: string;
  severity: "error" | "warning" | "info";
}

export interface Editor {
  set: (text: string) => void;
  insert: (text: string) => void;
  focus: () => void;
  mark: (marks: Mark[]) => void;
  destroy: () => void;
}

/** Past queries, offered while the editor is empty. */
function pastSource(past: () => string[]) {
  return (c: CompletionContext): CompletionResult | null => {
    if (c.state.doc.length > 0 || !c.explicit) return null;
    return { from: 0, options: past().slice(0, 50).map((label) => ({ label, type: "text", detail: "↶" })) };
  };
}

export function makeEditor(o: EditorOptions): Editor {
  const promql = new PromQLExtension().setComplete({ remote: { url: o.base, cache: { maxAge: 120_000 } }, maxMetricsMetadata: 20_000 });
  const run = (view: EditorView) => {
    // A list in sight takes the key, even while another source is still asked, and in its first milliseconds.
    if (selectedCompletion(view.state)) {
      acceptCompletion(view);
      return true;
    }
    o.run();
    return true;
  };
  const view = new EditorView({
    parent: o.parent,
    state: EditorState.create({
      doc: o.text,
      extensions: [
        Prec.highest(keymap.of([
          { key: "Enter", run },
          { key: "Mod-Enter", run: () => (o.run(), true) },
          { key: "Shift-Enter", run: insertNewlineAndIndent },
          { key: "Escape", run: (v) => (completionStatus(v.state) === null ? (v.contentDOM.blur(), true) : false) },
        ])),
        keymap.of([...closeBracketsKeymap, ...completionKeymap, ...historyKeymap, ...lintKeymap, ...defaultKeymap]),
        history(), indentOnInput(), bracketMatching(), closeBrackets(),
        autocompletion({ icons: false }),
        EditorState.languageData.of(() => [{ autocomplete: pastSource(o.past) }]),
        promql.asExtension(),
        syntaxHighlighting(colors), look, EditorView.lineWrapping, placeholder(o.hint),
        tooltips({ parent: document.body }),
        EditorView.contentAttributes.of({ "aria-label": o.label, spellcheck: "false", autocapitalize: "off" }),
        EditorView.updateListener.of((u) => u.docChanged && o.change(u.state.doc.toString())),
      ],
    }),
  });
  return {
    set(text) {
      if (text === view.state.doc.toString()) return;
      view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: text }, selection: { anchor: text.length }, annotations: Transaction.addToHistory.of(true) });
    },
    insert(text) {
      view.dispatch(view.state.replaceSelection(text));
      view.focus();
    },
    focus: () => view.focus(),
    mark(marks) {
      const n = view.state.doc.length;
      const all = marks.map((m): Diagnostic => ({ from: Math.min(m.from, n), to: Math.min(Math.max(m.to, m.from + 1), n), severity: m.severity, message: m.text }));
      view.dispatch(setDiagnostics(view.state, all));
    },
    destroy() {
      promql.destroy();
      view.destroy();
    },
  };
}
