// schema_print.c - the effective configuration as YAML, in the order of the tables.
// SPDX-License-Identifier: Apache-2.0
#include "config/schema.h"

#include "base/num.h"
#include "base/time.h"

static void indent_by(struct buf *b, int n)
{
    for (int i = 0; i < n; i++)
        buf_char(b, ' ');
}

void buf_conf_size(struct buf *b, uint64_t bytes)
{
    static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
    bool any = false;

    for (int i = 6; i >= 0; i--) {
        uint64_t part = bytes >> (10 * i);
        if (!part)
            continue;
        buf_printf(b, "%llu%s", (unsigned long long)part, units[i]);
        bytes -= part << (10 * i);
        any = true;
    }
    if (!any)
        buf_lit(b, "0B");
}

static bool is_zero_struct(const struct conf_type *type, const void *obj);

static bool is_empty(const struct conf_field *f, const void *at)
{
    switch (f->kind) {
    case CONF_BOOL:
        return !*(const bool *)at;
    case CONF_TRI:
        return *(const enum conf_tri *)at == CONF_UNSET;
    case CONF_INT:
    case CONF_UINT:
    case CONF_DURATION:
    case CONF_SIZE:
        return *(const int64_t *)at == 0;
    case CONF_DOUBLE:
        return !(*(const double *)at < 0 || *(const double *)at > 0);
    case CONF_STR:
    case CONF_SECRET:
    case CONF_URL:
        return ((const struct str *)at)->n == 0;
    case CONF_STRUCT:
    case CONF_INLINE:
        return is_zero_struct(f->type, at);
    case CONF_PTR:
        return !*(void *const *)at;
    case CONF_LIST:
        return ((const struct conf_list *)at)->n == 0;
    case CONF_STRS:
        return ((const struct conf_strs *)at)->n == 0;
    case CONF_MAP:
        return ((const struct conf_map *)at)->n == 0;
    case CONF_MULTIMAP:
        return ((const struct conf_multimap *)at)->n == 0;
    case CONF_NODE:
        return !*(const struct yaml_node *const *)at;
    }
    return true;
}

static bool is_zero_struct(const struct conf_type *type, const void *obj)
{
    for (size_t i = 0; i < type->field_count; i++)
        if (!is_empty(&type->fields[i], (const char *)obj + type->fields[i].offset))
            return false;
    return true;
}

// http://user:secret@host → http://user:xxxxx@host, as Go's URL.Redacted.
static void print_url(struct buf *b, struct str s)
{
    OWNED(buf_fini) struct buf out = { 0 };
    size_t scheme = str_find(s, STR("://")), at = STR_NPOS, colon = STR_NPOS;

    for (size_t i = scheme == STR_NPOS ? s.n : scheme + 3; i < s.n && s.p[i] != '/'; i++) {
        if (s.p[i] == ':' && colon == STR_NPOS)
            colon = i;
        if (s.p[i] == '@')
            at = i;
    }
    if (at == STR_NPOS || colon == STR_NPOS || colon > at) {
        buf_yaml_scalar(b, s);
        return;
    }
    buf_bytes(&out, s.p, colon + 1);
    buf_lit(&out, "xxxxx");
    buf_str(&out, str_sub(s, at, s.n));
    buf_yaml_scalar(b, buf_view(&out));
}

static void print_scalar(struct buf *b, const struct conf_field *f, const void *at)
{
    switch (f->kind) {
    case CONF_BOOL:
        buf_str(b, *(const bool *)at ? STR("true") : STR("false"));
        break;
    case CONF_TRI:
        buf_str(b, *(const enum conf_tri *)at == CONF_TRUE ? STR("true") : STR("false"));
        break;
    case CONF_INT:
        buf_i64(b, *(const int64_t *)at);
        break;
    case CONF_UINT:
        buf_u64(b, *(const uint64_t *)at);
        break;
    case CONF_DOUBLE:
        buf_double_g(b, *(const double *)at);
        break;
    case CONF_DURATION:
        buf_duration(b, *(const int64_t *)at);
        break;
    case CONF_SIZE:
        buf_conf_size(b, *(const uint64_t *)at);
        break;
    case CONF_SECRET:
        if (((const struct str *)at)->n)
            buf_lit(b, "<secret>");
        else
            buf_lit(b, "\"\"");
        break;
    case CONF_URL:
        print_url(b, *(const struct str *)at);
        break;
    default:
        buf_yaml_scalar(b, *(const struct str *)at);
        break;
    }
}

