/*
 * expo_text.c - the Prometheus text format, versions 0.0.4 and 1.0.0.
 *
 *   line   = [blanks] (series blanks? value (blanks time)? | "#" … | nothing) "\n"
 *   series = name [blanks labels] | labels with a quoted name inside
 *   time   = digits, milliseconds
 *
 * Blanks are spaces and tabs. The last newline may be absent. A NUL byte at the
 * start of a line ends the page, as it does upstream.
 */
// SPDX-License-Identifier: Apache-2.0
#include "codec/expo.h"

#include "base/num.h"
#include "base/rune.h"
#include "codec/expo_priv.h"

static inline void skip_blanks(struct lex *l)
{
    while (l->p < l->end && is_class(*l->p, CLASS_BLANK))
        l->p++;
}

static inline bool at_line_end(const struct lex *l)
{
    return l->p == l->end || *l->p == '\n';
}

static inline void take_line_end(struct lex *l)
{
    l->p += l->p < l->end;
}

/* ---- samples ---- */

static bool time_tail(struct lex *l, struct expo_event *ev, struct err *e)
{
    l->tok = l->p;
    while (l->p < l->end && is_class(*l->p, CLASS_DIGIT))
        l->p++;
    if (l->p == l->tok)
        return lex_fail(l, "expected timestamp or new record", TOK_INVALID, e);
    struct str digits = str_of(l->tok, (size_t)(l->p - l->tok));
    if (!str_to_i64(digits, &ev->t_ms)) {
        OWNED(buf_fini) struct buf b = { 0 };

        buf_lit(&b, "strconv.ParseInt: parsing ");
        buf_quoted(&b, str_sub(digits, 0, 64));
        buf_lit(&b, ": value out of range");
        return lex_fail_entry(l, buf_cstr(&b), e);
    }
    ev->has_time = true;
    skip_blanks(l);
    if (at_line_end(l))
        return true;
    l->tok = l->p;
    while (l->p < l->end && is_class(*l->p, CLASS_DIGIT))
        l->p++;
    return lex_fail(l, "expected next entry after timestamp",
                    l->p > l->tok ? TOK_TIMESTAMP : TOK_INVALID, e);
}

// A value that is not a plain short decimal, or none.
static NOINLINE bool value_slow(struct lex *l, double *out, struct err *e)
{
    l->tok = l->p;
    while (l->p < l->end && !memchr("{ \t\n", *l->p, 5)) // with the NUL behind
        l->p++;
    if (l->p == l->tok) {
        bool brace = l->p < l->end && *l->p == '{';

        l->p += brace;
        return lex_fail(l, "expected value after metric", brace ? TOK_BOPEN : TOK_INVALID, e);
    }
    return lex_float(l, 0, out, e);
}

// Reads value and time behind a series, with the end of the line.
static inline bool sample_tail(struct lex *l, struct expo_event *ev, struct err *e)
{
    skip_blanks(l);
    size_t n = lex_short_decimal(l->p, l->end, &ev->value);
    if (LIKELY(n && (l->p + n == l->end || l->p[n] == '\n' || is_class(l->p[n], CLASS_BLANK))))
        l->p += n;
    else if (!value_slow(l, &ev->value, e))
        return false;
    ev->has_time = false;
    if (LIKELY(!at_line_end(l))) {
        skip_blanks(l);
        if (!at_line_end(l) && !time_tail(l, ev, e))
            return false;
    }
    take_line_end(l);
    return true;
}

// Whether a series without braces, which the bytes up to p are, ends at p.
static bool bare_name_ends(const struct lex *l, const char *p)
{
    if (p < l->end && !is_class(*p, CLASS_BLANK))
        return false; // for the lexer to say
    while (p < l->end && is_class(*p, CLASS_BLANK))
        p++;
    return p == l->end || *p != '{';
}

static int sample_next(struct expo *x, struct expo_event *ev, struct err *e)
{
    struct lex *l = &x->l;

    ev->kind = EXPO_SAMPLE;
    ev->type = x->type;
    ev->exemplars = 0;
    ev->start_ms = 0;
    if (LIKELY(expo_match(x, l->p, (size_t)(l->end - l->p), ev)) &&
        (l->p[ev->series.n - 1] == '}' || bare_name_ends(l, l->p + ev->series.n))) {
        x->known_at++;
        l->p += ev->series.n;
    } else {
        if (!lex_series(l, NULL, e))
            return -1;
        expo_match_slow(x, str_of(l->line, (size_t)(l->p - l->line)), ev);
    }
    return sample_tail(l, ev, e) ? 1 : -1;
}

