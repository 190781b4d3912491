// matcher_text.c - the two grammars of label matchers. Columns in errors count code points from 0.
// SPDX-License-Identifier: Apache-2.0
#include "model/matcher_text.h"

#include "base/vec.h"

void matcher_list_fini(struct matcher_list *l)
{
    for (size_t i = 0; i < l->n; i++)
        regex_free((struct regex *)l->v[i].re);
    *l = (struct matcher_list){ 0 };
}

static void cut_back(struct matcher_list *l, size_t n)
{
    while (l->n > n)
        regex_free((struct regex *)l->v[--l->n].re);
}

bool matcher_list_add(struct arena *a, struct matcher_list *l, const struct matcher *m,
                      struct err *e)
{
    struct regex *re = NULL;

    if (m->op == MATCH_RE || m->op == MATCH_NRE) {
        struct str whole = arena_printf(a, "^(?:%.*s)$", STRF(m->value));
        struct err why;

        // The bare text first: an error must name that and not what is put around it.
        if (!regex_new(&re, m->value, 0, e))
            return false;
        regex_free(re);
        if (!regex_new(&re, whole, 0, &why)) {
            *e = why;
            return false;
        }
    }
    struct matcher *x = vec_push_in(a, l);
    *x = *m;
    x->re = re;
    return true;
}

/* ---- the newer grammar ---- */

enum token_kind {
    T_END,
    T_OPEN,
    T_CLOSE,
    T_COMMA,
    T_EQ,
    T_NE,
    T_RE,
    T_NRE,
    T_QUOTED,
    T_BARE,
};
#define KIND(k) (1u << (k))

struct token {
    enum token_kind kind;
    struct str text;
    unsigned from, to; // columns
};

struct lexer {
    struct str text;
    size_t at;
    unsigned column;
};

static bool is_space(uint32_t r)
{
    return r == ' ' || (r >= '\t' && r <= '\r') || r == 0x85 || r == 0xa0 || r == 0x1680 ||
           (r >= 0x2000 && r <= 0x200a) || r == 0x2028 || r == 0x2029 || r == 0x202f ||
           r == 0x205f || r == 0x3000;
}

static bool is_reserved(uint32_t r)
{
    return is_space(r) || (r < 128 && r && strchr("{}!=~,\\\"'`", (int)r));
}

static uint32_t look(const struct lexer *l, size_t *width)
{
    uint32_t r = 0;

    *width = l->at < l->text.n ? rune_decode(str_sub(l->text, l->at, l->text.n), &r) : 0;
    return r;
}

// Takes the next code point when it is that one.
static bool take(struct lexer *l, uint32_t wanted)
{
    size_t width;

    if (look(l, &width) != wanted || !width)
        return false;
    l->at += width;
    l->column++;
    return true;
}

static bool scan_quoted(struct lexer *l, size_t from, struct token *t, struct err *e)
{
    bool escaped = false;
    size_t width;

    (void)take(l, '"');
    for (;;) {
        uint32_t r = look(l, &width);

        if (!width)
            return err_set(e, ERR_INVALID, "%u:%u: %.*s: missing end \"", t->from, l->column,
                           STRF(str_sub(l->text, from, l->at)));
        l->at += width;
        l->column++;
        if (!escaped && r == '"')
            break;
        escaped = !escaped && r == '\\';
    }
    t->kind = T_QUOTED;
    return true;
}

static bool scan_operator(struct lexer *l, size_t from, struct token *t, struct err *e)
{
    if (take(l, '=')) {
        t->kind = take(l, '~') ? T_RE : T_EQ;
        return true;
    }
    (void)take(l, '!');
    if (take(l, '='))
        t->kind = T_NE;
    else if (take(l, '~'))
        t->kind = T_NRE;
    else
        return err_set(e, ERR_INVALID, "%u:%u: %.*s: expected one of '=~'", t->from, l->column,
                       STRF(str_sub(l->text, from, l->at)));
    return true;
}

