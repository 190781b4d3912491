/*
 * regex.c - RE2 for what needs an engine, plain comparisons for what does not.
 *
 * Most matchers of real queries are a literal, a set (a|b|c), or .* with a
 * literal at one end. These are recognised in the text of the pattern: a small
 * scan that gives up (and leaves it to RE2) at anything it does not know.
 */
// SPDX-License-Identifier: Apache-2.0
#include "base/regex.h"

#include "base/hash.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/vec.h"

struct shim_group {
    const char *p;
    size_t n;
};
// regex_shim.cc
void *regex_shim_new(const char *p, size_t n, bool dot_nl, int *code, char *arg, size_t arg_room);
void regex_shim_free(void *re);
bool regex_shim_match(const void *re, const char *p, size_t n, size_t from, bool whole,
                      struct shim_group *group, int groups);
int regex_shim_groups(const void *re);
const char *regex_shim_group_name(const void *re, int i);

enum { PATTERN_MAX = 64 << 10, GROUPS_MAX = 64, SET_MAX = 4096 };

enum shape {
    SHAPE_GENERAL,
    SHAPE_SET,
    SHAPE_ALL,
    SHAPE_NONEMPTY,
    SHAPE_PREFIX,
    SHAPE_SUFFIX,
    SHAPE_INFIX
};

struct regex {
    struct arena arena;
    struct str pattern;
    bool anchored;
    void *re;
    enum shape shape;
    VEC(struct str) set; // SHAPE_SET
    struct map index;    // of the set, when it is big
    struct str literal;  // prefix, suffix or infix
};

/* ---- shapes ---- */

struct cursor_range {
    const char *p, *end;
};

static bool is_meta(char c)
{
    return strchr(".+*?()|[]{}^$\\", c) && c;
}

/*
 * Reads literal characters up to a metacharacter; escapes of punctuation are unfolded. A character
 * in front of a quantifier does not belong to the literal. False: an escape that is not understood.
 */
static bool scan_literal(struct cursor_range *c, struct buf *out)
{
    while (c->p < c->end) {
        const char *at = c->p;
        size_t before = out->n;
        if (*at == '\\') {
            if (at + 1 == c->end || !(is_meta(at[1]) || strchr("-/\":", at[1])))
                return false; // RE2 decides what such an escape means
            buf_char(out, at[1]);
            c->p += 2;
        } else if (is_meta(*at)) {
            return true;
        } else {
            size_t len = 1; // whole UTF-8 sequence: a quantifier takes all of it
            while (at + len < c->end && ((unsigned char)at[len] & 0xc0) == 0x80)
                len++;
            buf_bytes(out, at, len);
            c->p += len;
        }
        if (c->p < c->end && strchr("*+?{", *c->p)) {
            out->n = before;
            c->p = at;
            return true;
        }
    }
    return true;
}

// The pattern without one pair of (…) or (?:…) around all of it.
static struct str strip_group(struct str s)
{
    int depth = 0;

    if (s.n < 2 || s.p[0] != '(' || s.p[s.n - 1] != ')')
        return s;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\\') {
            i++;
            continue;
        }
        if (s.p[i] == '[')
            return s;
        depth += (s.p[i] == '(') - (s.p[i] == ')');
        if (depth == 0 && i + 1 < s.n)
            return s;
    }
    if (depth != 0)
        return s;
    if (s.p[1] == '?')
        return s.n >= 4 && s.p[2] == ':' ? str_sub(s, 3, s.n - 1) : s;
    return str_sub(s, 1, s.n - 1);
}

static bool find_set(struct regex *r, struct str body)
{
    struct cursor_range c = { body.p, body.p + body.n };

    for (;;) {
        OWNED(buf_fini) struct buf lit = { 0 };
        if (!scan_literal(&c, &lit) || r->set.n == SET_MAX)
            return false;
        if (c.p < c.end && *c.p != '|')
            return false;
        *vec_push_in(&r->arena, &r->set) = arena_str(&r->arena, buf_view(&lit));
        if (c.p == c.end)
            return true;
        c.p++;
    }
}

// .*  .+  lit.*  .*lit  .*lit.*  with the literal in r->literal; else the prefix alone.
static enum shape find_ends(struct regex *r, struct str body)
{
    bool dot_before = str_starts(body, STR(".*"));
    struct cursor_range c = { body.p + (dot_before ? 2 : 0), body.p + body.n };
    OWNED(buf_fini) struct buf lit = { 0 };

    if (str_eq(body, STR(".*")))
        return SHAPE_ALL;
    if (str_eq(body, STR(".+")))
        return SHAPE_NONEMPTY;
    if (!scan_literal(&c, &lit))
        return SHAPE_GENERAL;
    struct str rest = str_of(c.p, (size_t)(c.end - c.p));
    for (size_t i = 0; i < rest.n; i++)
        if (rest.p[i] == '|')
            return SHAPE_GENERAL; // the prefix may belong to one branch only
    r->literal = arena_str(&r->arena, buf_view(&lit));
    if (str_eq(rest, STR(".*")))
        return dot_before ? SHAPE_INFIX : SHAPE_PREFIX;
    if (dot_before && !rest.n)
        return SHAPE_SUFFIX;
    if (dot_before)
        r->literal = STR_NONE;
    return SHAPE_GENERAL;
}

