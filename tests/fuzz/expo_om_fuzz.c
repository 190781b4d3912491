// expo_om_fuzz.c - OpenMetrics: no input breaks the parser, and fast and slow path agree.
// SPDX-License-Identifier: Apache-2.0
#include "expo_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct str body = str_of((const char *)p, n);
    struct fuzz_read r = { 0 };
    struct err e = { 0 };

    fuzz_format(EXPO_OPENMETRICS, p, n);
    // What the strict reader takes, the scraper's parser takes, too.
    if (expo_check_openmetrics(body, &e) &&
        fuzz_page(&r, (struct expo_options){ .format = EXPO_OPENMETRICS }, body) < 0)
        abort();
    buf_fini(&r.events);
    vec_fini(&r.known);
    return 0;
}
