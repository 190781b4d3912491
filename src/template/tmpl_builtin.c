/*
 * tmpl_builtin.c - the functions that every template has. Source: Go 1.26, text/template.
 */
// SPDX-License-Identifier: Apache-2.0
#include "template/tmpl_priv.h"

/* ---- logic ---- */

static bool fn_logic(struct tmpl_call *c, const struct tmpl_value *arg, size_t n,
                     struct tmpl_value *out)
{
    (void)arg, (void)n, (void)out;
    return tmpl_fail(c, "unreachable"); // and, or and call are done where arguments are evaluated
}

static bool fn_not(struct tmpl_call *c UNUSED, const struct tmpl_value *arg, size_t n UNUSED,
                   struct tmpl_value *out)
{
    *out = tmpl_of_bool(!tmpl_is_true(&arg[0]));
    return true;
}

/* ---- comparison ---- */

enum basic {
    NOT_BASIC,
    BASIC_BOOL,
    BASIC_COMPLEX,
    BASIC_INT,
    BASIC_FLOAT,
    BASIC_STRING,
    BASIC_UINT
};

static enum basic basic_of(const struct tmpl_value *v)
{
    static const enum basic of[] = {
        [TMPL_BOOL] = BASIC_BOOL,   [TMPL_INT] = BASIC_INT,         [TMPL_UINT] = BASIC_UINT,
        [TMPL_FLOAT] = BASIC_FLOAT, [TMPL_COMPLEX] = BASIC_COMPLEX, [TMPL_STRING] = BASIC_STRING
    };

    return v->type && v->type->kind < ARRAY_LEN(of) ? of[v->type->kind] : NOT_BASIC;
}

static bool fail_types(struct tmpl_call *c, const struct tmpl_value *a, const struct tmpl_value *b)
{
    return tmpl_fail(c, "incompatible types for comparison: %s and %s", a->type->name,
                     b->type->name);
}

static bool is_nil(const struct tmpl_value *v)
{
    return !v->type || (v->type->kind == TMPL_LIST && !v->list.v) ||
           (v->type->kind == TMPL_MAP && !v->map.v);
}

static bool same_fields(const struct tmpl_value *a, const struct tmpl_value *b);

static bool same_basic(const struct tmpl_value *a, const struct tmpl_value *b)
{
    switch (basic_of(a)) {
    case BASIC_BOOL:
        return a->b == b->b;
    case BASIC_FLOAT:
        return a->f == b->f;
    case BASIC_COMPLEX:
        return a->c.re == b->c.re && a->c.im == b->c.im;
    case BASIC_STRING:
        return str_eq(a->s, b->s);
    default:
        return a->u == b->u;
    }
}

// As == of two values in interfaces; lists and maps were refused before.
static bool same_value(const struct tmpl_value *a, const struct tmpl_value *b)
{
    if (a->type != b->type)
        return false;
    if (!a->type)
        return true;
    if (a->type->kind == TMPL_STRUCT)
        return same_fields(a, b);
    if (a->type->kind == TMPL_OPAQUE)
        return memcmp(a->opaque, b->opaque, sizeof(int64_t) + sizeof(int32_t)) == 0;
    if (a->type->kind == TMPL_POINTER)
        return a->target == b->target;
    return same_basic(a, b);
}

static bool same_fields(const struct tmpl_value *a, const struct tmpl_value *b)
{
    for (size_t i = 0; i < a->type->field_count; i++)
        if (!same_value(&a->field[i], &b->field[i]))
            return false;
    return true;
}

static bool is_comparable(const struct tmpl_type *t)
{
    if (t->kind == TMPL_LIST || t->kind == TMPL_MAP)
        return false;
    for (size_t i = 0; t->kind == TMPL_STRUCT && i < t->field_count; i++)
        if (!is_comparable(t->field[i].type))
            return false;
    return true;
}

