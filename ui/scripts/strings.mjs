// SPDX-License-Identifier: Apache-2.0
// Fails when the languages do not have the same keys and placeholders, when a key is unknown or unused,
// or when a text for people stands literally in TSX.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseAst, transformWithEsbuild } from "vite";

const top = new URL("../src/", import.meta.url).pathname;
const problems = [];
const read = (lang) => JSON.parse(readFileSync(join(top, `i18n/${lang}.json`), "utf8"));
const en = read("en");
const fr = read("fr");
const holes = (s) => [...s.matchAll(/\{(\w+)\}/g)].map((m) => m[1]).sort().join();
for (const k of Object.keys(en)) {
  if (!(k in fr)) problems.push(`fr.json lacks "${k}"`);
  else if (holes(en[k]) !== holes(fr[k])) problems.push(`placeholders of "${k}" differ`);
}
for (const k of Object.keys(fr)) if (!(k in en)) problems.push(`en.json lacks "${k}"`);

const shown = new Set(["children", "title", "placeholder", "label", "alt", "aria-label"]);
const allowed = /^(?:[^A-Za-z]*|vigie|PromQL|UTC|English|Français|curl|CSV|JSON|y|GET|POST)$/;
const literal = (node, out) => {
  if (!node) return;
  if (node.type === "Literal" && typeof node.value === "string") out.push(node.value);
  if (node.type === "TemplateLiteral") for (const q of node.quasis) out.push(q.value.cooked ?? "");
  if (node.type === "ArrayExpression") node.elements.forEach((e) => literal(e, out));
  if (node.type === "ConditionalExpression") [node.consequent, node.alternate].forEach((e) => literal(e, out));
  if (node.type === "LogicalExpression") literal(node.right, out);
};
const walk = (node, file) => {
  if (!node || typeof node !== "object") return;
  if (Array.isArray(node)) return node.forEach((n) => walk(n, file));
  if (node.type === "CallExpression" && /^_?jsxs?(DEV)?$/.test(node.callee?.name ?? "")) {
    for (const p of node.arguments[1]?.properties ?? []) {
      const name = p.key?.name ?? p.key?.value;
      if (!shown.has(name)) continue;
      const out = [];
      literal(p.value, out);
      for (const s of out) if (!allowed.test(s.trim()) && !/^\S*[_/:.]\S*$/.test(s.trim())) problems.push(`${file}: literal text ${JSON.stringify(s)}`);
    }
  }
  for (const k of Object.keys(node)) if (k !== "parent") walk(node[k], file);
};

let source = "";
for (const name of readdirSync(top, { recursive: true }).map(String)) {
  if (!/\.tsx?$/.test(name)) continue;
  const text = readFileSync(join(top, name), "utf8");
  source += text;
  if (!name.endsWith(".tsx")) continue;
  const js = await transformWithEsbuild(text, name, { jsx: "automatic", jsxImportSource: "preact" });
  walk(parseAst(js.code), name);
}
const used = new Set([...source.matchAll(/["'`]([a-z]+\.[a-z0-9_.]+)["'`]/g)].map((m) => m[1]));
const families = [...source.matchAll(/`([a-z]+\.[a-z0-9_.]*)\$\{/g)].map((m) => m[1]);
for (const k of Object.keys(en)) {
  const stem = k.replace(/_(one|many|other)$/, "");
  if (!used.has(k) && !used.has(stem) && !families.some((f) => k.startsWith(f))) problems.push(`nothing uses "${k}"`);
}
for (const p of problems) console.error(p);
console.log(problems.length ? `${problems.length} problems of texts` : `texts: ${Object.keys(en).length} keys in en and fr`);
process.exit(problems.length ? 1 : 0);
