/*
 * prompb_write.c - walking over requests of remote write.
 *
 * In 1.0 the labels of a series are its first fields, one after the other: their
 * bytes, tags and lengths included, are what the key is a hash of. In 2.0 a series
 * refers to symbols by number, which means something else in every request: the key
 * is a hash of the symbols' hashes, each made once per request.
 */
// SPDX-License-Identifier: Apache-2.0
#include "base/sort.h"
#include "model/prompb_priv.h"

void prompb_write_fini(struct prompb_write *w)
{
    vec_fini(&w->sample);
    vec_fini(&w->histogram);
    vec_fini(&w->exemplar);
    vec_fini(&w->symbol);
    vec_fini(&w->hash);
    buf_fini(&w->scratch);
    *w = (struct prompb_write){ 0 };
}

static bool read_symbols(struct prompb_write *w, struct err *e)
{
    struct proto c = proto_of(w->body);
    struct proto_field f;
    int got;

    while ((got = proto_next(&c, &f)) > 0) {
        if (proto_number(&f) != 4)
            continue;
        if ((f.key & 7) != PROTO_BYTES)
            break;
        if (w->symbol.n == PROMPB_SYMBOLS_MAX)
            return err_set(e, ERR_LIMIT, "more than %d symbols in one write request",
                           PROMPB_SYMBOLS_MAX);
        if (!w->name_symbol && str_eq(f.bytes, LABEL_NAME))
            w->name_symbol = w->symbol.n;
        *vec_push(&w->symbol) = f.bytes;
    }
    return got == 0 || prompb_malformed(w->body, c.p, "Request", e);
}

bool prompb_write_begin(struct prompb_write *w, enum prompb_version version, struct str body,
                        struct err *e)
{
    assert(version == PROMPB_WRITE_1 || version == PROMPB_WRITE_2);
    w->version = version;
    w->body = body;
    w->at = w->meta_at = proto_of(body);
    vec_reset(&w->symbol);
    vec_reset(&w->hash);
    w->name_symbol = 0;
    return version == PROMPB_WRITE_1 || read_symbols(w, e);
}

/* ---- series ---- */

/*
 * What nearly all samples look like: the value, then the time, of 2004 to 2039 six bytes long.
 * False: not like that.
 */
static inline bool read_usual_sample(struct str message, struct prompb_sample *out)
{
    const uint8_t *p = (const uint8_t *)message.p;
    uint64_t t;

    if (message.n != 16 || p[0] != PROTO_KEY(1, PROTO_FIXED64) ||
        p[9] != PROTO_KEY(2, PROTO_VARINT) || p[15] >= 0x80)
        return false;
    t = p[15];
    for (int i = 14; i >= 10; i--) {
        if (p[i] < 0x80)
            return false;
        t = t << 7 | (p[i] & 0x7f);
    }
    *out = (struct prompb_sample){ .t_ms = (int64_t)t, .value = double_from_bits(get_le64(p + 1)) };
    return true;
}

static bool read_sample(struct str message, struct prompb_sample *out)
{
    struct proto c = proto_of(message);
    struct proto_field f;
    int got;

    if (LIKELY(read_usual_sample(message, out)))
        return true;
    *out = (struct prompb_sample){ 0 };
    while ((got = proto_next(&c, &f)) > 0) {
        if (f.key == PROTO_KEY(1, PROTO_FIXED64))
            out->value = proto_double(&f);
        else if (f.key == PROTO_KEY(2, PROTO_VARINT))
            out->t_ms = (int64_t)f.value;
        else if (f.key == PROTO_KEY(3, PROTO_VARINT))
            out->start_ms = (int64_t)f.value;
    }
    return got == 0;
}

// One label field from..to: lengthens the span when it stands right behind it.
static void add_label_field(struct prompb_series *s, bool *apart, const uint8_t *from,
                            const uint8_t *to)
{
    if (!s->labels.p)
        s->labels = str_of((const char *)from, 0);
    if (s->labels.p + s->labels.n != (const char *)from)
        *apart = true;
    s->labels.n += (size_t)(to - from);
}

