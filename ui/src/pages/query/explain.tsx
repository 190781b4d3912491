// SPDX-License-Identifier: Apache-2.0
// The query as the server understood it: its tree, each part with the number of series it has now.
import { useLoad } from "../../data/load";
import { ApiError, call } from "../../data/client";
import { t, tn } from "../../i18n/i18n";
import { formatDuration } from "../../time/time";
import s from "./query.module.css";

interface Node {
  type: string;
  expr?: Node;
  args?: Node[];
  lhs?: Node;
  rhs?: Node;
  param?: Node | null;
  op?: string;
  func?: { name: string };
  name?: string;
  val?: string | number;
  grouping?: string[];
  without?: boolean;
  matchers?: { name: string; type: string; value: string }[];
  range?: number;
  offset?: number;
  bool?: boolean;
  matching?: { card: string; labels: string[] | null; on: boolean; include: string[] | null } | null;
}

const childrenOf = (n: Node): Node[] => [n.param, n.lhs, n.rhs, n.expr, ...(n.args ?? [])].filter((x): x is Node => !!x);

function matchingOf(n: Node): string {
  const m = n.matching;
  if (!m) return "";
  const labels = m.labels ?? [];
  const on = m.on || labels.length ? ` ${m.on ? "on" : "ignoring"} (${labels.join(", ")})` : "";
  const side = m.card === "many-to-one" ? "group_left" : m.card === "one-to-many" ? "group_right" : "";
  return `${on}${side ? ` ${side} (${(m.include ?? []).join(", ")})` : ""}`;
}

/** The word that a node adds to its children. */
function headOf(n: Node): string {
  switch (n.type) {
    case "aggregation":
      return `${n.op}${n.grouping?.length || n.without ? ` ${n.without ? "without" : "by"} (${(n.grouping ?? []).join(", ")})` : ""} (…)`;
    case "binaryExpr":
      return `… ${n.op}${n.bool ? " bool" : ""}${matchingOf(n)} …`;
    case "call":
      return `${n.func?.name}(…)`;
    case "unaryExpr":
      return `${n.op}…`;
    case "parenExpr":
      return "(…)";
    case "subquery":
      return "…[:]";
    case "numberLiteral":
      return String(n.val);
    case "stringLiteral":
      return JSON.stringify(n.val);
    case "vectorSelector":
    case "matrixSelector": {
      const rest = (n.matchers ?? []).filter((m) => m.name !== "__name__" || m.value !== n.name).map((m) => `${m.name}${m.type}${JSON.stringify(m.value)}`);
      return `${n.name ?? ""}${rest.length ? `{${rest.join(", ")}}` : ""}${n.range ? `[${formatDuration(n.range)}]` : ""}${n.offset ? ` offset ${formatDuration(n.offset)}` : ""}`;
    }
    default:
      return n.type;
  }
}

function SeriesCount({ node }: { node: Node }) {
  const found = useLoad(async (signal) => {
    const text = headOf({ ...node, type: "vectorSelector", range: 0, offset: 0 });
    const a = await call<{ result: { value: [number, string] }[] }>("query", { query: `count(${text})` }, { signal });
    return Number(a.data.result[0]?.value[1] ?? 0);
  }, []);
  return found.data === undefined ? null : <span class={`badge ${found.data ? "" : "warn"}`}>{tn("query.series", found.data)}</span>;
}

function Tree({ node }: { node: Node }) {
  const inner = childrenOf(node);
  const leaf = node.type === "vectorSelector" || node.type === "matrixSelector";
  return (
    <li>
      <span class={s["node"]}><code>{headOf(node)}</code>{leaf && <SeriesCount node={node} />}</span>
      {inner.length > 0 && <ul>{inner.map((c, i) => <Tree key={i} node={c} />)}</ul>}
    </li>
  );
}

export function Explain({ expr }: { expr: string }) {
  const tree = useLoad(async (signal) => (expr.trim() ? (await call<Node>("parse_query", { query: expr }, { signal })).data : undefined), [expr]);
  const pretty = useLoad(async (signal) => (expr.trim() ? (await call<string>("format_query", { query: expr }, { signal })).data : undefined), [expr]);
  const error: ApiError | undefined = tree.error;
  if (!expr.trim()) return <div class="empty">{t("query.start")}</div>;
  return (
    <div class={s["tree"]}>
      {pretty.data && <pre style={{ marginBottom: "12px" }}>{pretty.data}</pre>}
      {error && <div class="note warn">{error.message}</div>}
      {tree.data && <ul><Tree key={expr} node={tree.data} /></ul>}
    </div>
  );
}