static bool scan_one(struct lexer *l, uint32_t r, struct token *t, struct err *e)
{
    static const struct {
        char c;
        enum token_kind kind;
    } marks[] = { { '{', T_OPEN }, { '}', T_CLOSE }, { ',', T_COMMA } };
    size_t from = l->at, width;

    for (size_t i = 0; i < ARRAY_LEN(marks); i++) {
        if (r == (uint32_t)marks[i].c) {
            t->kind = marks[i].kind;
            return take(l, r);
        }
    }
    if (r == '=' || r == '!')
        return scan_operator(l, from, t, e);
    if (r == '"')
        return scan_quoted(l, from, t, e);
    if (is_reserved(r)) {
        (void)take(l, r);
        return err_set(e, ERR_INVALID, "%u:%u: %.*s: invalid input", t->from, l->column,
                       STRF(str_sub(l->text, from, l->at)));
    }
    t->kind = T_BARE;
    while (r = look(l, &width), width && !is_reserved(r)) {
        l->at += width;
        l->column++;
    }
    return true;
}

static bool scan(struct lexer *l, struct token *t, struct err *e)
{
    size_t width, from;
    uint32_t r;

    while (r = look(l, &width), width && is_space(r)) {
        l->at += width;
        l->column++;
    }
    *t = (struct token){ T_END, STR_NONE, l->column, l->column };
    if (!width)
        return true;
    from = l->at;
    if (!scan_one(l, r, t, e))
        return false;
    t->text = str_sub(l->text, from, l->at);
    t->to = l->column;
    return true;
}

struct parser {
    struct arena *arena;
    struct lexer lexer;
    struct token next; // the token ahead
    bool braced;
    struct matcher_list *out;
};

static bool advance(struct parser *p, struct err *e)
{
    return scan(&p->lexer, &p->next, e);
}

static bool is_next(const struct parser *p, unsigned kinds)
{
    return kinds >> p->next.kind & 1;
}

// Whether the next token is of those kinds; else the error says what was wanted there.
static bool want(const struct parser *p, unsigned kinds, const char *what, struct err *e)
{
    if (is_next(p, kinds))
        return true;
    if (p->next.kind == T_END)
        return err_set(e, ERR_INVALID, "end of input: %s", what);
    return err_set(e, ERR_INVALID, "%u:%u: unexpected %.*s: %s", p->next.from, p->next.to,
                   STRF(p->next.text), what);
}

// A token that the lexer refuses is an error with what was wanted in its place.
static bool advance_to(struct parser *p, const char *what, struct err *e)
{
    return advance(p, e) ||
           (err_set(e, ERR_INVALID, "%s: %s", arena_cstr(p->arena, str_c(e->text)), what), false);
}

static bool token_text(struct parser *p, const struct token *t, struct str *out, struct err *e)
{
    OWNED(buf_fini) struct buf b = { 0 };

    *out = t->text;
    if (t->kind == T_BARE)
        return true;
    if (!unquote(&b, t->text) || !str_is_utf8(buf_view(&b)))
        return err_set(e, ERR_INVALID, "%u:%u: %.*s: invalid input", t->from, t->to, STRF(t->text));
    *out = arena_str(p->arena, buf_view(&b));
    return true;
}

static bool parse_one(struct parser *p, struct err *e)
{
    static const char no_name[] = "expected label name", no_value[] = "expected label value",
                      no_op[] = "expected an operator such as '=', '!=', '=~' or '!~'",
                      no_end[] = "expected a comma or close brace";
    static const enum match_op ops[] = {
        [T_EQ] = MATCH_EQ, [T_NE] = MATCH_NE, [T_RE] = MATCH_RE, [T_NRE] = MATCH_NRE
    };
    struct matcher m = { 0 };

    if (!want(p, KIND(T_QUOTED) | KIND(T_BARE), no_name, e) ||
        !token_text(p, &p->next, &m.name, e) || !advance_to(p, no_op, e) ||
        !want(p, KIND(T_EQ) | KIND(T_NE) | KIND(T_RE) | KIND(T_NRE), no_op, e))
        return false;
    m.op = ops[p->next.kind];
    if (!advance_to(p, no_value, e) || !want(p, KIND(T_QUOTED) | KIND(T_BARE), no_value, e) ||
        !token_text(p, &p->next, &m.value, e))
        return false;
    struct err why;
    if (!matcher_list_add(p->arena, p->out, &m, &why))
        return err_set(e, ERR_INVALID, "failed to create matcher: %s", why.text);
    return advance_to(p, no_end, e) &&
           (p->next.kind == T_END || want(p, KIND(T_COMMA) | KIND(T_CLOSE), no_end, e));
}

