/*
 * tmpl_value.c - types that every template knows, and making values of them.
 */
// SPDX-License-Identifier: Apache-2.0
#include "base/sort.h"
#include "template/tmpl_priv.h"

const struct tmpl_type tmpl_bool = { .name = "bool", .kind = TMPL_BOOL };
const struct tmpl_type tmpl_int = { .name = "int", .kind = TMPL_INT };
const struct tmpl_type tmpl_int64 = { .name = "int64", .kind = TMPL_INT };
const struct tmpl_type tmpl_uint = { .name = "uint", .kind = TMPL_UINT };
const struct tmpl_type tmpl_uint64 = { .name = "uint64", .kind = TMPL_UINT };
const struct tmpl_type tmpl_byte = { .name = "uint8", .kind = TMPL_UINT };
const struct tmpl_type tmpl_float = { .name = "float64", .kind = TMPL_FLOAT };
const struct tmpl_type tmpl_complex = { .name = "complex128", .kind = TMPL_COMPLEX };
const struct tmpl_type tmpl_string = { .name = "string", .kind = TMPL_STRING };
const struct tmpl_type tmpl_html = { .name = "template.HTML", .kind = TMPL_STRING };
const struct tmpl_type tmpl_any = { .name = "interface {}", .kind = TMPL_ANY };
const struct tmpl_type tmpl_reflect = { .name = "reflect.Value", .kind = TMPL_REFLECT };
const struct tmpl_type tmpl_strings = { .name = "[]string",
                                        .kind = TMPL_LIST,
                                        .elem = &tmpl_string };
const struct tmpl_type tmpl_any_list = { .name = "[]interface {}",
                                         .kind = TMPL_LIST,
                                         .elem = &tmpl_any };
const struct tmpl_type tmpl_string_map = { .name = "map[string]string",
                                           .kind = TMPL_MAP,
                                           .elem = &tmpl_string };
const struct tmpl_type tmpl_any_map = { .name = "map[string]interface {}",
                                        .kind = TMPL_MAP,
                                        .elem = &tmpl_any };

struct tmpl_value tmpl_of_time(struct arena *a, int64_t s, int32_t ns)
{
    struct tmpl_instant *t = arena_new(a, struct tmpl_instant);

    t->s = s;
    t->ns = ns;
    return (struct tmpl_value){ .type = &tmpl_time, .instant = t };
}

struct tmpl_value tmpl_of_strs(struct arena *a, const struct tmpl_type *type, const struct str *v,
                               size_t n)
{
    struct tmpl_value *list = arena_array(a, n + 1, struct tmpl_value);

    for (size_t i = 0; i < n; i++)
        list[i] = tmpl_of_str(v[i]);
    return (struct tmpl_value){ .type = type, .list = { list, n } };
}

struct tmpl_value tmpl_of_fields(struct arena *a, const struct tmpl_type *type,
                                 const struct tmpl_value *v)
{
    return (struct tmpl_value){ .type = type,
                                .field = arena_copy(a, v, type->field_count * sizeof *v) };
}

struct tmpl_value tmpl_pointer_to(struct arena *a, const struct tmpl_type *type,
                                  struct tmpl_value target)
{
    return (struct tmpl_value){ .type = type, .target = arena_copy(a, &target, sizeof target) };
}

static int by_key(const void *a, const void *b, void *ctx UNUSED)
{
    return str_cmp(((const struct tmpl_pair *)a)->key, ((const struct tmpl_pair *)b)->key);
}

struct tmpl_value tmpl_of_pairs(const struct tmpl_type *type, struct tmpl_pair *v, size_t n)
{
    size_t kept = 0;

    sort_stable(v, n, sizeof *v, by_key, NULL);
    for (size_t i = 0; i < n; i++) // of equal keys the last one counts
        if (i + 1 == n || !str_eq(v[i].key, v[i + 1].key))
            v[kept++] = v[i];
    return (struct tmpl_value){ .type = type, .map = { v, kept } };
}

const struct tmpl_value *tmpl_map_get(const struct tmpl_value *map, struct str key)
{
    size_t lo = 0, hi = map->map.n;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int c = str_cmp(map->map.v[mid].key, key);
        if (!c)
            return &map->map.v[mid].value;
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return NULL;
}

struct tmpl_value tmpl_follow(struct tmpl_value v)
{
    v.boxed = false;
    while (v.type && v.type->kind == TMPL_POINTER)
        v = tmpl_unbox(*v.target);
    return v;
}

bool tmpl_is_true(const struct tmpl_value *v)
{
    if (!v->type)
        return false;
    switch (v->type->kind) {
    case TMPL_BOOL:
        return v->b;
    case TMPL_INT:
        return v->i != 0;
    case TMPL_UINT:
        return v->u != 0;
    case TMPL_FLOAT:
        return v->f != 0;
    case TMPL_COMPLEX:
        return v->c.re != 0 || v->c.im != 0;
    case TMPL_STRING:
        return v->s.n > 0;
    case TMPL_LIST:
        return v->list.n > 0;
    case TMPL_MAP:
        return v->map.n > 0;
    default:
        return true;
    }
}

const char *tmpl_type_name(const struct tmpl_value *v)
{
    if (v->boxed)
        return "interface {}";
    return v->type ? v->type->name : "<nil>";
}

static bool is_unnamed(const struct tmpl_type *t)
{
    return t->name[0] == '[' || strncmp(t->name, "map[", 4) == 0;
}

bool tmpl_assignable(const struct tmpl_type *from, const struct tmpl_type *to)
{
    if (from == to || to->kind == TMPL_ANY)
        return true;
    return from->kind == to->kind && (from->kind == TMPL_LIST || from->kind == TMPL_MAP) &&
           from->elem == to->elem && (is_unnamed(from) || is_unnamed(to));
}

bool tmpl_can_be_nil(const struct tmpl_type *t)
{
    return t->kind == TMPL_LIST || t->kind == TMPL_MAP || t->kind == TMPL_ANY ||
           t->kind == TMPL_REFLECT || t->kind == TMPL_POINTER;
}

struct tmpl_value tmpl_zero(const struct tmpl_type *t)
{
    if (t->kind == TMPL_ANY || t->kind == TMPL_REFLECT || t->kind == TMPL_POINTER)
        return (struct tmpl_value){ .boxed = t->kind == TMPL_ANY };
    if (t->kind == TMPL_OPAQUE) {
        static const struct tmpl_instant year_one = { .s = -62135596800 };
        return (struct tmpl_value){ .type = t, .instant = &year_one };
    }
    return (struct tmpl_value){ .type = t };
}

const struct tmpl_function *tmpl_find(const struct tmpl_function *v, size_t n, struct str name)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq_c(name, v[i].name))
            return &v[i];
    return NULL;
}
