// SPDX-License-Identifier: Apache-2.0
// Numbers for people. Values of samples are shown as the server writes them: these are for axes and figures.
const SI: [number, string][] = [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]];
const IEC = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

const trim = (n: number, digits: number) => String(Number(n.toPrecision(digits)));

/** 1234567 → 1.235M; small numbers keep four significant digits. */
export function short(n: number): string {
  if (!Number.isFinite(n)) return String(n);
  const a = Math.abs(n);
  if (a === 0) return "0";
  if (a < 1e-4 || a >= 1e15) return n.toExponential(2).replace("e+", "e");
  for (const [size, letter] of SI) if (a >= size) return trim(n / size, 4) + letter;
  return trim(n, 4);
}

export function bytes(n: number): string {
  let i = 0;
  let v = n;
  while (Math.abs(v) >= 1024 && i < IEC.length - 1) {
    v /= 1024;
    i++;
  }
  return `${trim(v, v < 10 ? 2 : 3)} ${IEC[i]}`;
}
