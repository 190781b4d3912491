/*
 * expo.c - what the three exposition formats share: choice of format, the known series, decoding.
 */
// SPDX-License-Identifier: Apache-2.0
#include "codec/expo.h"

#include <math.h>

#include "base/mem.h"
#include "base/num.h"
#include "base/rune.h"
#include "codec/expo_priv.h"

/* ---- Content-Type ---- */

static bool is_token(struct str s)
{
    if (s.n == 0)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c <= ' ' || c >= 0x7f || memchr("()<>@,;:\\\"/[]?=", c, 15))
            return false;
    }
    return true;
}

static bool skip_quoted(struct str *s)
{
    for (size_t i = 1; i < s->n; i++) {
        if (s->p[i] == '\\')
            i++;
        else if (s->p[i] == '"') {
            *s = str_sub(*s, i + 1, s->n);
            return true;
        }
    }
    return false;
}

// `; name=value` over and over; a trailing semicolon is fine.
static bool params_are_ok(struct str s)
{
    while ((s = str_trim(s)).n) {
        if (*s.p != ';')
            return false;
        s = str_trim(str_sub(s, 1, s.n));
        if (s.n == 0)
            return true;
        size_t eq = str_find_char(s, '=');
        if (eq == STR_NPOS || !is_token(str_sub(s, 0, eq)))
            return false;
        s = str_sub(s, eq + 1, s.n);
        if (s.n && *s.p == '"') {
            if (!skip_quoted(&s))
                return false;
            continue;
        }
        size_t n = 0;
        while (n < s.n && s.p[n] != ';' && s.p[n] != ' ' && s.p[n] != '\t')
            n++;
        if (!is_token(str_sub(s, 0, n)))
            return false;
        s = str_sub(s, n, s.n);
    }
    return true;
}

static bool is_media_type(struct str s)
{
    size_t slash = str_find_char(s, '/');

    if (slash == STR_NPOS)
        return is_token(s);
    return is_token(str_sub(s, 0, slash)) && is_token(str_sub(s, slash + 1, s.n));
}

static bool format_refuse(struct str content_type, bool malformed, enum expo_format fallback,
                          enum expo_format *out, struct err *e)
{
    OWNED(buf_fini) struct buf quoted = { 0 };

    if (fallback != EXPO_NONE) {
        *out = fallback;
        return true;
    }
    buf_quoted(&quoted, content_type);
    if (malformed)
        return err_set(e, ERR_INVALID,
                       "cannot parse Content-Type %s and no fallback_scrape_protocol for target",
                       buf_cstr(&quoted));
    return err_set(e, ERR_INVALID,
                   "received unsupported Content-Type %s and no fallback_scrape_protocol "
                   "specified for target",
                   buf_cstr(&quoted));
}

bool expo_format_of(struct str content_type, enum expo_format fallback, enum expo_format *out,
                    struct err *e)
{
    struct str media = content_type;
    size_t semicolon = str_find_char(content_type, ';');

    if (content_type.n == 0) {
        if (fallback == EXPO_NONE)
            return err_set(e, ERR_INVALID,
                           "non-compliant scrape target sending blank Content-Type and no "
                           "fallback_scrape_protocol specified for target");
        *out = fallback;
        return true;
    }
    if (semicolon != STR_NPOS)
        media = str_sub(content_type, 0, semicolon);
    struct str params = str_sub(content_type, media.n, content_type.n);
    media = str_trim(media);
    if (!is_media_type(media) || !params_are_ok(params))
        return format_refuse(content_type, true, fallback, out, e);
    if (str_eq_nocase(media, STR("application/openmetrics-text")))
        *out = EXPO_OPENMETRICS;
    else if (str_eq_nocase(media, STR("application/vnd.google.protobuf")))
        *out = EXPO_PROTO;
    else if (str_eq_nocase(media, STR("text/plain")))
        *out = EXPO_TEXT;
    else
        return format_refuse(content_type, false, fallback, out, e);
    return true;
}

/* ---- the parser ---- */

struct expo *expo_new(void)
{
    return xcalloc(1, sizeof(struct expo));
}

void expo_free(struct expo *x)
{
    if (!x)
        return;
    expo_proto_free(x->proto);
    buf_fini(&x->text);
    arena_fini(&x->scratch);
    xfree(x);
}

void expo_start(struct expo *x, const struct expo_options *o, struct str body)
{
    struct str in = body.p ? body : STR("");

    assert(o->format != EXPO_NONE);
    assert(o->known || o->known_n == 0);
    x->o = *o;
    x->l = (struct lex){ .body = in.p, .end = in.p + in.n, .line = in.p, .tok = in.p, .p = in.p };
    x->l.om = o->format == EXPO_OPENMETRICS;
    x->type = EXPO_UNKNOWN;
    x->ended = false;
    x->known_at = 0;
    x->seed = hash_u64(o->seed + (uint64_t)o->format);
    x->created = (struct expo_created){ 0 };
    if (o->format == EXPO_PROTO)
        expo_proto_start(x);
}

int expo_next(struct expo *x, struct expo_event *ev, struct err *e)
{
    assert(x->o.format != EXPO_NONE && "a page was begun");
    if (x->o.format == EXPO_TEXT)
        return expo_text_next(x, ev, e);
    if (x->o.format == EXPO_OPENMETRICS)
        return expo_om_next(x, ev, e);
    return expo_proto_next(x, ev, e);
}

