// prompb_write_fuzz.c - the first byte chooses the version, the rest is a write request.
//
// What decodes of a 1.0 request is written again and must decode to the same.
// SPDX-License-Identifier: Apache-2.0
#include "model/prompb.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

enum { AGAIN_MAX = 256 };

static void check_histogram(struct arena *a, const struct prompb_histogram *x)
{
    OWNED(buf_fini) struct buf b = { 0 };
    struct prompb_histogram y;
    struct proto c;
    struct proto_field f;
    struct err e = { 0 };

    if (!histogram_validate(x->h, &e) || x->h->count >= 0x1p53)
        return; // differences of such counts are not exact
    prompb_put_histogram(&b, 4, x);
    c = proto_of(buf_view(&b));
    assert(proto_next(&c, &f) == 1 && f.key == PROTO_KEY(4, PROTO_BYTES) && c.p == c.end);
    assert(prompb_histogram(a, f.bytes, &y, &e));
    assert(histogram_equal(x->h, y.h) && x->t_ms == y.t_ms && x->start_ms == y.start_ms);
    assert(x->h->integer == y.h->integer && x->h->reset == y.h->reset);
}

static void check_series(struct arena *a, struct labels ls, const struct prompb_series *s)
{
    OWNED(buf_fini) struct buf b = { 0 };
    OWNED(prompb_write_fini) struct prompb_write w = { 0 };
    int64_t t[AGAIN_MAX];
    double value[AGAIN_MAX];
    struct series_samples in = { .t_ms = t,
                                 .value = value,
                                 .n = MIN(s->samples, (size_t)AGAIN_MAX) };
    struct prompb_series again;
    struct labels back;
    struct err e = { 0 };

    for (size_t i = 0; i < in.n; i++) {
        t[i] = s->sample[i].t_ms;
        value[i] = s->sample[i].value;
    }
    prompb_put_series(&b, 1, ls, &in);
    assert(prompb_write_begin(&w, PROMPB_WRITE_1, buf_view(&b), &e));
    assert(prompb_write_next(&w, &again, &e) == 1 && again.samples == in.n);
    for (size_t i = 0; i < in.n; i++)
        assert(again.sample[i].t_ms == t[i] &&
               double_bits(again.sample[i].value) == double_bits(value[i]));
    assert(prompb_series_labels(&w, &again, a, &back, &e) && labels_equal(ls, back));
    assert(prompb_write_next(&w, &again, &e) == 0);
}

// Reading in blocks gives what reading one by one gives.
static void check_blocks(enum prompb_version version, struct str body)
{
    OWNED(prompb_write_fini) struct prompb_write w = { 0 };
    OWNED(prompb_write_fini) struct prompb_write one = { 0 };
    struct prompb_series block[PROMPB_BLOCK], s;
    struct err e;
    int got;

    if (!prompb_write_begin(&w, version, body, &e) || !prompb_write_begin(&one, version, body, &e))
        return;
    while ((got = prompb_write_block(&w, block, &e)) > 0) {
        for (int i = 0; i < got; i++) {
            assert(prompb_write_next(&one, &s, &e) == 1);
            assert(str_eq(s.message, block[i].message) && str_eq(s.labels, block[i].labels));
            assert(s.samples == block[i].samples && s.histograms == block[i].histograms &&
                   s.exemplars == block[i].exemplars);
            assert(!s.samples ||
                   memcmp(s.sample, block[i].sample, s.samples * sizeof *s.sample) == 0);
            assert(!s.histograms || memcmp(s.histogram, block[i].histogram,
                                           s.histograms * sizeof *s.histogram) == 0);
        }
    }
    int end = prompb_write_next(&one, &s, &e);
    while (got < 0 && end == 1) // what came before the damage
        end = prompb_write_next(&one, &s, &e);
    assert(end == got);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(prompb_write_fini) struct prompb_write w = { 0 };
    struct prompb_series s;
    struct metric_meta meta;
    struct prompb_histogram h;
    struct exemplar x;
    struct hash128 key;
    struct labels ls;
    struct err e = { 0 };

    if (n == 0 || !prompb_write_begin(&w, p[0] & 1 ? PROMPB_WRITE_1 : PROMPB_WRITE_2,
                                      str_of((const char *)p + 1, n - 1), &e))
        return 0;
    check_blocks(w.version, w.body);
    while (prompb_write_next(&w, &s, &e) > 0) {
        prompb_series_key(&w, &s, 1, &key);
        if (prompb_series_labels(&w, &s, &a, &ls, &e))
            check_series(&a, ls, &s);
        for (size_t i = 0; i < s.histograms; i++) {
            if (prompb_histogram(&a, s.histogram[i], &h, &e))
                check_histogram(&a, &h);
        }
        for (size_t i = 0; i < s.exemplars; i++) {
            if (!prompb_exemplar(&w, s.exemplar[i], &a, &x, &e))
                break;
        }
        if (s.metadata.p && !prompb_series_meta(&w, &s, &meta, &e))
            assert(e.kind != ERR_NONE);
    }
    while (prompb_write_next_meta(&w, &meta, &e) > 0)
        ;
    return 0;
}
