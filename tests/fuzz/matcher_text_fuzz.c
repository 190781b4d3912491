// matcher_text_fuzz.c - texts of matchers: no crash, and both grammars give what can be matched with.
// SPDX-License-Identifier: Apache-2.0
#include "model/matcher_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(matcher_list_fini) struct matcher_list l = { 0 };
    struct str text = str_of((const char *)data, n);
    bool doubt;
    struct err e;

    for (int g = MATCHER_BOTH; g <= MATCHER_CLASSIC; g++) {
        (void)!matchers_parse(&a, text, (enum matcher_grammar)g, &l, &doubt, &e);
        (void)!matcher_parse(&a, text, (enum matcher_grammar)g, &l, &doubt, &e);
    }
    for (size_t i = 0; i < l.n; i++)
        (void)matcher_matches(&l.v[i], text);
    return 0;
}
