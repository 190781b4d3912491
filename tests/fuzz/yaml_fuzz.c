// yaml_fuzz.c - the YAML tree survives anything.
// SPDX-License-Identifier: Apache-2.0
#include "codec/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    OWNED(arena_fini) struct arena a = { 0 };
    const struct yaml_node *v = NULL;
    struct err e = { 0 };

    if (n > 1 << 16)
        return 0;
    if (!yaml_parse(&a, str_of((const char *)p, n), &v, &e))
        assert(e.kind != ERR_NONE && e.text[0]);
    return 0;
}
