// am_config_fuzz.c - alertmanager.yml: any text is refused or gives a tree that routes.
// SPDX-License-Identifier: Apache-2.0
#include "notify/route.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(am_config_put) struct am_config *c = NULL;
    struct label l[] = { { STR("a"), STR("b") } };
    struct err e;

    if (am_config_parse(str_of((const char *)data, n), "x.yml", &c, &e) &&
        !route_match(c, (struct labels){ l, 1 }, &a).n)
        __builtin_trap();
    return 0;
}
