/*
 * expo_fuzz.h - what the three exposition fuzz targets have in common.
 *
 * An input is two pages, split by the first byte 0x01: the second is read cold, and again with the
 * series of the first as known, and with its own. All three must give the same events and errors.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <stdlib.h>

#include "base/bytes.h"
#include "base/vec.h"
#include "codec/expo.h"

struct fuzz_read {
    struct buf events;
    VEC(struct expo_known) known;
};

static void fuzz_put(struct buf *b, struct str s)
{
    buf_le64(b, s.n);
    buf_str(b, s);
}

static void fuzz_labels(struct buf *b, bool ok, const struct expo_labels *ls, const struct err *e)
{
    if (!ok) {
        fuzz_put(b, str_c(e->text));
        return;
    }
    for (size_t i = 0; i < ls->n; i++) {
        fuzz_put(b, ls->v[i].name);
        fuzz_put(b, ls->v[i].value);
    }
}

static void fuzz_sample(struct buf *b, enum expo_format format, const struct expo_event *ev)
{
    OWNED(arena_fini) struct arena a = { 0 };
    struct expo_labels ls = { 0 };
    struct err e = { 0 };

    fuzz_put(b, ev->series);
    buf_le64(b, ev->hash);
    fuzz_labels(b, expo_series_decode(format, ev->type, ev->series, &a, &ls, &e), &ls, &e);
    if (ev->kind == EXPO_SAMPLE) {
        buf_le64(b, double_bits(ev->value));
    } else {
        buf_le64(b, double_bits(ev->hist->sum));
        buf_bytes(b, ev->hist->pos.count, ev->hist->pos.buckets * sizeof(double));
        buf_bytes(b, ev->hist->neg.span, ev->hist->neg.spans * sizeof(struct expo_span));
    }
    buf_le64(b, ev->has_time ? (uint64_t)ev->t_ms : 0);
    buf_le64(b, (uint64_t)ev->start_ms);
    for (uint32_t i = 0; i < ev->exemplars; i++) {
        buf_le64(b, double_bits(ev->exemplar[i].value));
        fuzz_labels(b, expo_exemplar_decode(format, ev->exemplar[i].raw, &a, &ls, &e), &ls, &e);
    }
}

// Reads a page into r; known may be another's. Returns what the last call did.
static int fuzz_page(struct fuzz_read *r, struct expo_options o, struct str body)
{
    OWNED(expo_free) struct expo *x = expo_new();
    struct expo_event ev;
    struct err e = { 0 };
    int got;

    expo_start(x, &o, body);
    while ((got = expo_next(x, &ev, &e)) > 0) {
        buf_char(&r->events, (char)ev.kind);
        buf_char(&r->events, (char)ev.type);
        if (ev.kind >= EXPO_META_TYPE) {
            fuzz_put(&r->events, ev.name);
            if (ev.kind != EXPO_META_TYPE)
                fuzz_put(&r->events, ev.text);
            continue;
        }
        fuzz_sample(&r->events, o.format, &ev);
        if (ev.slot != EXPO_SLOT_NONE &&
            (ev.known_at >= o.known_n || o.known[ev.known_at].hash != ev.hash))
            abort();
        struct expo_known k = { ev.hash, (uint32_t)ev.series.n, (uint32_t)r->known.n };
        *vec_push(&r->known) = k;
    }
    if (got < 0) {
        buf_le64(&r->events, e.pos.offset);
        fuzz_put(&r->events, str_c(e.text));
    }
    return got;
}

static void fuzz_same(const struct fuzz_read *a, const struct fuzz_read *b)
{
    if (!str_eq(buf_view(&a->events), buf_view(&b->events)))
        abort();
}

static inline void fuzz_format(enum expo_format format, const uint8_t *p, size_t n)
{
    struct str all = str_of((const char *)p, n), first = STR_NONE, body = all;
    struct fuzz_read before = { 0 }, cold = { 0 }, other = { 0 }, warm = { 0 };
    struct expo_options o = { .format = format, .seed = 5 };
    size_t cut = str_find_char(all, 1);

    if (n && p[0] & 0x80)
        o.created_is_start = o.always_classic = true;
    if (cut != STR_NPOS) {
        first = str_sub(all, 0, cut);
        body = str_sub(all, cut + 1, n);
    }
    fuzz_page(&before, o, first);
    fuzz_page(&cold, o, body);
    o.known = before.known.v;
    o.known_n = before.known.n;
    fuzz_page(&other, o, body);
    fuzz_same(&cold, &other);
    o.known = cold.known.v;
    o.known_n = cold.known.n;
    fuzz_page(&warm, o, body);
    fuzz_same(&cold, &warm);
    struct fuzz_read *all_reads[] = { &before, &cold, &other, &warm };
    for (size_t i = 0; i < ARRAY_LEN(all_reads); i++) {
        buf_fini(&all_reads[i]->events);
        vec_fini(&all_reads[i]->known);
    }
}