static bool read_series_field(struct prompb_write *w, const struct proto_field *f,
                              struct prompb_series *s)
{
    uint32_t exemplar = w->version == PROMPB_WRITE_1 ? 3 : 4;
    uint32_t histogram = w->version == PROMPB_WRITE_1 ? 4 : 3;
    uint32_t number = proto_number(f);

    if (number < 2 || number > 5 || (number == 5 && w->version == PROMPB_WRITE_1))
        return true;
    if ((f->key & 7) != PROTO_BYTES)
        return false;
    if (number == 2)
        return read_sample(f->bytes, vec_push(&w->sample));
    if (number == histogram)
        *vec_push(&w->histogram) = f->bytes;
    else if (number == exemplar)
        *vec_push(&w->exemplar) = f->bytes;
    else
        s->metadata = f->bytes;
    return true;
}

// The label fields of 1.0 that a series begins with, as long as none has 128 bytes.
static void skip_labels(struct proto *c, struct prompb_series *s)
{
    const uint8_t *p = c->p;

    while (c->end - p >= 2 && p[0] == PROTO_KEY(1, PROTO_BYTES) && p[1] < 0x80 &&
           c->end - p - 2 >= p[1])
        p += 2 + p[1];
    if (p != c->p)
        s->labels = str_of((const char *)c->p, (size_t)(p - c->p));
    c->p = p;
}

static void reset_series(struct prompb_write *w)
{
    vec_reset(&w->sample);
    vec_reset(&w->histogram);
    vec_reset(&w->exemplar);
}

// Adds to the vectors; out's pointers are set by set_pointers(), in the order of reading.
static bool read_series(struct prompb_write *w, struct str message, struct prompb_series *out,
                        struct err *e)
{
    struct prompb_series s = { .message = message };
    size_t samples = w->sample.n, histograms = w->histogram.n, exemplars = w->exemplar.n;
    struct proto c = proto_of(message);
    struct proto_field f;
    bool apart = false;
    int got;

    if (w->version == PROMPB_WRITE_1)
        skip_labels(&c, &s);
    for (;;) {
        const uint8_t *from = c.p;

        got = proto_next(&c, &f);
        if (got <= 0)
            break;
        if (proto_number(&f) != 1) {
            if (!read_series_field(w, &f, &s))
                return prompb_malformed(w->body, from, "TimeSeries", e);
        } else if (w->version == PROMPB_WRITE_1 && (f.key & 7) == PROTO_BYTES) {
            add_label_field(&s, &apart, from, c.p);
        } else if ((f.key & 7) == PROTO_BYTES && !s.labels.p) {
            s.labels = f.bytes;
        } else {
            apart = true; // references that are not packed, or in several pieces
        }
    }
    if (got < 0)
        return prompb_malformed(w->body, c.p, "TimeSeries", e);
    s.labels = apart ? STR_NONE : s.labels;
    s.samples = w->sample.n - samples;
    s.histograms = w->histogram.n - histograms;
    s.exemplars = w->exemplar.n - exemplars;
    *out = s;
    return true;
}

// Once the vectors stay where they are.
static void set_pointers(const struct prompb_write *w, struct prompb_series *s, size_t n)
{
    const struct prompb_sample *sample = w->sample.v;
    const struct str *histogram = w->histogram.v, *exemplar = w->exemplar.v;

    for (size_t i = 0; i < n; i++) {
        s[i].sample = sample;
        s[i].histogram = histogram;
        s[i].exemplar = exemplar;
        // NULL + 0 is undefined: arrays of nothing are left alone.
        sample = s[i].samples ? sample + s[i].samples : sample;
        histogram = s[i].histograms ? histogram + s[i].histograms : histogram;
        exemplar = s[i].exemplars ? exemplar + s[i].exemplars : exemplar;
    }
}

// 1: read, 0: no more, −1: malformed.
static int read_next(struct prompb_write *w, struct prompb_series *out, struct err *e)
{
    uint32_t number = w->version == PROMPB_WRITE_1 ? 1 : 5;
    struct proto_field f;
    int got;

    while ((got = proto_next(&w->at, &f)) > 0) {
        if (proto_number(&f) != number)
            continue;
        if ((f.key & 7) != PROTO_BYTES)
            break;
        return read_series(w, f.bytes, out, e) ? 1 : -1;
    }
    if (got != 0)
        prompb_malformed(w->body, w->at.p, "WriteRequest", e);
    return got ? -1 : 0;
}

