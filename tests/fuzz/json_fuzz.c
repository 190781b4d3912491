// json_fuzz.c - the reader survives anything, and a string it accepts is written back equal.
// SPDX-License-Identifier: Apache-2.0
#include "codec/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(buf_fini) struct buf b = { 0 };
    struct json_value *v = NULL, *again = NULL;
    struct err e = { 0 };

    if (!json_parse(&a, str_of((const char *)p, n), &v, &e)) {
        assert(e.kind != ERR_NONE && e.text[0]);
        return 0;
    }
    if (v->kind == JSON_STRING) {
        buf_json_str(&b, v->s);
        bool ok = json_parse(&a, buf_view(&b), &again, &e);
        assert(ok && str_eq(again->s, v->s));
    }
    return 0;
}
