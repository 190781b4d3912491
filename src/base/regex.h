/*
 * regex.h - regular expressions in RE2 syntax: linear time on every input.
 *
 * Plain literals, prefixes and alternations of literals are matched without the
 * engine. Go's (?<name>…) is accepted. A compiled regex is immutable and may be
 * used by any thread.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/arena.h"
#include "base/base.h"
#include "base/buf.h"

struct regex;

enum regex_flags {
    REGEX_ANCHORED = 1, // ^(?s:…)$ as Prometheus matchers and relabelling
};

// ERR_INVALID with Go's wording where known ("missing closing ]: `[a`"); ERR_LIMIT: program too big.
MUST_CHECK bool regex_new(struct regex **out, struct str pattern, unsigned flags, struct err *e);
void regex_free(struct regex *r);
OWN_DEFINE(struct regex *, regex_free);

// Whether s matches: the whole of s with REGEX_ANCHORED, any part of it without. Linear in s.
bool regex_match(const struct regex *r, struct str s);
struct str regex_pattern(const struct regex *r); // as given
// When the expression is a finite set of literals (a|b|c): their count, else 0. *v is owned by r.
size_t regex_set(const struct regex *r, const struct str **v);
struct str regex_prefix(const struct regex *r); // literal every match starts with; may be empty

/*
 * Matches and, on success, appends the expansion of `tmpl` ($1, ${1}, $name, ${name}, $$) to out,
 * as Go's Regexp.Expand. False: no match, nothing appended.
 */
bool regex_expand(const struct regex *r, struct str s, struct str tmpl, struct buf *out);
// How many capturing groups the expression has, the whole match (0) not counted.
unsigned regex_groups(const struct regex *r);
// Submatches 0..n−1 of the first match; absent groups have p == NULL. False: no match.
bool regex_find(const struct regex *r, struct str s, struct str *group, unsigned n);
const char *regex_group_name(const struct regex *r, unsigned i); // NULL: unnamed
// Replaces every match as Go's ReplaceAllString.
void regex_replace_all(const struct regex *r, struct str s, struct str tmpl, struct buf *out);