int prompb_write_next(struct prompb_write *w, struct prompb_series *out, struct err *e)
{
    reset_series(w);
    int got = read_next(w, out, e);
    if (got == 1)
        set_pointers(w, out, 1);
    return got;
}

int prompb_write_block(struct prompb_write *w, struct prompb_series *out, struct err *e)
{
    int n = 0, got = 1;

    reset_series(w);
    while (n < PROMPB_BLOCK && (got = read_next(w, &out[n], e)) == 1)
        n++;
    if (got < 0)
        return -1;
    set_pointers(w, out, (size_t)n);
    return n;
}

static enum metric_type type_of(uint64_t v)
{
    return v <= TYPE_STATESET ? (enum metric_type)v : TYPE_UNKNOWN;
}

static bool read_meta(struct str message, struct metric_meta *out)
{
    struct proto c = proto_of(message);
    struct proto_field f;
    int got;

    *out = (struct metric_meta){ 0 };
    while ((got = proto_next(&c, &f)) > 0) {
        if (f.key == PROTO_KEY(1, PROTO_VARINT))
            out->type = type_of(f.value);
        else if (f.key == PROTO_KEY(2, PROTO_BYTES))
            out->name = f.bytes;
        else if (f.key == PROTO_KEY(4, PROTO_BYTES))
            out->help = f.bytes;
        else if (f.key == PROTO_KEY(5, PROTO_BYTES))
            out->unit = f.bytes;
    }
    return got == 0;
}

int prompb_write_next_meta(struct prompb_write *w, struct metric_meta *out, struct err *e)
{
    struct metric_meta meta;
    struct proto_field f;
    int got;

    assert(w->version == PROMPB_WRITE_1 || w->version == PROMPB_WRITE_2);
    if (w->version != PROMPB_WRITE_1)
        return 0;
    while ((got = proto_next(&w->meta_at, &f)) > 0) {
        if (f.key != PROTO_KEY(3, PROTO_BYTES))
            continue;
        if (!read_meta(f.bytes, &meta)) {
            got = -1;
            break;
        }
        *out = meta;
        return 1;
    }
    if (got < 0)
        prompb_malformed(w->body, w->meta_at.p, "MetricMetadata", e);
    return got;
}

/* ---- labels ---- */

// Hash of one symbol; NULL: no such symbol.
static const struct hash128 *symbol_hash(struct prompb_write *w, uint64_t ref, uint64_t seed)
{
    if (ref >= w->symbol.n)
        return NULL;
    if (w->hash.n == 0) {
        vec_reserve(&w->hash, w->symbol.n);
        memset(w->hash.v, 0, w->symbol.n * sizeof *w->hash.v);
        w->hash.n = w->symbol.n;
    }
    if (w->hash.v[ref].lo == 0 && w->hash.v[ref].hi == 0)
        w->hash.v[ref] = hash128_seeded(w->symbol.v[ref], seed);
    return &w->hash.v[ref];
}

bool prompb_series_key(struct prompb_write *w, const struct prompb_series *s, uint64_t seed,
                       struct hash128 *out)
{
    struct proto c = proto_of(s->labels);
    uint64_t ref;

    if (s->labels.n == 0)
        return false;
    if (w->version == PROMPB_WRITE_1) {
        *out = hash128_seeded(s->labels, seed);
        return true;
    }
    buf_reset(&w->scratch);
    while (c.p < c.end) {
        const struct hash128 *h = proto_varint(&c, &ref) ? symbol_hash(w, ref, seed) : NULL;

        if (!h)
            return false;
        buf_bytes(&w->scratch, h, sizeof *h);
    }
    *out = hash128_seeded(buf_view(&w->scratch), ~seed); // apart from keys of 1.0
    return true;
}

struct label_list {
    struct label *v;
    size_t n, cap;
};

static bool push_label(struct arena *a, struct label_list *l, struct label label, struct err *e)
{
    if (l->n == PROMPB_LABELS_MAX)
        return err_set(e, ERR_LIMIT, "more than %d labels in one series", PROMPB_LABELS_MAX);
    *vec_push_in(a, l) = label;
    return true;
}

