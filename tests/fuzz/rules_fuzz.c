// rules_fuzz.c - rule files of any bytes: refused with a reason, or read into rules that parse.
// SPDX-License-Identifier: Apache-2.0
#include "config/rules.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void check_rules_of(const struct rule_group *g)
{
    for (size_t i = 0; i < g->rules.n; i++) {
        const struct rule *r = g->rules.v[i];
        assert(r->query && r->query->root);
        assert(!r->record.n != !r->alert.n);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    OWNED(rule_file_free) struct rule_file *f = NULL;
    struct rule_file_options o = { .ignore_unknown = n & 1 };
    struct err e = { 0 };

    if (!rule_file_parse((struct str){ (const char *)p, n }, &o, &f, &e)) {
        assert(f && f->problem_count && e.kind == ERR_INVALID);
        return 0;
    }
    assert(!f->problem_count);
    for (size_t i = 0; i < f->groups.n; i++)
        check_rules_of(f->groups.v[i]);
    return 0;
}