/* ---- lines with # ---- */

static bool type_of(struct str s, enum expo_type *out)
{
    static const struct {
        struct str name;
        enum expo_type type;
    } types[] = {
        { { "counter", 7 }, EXPO_COUNTER },     { { "gauge", 5 }, EXPO_GAUGE },
        { { "histogram", 9 }, EXPO_HISTOGRAM }, { { "summary", 7 }, EXPO_SUMMARY },
        { { "untyped", 7 }, EXPO_UNKNOWN },
    };

    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        if (str_eq(s, types[i].name)) {
            *out = types[i].type;
            return true;
        }
    }
    return false;
}

static bool fail_quoting(const struct lex *l, const char *before, struct str s, const char *after,
                         struct err *e)
{
    OWNED(buf_fini) struct buf b = { 0 };

    buf_printf(&b, "%s ", before);
    buf_quoted(&b, str_sub(s, 0, 128));
    buf_printf(&b, "%s", after);
    return lex_fail_plain(l, buf_cstr(&b), e);
}

// The rest of the line less the byte behind the name; of blanks alone nothing is left.
static struct str meta_text(struct lex *l)
{
    const char *nl = memchr(l->p, '\n', (size_t)(l->end - l->p));
    const char *end = nl ? nl : l->end, *p = l->p;

    l->tok = l->p;
    l->p = end;
    while (p < end && is_class(*p, CLASS_BLANK))
        p++;
    if (p == end || end - l->tok <= 1)
        return STR("");
    return str_of(l->tok + 1, (size_t)(end - l->tok) - 1);
}

static int meta_next(struct expo *x, struct expo_event *ev, bool help, struct err *e)
{
    struct lex *l = &x->l;

    skip_blanks(l);
    if (!lex_meta_name(l, help ? "HELP" : "TYPE", &ev->name, e))
        return -1;
    ev->text = meta_text(l);
    if (help) {
        ev->kind = EXPO_META_HELP;
        if (!str_is_utf8(ev->text)) {
            fail_quoting(l, "help text", ev->text, " is not a valid utf8 string", e);
            return -1;
        }
        ev->text = expo_help_text(x, ev->text, false);
    } else {
        ev->kind = EXPO_META_TYPE;
        if (!type_of(ev->text, &x->type)) {
            fail_quoting(l, "invalid metric type", ev->text, "", e);
            return -1;
        }
    }
    ev->type = x->type;
    take_line_end(l);
    return 1;
}

static bool take_keyword(struct lex *l, const char *word)
{
    size_t n = strlen(word);

    if ((size_t)(l->end - l->p) <= n || memcmp(l->p, word, n) != 0 ||
        !is_class(l->p[n], CLASS_BLANK))
        return false;
    l->p += n;
    return true;
}

// A line that begins with #: 1 an event, 0 a comment, −1 an error.
static int hash_line(struct expo *x, struct expo_event *ev, struct err *e)
{
    struct lex *l = &x->l;

    l->p++;
    if (l->p < l->end && is_class(*l->p, CLASS_BLANK)) {
        skip_blanks(l);
        if (take_keyword(l, "HELP"))
            return meta_next(x, ev, true, e);
        if (take_keyword(l, "TYPE"))
            return meta_next(x, ev, false, e);
    }
    const char *nl = memchr(l->p, '\n', (size_t)(l->end - l->p));
    l->p = nl ? nl + 1 : l->end;
    return 0;
}

int expo_text_next(struct expo *x, struct expo_event *ev, struct err *e)
{
    struct lex *l = &x->l;

    while (l->p < l->end && !x->ended) {
        l->line = l->tok = l->p;
        if (LIKELY(is_class(*l->p, CLASS_NAME)))
            return sample_next(x, ev, e);
        if (*l->p == '#') {
            int got = hash_line(x, ev, e);
            if (got)
                return got;
        } else if (*l->p == '{') {
            return sample_next(x, ev, e);
        } else if (*l->p == '\n' || is_class(*l->p, CLASS_BLANK)) {
            l->p++;
        } else if (*l->p == 0) {
            x->ended = true;
        } else {
            lex_fail(l, "expected a valid start token", TOK_INVALID, e);
            return -1;
        }
    }
    return 0;
}