static bool sort_labels(struct label_list *l, struct labels *out, struct err *e)
{
    OWNED(buf_fini) struct buf text = { 0 };
    struct str twice;

    if (!labels_normalize(l->v, &l->n, &twice)) {
        buf_labels(&text, (struct labels){ l->v, l->n });
        return err_set(e, ERR_CONFLICT,
                       "invalid labels for series, labels %.*s, duplicated label %.*s",
                       (int)MIN(text.n, (size_t)120), text.p, STRF(twice));
    }
    *out = (struct labels){ l->v, l->n };
    return true;
}

// Labels of 1.0, in series and exemplars alike: field 1 is a Label message.
static bool labels_1(struct prompb_write *w, struct str message, struct arena *a,
                     struct labels *out, struct err *e)
{
    struct label_list list = { 0 };
    struct proto c = proto_of(message);
    struct proto_field f;
    int got;

    while ((got = proto_next(&c, &f)) > 0) {
        struct label label;
        const uint8_t *bad;

        if (f.key != PROTO_KEY(1, PROTO_BYTES))
            continue;
        if (!prompb_label(f.bytes, &label, &bad))
            return prompb_malformed(w->body, bad, "Label", e);
        if (!push_label(a, &list, label, e))
            return false;
    }
    if (got < 0)
        return prompb_malformed(w->body, c.p, "TimeSeries", e);
    return sort_labels(&list, out, e);
}

/* References of 2.0 on their way to labels: names and values in turn. */
struct refs {
    struct label_list list;
    uint64_t n, name;
};

static bool push_ref(struct prompb_write *w, struct arena *a, struct refs *r, uint64_t ref,
                     struct err *e)
{
    if (r->n++ % 2 == 0) {
        r->name = ref;
        return true;
    }
    if (r->name >= w->symbol.n || ref >= w->symbol.n)
        return err_set(e, ERR_NOT_FOUND,
                       "labelRefs %llu (name) = %llu (value) outside of symbols table (size %zu)",
                       (unsigned long long)r->name, (unsigned long long)ref, w->symbol.n);
    return push_label(a, &r->list, (struct label){ w->symbol.v[r->name], w->symbol.v[ref] }, e);
}

// Labels of 2.0: field 1 is references, packed or not.
static bool labels_2(struct prompb_write *w, struct str message, struct arena *a,
                     struct labels *out, struct err *e)
{
    struct refs r = { 0 };
    struct proto c = proto_of(message);
    struct proto_field f;
    uint64_t ref;
    int got;

    while ((got = proto_next(&c, &f)) > 0) {
        struct proto packed = proto_of(f.bytes);

        if (proto_number(&f) != 1)
            continue;
        if ((f.key & 7) == PROTO_VARINT && !push_ref(w, a, &r, f.value, e))
            return false;
        while ((f.key & 7) == PROTO_BYTES && packed.p < packed.end) {
            if (!proto_varint(&packed, &ref))
                return prompb_malformed(w->body, packed.p, "labels_refs", e);
            if (!push_ref(w, a, &r, ref, e))
                return false;
        }
    }
    if (got < 0)
        return prompb_malformed(w->body, c.p, "TimeSeries", e);
    if (r.n % 2)
        return err_set(e, ERR_NOT_FOUND, "invalid labelRefs length %llu", (unsigned long long)r.n);
    return sort_labels(&r.list, out, e);
}

void prompb_series_refs(const struct prompb_series *s, struct buf *b)
{
    struct proto c = proto_of(s->message);
    struct proto_field f;
    uint64_t ref;
    size_t from = b->n;

    while (proto_next(&c, &f) > 0) {
        struct proto packed = proto_of(f.bytes);

        if (proto_number(&f) != 1)
            continue;
        if ((f.key & 7) == PROTO_VARINT)
            buf_printf(b, " %llu", (unsigned long long)f.value);
        while ((f.key & 7) == PROTO_BYTES && packed.p < packed.end && proto_varint(&packed, &ref))
            buf_printf(b, " %llu", (unsigned long long)ref);
    }
    if (b->n > from)
        b->p[from] = '[';
    else
        buf_char(b, '[');
    buf_char(b, ']');
}