static void print_strs(struct buf *b, const struct conf_strs *v, int indent, bool flow)
{
    if (flow || !v->n) {
        buf_lit(b, " [");
        for (size_t i = 0; i < v->n; i++) {
            if (i)
                buf_lit(b, ", ");
            buf_yaml_scalar(b, v->v[i]);
        }
        buf_lit(b, "]\n");
        return;
    }
    buf_char(b, '\n');
    for (size_t i = 0; i < v->n; i++) {
        indent_by(b, indent);
        buf_lit(b, "- ");
        buf_yaml_scalar(b, v->v[i]);
        buf_char(b, '\n');
    }
}

static void print_list(struct buf *b, const struct conf_field *f, const struct conf_list *list,
                       int indent)
{
    buf_char(b, '\n');
    for (size_t i = 0; i < list->n; i++) {
        OWNED(buf_fini) struct buf item = { 0 };
        if (list->v[i])
            conf_print(&item, f->type, list->v[i], indent + 2);
        indent_by(b, indent);
        buf_lit(b, "- ");
        if (item.n)
            buf_str(b, str_sub(buf_view(&item), (size_t)indent + 2, item.n));
        else
            buf_lit(b, "{}\n");
    }
}

static void print_map(struct buf *b, const struct conf_map *m, int indent)
{
    buf_char(b, '\n');
    for (size_t i = 0; i < m->n; i++) {
        indent_by(b, indent);
        buf_yaml_scalar(b, m->v[i].key);
        buf_lit(b, ": ");
        buf_yaml_scalar(b, m->v[i].value);
        buf_char(b, '\n');
    }
}

static void print_multimap(struct buf *b, const struct conf_multimap *m, int indent)
{
    buf_char(b, '\n');
    for (size_t i = 0; i < m->n; i++) {
        indent_by(b, indent);
        buf_yaml_scalar(b, m->v[i].key);
        buf_char(b, ':');
        print_strs(b, &m->v[i].values, indent, false);
    }
}

static bool is_secret_key(struct str key)
{
    static const char *const words[] = { "password",     "secret",         "token",
                                         "credentials",  "passphrase",     "private_key",
                                         "consumer_key", "application_key" };

    if (str_ends(key, STR("_file")) || str_ends(key, STR("_url")))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (str_find(key, str_c(words[i])) != STR_NPOS)
            return true;
    return false;
}

void conf_print_node(struct buf *b, const struct yaml_node *n, int indent)
{
    if (n->kind == YAML_MAPPING) {
        for (size_t i = 0; i < n->n; i++) {
            const struct yaml_node *value = n->pairs[i].value;
            indent_by(b, indent);
            buf_yaml_scalar(b, n->pairs[i].key->text);
            buf_char(b, ':');
            bool nested = (value->kind == YAML_MAPPING || value->kind == YAML_SEQUENCE) && value->n;
            buf_char(b, nested ? '\n' : ' ');
            if (nested)
                conf_print_node(b, value, indent + (value->kind == YAML_MAPPING ? 2 : 0));
            else if (is_secret_key(n->pairs[i].key->text) && value->kind == YAML_SCALAR)
                buf_lit(b, "<secret>\n");
            else
                conf_print_node(b, value, 0);
        }
    } else if (n->kind == YAML_SEQUENCE && n->n) {
        for (size_t i = 0; i < n->n; i++) {
            OWNED(buf_fini) struct buf item = { 0 };
            bool mapping = n->items[i]->kind == YAML_MAPPING;
            conf_print_node(&item, n->items[i], mapping ? indent + 2 : 0);
            indent_by(b, indent);
            buf_lit(b, "- ");
            buf_str(b, str_sub(buf_view(&item), mapping ? (size_t)indent + 2 : 0, item.n));
        }
    } else {
        if (n->kind == YAML_SEQUENCE)
            buf_lit(b, "[]");
        else if (n->kind == YAML_NULL)
            buf_lit(b, "null");
        else if (n->plain)
            buf_str(b, n->text);
        else
            buf_yaml_scalar(b, n->text);
        buf_char(b, '\n');
    }
}