static void find_shape(struct regex *r)
{
    struct str body = r->pattern;

    if (!r->anchored)
        return;
    if (str_starts(body, STR("^")))
        body = str_sub(body, 1, body.n);
    if (str_ends(body, STR("$")) && !str_ends(body, STR("\\$")))
        body.n--;
    // ^a|b$ anchors one branch each, but the whole is anchored anyway.
    body = strip_group(body);
    if (find_set(r, body)) {
        r->shape = SHAPE_SET;
        if (r->set.n > 8)
            for (size_t i = 0; i < r->set.n; i++)
                map_add(&r->index, hash_keyed(r->set.v[i]), (uint32_t)i);
        return;
    }
    r->set.n = 0;
    r->shape = find_ends(r, body);
}

/* ---- compiling ---- */

// (?<name>…) → (?P<name>…), which the packaged RE2 wants.
static void rewrite(struct str s, struct buf *out)
{
    bool in_class = false;

    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\\' && i + 1 < s.n) {
            buf_bytes(out, s.p + i++, 2);
            continue;
        }
        in_class = s.p[i] == '[' || (in_class && s.p[i] != ']');
        struct str here = str_sub(s, i, s.n);
        bool named = !in_class && str_starts(here, STR("(?<")) && here.n > 3 && here.p[3] != '=' &&
                     here.p[3] != '!';
        if (named) {
            buf_lit(out, "(?P<");
            i += 2;
        } else {
            buf_char(out, s.p[i]);
        }
    }
}

// Go's regexp/syntax texts for RE2's error codes.
static const char *code_text(int code)
{
    static const char *const texts[] = {
        "no error",
        "internal error",
        "invalid escape sequence",
        "invalid character class",
        "invalid character class range",
        "missing closing ]",
        "missing closing )",
        "unexpected )",
        "trailing backslash at end of expression",
        "missing argument to repetition operator",
        "invalid repeat count",
        "invalid nested repetition operator",
        "invalid or unsupported Perl syntax",
        "invalid UTF-8",
        "invalid named capture",
        "expression too large",
    };

    return (size_t)code < ARRAY_LEN(texts) ? texts[code] : "invalid expression";
}

bool regex_new(struct regex **out, struct str pattern, unsigned flags, struct err *e)
{
    OWNED(regex_free) struct regex *r = xcalloc(1, sizeof *r);
    OWNED(buf_fini) struct buf text = { 0 };
    char arg[96];
    int code = 0;

    if (pattern.n > PATTERN_MAX)
        return err_set(e, ERR_LIMIT, "regular expression of %zu bytes is longer than %d", pattern.n,
                       PATTERN_MAX);
    for (size_t i = 0; i + 1 < pattern.n; i++)
        if (pattern.p[i] == '\\' && pattern.p[++i] == 'C')
            return err_set(e, ERR_INVALID, "error parsing regexp: invalid escape sequence: `\\C`");
    r->pattern = arena_str(&r->arena, pattern);
    r->anchored = flags & REGEX_ANCHORED;
    rewrite(pattern, &text);
    // Not wrapped in (?s:…): a pattern such as "a) (b" would then be a valid one.
    r->re = regex_shim_new(text.p ? text.p : "", text.n, r->anchored, &code, arg, sizeof arg);
    if (!r->re && arg[0])
        return err_set(e, ERR_INVALID, "error parsing regexp: %s: `%s`", code_text(code), arg);
    if (!r->re)
        return err_set(e, ERR_INVALID, "error parsing regexp: %s", code_text(code));
    find_shape(r);
    *out = TAKE(r);
    return true;
}

void regex_free(struct regex *r)
{
    if (!r)
        return;
    if (r->re)
        regex_shim_free(r->re);
    map_fini(&r->index);
    arena_fini(&r->arena);
    xfree(r);
}

/* ---- matching ---- */

static bool set_equal(const void *ctx, const void *key, uint32_t index)
{
    const struct regex *r = ctx;

    return str_eq(*(const struct str *)key, r->set.v[index]);
}

static bool set_has(const struct regex *r, struct str s)
{
    if (r->index.n)
        return map_find(&r->index, hash_keyed(s), set_equal, r, &s) != MAP_NONE;
    for (size_t i = 0; i < r->set.n; i++)
        if (str_eq(r->set.v[i], s))
            return true;
    return false;
}

bool regex_match(const struct regex *r, struct str s)
{
    switch (r->shape) {
    case SHAPE_SET:
        return set_has(r, s);
    case SHAPE_ALL:
        return true;
    case SHAPE_NONEMPTY:
        return s.n > 0;
    case SHAPE_PREFIX:
        return str_starts(s, r->literal);
    case SHAPE_SUFFIX:
        return str_ends(s, r->literal);
    case SHAPE_INFIX:
        return str_find(s, r->literal) != STR_NPOS;
    case SHAPE_GENERAL:
        break;
    }
    if (r->anchored && !str_starts(s, r->literal))
        return false;
    return regex_shim_match(r->re, s.p, s.n, 0, r->anchored, NULL, 0);
}