// Two values that are not both numbers, strings …: nil and what has the same kind.
static bool equal_others(struct tmpl_call *c, const struct tmpl_value *a,
                         const struct tmpl_value *b, bool *out)
{
    OWNED(buf_fini) struct buf x = { 0 }, y = { 0 };

    if (a->type && b->type && a->type->kind != b->type->kind) {
        (void)tmpl_sprintf(&x, 1000, STR("%s"), a, 1);
        tmpl_print(&y, b);
        return tmpl_fail(c, "non-comparable types %.*s: %s, %s: %.*s", STRF(buf_view(&x)),
                         a->type->name, b->type->name, STRF(buf_view(&y)));
    }
    if (is_nil(a) || is_nil(b)) {
        *out = is_nil(a) == is_nil(b);
        return true;
    }
    if (!is_comparable(b->type)) {
        (void)tmpl_sprintf(&y, 1000, STR("%s"), b, 1);
        return tmpl_fail(c, "non-comparable type %.*s: %s", STRF(buf_view(&y)), b->type->name);
    }
    *out = same_value(a, b);
    return true;
}

static bool equal(struct tmpl_call *c, const struct tmpl_value *a, const struct tmpl_value *b,
                  bool *out)
{
    enum basic ka = basic_of(a), kb = basic_of(b);

    *out = false;
    if (ka == BASIC_INT && kb == BASIC_UINT)
        *out = a->i >= 0 && a->u == b->u;
    else if (ka == BASIC_UINT && kb == BASIC_INT)
        *out = b->i >= 0 && a->u == b->u;
    else if (ka != kb)
        return !a->type || !b->type || fail_types(c, a, b);
    else if (ka == NOT_BASIC)
        return equal_others(c, a, b, out);
    else
        *out = same_basic(a, b);
    return true;
}

static bool fn_eq(struct tmpl_call *c, const struct tmpl_value *arg, size_t n,
                  struct tmpl_value *out)
{
    bool same = false;

    if (n < 2)
        return tmpl_fail(c, "missing argument for comparison");
    for (size_t i = 1; i < n && !same; i++)
        if (!equal(c, &arg[0], &arg[i], &same))
            return false;
    *out = tmpl_of_bool(same);
    return true;
}

static bool fn_ne(struct tmpl_call *c, const struct tmpl_value *arg, size_t n UNUSED,
                  struct tmpl_value *out)
{
    bool same;

    if (!equal(c, &arg[0], &arg[1], &same))
        return false;
    *out = tmpl_of_bool(!same);
    return true;
}

static bool less(struct tmpl_call *c, const struct tmpl_value *a, const struct tmpl_value *b,
                 bool *out)
{
    enum basic ka = basic_of(a), kb = basic_of(b);

    if (ka == NOT_BASIC || kb == NOT_BASIC)
        return tmpl_fail(c, "invalid type for comparison");
    if (ka == BASIC_INT && kb == BASIC_UINT)
        *out = a->i < 0 || a->u < b->u;
    else if (ka == BASIC_UINT && kb == BASIC_INT)
        *out = b->i >= 0 && a->u < b->u;
    else if (ka != kb)
        return fail_types(c, a, b);
    else if (ka == BASIC_FLOAT)
        *out = a->f < b->f;
    else if (ka == BASIC_INT)
        *out = a->i < b->i;
    else if (ka == BASIC_UINT)
        *out = a->u < b->u;
    else if (ka == BASIC_STRING)
        *out = str_cmp(a->s, b->s) < 0;
    else
        return tmpl_fail(c, "invalid type for comparison");
    return true;
}

static bool less_or_equal(struct tmpl_call *c, const struct tmpl_value *arg, bool *out)
{
    return less(c, &arg[0], &arg[1], out) && (*out || equal(c, &arg[0], &arg[1], out));
}

static bool fn_lt(struct tmpl_call *c, const struct tmpl_value *arg, size_t n UNUSED,
                  struct tmpl_value *out)
{
    bool yes = false;

    if (!less(c, &arg[0], &arg[1], &yes))
        return false;
    *out = tmpl_of_bool(yes);
    return true;
}

