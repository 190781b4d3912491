// expo_family_test.c - families written, read as wholes, written again: the same bytes; and what is refused.
// SPDX-License-Identifier: Apache-2.0
#include "codec/expo_family.h"

#include <math.h>

#include "codec/proto.h"
#include "test.h"

static const struct expo_label labels[] = { { { "a", 1 }, { "x", 1 } },
                                            { { "instance", 8 }, { "", 0 } } };

static void write_all(struct buf *out)
{
    struct expo_writer w = expo_writer(EXPO_PROTO, out);
    struct expo_exemplar_out ex = { .label = labels, .labels = 1, .value = 7, .t_ms = 1500 };
    struct expo_bucket buckets[] = { { .upper = 1, .count = 2, .exemplar = &ex },
                                     { .upper = INFINITY, .count = 2.5 } };
    struct expo_quantile quantiles[] = { { 0.5, 3 }, { 0.9, NAN } };
    struct expo_span spans[] = { { -2, 2 }, { 3, 1 } };
    double counts[] = { 5, 2, 9 };
    struct expo_histogram native = { .schema = 3,
                                     .integer = true,
                                     .zero_threshold = 1e-9,
                                     .zero_count = 4,
                                     .count = 20,
                                     .sum = 2,
                                     .pos = { spans, counts, 2, 3 } };

    w.keep_empty = true;
    expo_write_family(&w, &(struct expo_family){
                              .name = STR("c_total"), .help = STR("h"), .type = EXPO_COUNTER });
    expo_write_metric(
        &w, &(struct expo_metric){
                .label = labels, .labels = 2, .value = 4, .exemplar = &ex, .start_ms = 99001 });
    expo_write_metric(&w, &(struct expo_metric){ .value = -0.0, .has_time = true, .t_ms = 12 });
    expo_write_family(&w, &(struct expo_family){ .name = STR("h"), .type = EXPO_HISTOGRAM });
    expo_write_metric(
        &w, &(struct expo_metric){ .value = 1.5, .count = 2, .bucket = buckets, .buckets = 2 });
    expo_write_metric(&w, &(struct expo_metric){ .hist = &native });
    expo_write_family(&w, &(struct expo_family){ .name = STR("s"), .type = EXPO_SUMMARY });
    expo_write_metric(&w, &(struct expo_metric){ .label = labels,
                                                 .labels = 1,
                                                 .count = 3,
                                                 .value = 9,
                                                 .quantile = quantiles,
                                                 .quantiles = 2 });
    expo_write_end(&w);
}

static bool rewrite(struct arena *a, struct str in, size_t bytes_max, struct buf *out,
                    struct err *e)
{
    struct expo_writer w = expo_writer(EXPO_PROTO, out);
    struct expo_whole f;
    int got;

    w.keep_empty = true;
    while ((got = expo_family_next(a, bytes_max, &in, &f, e)) > 0) {
        expo_write_family(&w, &f.family);
        for (size_t i = 0; i < f.n; i++)
            expo_write_metric(&w, &f.metric[i]);
    }
    expo_write_end(&w);
    return got == 0;
}

TEST(expo_family_round_trip)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(buf_fini) struct buf one = { 0 }, two = { 0 };
    struct err e = { 0 };

    write_all(&one);
    CHECK_OK(rewrite(&a, buf_view(&one), 1 << 20, &two, &e), &e);
    CHECK(str_eq(buf_view(&one), buf_view(&two)));
}

TEST(expo_family_cut_anywhere)
{
    OWNED(buf_fini) struct buf one = { 0 };
    size_t whole = 0;

    write_all(&one);
    for (size_t n = 0; n < one.n; n++) {
        OWNED(arena_fini) struct arena a = { 0 };
        OWNED(buf_fini) struct buf two = { 0 };
        struct err e = { 0 };

        if (rewrite(&a, str_of(one.p, n), 1 << 20, &two, &e))
            whole++;
        else
            CHECK(e.kind == ERR_INVALID);
    }
    CHECK(whole == 3); // before the first family and behind the first two
}

TEST(expo_family_limits_and_oddities)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(buf_fini) struct buf b = { 0 };
    struct expo_whole f;
    struct err e = { 0 };

    // A family of type gauge whose second metric is a counter.
    size_t family = proto_begin_delimited(&b);
    proto_put_varint(&b, 3, 1);
    size_t m = proto_begin(&b, 4);
    proto_end(&b, proto_begin(&b, 2));
    proto_end(&b, m);
    m = proto_begin(&b, 4);
    proto_end(&b, proto_begin(&b, 3));
    proto_end(&b, m);
    proto_end(&b, family);
    struct str rest = buf_view(&b);
    CHECK(expo_family_next(&a, 1 << 20, &rest, &f, &e) == 1);
    CHECK(f.n == 2 && f.odd == 1 && rest.n == 0);

    buf_reset(&b);
    family = proto_begin_delimited(&b);
    for (int i = 0; i < 1000; i++)
        proto_end(&b, proto_begin(&b, 4));
    proto_end(&b, family);
    rest = buf_view(&b);
    CHECK(expo_family_next(&a, 1000, &rest, &f, &e) == -1);
    CHECK(e.kind == ERR_LIMIT && rest.n == b.n);
}
