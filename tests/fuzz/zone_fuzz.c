// zone_fuzz.c - zone files: any bytes are refused or answer for any time.
// SPDX-License-Identifier: Apache-2.0
#include "base/zone.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const int64_t times[] = { -(INT64_C(1) << 40), -1, 0, 1795219200, INT64_C(1) << 40 };
    OWNED(arena_fini) struct arena a = { 0 };
    const struct zone *z;
    struct str abbreviation;
    struct err e;

    if (!zone_parse(&a, STR("x"), str_of((const char *)data, n), &z, &e))
        return 0;
    for (size_t i = 0; i < ARRAY_LEN(times); i++)
        (void)zone_offset(z, times[i], &abbreviation);
    return 0;
}