struct str regex_pattern(const struct regex *r)
{
    return r->pattern;
}

size_t regex_set(const struct regex *r, const struct str **v)
{
    *v = r->set.v;
    return r->shape == SHAPE_SET ? r->set.n : 0;
}

struct str regex_prefix(const struct regex *r)
{
    bool has = r->anchored && (r->shape == SHAPE_GENERAL || r->shape == SHAPE_PREFIX);

    return has ? r->literal : STR_NONE;
}

unsigned regex_groups(const struct regex *r)
{
    return (unsigned)regex_shim_groups(r->re);
}

const char *regex_group_name(const struct regex *r, unsigned i)
{
    return regex_shim_group_name(r->re, (int)i);
}

static bool find_from(const struct regex *r, struct str s, size_t from, struct str *group,
                      unsigned n)
{
    struct shim_group got[GROUPS_MAX];

    n = MIN(n, (unsigned)GROUPS_MAX);
    if (!regex_shim_match(r->re, s.p, s.n, from, r->anchored, got,
                          (int)MIN(n, regex_groups(r) + 1)))
        return false;
    for (unsigned i = 0; i < n; i++)
        group[i] = i <= regex_groups(r) ? str_of(got[i].p, got[i].n) : STR_NONE;
    return true;
}

bool regex_find(const struct regex *r, struct str s, struct str *group, unsigned n)
{
    return find_from(r, s, 0, group, n);
}

/* ---- expanding templates ---- */

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

// The group a template name means; GROUPS_MAX: none, expands to nothing.
static unsigned group_of(const struct regex *r, struct str name)
{
    uint64_t index;

    if (str_to_u64(name, &index) && name.p[0] != '+')
        return index <= regex_groups(r) ? (unsigned)MIN(index, (uint64_t)GROUPS_MAX) : GROUPS_MAX;
    for (unsigned i = 1; i <= regex_groups(r); i++) {
        const char *n = regex_group_name(r, i);
        if (n && str_eq_c(name, n))
            return i;
    }
    return GROUPS_MAX;
}

// Reads $name or ${name} at tmpl (behind the $). Returns the bytes used, 0: malformed.
static size_t template_name(struct str tmpl, struct str *name)
{
    size_t n = 0;

    if (tmpl.n && tmpl.p[0] == '{') {
        size_t close = str_find_char(tmpl, '}');
        if (close == STR_NPOS || close < 2)
            return 0;
        *name = str_sub(tmpl, 1, close);
        for (size_t i = 0; i < name->n; i++)
            if (!is_word(name->p[i]))
                return 0;
        return close + 1;
    }
    while (n < tmpl.n && is_word(tmpl.p[n]))
        n++;
    *name = str_sub(tmpl, 0, n);
    return n;
}

static void expand(const struct regex *r, struct str tmpl, const struct str *group, struct buf *out)
{
    while (tmpl.n) {
        size_t at = str_find_char(tmpl, '$');
        struct str name;
        if (at == STR_NPOS)
            at = tmpl.n;
        buf_bytes(out, tmpl.p, at);
        tmpl = str_sub(tmpl, at, tmpl.n);
        if (!tmpl.n)
            return;
        if (tmpl.n > 1 && tmpl.p[1] == '$') {
            buf_char(out, '$');
            tmpl = str_sub(tmpl, 2, tmpl.n);
            continue;
        }
        size_t used = template_name(str_sub(tmpl, 1, tmpl.n), &name);
        if (!used) {
            buf_char(out, '$');
        } else {
            unsigned i = group_of(r, name);
            if (i < GROUPS_MAX)
                buf_str(out, group[i]);
        }
        tmpl = str_sub(tmpl, used + 1, tmpl.n);
    }
}

bool regex_expand(const struct regex *r, struct str s, struct str tmpl, struct buf *out)
{
    struct str group[GROUPS_MAX];

    if (!find_from(r, s, 0, group, GROUPS_MAX))
        return false;
    expand(r, tmpl, group, out);
    return true;
}

void regex_replace_all(const struct regex *r, struct str s, struct str tmpl, struct buf *out)
{
    struct str group[GROUPS_MAX];
    size_t copied = 0; // bytes of s that are in out
    bool first = true;

    for (size_t from = 0; from <= s.n && find_from(r, s, from, group, GROUPS_MAX);) {
        size_t start = (size_t)(group[0].p - s.p), end = start + group[0].n;
        buf_bytes(out, s.p + copied, start - copied);
        // An empty match right behind the match before does not count, as in Go.
        if (end > start || start > copied || first)
            expand(r, tmpl, group, out);
        copied = end;
        first = false;
        from = end;
        if (end == start) { // step over one character
            from++;
            while (from < s.n && ((unsigned char)s.p[from] & 0xc0) == 0x80)
                from++;
        }
    }
    if (copied < s.n)
        buf_bytes(out, s.p + copied, s.n - copied);
}
