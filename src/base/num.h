/*
 * num.h - numbers to and from text, exactly and without the locale.
 *
 * Backed by libstdc++'s from_chars and to_chars (num_shim.cc) with a fast path
 * for short decimals. Go's spellings are accepted and produced, because that is
 * what the files and clients of the replaced systems hold.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/buf.h"

enum { NUM_TEXT_MAX = 400 }; // bytes that any num_format_* may write

/*
 * Reads all of s as a float as Go's strconv.ParseFloat does: decimal, exponent,
 * hex float with p exponent, inf/infinity/nan in any case with sign; no underscores.
 * Out of range gives ±Inf and true. False: not a number.
 */
bool num_parse_double(struct str s, double *out);
// Reads the longest decimal float at p[0..n) and returns the bytes used, 0: none. Hot path.
size_t num_scan_double(const char *p, size_t n, double *out);

// Shortest digits that read back equal. Each returns the bytes written (no NUL) to out.
size_t num_format_g(double v, char *out); // Go 'g', -1: 1e+06, 1e-05, +Inf, NaN
size_t num_format_f(double v, char *out); // Go 'f', -1: never an exponent
size_t num_format_e(double v, char *out); // Go 'e', -1: always an exponent, 1e+00
// As Prometheus's JSON: plain for 1e-6 ≤ |x| < 1e21, else exponent with at least one digit (1e-7).
size_t num_format_json(double v, char *out);
// Appends as num_format_g.
void buf_double_g(struct buf *b, double v);
// Appends as num_format_f.
void buf_double_f(struct buf *b, double v);
// Appends as num_format_json: valid JSON for finite values only.
void buf_double_json(struct buf *b, double v);