bool prompb_series_labels(struct prompb_write *w, const struct prompb_series *s, struct arena *a,
                          struct labels *out, struct err *e)
{
    return w->version == PROMPB_WRITE_1 ? labels_1(w, s->message, a, out, e)
                                        : labels_2(w, s->message, a, out, e);
}

bool prompb_exemplar(struct prompb_write *w, struct str message, struct arena *a,
                     struct exemplar *out, struct err *e)
{
    struct exemplar x = { 0 };
    struct proto c = proto_of(message);
    struct proto_field f;
    int got;

    while ((got = proto_next(&c, &f)) > 0) {
        if (f.key == PROTO_KEY(2, PROTO_FIXED64))
            x.value = proto_double(&f);
        else if (f.key == PROTO_KEY(3, PROTO_VARINT))
            x.t_ms = (int64_t)f.value;
    }
    if (got < 0)
        return prompb_malformed(w->body, c.p, "Exemplar", e);
    if (w->version == PROMPB_WRITE_1 ? !labels_1(w, message, a, &x.labels, e)
                                     : !labels_2(w, message, a, &x.labels, e))
        return false;
    *out = x;
    return true;
}

struct meta_refs {
    uint64_t type, help, unit;
};

static bool read_meta_refs(const struct prompb_write *w, const struct prompb_series *s,
                           struct meta_refs *out, struct err *e)
{
    struct proto c = proto_of(s->metadata);
    struct proto_field f;
    int got;

    *out = (struct meta_refs){ 0 };
    while ((got = proto_next(&c, &f)) > 0) {
        if (f.key == PROTO_KEY(1, PROTO_VARINT))
            out->type = f.value;
        else if (f.key == PROTO_KEY(3, PROTO_VARINT))
            out->help = f.value;
        else if (f.key == PROTO_KEY(4, PROTO_VARINT))
            out->unit = f.value;
    }
    return got == 0 || prompb_malformed(w->body, c.p, "Metadata", e);
}

// The symbol of a series' metric name, 0: there is none to be seen.
static uint64_t name_value(const struct prompb_write *w, const struct prompb_series *s)
{
    struct proto c = proto_of(s->labels);
    uint64_t name, value;

    while (c.p < c.end && proto_varint(&c, &name) && proto_varint(&c, &value))
        if (name == w->name_symbol)
            return value;
    return 0;
}

bool prompb_series_meta_key(struct prompb_write *w, const struct prompb_series *s, uint64_t seed,
                            uint64_t *out)
{
    const struct hash128 *name, *help, *unit;
    struct meta_refs refs;
    struct err e; // prompb_series_meta() will say it
    uint64_t value;

    if (!s->metadata.p || !w->name_symbol || !(value = name_value(w, s)) ||
        !read_meta_refs(w, s, &refs, &e))
        return false;
    // Each may move the vector of hashes the first time; it does not after that.
    name = symbol_hash(w, value, seed);
    help = symbol_hash(w, refs.help, seed);
    unit = symbol_hash(w, refs.unit, seed);
    if (!name || !help || !unit)
        return false;
    *out = hash_u64(name->lo + hash_u64(help->lo + hash_u64(unit->lo + refs.type)));
    return true;
}

bool prompb_series_meta(struct prompb_write *w, const struct prompb_series *s,
                        struct metric_meta *out, struct err *e)
{
    struct meta_refs refs;

    if (!read_meta_refs(w, s, &refs, e))
        return false;
    if (refs.unit >= w->symbol.n || refs.help >= w->symbol.n)
        return err_set(e, ERR_NOT_FOUND, "metadata %s_ref %llu outside of symbols table (size %zu)",
                       refs.unit >= w->symbol.n ? "unit" : "help",
                       (unsigned long long)(refs.unit >= w->symbol.n ? refs.unit : refs.help),
                       w->symbol.n);
    assert(w->version == PROMPB_WRITE_2);
    out->type = type_of(refs.type);
    out->help = w->symbol.v[refs.help];
    out->unit = w->symbol.v[refs.unit];
    return true;
}
