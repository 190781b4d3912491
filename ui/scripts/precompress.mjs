// SPDX-License-Identifier: Apache-2.0
// Writes NAME.gz beside each built text file of 1 KB and more: the server sends it to whoever accepts gzip.
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

const top = new URL("../dist/", import.meta.url).pathname;
let before = 0;
let after = 0;
for (const name of readdirSync(top, { recursive: true }).map(String)) {
  const path = join(top, name);
  if (!/\.(js|css|svg|json)$/.test(name) || !statSync(path).isFile() || statSync(path).size < 1024) continue;
  const plain = readFileSync(path);
  const packed = gzipSync(plain, { level: 9 });
  if (packed.length >= plain.length * 0.95) continue;
  writeFileSync(`${path}.gz`, packed);
  before += plain.length;
  after += packed.length;
}
console.log(`pre-compressed ${before} bytes to ${after}`);
