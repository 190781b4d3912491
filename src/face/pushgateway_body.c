// pushgateway_body.c - what a push says: its path, its encoding, its families.
// SPDX-License-Identifier: Apache-2.0
#include <ctype.h>

#include "base/bytes.h"
#include "base/hash.h"
#include "base/rune.h"
#include "codec/base64.h"
#include "codec/compress.h"
#include "face/pushgateway_priv.h"
#include "model/labels.h"

enum { INFLATED_MAX = 64 << 20, FAMILIES_MEMORY_MAX = 256 << 20 };

/* ---- the path ---- */

// The first byte that is not of the URL alphabet; s.n: none.
static size_t first_bad(struct str s)
{
    size_t i = 0;

    while (i < s.n && (isalnum((unsigned char)s.p[i]) || s.p[i] == '-' || s.p[i] == '_'))
        i++;
    return i;
}

// URL alphabet; padding is ignored. False: *at is where it is wrong.
static bool decode_value(struct arena *a, struct str s, struct str *out, size_t *at)
{
    OWNED(buf_fini) struct buf b = { 0 };

    while (s.n && s.p[s.n - 1] == '=')
        s.n--;
    *at = first_bad(s);
    if (*at < s.n || s.n % 4 == 1 || !base64_decode(s, &b))
        return false;
    *out = arena_str(a, buf_view(&b));
    return true;
}

