// SPDX-License-Identifier: Apache-2.0
// Fails when a page costs more bytes than budgets.json allows. Needs a build.
import { existsSync, readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const at = (p) => new URL(`../${p}`, import.meta.url).pathname;
if (!existsSync(at("dist/manifest.json"))) {
  console.log("size check skipped: build first");
  process.exit(0);
}
const manifest = JSON.parse(readFileSync(at("dist/manifest.json"), "utf8"));
const budgets = JSON.parse(readFileSync(at("budgets.json"), "utf8"));
const sizes = new Map();
const size = (file) => {
  if (!sizes.has(file)) sizes.set(file, gzipSync(readFileSync(at(`dist/${file}`)), { level: 9 }).length);
  return sizes.get(file);
};

// Files that a chunk needs: itself, its styles, and those of its imports (with lazy ones, when asked).
const closure = (key, lazy, seen = new Set(), files = new Set()) => {
  const chunk = manifest[key];
  if (!chunk || seen.has(key)) return files;
  seen.add(key);
  for (const f of [chunk.file, ...(chunk.css ?? [])]) files.add(f);
  for (const k of chunk.imports ?? []) closure(k, lazy, seen, files);
  if (lazy) for (const k of chunk.dynamicImports ?? []) closure(k, lazy, seen, files);
  return files;
};
const sum = (files) => [...files].reduce((n, f) => n + size(f), 0);

const first = closure("index.html", false);
first.add("index.html");
const pages = Object.keys(manifest).filter((k) => /^src\/pages\//.test(k) && manifest[k].isDynamicEntry);
const rows = [["first load (shell)", sum(first), budgets.first_load_gz]];
for (const page of pages) {
  // What must arrive before the page shows anything, and what it may fetch in the end.
  rows.push([`first load of ${page}`, sum(new Set([...first, ...closure(page, false)])), budgets.first_load_gz]);
  const all = new Set([...first, ...closure(page, true, new Set(["index.html"]))]);
  rows.push([`whole of ${page}`, sum(all), budgets.page_gz]);
}
const every = new Set(first);
for (const k of Object.keys(manifest)) for (const f of closure(k, true)) every.add(f);
rows.push(["everything", sum(every), budgets.all_gz]);

let bad = 0;
for (const [name, n, limit] of rows) {
  if (n > limit) bad++;
  console.log(`${n > limit ? "TOO BIG" : "ok     "} ${String(n).padStart(7)} of ${limit} bytes gz  ${name}`);
}
process.exit(bad ? 1 : 0);
