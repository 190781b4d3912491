// redis_resp_fuzz.c - answers of a hostile Redis: no crash, no memory beyond what was sent.
// SPDX-License-Identifier: Apache-2.0
#include "export/redis_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(export_set_fini) struct export_set set = { .a = &a };
    struct export_redis_options o = { .space = "redis", .config_metrics = true };
    struct redis_scrape r = { .o = &o, .a = &a, .set = &set, .databases = 2 };
    struct str in = { (const char *)p, n };
    struct err e = { 0 };
    struct resp v;

    while (resp_parse(&a, &in, &v, &e) > 0) {
        if (v.kind == RESP_TEXT)
            redis_info(&r, v.s);
        redis_config(&r, &v);
    }
    return 0;
}