static bool parse_end(struct parser *p, struct err *e)
{
    if (p->next.kind == T_CLOSE && !p->braced)
        return err_set(e, ERR_INVALID, "0:%u: }: expected opening brace", p->next.to);
    if (p->braced) {
        if (p->next.kind == T_END)
            return err_set(e, ERR_INVALID, "0:%u: end of input: expected close brace",
                           p->lexer.column);
        if (!advance_to(p, "expected end of input", e))
            return false;
    }
    if (p->next.kind != T_END)
        return err_set(e, ERR_INVALID, "%u:%u: %.*s: expected end of input", p->next.from,
                       p->next.to, STRF(p->next.text));
    return true;
}

static bool parse_utf8(struct arena *a, struct str text, struct matcher_list *out, struct err *e)
{
    static const char after_comma[] = "expected a matcher or close brace after comma";
    struct parser p = { .arena = a, .lexer = { .text = text }, .out = out };

    if (!advance(&p, e))
        return false;
    if (p.next.kind == T_END)
        return true;
    p.braced = p.next.kind == T_OPEN;
    if (p.braced && !advance(&p, e))
        return false;
    if (is_next(&p, KIND(T_CLOSE) | KIND(T_END)))
        return parse_end(&p, e);
    for (;;) {
        if (!parse_one(&p, e))
            return false;
        if (p.next.kind != T_COMMA)
            return parse_end(&p, e);
        if (!advance_to(&p, after_comma, e))
            return false;
        if (is_next(&p, KIND(T_CLOSE) | KIND(T_END)))
            return parse_end(&p, e);
        if (!want(&p, KIND(T_QUOTED) | KIND(T_BARE), after_comma, e))
            return false;
    }
}

/* ---- the classic grammar ---- */

static bool is_name_char(char c, bool first)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == ':' ||
           (!first && c >= '0' && c <= '9');
}

// Blanks as the classic expression has them: of ASCII, without the vertical tab.
static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\f' || c == '\r';
}

static struct str trim_blanks(struct str s)
{
    while (s.n && is_blank(s.p[0]))
        s = str_sub(s, 1, s.n);
    while (s.n && is_blank(s.p[s.n - 1]))
        s.n--;
    return s;
}

// Undoes the escapes of a value. raw: as written, for the error.
static bool classic_value(struct arena *a, struct str raw, struct str *out, struct err *e)
{
    bool quoted = str_starts(raw, STR("\""));
    struct str s = quoted ? str_sub(raw, 1, raw.n) : raw;
    char *p = arena_alloc(a, s.n + 1);
    size_t n = 0;

    if (!str_is_utf8(s))
        return err_set(e, ERR_INVALID, "matcher value not valid UTF-8: %.*s", STRF(raw));
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];

        if (c == '\\' && i + 1 < s.n) {
            char next = s.p[++i];

            if (next != 'n' && next != '"' && next != '\\')
                p[n++] = '\\'; // no escape: stands for itself
            p[n++] = next == 'n' ? '\n' : next;
        } else if (c != '"') {
            p[n++] = c;
        } else if (!quoted || i + 1 < s.n) {
            return err_set(e, ERR_INVALID, "matcher value contains unescaped double quote: %.*s",
                           STRF(raw));
        } else {
            quoted = false; // the closing one
        }
    }
    if (quoted)
        return err_set(e, ERR_INVALID, "matcher value contains unescaped double quote: %.*s",
                       STRF(raw));
    *out = str_of(p, n);
    return true;
}

static bool classic_one(struct arena *a, struct str text, struct matcher_list *out, struct err *e)
{
    struct str s = trim_blanks(text);
    struct matcher m = { 0 };
    size_t n = 0;

    while (n < s.n && is_name_char(s.p[n], n == 0))
        n++;
    m.name = str_sub(s, 0, n);
    s = trim_blanks(str_sub(s, n, s.n));
    if (str_starts(s, STR("=~")))
        m.op = MATCH_RE, n = 2;
    else if (str_starts(s, STR("=")))
        m.op = MATCH_EQ, n = 1;
    else if (str_starts(s, STR("!=")))
        m.op = MATCH_NE, n = 2;
    else if (str_starts(s, STR("!~")))
        m.op = MATCH_NRE, n = 2;
    else
        n = 0;
    if (!m.name.n || !n)
        return err_set(e, ERR_INVALID, "bad matcher format: %.*s", STRF(text));
    return classic_value(a, trim_blanks(str_sub(s, n, s.n)), &m.value, e) &&
           matcher_list_add(a, out, &m, e);
}