static void print_field(struct buf *b, const struct conf_field *f, const void *at, int indent)
{
    if (f->kind == CONF_INLINE) {
        conf_print(b, f->type, at, indent);
        return;
    }
    if (f->kind == CONF_NODE && !*(const struct yaml_node *const *)at)
        return;
    indent_by(b, indent);
    buf_printf(b, "%s:", f->key);
    switch (f->kind) {
    case CONF_STRUCT:
    case CONF_PTR: {
        size_t before = b->n + 1;
        buf_char(b, '\n');
        conf_print(b, f->type, f->kind == CONF_PTR ? *(void *const *)at : at, indent + 2);
        if (b->n == before) {
            b->n--;
            buf_lit(b, " {}\n");
        }
        break;
    }
    case CONF_LIST:
        print_list(b, f, at, indent);
        break;
    case CONF_STRS:
        print_strs(b, at, indent, f->flags & CONF_FLOW);
        break;
    case CONF_MAP:
        print_map(b, at, indent + 2);
        break;
    case CONF_MULTIMAP:
        print_multimap(b, at, indent + 2);
        break;
    case CONF_NODE: {
        const struct yaml_node *n = *(const struct yaml_node *const *)at;
        buf_char(b, '\n');
        conf_print_node(b, n, n->kind == YAML_SEQUENCE ? indent : indent + 2);
        break;
    }
    default:
        buf_char(b, ' ');
        print_scalar(b, f, at);
        buf_char(b, '\n');
        break;
    }
}

void conf_print(struct buf *b, const struct conf_type *type, const void *obj, int indent)
{
    for (size_t i = 0; i < type->field_count; i++) {
        const struct conf_field *f = &type->fields[i];
        const void *at = (const char *)obj + f->offset;
        if (f->flags & CONF_HIDDEN)
            continue;
        if ((f->flags & CONF_OMIT) && is_empty(f, at))
            continue;
        if (f->kind == CONF_PTR && !*(void *const *)at)
            continue;
        print_field(b, f, at, indent);
    }
}

/* ---- what is not shown ---- */

static void node_texts(struct buf *b, const struct yaml_node *n)
{
    buf_u64(b, n->n);
    buf_char(b, ' ');
    if (n->kind == YAML_SCALAR) {
        buf_str(b, n->text);
        buf_char(b, 0);
    }
    for (size_t i = 0; n->kind == YAML_SEQUENCE && i < n->n; i++)
        node_texts(b, n->items[i]);
    for (size_t i = 0; n->kind == YAML_MAPPING && i < n->n; i++) {
        node_texts(b, n->pairs[i].key);
        node_texts(b, n->pairs[i].value);
    }
}

static void field_secrets(struct buf *b, const struct conf_field *f, const void *at)
{
    const struct conf_list *list = at;

    switch (f->kind) {
    case CONF_SECRET:
    case CONF_URL:
        buf_str(b, *(const struct str *)at);
        buf_char(b, 0);
        break;
    case CONF_NODE:
        if (*(const struct yaml_node *const *)at)
            node_texts(b, *(const struct yaml_node *const *)at);
        break;
    case CONF_STRUCT:
    case CONF_INLINE:
        buf_conf_secrets(b, f->type, at);
        break;
    case CONF_PTR:
        if (*(void *const *)at)
            buf_conf_secrets(b, f->type, *(void *const *)at);
        break;
    case CONF_LIST:
        for (size_t i = 0; i < list->n; i++)
            if (list->v[i])
                buf_conf_secrets(b, f->type, list->v[i]);
        break;
    default:
        break;
    }
}

void buf_conf_secrets(struct buf *b, const struct conf_type *type, const void *obj)
{
    for (size_t i = 0; i < type->field_count; i++)
        field_secrets(b, &type->fields[i], (const char *)obj + type->fields[i].offset);
}
