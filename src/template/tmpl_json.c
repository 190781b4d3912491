/*
 * tmpl_json.c - values as Go's encoding/json writes them, HTML's characters escaped.
 */
// SPDX-License-Identifier: Apache-2.0
#include <math.h>

#include "base/num.h"
#include "template/tmpl_priv.h"

enum { JSON_DEPTH_MAX = 100 };

static void put_string(struct buf *b, struct str s)
{
    static const char names[] = "\b\f\n\r\t\"\\", letters[] = "bfnrt\"\\";

    buf_char(b, '"');
    while (s.n) {
        uint32_t r;
        size_t n = rune_decode(s, &r);
        const char *at = r && r < 128 ? strchr(names, (int)r) : NULL;
        if (at)
            buf_printf(b, "\\%c", letters[at - names]);
        else if (r < ' ' || r == '<' || r == '>' || r == '&' || r == 0x2028 || r == 0x2029 ||
                 (r == RUNE_BAD && n == 1))
            buf_printf(b, "\\u%04x", r);
        else
            buf_str(b, str_sub(s, 0, n));
        s = str_sub(s, n, s.n);
    }
    buf_char(b, '"');
}

static bool put(struct buf *b, const struct tmpl_value *v, unsigned depth, const char **why);

static bool put_list(struct buf *b, const struct tmpl_value *v, unsigned depth, const char **why)
{
    if (!v->list.v) {
        buf_lit(b, "null");
        return true;
    }
    buf_char(b, '[');
    for (size_t i = 0; i < v->list.n; i++) {
        if (i)
            buf_char(b, ',');
        if (!put(b, &v->list.v[i], depth, why))
            return false;
    }
    buf_char(b, ']');
    return true;
}

static bool put_map(struct buf *b, const struct tmpl_value *v, unsigned depth, const char **why)
{
    if (!v->map.v) {
        buf_lit(b, "null");
        return true;
    }
    buf_char(b, '{');
    for (size_t i = 0; i < v->map.n; i++) {
        if (i)
            buf_char(b, ',');
        put_string(b, v->map.v[i].key);
        buf_char(b, ':');
        if (!put(b, &v->map.v[i].value, depth, why))
            return false;
    }
    buf_char(b, '}');
    return true;
}

static bool put_struct(struct buf *b, const struct tmpl_value *v, unsigned depth, const char **why)
{
    bool any = false;

    buf_char(b, '{');
    for (size_t i = 0; i < v->type->field_count; i++) {
        const struct tmpl_field *f = &v->type->field[i];
        if (!f->json || (f->omit_empty && !tmpl_is_true(&v->field[i])))
            continue;
        if (any)
            buf_char(b, ',');
        any = true;
        put_string(b, str_c(f->json));
        buf_char(b, ':');
        if (!put(b, &v->field[i], depth, why))
            return false;
    }
    buf_char(b, '}');
    return true;
}

static bool put_float(struct buf *b, double v, const char **why)
{
    if (isnan(v) || isinf(v)) {
        *why = isnan(v) ? "json: unsupported value: NaN"
               : v < 0  ? "json: unsupported value: -Inf"
                        : "json: unsupported value: +Inf";
        return false;
    }
    buf_double_json(b, v);
    return true;
}

static bool put(struct buf *b, const struct tmpl_value *v, unsigned depth, const char **why)
{
    if (depth > JSON_DEPTH_MAX) {
        *why = "json: unsupported value: nested too deep";
        return false;
    }
    if (!v->type) {
        buf_lit(b, "null");
        return true;
    }
    if (v->type->json) {
        v->type->json(b, v);
        return true;
    }
    switch (v->type->kind) {
    case TMPL_BOOL:
        buf_str(b, v->b ? STR("true") : STR("false"));
        return true;
    case TMPL_INT:
        buf_i64(b, v->i);
        return true;
    case TMPL_UINT:
        buf_u64(b, v->u);
        return true;
    case TMPL_FLOAT:
        return put_float(b, v->f, why);
    case TMPL_STRING:
        put_string(b, v->s);
        return true;
    case TMPL_LIST:
        return put_list(b, v, depth + 1, why);
    case TMPL_MAP:
        return put_map(b, v, depth + 1, why);
    case TMPL_STRUCT:
        return put_struct(b, v, depth + 1, why);
    case TMPL_POINTER:
        return put(b, v->target, depth + 1, why);
    default:
        *why = v->type->kind == TMPL_COMPLEX ? "json: unsupported type: complex128"
                                             : "json: unsupported type";
        return false;
    }
}

bool tmpl_json(struct buf *b, const struct tmpl_value *v, const char **why)
{
    return put(b, v, 0, why);
}