// The first matcher of *rest: up to a comma that is in no quotes. False: none is left.
static bool classic_cut(struct str *rest, struct str *one)
{
    bool quoted = false, escaped = false;
    size_t i;

    for (i = 0; i < rest->n && (quoted || rest->p[i] != ','); i++) {
        char c = rest->p[i];

        if (c == '"' && !escaped)
            quoted = !quoted;
        if (c != ',') // upstream's loop leaves it alone there
            escaped = c == '\\' && !escaped;
    }
    *one = str_sub(*rest, 0, i);
    bool last = i == rest->n;
    *rest = str_sub(*rest, MIN(i + 1, rest->n), rest->n);
    if (last)
        *one = str_trim(*one); // what is behind the last comma may be blank
    return !last || one->n;
}

static bool parse_classic(struct arena *a, struct str text, struct matcher_list *out, struct err *e)
{
    struct str one;

    if (str_starts(text, STR("{")))
        text = str_sub(text, 1, text.n);
    if (str_ends(text, STR("}")))
        text.n--;
    while (classic_cut(&text, &one)) {
        if (!classic_one(a, one, out, e))
            return false;
    }
    return true;
}

/* ---- both ---- */

static bool is_same(const struct matcher_list *x, const struct matcher_list *y)
{
    if (x->n != y->n)
        return false;
    for (size_t i = 0; i < x->n; i++) {
        if (x->v[i].op != y->v[i].op || !str_eq(x->v[i].name, y->v[i].name) ||
            !str_eq(x->v[i].value, y->v[i].value))
            return false;
    }
    return true;
}

typedef bool (*grammar_fn)(struct arena *a, struct str text, struct matcher_list *out,
                           struct err *e);

static void append(struct arena *a, struct matcher_list *out, struct matcher_list *from)
{
    for (size_t i = 0; i < from->n; i++)
        *vec_push_in(a, out) = from->v[i];
    from->n = 0; // the expressions are out's now
}

struct grammars { // of one matcher, or of many
    grammar_fn newer, classic;
};

static bool parse_both(struct arena *a, struct str text, const struct grammars *g,
                       struct matcher_list *out, bool *doubt, struct err *e)
{
    OWNED(matcher_list_fini) struct matcher_list newer = { 0 };
    OWNED(matcher_list_fini) struct matcher_list old = { 0 };
    struct err why;
    bool as_new = g->newer(a, text, &newer, &why), as_old = g->classic(a, text, &old, e);

    if (!as_new && !as_old)
        return false;
    if (as_old && (!as_new || !is_same(&newer, &old))) {
        if (doubt)
            *doubt = true;
        append(a, out, &old);
    } else {
        append(a, out, &newer);
    }
    return true;
}

static bool one_utf8(struct arena *a, struct str text, struct matcher_list *out, struct err *e)
{
    size_t before = out->n;

    if (!parse_utf8(a, text, out, e))
        return false;
    if (out->n == before)
        return err_set(e, ERR_INVALID, "no matchers");
    if (out->n > before + 1)
        return err_set(e, ERR_INVALID, "expected 1 matcher, found %zu", out->n - before);
    return true;
}

static const struct grammars many_of = { parse_utf8, parse_classic },
                             one_of = { one_utf8, classic_one };

bool matchers_parse(struct arena *a, struct str text, enum matcher_grammar grammar,
                    struct matcher_list *out, bool *doubt, struct err *e)
{
    size_t before = out->n;
    bool ok = grammar == MATCHER_BOTH   ? parse_both(a, text, &many_of, out, doubt, e)
              : grammar == MATCHER_UTF8 ? many_of.newer(a, text, out, e)
                                        : many_of.classic(a, text, out, e);

    if (!ok)
        cut_back(out, before);
    return ok;
}

bool matcher_parse(struct arena *a, struct str text, enum matcher_grammar grammar,
                   struct matcher_list *out, bool *doubt, struct err *e)
{
    size_t before = out->n;
    bool ok;

    if (grammar != MATCHER_CLASSIC && (str_starts(text, STR("{")) || str_ends(text, STR("}"))))
        return err_set(e, ERR_INVALID, "unexpected open or close brace: %.*s", STRF(text));
    ok = grammar == MATCHER_BOTH   ? parse_both(a, text, &one_of, out, doubt, e)
         : grammar == MATCHER_UTF8 ? one_of.newer(a, text, out, e)
                                   : one_of.classic(a, text, out, e);
    if (!ok)
        cut_back(out, before);
    return ok;
}