static int hex_digit(int c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// U__my_2e_name → my.name: the values escaping of client libraries. What is no such text stays.
static struct str unescape_name(struct arena *a, struct str s)
{
    OWNED(buf_fini) struct buf b = { 0 };

    if (!str_starts(s, STR("U__")))
        return s;
    for (size_t i = 3; i < s.n; i++) {
        uint32_t rune = 0;
        size_t k = i + 1;

        if (s.p[i] != '_') {
            buf_char(&b, s.p[i]);
            continue;
        }
        if (k < s.n && s.p[k] == '_') {
            buf_char(&b, '_');
            i = k;
            continue;
        }
        for (; k < s.n && k < i + 7 && hex_digit(s.p[k]) >= 0; k++)
            rune = rune << 4 | (uint32_t)hex_digit(s.p[k]);
        if (k == i + 1 || k >= s.n || s.p[k] != '_' || rune > RUNE_MAX)
            return s;
        buf_rune(&b, rune);
        i = k;
    }
    return arena_str(a, buf_view(&b));
}

static const char *quoted(struct arena *a, struct str s)
{
    OWNED(buf_fini) struct buf b = { 0 };

    buf_quoted(&b, s);
    return arena_cstr(a, buf_view(&b));
}

static bool is_base64(struct str *name)
{
    if (!str_ends(*name, STR("@base64")))
        return false;
    name->n -= STR("@base64").n;
    return true;
}

static bool path_label(struct pushgateway *g, struct push_batch *b, struct str name,
                       struct str value, struct expo_label *out, struct err *e)
{
    struct arena *a = &b->arena;
    bool encoded = is_base64(&name);
    struct str plain = g->o.utf8 ? unescape_name(a, name) : name;
    size_t at;

    if (!(g->o.utf8 ? plain.n && str_is_utf8(plain) : label_name_is_legacy(plain)) ||
        str_starts(name, STR("__")))
        return err_set(e, ERR_INVALID, "improper label name %s", quoted(a, name));
    out->name = arena_str(a, plain);
    if (!encoded)
        out->value = arena_str(a, value);
    else if (!decode_value(a, value, &out->value, &at))
        return err_set(e, ERR_INVALID,
                       "invalid base64 encoding for label %.*s=%s: illegal base64 data at input "
                       "byte %zu",
                       STRF(name), quoted(a, value), at);
    return true;
}

static void set_label(struct expo_label *v, size_t *n, struct expo_label l)
{
    size_t i = 0;

    while (i < *n && !str_eq(v[i].name, l.name))
        i++;
    v[i] = l;
    *n += i == *n;
}

// Names and values behind the job: "/a/b/c/d".
static bool path_labels(struct pushgateway *g, struct str rest, struct push_batch *b,
                        struct expo_label *v, size_t *n, struct err *e)
{
    while (rest.p) {
        struct expo_label l;
        struct str name = str_cut(&rest, '/'), value = str_cut(&rest, '/');

        if (!path_label(g, b, name, value, &l, e))
            return false;
        set_label(v, n, l);
    }
    return true;
}

bool push_path(struct pushgateway *g, struct str path, struct push_batch *b, struct err *e)
{
    struct arena *a = &b->arena;
    struct str rest = str_sub(path, 1, path.n), word = str_cut(&rest, '/');
    struct str job = str_cut(&rest, '/'), labels = rest;
    size_t slashes = 0, n = 0, at;

    if (is_base64(&word) && !decode_value(a, job, &job, &at))
        return err_set(
            e, ERR_INVALID,
            "invalid base64 encoding in job name \"\": illegal base64 data at input byte "
            "%zu",
            at);
    for (size_t i = 0; i < labels.n; i++)
        slashes += labels.p[i] == '/';
    if (labels.n && slashes % 2 == 0)
        return err_set(e, ERR_INVALID, "odd number of components in label string %s",
                       quoted(a, arena_printf(a, "/%.*s", STRF(labels))));
    struct expo_label *v = arena_array(a, slashes + 2, struct expo_label);
    if (labels.n && !path_labels(g, labels, b, v, &n, e))
        return false;
    if (!job.n)
        return err_set(e, ERR_INVALID, "job name is required");
    set_label(v, &n, (struct expo_label){ STR("job"), arena_str(a, job) });
    push_batch_group(b, v, n);
    return true;
}

/* ---- the encoding ---- */

/*
 * The framing format of snappy, as Go's snappy.NewReader takes it: chunks of a type byte, 3 bytes of
 * length, and for data a masked CRC-32C of the plain bytes.
 */
static bool unframe(struct str in, struct buf *out, struct err *e)
{
    static const struct compress_limits limits = { .size_max = 1 << 20 };
    struct bytes r = bytes_of(in);

    while (bytes_left(&r)) {
        uint8_t type = bytes_u8(&r);
        uint32_t n = bytes_le16(&r);
        n |= (uint32_t)bytes_u8(&r) << 16;
        struct str chunk = bytes_take(&r, n);
        size_t from = out->n;

        if (r.bad || (type > 1 && type < 0x80) || out->n > INFLATED_MAX)
            return err_set(e, ERR_CORRUPT, "snappy: corrupt input");
        if (type > 1)
            continue;
        if (chunk.n < 4)
            return err_set(e, ERR_CORRUPT, "snappy: corrupt input");
        struct str data = str_sub(chunk, 4, chunk.n);
        if (type == 1)
            buf_str(out, data);
        else if (!compress_inflate(COMPRESS_SNAPPY, data, &limits, out, e))
            return false;
        uint32_t crc = crc32c(0, out->p + from, out->n - from);
        if (((crc >> 15) | (crc << 17)) + 0xa282ead8u != get_le32(chunk.p))
            return err_set(e, ERR_CORRUPT, "snappy: corrupt input");
    }
    return true;
}

bool push_body(struct http_exchange *x, struct str *out, struct err *e)
{
    static const struct compress_limits limits = { .size_max = INFLATED_MAX, .ratio_max = 4096 };
    struct str coding = http_header_get(&x->req, STR("Content-Encoding"));
    OWNED(buf_fini) struct buf b = { 0 };

    if (str_eq_nocase(coding, STR("gzip"))) {
        if (!compress_inflate(COMPRESS_GZIP, x->req.body, &limits, &b, e))
            return false;
    } else if (str_eq_nocase(coding, STR("snappy"))) {
        if (!unframe(x->req.body, &b, e))
            return false;
    } else {
        *out = x->req.body;
        return true;
    }
    *out = arena_str(&x->arena, buf_view(&b));
    return true;
}

/* ---- families ---- */

static bool is_protobuf(struct str type)
{
    struct str rest = type, media = str_trim(str_cut(&rest, ';'));
    bool delimited = false, family = false;

    if (!str_eq_nocase(media, STR("application/vnd.google.protobuf")))
        return false;
    while (rest.p) {
        struct str value = str_trim(str_cut(&rest, ';')), name = str_trim(str_cut(&value, '='));

        value = str_trim(value);
        if (value.n > 1 && value.p[0] == '"')
            value = str_sub(value, 1, value.n - 1);
        delimited |= str_eq_nocase(name, STR("encoding")) && str_eq(value, STR("delimited"));
        family |= str_eq_nocase(name, STR("proto")) &&
                  str_eq(value, STR("io.prometheus.client.MetricFamily"));
    }
    return delimited && family;
}

static bool decode_protobuf(struct str body, struct push_batch *b, int64_t t_ns, struct err *e)
{
    struct str rest = arena_str(&b->arena, body);
    struct expo_whole w;
    int got;

    while ((got = expo_family_next(&b->arena, FAMILIES_MEMORY_MAX, &rest, &w, e)) > 0)
        push_batch_add(b, &w, t_ns);
    return got == 0;
}

static enum expo_type expo_type_of(enum page_type t)
{
    static const enum expo_type types[] = {
        [PAGE_COUNTER] = EXPO_COUNTER,     [PAGE_GAUGE] = EXPO_GAUGE,
        [PAGE_SUMMARY] = EXPO_SUMMARY,     [PAGE_UNTYPED] = EXPO_UNKNOWN,
        [PAGE_HISTOGRAM] = EXPO_HISTOGRAM, [PAGE_GAUGE_HISTOGRAM] = EXPO_GAUGE_HISTOGRAM,
    };

    return types[t];
}

static void take_parts(struct arena *a, const struct page_metric *from, bool histogram,
                       struct expo_metric *m)
{
    size_t n = from->parts.n;

    if (histogram) {
        struct expo_bucket *v = arena_array(a, n, struct expo_bucket);
        for (size_t i = 0; i < n; i++)
            v[i] = (struct expo_bucket){ .upper = from->parts.v[i].at,
                                         .count = from->parts.v[i].value };
        m->bucket = v;
        m->buckets = n;
    } else {
        struct expo_quantile *v = arena_array(a, n, struct expo_quantile);
        for (size_t i = 0; i < n; i++)
            v[i] = (struct expo_quantile){ from->parts.v[i].at, from->parts.v[i].value };
        m->quantile = v;
        m->quantiles = n;
    }
}

// A family of a page as the writer takes it. Texts are shared with the page.
static struct expo_whole whole_of(struct arena *a, const struct page_family *f)
{
    struct expo_whole w = { .family = { .name = f->name, .type = expo_type_of(f->type) },
                            .metric = arena_array(a, f->metrics.n, struct expo_metric),
                            .n = f->metrics.n,
                            .odd = f->metrics.n };

    if (f->has_help)
        w.family.help = f->help;
    for (size_t i = 0; i < w.n; i++) {
        const struct page_metric *from = f->metrics.v[i];
        struct expo_metric *m = &w.metric[i];
        struct expo_label *labels = arena_array(a, from->label_count, struct expo_label);
        bool grouped = w.family.type == EXPO_HISTOGRAM || w.family.type == EXPO_SUMMARY;

        for (size_t k = 0; k < from->label_count; k++)
            labels[k] = (struct expo_label){ from->labels[k].name, from->labels[k].value };
        m->label = labels;
        m->labels = from->label_count;
        m->value = grouped ? from->sum : from->value;
        m->count = from->count;
        m->has_time = from->has_time;
        m->t_ms = from->t_ms;
        if (grouped)
            take_parts(a, from, w.family.type == EXPO_HISTOGRAM, m);
    }
    return w;
}

void push_decode_page(const struct page *page, struct push_batch *b, int64_t t_ns)
{
    for (size_t i = 0; i < page->n; i++) {
        struct expo_whole w = whole_of(&b->arena, page->families[i]);

        push_batch_add(b, &w, t_ns);
    }
}

bool push_decode(struct http_exchange *x, struct str body, struct push_batch *b, int64_t t_ns,
                 struct err *e)
{
    struct page page;

    if (is_protobuf(http_header_get(&x->req, STR("Content-Type"))))
        return decode_protobuf(body, b, t_ns, e);
    if (!page_read(&b->arena, body, &page, e))
        return false;
    push_decode_page(&page, b, t_ns);
    return true;
}