static bool fn_le(struct tmpl_call *c, const struct tmpl_value *arg, size_t n UNUSED,
                  struct tmpl_value *out)
{
    bool yes = false;

    if (!less_or_equal(c, arg, &yes))
        return false;
    *out = tmpl_of_bool(yes);
    return true;
}

static bool fn_gt(struct tmpl_call *c, const struct tmpl_value *arg, size_t n UNUSED,
                  struct tmpl_value *out)
{
    bool yes = false;

    if (!less_or_equal(c, arg, &yes))
        return false;
    *out = tmpl_of_bool(!yes);
    return true;
}

static bool fn_ge(struct tmpl_call *c, const struct tmpl_value *arg, size_t n UNUSED,
                  struct tmpl_value *out)
{
    bool yes = false;

    if (!less(c, &arg[0], &arg[1], &yes))
        return false;
    *out = tmpl_of_bool(!yes);
    return true;
}

/* ---- parts of things ---- */

static bool length_of(const struct tmpl_value *v, size_t *out)
{
    if (v->type && v->type->kind == TMPL_STRING)
        *out = v->s.n;
    else if (v->type && v->type->kind == TMPL_LIST)
        *out = v->list.n;
    else if (v->type && v->type->kind == TMPL_MAP)
        *out = v->map.n;
    else
        return false;
    return true;
}

static bool fn_len(struct tmpl_call *c, const struct tmpl_value *arg, size_t n UNUSED,
                   struct tmpl_value *out)
{
    struct tmpl_value v = tmpl_follow(arg[0]);
    size_t length = 0;

    if (!v.type)
        return tmpl_fail(c, arg[0].boxed ? "len of nil pointer"
                                         : "reflect: call of reflect.Value.Type on zero Value");
    if (!length_of(&v, &length))
        return tmpl_fail(c, "len of type %s", v.type->name);
    *out = tmpl_of_int((int64_t)length);
    return true;
}

static bool index_of(struct tmpl_call *c, const struct tmpl_value *v, size_t max, size_t *out)
{
    if (!v->type)
        return tmpl_fail(c, "cannot index slice/array with nil");
    if (v->type->kind != TMPL_INT && v->type->kind != TMPL_UINT)
        return tmpl_fail(c, "cannot index slice/array with type %s", v->type->name);
    if (v->i < 0 || v->u > max)
        return tmpl_fail(c, "index out of range: %lld", (long long)v->i);
    *out = (size_t)v->u;
    return true;
}

static bool index_map(struct tmpl_call *c, const struct tmpl_value *map,
                      const struct tmpl_value *key, struct tmpl_value *out)
{
    if (!key->type)
        return tmpl_fail(c, "value is nil; should be of type string");
    if (key->type != &tmpl_string)
        return tmpl_fail(c, "value has type %s; should be string", key->type->name);
    const struct tmpl_value *v = tmpl_map_get(map, key->s);
    *out = v ? tmpl_element(map->type, *v) : tmpl_zero(map->type->elem);
    return true;
}

static bool index_once(struct tmpl_call *c, const struct tmpl_value *item,
                       const struct tmpl_value *index, struct tmpl_value *out)
{
    size_t i = 0, n = 0;

    if (!item->type)
        return tmpl_fail(c, "index of nil pointer");
    if (item->type->kind == TMPL_MAP)
        return index_map(c, item, index, out);
    if (!length_of(item, &n))
        return tmpl_fail(c, "can't index item of type %s", item->type->name);
    if (!index_of(c, index, n, &i))
        return false;
    if (i == n)
        return tmpl_fail(c, item->type->kind == TMPL_STRING ? "reflect: string index out of range"
                                                            : "reflect: slice index out of range");
    if (item->type->kind == TMPL_STRING)
        *out = (struct tmpl_value){ .type = &tmpl_byte, .u = (unsigned char)item->s.p[i] };
    else
        *out = tmpl_element(item->type, item->list.v[i]);
    return true;
}

