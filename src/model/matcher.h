/*
 * matcher.h - label matchers: = != =~ !~ with Prometheus's meaning of absent labels (empty value).
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/buf.h"
#include "base/regex.h"
#include "model/labels.h"

enum match_op { MATCH_EQ, MATCH_NE, MATCH_RE, MATCH_NRE };

struct matcher {
    enum match_op op;
    struct str name, value;
    const struct regex *re; // MATCH_RE, MATCH_NRE: anchored, owned by whoever made the matcher
};

// Whether a label of this value matches; absent labels have the empty value.
bool matcher_matches(const struct matcher *m, struct str value);
// All n matchers match the set; true when there are none.
bool matchers_match(const struct matcher *m, size_t n, struct labels ls);
// True when a series without the label matches.
static inline bool matcher_matches_empty(const struct matcher *m)
{
    return matcher_matches(m, STR_NONE);
}
// A matcher as text: a="b".
void buf_matcher(struct buf *b, const struct matcher *m);
// =, !=, =~ or !~: a constant.
const char *match_op_text(enum match_op op);
