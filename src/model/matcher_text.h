/*
 * matcher_text.h - label matchers as Alertmanager's configurations, APIs and tools write them.
 *
 *   alertname="DiskFull"      {severity=~"warning|critical", team!=infra,}      "dotted.name"=🙂
 *
 * Two grammars exist: the newer one takes any UTF-8, quoted or bare; the classic one takes old label
 * names and is lenient about values. Where a text is read by both with different results, or only by
 * the classic one, the classic reading wins, and the caller is told so that it can warn.
 * Source: Alertmanager 0.34, matcher/ and pkg/labels.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/arena.h"
#include "model/matcher.h"

enum matcher_grammar { MATCHER_BOTH, MATCHER_UTF8, MATCHER_CLASSIC };

struct matcher_list { // names and values in the arena given, regular expressions its own
    struct matcher *v;
    size_t n, cap;
};
void matcher_list_fini(struct matcher_list *l); // frees the regular expressions
OWN_DEFINE_FINI(struct matcher_list, matcher_list_fini)

/*
 * Appends the matchers of a text, none for "{}" and "". *doubt: NULL, or set where the grammars do
 * not agree. ERR_INVALID with upstream's words; nothing was appended then.
 */
MUST_CHECK bool matchers_parse(struct arena *a, struct str text, enum matcher_grammar grammar,
                               struct matcher_list *out, bool *doubt, struct err *e);
// The same of exactly one matcher, without braces around it.
MUST_CHECK bool matcher_parse(struct arena *a, struct str text, enum matcher_grammar grammar,
                              struct matcher_list *out, bool *doubt, struct err *e);
/*
 * Appends one matcher, compiling its expression: name and value are borrowed. Anchored as
 * Alertmanager does it: a dot matches no line end. ERR_INVALID.
 */
MUST_CHECK bool matcher_list_add(struct arena *a, struct matcher_list *l, const struct matcher *m,
                                 struct err *e);