static bool fn_index(struct tmpl_call *c, const struct tmpl_value *arg, size_t n,
                     struct tmpl_value *out)
{
    struct tmpl_value item = tmpl_unbox(arg[0]);

    if (!item.type)
        return tmpl_fail(c, "index of untyped nil");
    for (size_t i = 1; i < n; i++) {
        struct tmpl_value from = tmpl_follow(item), index = tmpl_unbox(arg[i]);
        if (!index_once(c, &from, &index, &item))
            return false;
    }
    *out = item;
    return true;
}

static bool fn_slice(struct tmpl_call *c, const struct tmpl_value *arg, size_t n,
                     struct tmpl_value *out)
{
    struct tmpl_value item = tmpl_follow(arg[0]);
    size_t at[3] = { 0 }, length = 0;

    if (!item.type)
        return tmpl_fail(c, "slice of untyped nil");
    if (n > 4)
        return tmpl_fail(c, "too many slice indexes: %zu", n - 1);
    if (item.type->kind == TMPL_STRING && n == 4)
        return tmpl_fail(c, "cannot 3-index slice a string");
    if (item.type->kind == TMPL_MAP || !length_of(&item, &length))
        return tmpl_fail(c, "can't slice item of type %s", item.type->name);
    at[1] = length;
    for (size_t i = 1; i < n; i++) {
        struct tmpl_value index = tmpl_unbox(arg[i]);
        if (!index_of(c, &index, length, &at[i - 1]))
            return false;
    }
    if (at[0] > at[1])
        return tmpl_fail(c, "invalid slice index: %zu > %zu", at[0], at[1]);
    if (n == 4 && at[1] > at[2])
        return tmpl_fail(c, "invalid slice index: %zu > %zu", at[1], at[2]);
    *out = item;
    if (item.type->kind == TMPL_STRING)
        out->s = str_sub(item.s, at[0], at[1]);
    else
        out->list = (struct tmpl_list){ item.list.v + at[0], at[1] - at[0] };
    return true;
}

/* ---- printing and escaping ---- */

static bool give_printed(struct tmpl_call *c, struct buf *b, bool ok, struct tmpl_value *out)
{
    if (!ok)
        return tmpl_charge(c, UINT64_MAX); // says that it is too much
    return tmpl_give_str(c, buf_view(b), out);
}

static size_t room(const struct tmpl_call *c)
{
    return (size_t)MIN(c->x->memory_left, (uint64_t)1 << 30);
}

static bool fn_print(struct tmpl_call *c, const struct tmpl_value *arg, size_t n,
                     struct tmpl_value *out)
{
    OWNED(buf_fini) struct buf b = { 0 };

    return give_printed(c, &b, tmpl_sprint(&b, room(c), arg, n, false), out);
}

static bool fn_println(struct tmpl_call *c, const struct tmpl_value *arg, size_t n,
                       struct tmpl_value *out)
{
    OWNED(buf_fini) struct buf b = { 0 };

    return give_printed(c, &b, tmpl_sprint(&b, room(c), arg, n, true), out);
}

static bool fn_printf(struct tmpl_call *c, const struct tmpl_value *arg, size_t n,
                      struct tmpl_value *out)
{
    OWNED(buf_fini) struct buf b = { 0 };

    return give_printed(c, &b, tmpl_sprintf(&b, room(c), arg[0].s, arg + 1, n - 1), out);
}

void tmpl_escape_html(struct buf *b, struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        switch (s.p[i]) {
        case 0:
            buf_lit(b, "\xef\xbf\xbd");
            break;
        case '"':
            buf_lit(b, "&#34;");
            break;
        case '\'':
            buf_lit(b, "&#39;");
            break;
        case '&':
            buf_lit(b, "&amp;");
            break;
        case '<':
            buf_lit(b, "&lt;");
            break;
        case '>':
            buf_lit(b, "&gt;");
            break;
        default:
            buf_char(b, s.p[i]);
        }
}