void expo_seek(struct expo *x, size_t known_at)
{
    assert(known_at <= x->o.known_n);
    x->known_at = known_at;
}

enum { KNOWN_AHEAD = 64 }; // entries looked at when the expected one is not there: 1 KiB

void expo_match_slow(struct expo *x, struct str series, struct expo_event *ev)
{
    assert(x->known_at <= x->o.known_n);
    size_t end = MIN(x->o.known_n, x->known_at + KNOWN_AHEAD);
    uint64_t hash = hash_seeded(series, x->seed);

    ev->series = series;
    ev->hash = hash;
    ev->slot = EXPO_SLOT_NONE;
    for (size_t i = x->known_at; i < end; i++) {
        if (x->o.known[i].hash == hash && x->o.known[i].n == series.n) {
            ev->slot = x->o.known[i].slot;
            ev->known_at = (uint32_t)i;
            x->known_at = i + 1;
            return;
        }
    }
}

/* ---- decoding ---- */

struct str expo_help_text(struct expo *x, struct str s, bool quotes)
{
    if (str_find_char(s, '\\') == STR_NPOS)
        return s;
    buf_reset(&x->text);
    buf_str(&x->text, s);
    return expo_unescape(x->text.p, x->text.n, quotes);
}

size_t expo_format_float(double v, char *out)
{
    size_t n = num_format_g(v, out);

    if (isfinite(v) && !memchr(out, '.', n) && !memchr(out, 'e', n)) {
        out[n++] = '.';
        out[n++] = '0';
    }
    return n;
}

void expo_normalize(enum expo_type type, struct expo_label *label, struct arena *a)
{
    char text[NUM_TEXT_MAX + 2];
    double v;

    if (!(type == EXPO_HISTOGRAM && str_eq(label->name, STR("le"))) &&
        !(type == EXPO_SUMMARY && str_eq(label->name, STR("quantile"))))
        return;
    if (!num_parse_double(label->value, &v))
        return;
    if (isinf(v) && !is_class(label->value.p[label->value.n - 1], CLASS_LETTER))
        return; // out of range
    size_t n = expo_format_float(v, text);
    if (!str_eq(label->value, str_of(text, n)))
        label->value = arena_str(a, str_of(text, n));
}

static bool check_names(const struct expo_sink *s, struct err *e)
{
    for (size_t i = 0; i < s->n; i++) {
        bool is_metric = i == 0;
        struct str name = is_metric ? s->v[i].value : s->v[i].name;

        if (name.n == 0 || !str_is_utf8(name)) {
            OWNED(buf_fini) struct buf b = { 0 };
            buf_quoted(&b, str_sub(name, 0, 128));
            return err_set(e, ERR_INVALID, "invalid %s name %s", is_metric ? "metric" : "label",
                           buf_cstr(&b));
        }
    }
    return true;
}

static struct lex lex_of(struct arena *a, enum expo_format format, struct str raw)
{
    struct str own = arena_str(a, raw);

    return (struct lex){ .body = own.p,
                         .end = own.p + own.n,
                         .line = own.p,
                         .tok = own.p,
                         .p = own.p,
                         .om = format == EXPO_OPENMETRICS };
}

// The name may have been written behind labels: it goes first.
static void name_first(struct expo_sink *s)
{
    for (size_t i = 1; i < s->n; i++) {
        struct expo_label at = s->v[i];

        if (!str_eq(at.name, STR("__name__")) || str_eq(s->v[0].name, at.name))
            continue;
        memmove(s->v + 1, s->v, i * sizeof *s->v);
        s->v[0] = at;
        return;
    }
}

bool expo_series_decode(enum expo_format format, enum expo_type type, struct str raw,
                        struct arena *a, struct expo_labels *out, struct err *e)
{
    struct expo_sink sink = { .a = a };

    if (format == EXPO_PROTO)
        return expo_proto_decode(raw, a, out, e);
    struct lex l = lex_of(a, format, raw);
    if (raw.n == 0 || (*raw.p != '{' && !is_class(*raw.p, CLASS_NAME)))
        return err_set(e, ERR_INVALID, "expected a series");
    if (!lex_series(&l, &sink, e))
        return false;
    if (l.p != l.end)
        return lex_fail_entry(&l, "more than a series", e);
    name_first(&sink);
    if (!check_names(&sink, e))
        return false;
    for (size_t i = 0; i < sink.n; i++)
        expo_normalize(type, &sink.v[i], a);
    *out = (struct expo_labels){ sink.v, sink.n };
    return true;
}

bool expo_exemplar_decode(enum expo_format format, struct str raw, struct arena *a,
                          struct expo_labels *out, struct err *e)
{
    struct expo_sink sink = { .a = a };

    if (format == EXPO_PROTO)
        return expo_proto_exemplar(raw, a, out, e);
    struct lex l = lex_of(a, EXPO_OPENMETRICS, raw);
    if (!lex_labels(&l, true, true, &sink, e))
        return false;
    *out = (struct expo_labels){ sink.v, sink.n };
    return true;
}
