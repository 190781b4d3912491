/*
 * rune.h - Unicode code points in UTF-8: reading, writing, case and printability, as Go has them.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/buf.h"

enum { RUNE_BAD = 0xfffd, RUNE_MAX = 0x10ffff };

// The code point at s.p[0..s.n), n ≥ 1; returns its bytes, 1..4. A byte that begins no whole,
// shortest form gives RUNE_BAD and 1, so that RUNE_BAD with width 1 means "not UTF-8 here".
size_t rune_decode(struct str s, uint32_t *out);
void buf_rune(struct buf *b, uint32_t r); // surrogates and beyond RUNE_MAX: RUNE_BAD
bool rune_is_print(uint32_t r);           // letters, marks, numbers, punctuation, symbols, ' '
uint32_t rune_lower(uint32_t r);          // simple mapping; itself when there is none
// As rune_lower, to upper case.
uint32_t rune_upper(uint32_t r);
// As Go's strings.ToLower and ToUpper: simple mappings, bad bytes become U+FFFD unless all is
// ASCII.
void buf_lower(struct buf *b, struct str s);
// As buf_lower, to upper case.
void buf_upper(struct buf *b, struct str s);
/*
 * s in double quotes as Go's strconv.Quote (%q): \a \b \f \n \r \t \v \\ \", \xNN for control bytes
 * and bad bytes, \uNNNN and \UNNNNNNNN for what is not printable.
 */
void buf_quoted(struct buf *b, struct str s);
/*
 * Reads what stands behind a backslash in Go's strings and moves *s behind it: \a…\v, \\, the quote,
 * \NNN, \xNN, \uNNNN, \UNNNNNNNN. *byte: *r is a byte of the text and no code point. False: no escape.
 */
bool rune_unescape(struct str *s, char quote, uint32_t *r, bool *byte);
// Appends what s in double quotes stands for (strconv.Unquote). False: not so quoted; nothing appended.
bool unquote(struct buf *b, struct str quoted);