static void escape_js_ascii(struct buf *b, char c)
{
    if (c == '\\' || c == '\'' || c == '"')
        buf_printf(b, "\\%c", c);
    else if (c == '<' || c == '>' || c == '&' || c == '=' || (unsigned char)c < ' ')
        buf_printf(b, "\\u%04X", (unsigned char)c);
    else
        buf_char(b, c);
}

void tmpl_escape_js(struct buf *b, struct str s)
{
    while (s.n) {
        uint32_t r;
        size_t n = rune_decode(s, &r);
        if (r < 128)
            escape_js_ascii(b, (char)r);
        else if (rune_is_print(r))
            buf_str(b, str_sub(s, 0, n));
        else
            buf_printf(b, "\\u%04X", r);
        s = str_sub(s, n, s.n);
    }
}

void tmpl_escape_query(struct buf *b, struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char ch = (unsigned char)s.p[i];
        bool plain = (ch | 32u) - 'a' < 26u || ch - 48u < 10u || (ch && strchr("-_.~", ch));
        if (ch == ' ')
            buf_char(b, '+');
        else if (plain)
            buf_char(b, (char)ch);
        else
            buf_printf(b, "%%%02X", ch);
    }
}

static bool escaped(struct tmpl_call *c, const struct tmpl_value *arg, size_t n,
                    void (*escape)(struct buf *, struct str), struct tmpl_value *out)
{
    OWNED(buf_fini) struct buf plain = { 0 }, b = { 0 };

    if (!tmpl_sprint(&plain, room(c), arg, n, false))
        return give_printed(c, &b, false, out);
    escape(&b, buf_view(&plain));
    return tmpl_give_str(c, buf_view(&b), out);
}

static bool fn_html(struct tmpl_call *c, const struct tmpl_value *arg, size_t n,
                    struct tmpl_value *out)
{
    return escaped(c, arg, n, tmpl_escape_html, out);
}

static bool fn_js(struct tmpl_call *c, const struct tmpl_value *arg, size_t n,
                  struct tmpl_value *out)
{
    return escaped(c, arg, n, tmpl_escape_js, out);
}

static bool fn_urlquery(struct tmpl_call *c, const struct tmpl_value *arg, size_t n,
                        struct tmpl_value *out)
{
    return escaped(c, arg, n, tmpl_escape_query, out);
}

const struct tmpl_function tmpl_builtins[] = {
    { "and", fn_logic, { &tmpl_reflect }, &tmpl_reflect },
    { "call", fn_logic, { &tmpl_reflect }, &tmpl_reflect },
    { "eq", fn_eq, { &tmpl_reflect }, &tmpl_reflect },
    { "ge", fn_ge, { &tmpl_reflect, &tmpl_reflect }, NULL },
    { "gt", fn_gt, { &tmpl_reflect, &tmpl_reflect }, NULL },
    { "html", fn_html, { NULL }, &tmpl_any },
    { "index", fn_index, { &tmpl_reflect }, &tmpl_reflect },
    { "js", fn_js, { NULL }, &tmpl_any },
    { "le", fn_le, { &tmpl_reflect, &tmpl_reflect }, NULL },
    { "len", fn_len, { &tmpl_reflect }, NULL },
    { "lt", fn_lt, { &tmpl_reflect, &tmpl_reflect }, NULL },
    { "ne", fn_ne, { &tmpl_reflect, &tmpl_reflect }, NULL },
    { "not", fn_not, { &tmpl_reflect }, NULL },
    { "or", fn_logic, { &tmpl_reflect }, &tmpl_reflect },
    { "print", fn_print, { NULL }, &tmpl_any },
    { "printf", fn_printf, { &tmpl_string }, &tmpl_any },
    { "println", fn_println, { NULL }, &tmpl_any },
    { "slice", fn_slice, { &tmpl_reflect }, &tmpl_reflect },
    { "urlquery", fn_urlquery, { NULL }, &tmpl_any },
};
const size_t tmpl_builtin_count = ARRAY_LEN(tmpl_builtins);
