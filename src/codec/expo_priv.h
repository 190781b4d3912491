/*
 * expo_priv.h - what the files of the exposition parsers share. See expo.h.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/hash.h"
#include "base/vec.h"
#include "codec/expo.h"

/* ---- lexing of both text formats ---- */

enum expo_tok {
    TOK_INVALID,
    TOK_EOF,
    TOK_LINEBREAK,
    TOK_TEXT,
    TOK_COMMENT,
    TOK_MNAME,
    TOK_QSTRING,
    TOK_BOPEN,
    TOK_BCLOSE,
    TOK_LNAME,
    TOK_LVALUE,
    TOK_COMMA,
    TOK_EQUAL,
    TOK_TIMESTAMP,
    TOK_VALUE,
};

/*
 * Plain text may have blanks between tokens and ends every body with an implied newline;
 * OpenMetrics has neither.
 */
struct lex {
    const char *body, *end; // the whole input
    const char *line;       // where the entry in hand begins
    const char *tok, *p;    // the token in hand is [tok, p)
    bool om;
};

// Collects labels while lexing; without one, series are only checked.
struct expo_sink {
    struct arena *a;
    struct expo_label *v;
    size_t n, cap;
};

// Fails with `<expected>, got "<token>" ("KIND") while parsing: "<entry>"`.
bool lex_fail(const struct lex *l, const char *expected, enum expo_tok got, struct err *e);
// Fails with `<what> while parsing: "<entry>"`, or without the entry's text.
bool lex_fail_entry(const struct lex *l, const char *what, struct err *e);
// Fails with `<what>` alone, at the token in hand.
bool lex_fail_plain(const struct lex *l, const char *what, struct err *e);

/*
 * Reads the series part at l->p, a name or a brace, and leaves l->p behind it. With a sink the
 * bytes under the lexer must be the sink's own: they are unescaped in place.
 */
bool lex_series(struct lex *l, struct expo_sink *sink, struct err *e);
// Reads labels behind an open brace up to and with the closing one.
bool lex_labels(struct lex *l, bool exemplar, bool has_name, struct expo_sink *sink, struct err *e);
// Reads [l->tok, l->p) from its byte `skip` on as a float, with Go's errors. NaN is made ordinary.
bool lex_float(const struct lex *l, size_t skip, double *out, struct err *e);
// Reads a metric name, quoted or bare, as metadata lines have it. *name: without quotes.
bool lex_meta_name(struct lex *l, const char *keyword, struct str *name, struct err *e);

struct str expo_unescape(char *p, size_t n, bool quotes); // in place; \\ \n and, if asked, \"

extern const uint8_t expo_class[256];
enum {
    CLASS_LETTER = 1, // [a-zA-Z_]
    CLASS_DIGIT = 2,
    CLASS_COLON = 4,
    CLASS_NAME = CLASS_LETTER | CLASS_COLON,       // begins a metric name
    CLASS_NAME_REST = CLASS_NAME | CLASS_DIGIT,    // goes on with it
    CLASS_LABEL_REST = CLASS_LETTER | CLASS_DIGIT, // goes on with a label name
    CLASS_BLANK = 8,
};
static inline bool is_class(char c, unsigned class)
{
    return expo_class[(unsigned char)c] & class;
}

extern const double expo_pow10[23];

/*
 * Reads a float of at most 15 digits with an optional point and an optional exponent, where one
 * multiplication or division gives the exact result: the bytes used, 0 when it is not such a number.
 * What follows is the caller's to check.
 */
