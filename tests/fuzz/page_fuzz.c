// page_fuzz.c - text pages of any bytes: refused with a line, or families in order of name.
// SPDX-License-Identifier: Apache-2.0
#include "model/page.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    OWNED(arena_fini) struct arena a = { 0 };
    struct page page = { 0 };
    struct err e = { 0 };

    if (!page_read(&a, (struct str){ (const char *)p, n }, &page, &e)) {
        assert(e.kind == ERR_INVALID && !page.n);
        return 0;
    }
    for (size_t i = 0; i < page.n; i++) {
        assert(page.families[i]->metrics.n && page.families[i]->type != PAGE_NO_TYPE);
        assert(!i || str_cmp(page.families[i - 1]->name, page.families[i]->name) < 0);
    }
    return 0;
}
