// prom_config_fuzz.c - any text as prometheus.yml: refused with a reason, or accepted and printable.
// SPDX-License-Identifier: Apache-2.0
#include "config/prometheus.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    OWNED(prom_config_put) struct prom_config *c = NULL;
    OWNED(buf_fini) struct buf b = { 0 };
    struct err e = { 0 };

    if (n > 1 << 14 || memmem(p, n, "scrape_config_files", 19))
        return 0;
    if (prom_config_parse(str_of((const char *)p, n), "fuzz.yml", NULL, &c, &e))
        prom_config_print(&b, c);
    else
        assert(e.kind != ERR_NONE && e.text[0]);
    return 0;
}