static inline size_t lex_short_decimal(const char *p, const char *end, double *out)
{
    bool negative = p < end && *p == '-';
    const char *at = p + negative, *first = at;
    uint64_t v = 0;
    unsigned d, n;
    int scale = 0;

    for (; at < end && (d = (unsigned)(unsigned char)*at - '0') <= 9; at++)
        v = v * 10 + d;
    n = (unsigned)(at - first);
    if (at < end && *at == '.') {
        first = ++at;
        for (; at < end && (d = (unsigned)(unsigned char)*at - '0') <= 9; at++)
            v = v * 10 + d;
        scale = -(int)(at - first);
        n += (unsigned)(at - first);
    }
    if (n - 1 > 14) // none, or too many; what overflowed above is then not used
        return 0;
    if (end - at > 2 && *at == 'e') {
        bool minus = at[1] == '-';
        int exponent = 0;

        first = at += 1 + (at[1] == '-' || at[1] == '+');
        for (; at < end && at - first < 3 && (d = (unsigned)(unsigned char)*at - '0') <= 9; at++)
            exponent = exponent * 10 + (int)d;
        if (at == first)
            return 0;
        scale += minus ? -exponent : exponent;
    }
    if (scale < -22 || scale > 22)
        return 0;
    double r = scale < 0 ? (double)v / expo_pow10[-scale] : (double)v * expo_pow10[scale];
    *out = negative ? -r : r;
    return (size_t)(at - p);
}

/* ---- the parser ---- */

struct expo_created {
    const char *from;    // a line of this family with `_created`, NULL: none known
    const char *none_to; // no such line before here
    uint64_t key;        // of its family and labels
    int64_t start_ms;
};

struct expo_proto; // expo_proto.c

struct expo {
    struct expo_options o;
    struct lex l;
    enum expo_type type;
    bool ended;
    size_t known_at;
    uint64_t seed; // with the format mixed in
    struct buf text;
    struct arena scratch;
    struct expo_exemplar exemplar;
    struct expo_created created;
    struct expo_proto *proto;
};

// expo_next() for one format each; the page was begun by expo_start().
int expo_text_next(struct expo *x, struct expo_event *ev, struct err *e);
// As expo_text_next, for OpenMetrics.
int expo_om_next(struct expo *x, struct expo_event *ev, struct err *e);
// As expo_text_next, for delimited protobuf.
int expo_proto_next(struct expo *x, struct expo_event *ev, struct err *e);
// Begins a page of protobuf; x->proto is created by the first.
void expo_proto_start(struct expo *x);
// NULL is fine.
void expo_proto_free(struct expo_proto *p);
// expo_series_decode() and expo_exemplar_decode() for the keys that expo_proto_next() makes.
bool expo_proto_decode(struct str raw, struct arena *a, struct expo_labels *out, struct err *e);
// As expo_proto_decode, for the labels of an exemplar.
bool expo_proto_exemplar(struct str raw, struct arena *a, struct expo_labels *out, struct err *e);

// A new label at the end, zeroed; valid until the next is added.
struct expo_label *expo_sink_add(struct expo_sink *s);
// Help with its escapes undone; in x->text where there are any.
struct str expo_help_text(struct expo *x, struct str s, bool quotes);
// Puts the value of `le` and `quantile` into float form where the type has such a label.
void expo_normalize(enum expo_type type, struct expo_label *label, struct arena *a);

// Fills series, hash and slot of a sample that is not the expected one, and looks ahead in `known`.
void expo_match_slow(struct expo *x, struct str series, struct expo_event *ev);

/*
 * Tries the next known series at p: true when its bytes are there, and then series, hash and slot
 * of the event are filled. Whether the series ends there is the caller's to check.
 */
static inline bool expo_match(struct expo *x, const char *p, size_t left, struct expo_event *ev)
{
    if (x->known_at >= x->o.known_n)
        return false;
    const struct expo_known *k = &x->o.known[x->known_at];
    if (k->n >= left || k->n == 0)
        return false;
    uint64_t hash = hash_seeded(str_of(p, k->n), x->seed);
    if (hash != k->hash)
        return false;
    ev->series = str_of(p, k->n);
    ev->hash = hash;
    ev->slot = k->slot;
    ev->known_at = (uint32_t)x->known_at;
    return true;
}
