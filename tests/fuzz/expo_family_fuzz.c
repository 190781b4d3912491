// expo_family_fuzz.c - families of any bytes: refused, or the same when written and read once more.
// SPDX-License-Identifier: Apache-2.0
#include "codec/expo_family.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static bool rewrite(struct arena *a, struct str in, struct buf *out, struct err *e)
{
    struct expo_writer w = expo_writer(EXPO_PROTO, out);
    struct expo_whole f;
    int got;

    w.keep_empty = true;
    while ((got = expo_family_next(a, 8 << 20, &in, &f, e)) > 0) {
        expo_write_family(&w, &f.family);
        for (size_t i = 0; i < f.n; i++)
            expo_write_metric(&w, &f.metric[i]);
    }
    expo_write_end(&w);
    return got == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(buf_fini) struct buf one = { 0 }, two = { 0 }, three = { 0 };
    struct err e = { 0 };

    if (!rewrite(&a, (struct str){ (const char *)p, n }, &one, &e)) {
        assert(e.kind == ERR_INVALID || e.kind == ERR_LIMIT);
        return 0;
    }
    // What the structs have no room for is gone after the first pass; then nothing changes.
    if (rewrite(&a, buf_view(&one), &two, &e) && rewrite(&a, buf_view(&two), &three, &e))
        assert(str_eq(buf_view(&two), buf_view(&three)));
    return 0;
}
