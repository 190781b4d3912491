// yaml.c - libyaml's events into a tree.
// SPDX-License-Identifier: Apache-2.0
#include "codec/yaml.h"

#include <yaml.h>

#include "base/hash.h"
#include "base/map.h"
#include "base/num.h"
#include "base/vec.h"
#include "codec/base64.h"

struct anchor {
    struct str name;
    const struct yaml_node *node;
    size_t nodes; // below it and itself: what an alias costs
};

struct loader {
    struct arena *a;
    yaml_parser_t parser;
    struct err *e;
    VEC(struct anchor) anchors;
    size_t nodes; // made and referred to, against alias bombs
    int depth;
};

static struct pos pos_of(yaml_mark_t m)
{
    return (struct pos){ (uint32_t)m.line + 1, (uint32_t)m.column + 1, m.index };
}

/*
 * The line that Go's library says: it counts from 0, except for what the scanner finds, and leaves
 * line 0 out. People search for its words; the true place stands in the position beside.
 */
static size_t upstream_line(const yaml_parser_t *p)
{
    if (p->problem_mark.line)
        return p->problem_mark.line + (p->error == YAML_SCANNER_ERROR);
    return p->context_mark.line;
}

static bool parser_error(struct loader *l)
{
    const yaml_parser_t *p = &l->parser;
    const char *problem = p->problem ? p->problem : "unknown problem";
    struct pos pos = pos_of(p->problem_mark);

    if (p->error == YAML_READER_ERROR)
        return err_at(l->e, (struct pos){ 0, 0, p->problem_offset }, ERR_INVALID,
                      "yaml: %s at byte %zu", problem, p->problem_offset);
    size_t line = upstream_line(p);
    if (!line)
        return err_at(l->e, pos, ERR_INVALID, "yaml: %s", problem);
    return err_at(l->e, pos, ERR_INVALID, "yaml: line %zu: %s", line, problem);
}

static bool next_event(struct loader *l, yaml_event_t *ev)
{
    return yaml_parser_parse(&l->parser, ev) ? true : parser_error(l);
}

static void event_delete(yaml_event_t *ev)
{
    yaml_event_delete(ev);
}
OWN_DEFINE_FINI(yaml_event_t, event_delete);

static struct str event_text(const yaml_char_t *p, size_t n)
{
    return str_of((const char *)p, n);
}

static bool is_null_text(struct str s)
{
    return s.n == 0 || str_eq(s, STR("~")) || str_eq(s, STR("null")) || str_eq(s, STR("Null")) ||
           str_eq(s, STR("NULL"));
}

static bool node_at(struct loader *l, const yaml_event_t *ev, const struct yaml_node **out);

static bool binary_fill(struct loader *l, struct yaml_node *n)
{
    OWNED(buf_fini) struct buf b = { 0 };

    if (!base64_decode(n->text, &b))
        return err_at(l->e, n->pos, ERR_INVALID,
                      "yaml: !!binary value contains invalid base64 data");
    n->text = arena_str(l->a, buf_view(&b));
    return true;
}

static bool scalar_fill(struct loader *l, const yaml_event_t *ev, struct yaml_node *n)
{
    n->plain = ev->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    n->text = arena_str(l->a, event_text(ev->data.scalar.value, ev->data.scalar.length));
    const char *tag = (const char *)ev->data.scalar.tag;
    if (tag && strcmp(tag, YAML_STR_TAG) == 0)
        n->plain = false;
    n->kind = n->plain && is_null_text(n->text) ? YAML_NULL : YAML_SCALAR;
    if (tag && strcmp(tag, "tag:yaml.org,2002:binary") == 0)
        return binary_fill(l, n);
    return true;
}

static bool sequence_fill(struct loader *l, struct yaml_node *n)
{
    VEC(const struct yaml_node *) items = { 0 };

    for (;;) {
        OWNED(event_delete) yaml_event_t ev = { 0 };
        const struct yaml_node *item = NULL;
        if (!next_event(l, &ev))
            return false;
        if (ev.type == YAML_SEQUENCE_END_EVENT)
            break;
        if (!node_at(l, &ev, &item))
            return false;
        *vec_push_in(l->a, &items) = item;
    }
    n->kind = YAML_SEQUENCE;
    n->items = items.v;
    n->n = items.n;
    return true;
}

struct pairs {
    VEC(struct yaml_pair) v;
    struct map index;
};

static void pairs_fini(struct pairs *p)
{
    map_fini(&p->index);
}
OWN_DEFINE_FINI(struct pairs, pairs_fini);

static bool key_equal(const void *ctx, const void *key, uint32_t index)
{
    const struct pairs *p = ctx;

    return str_eq(p->v.v[index].key->text, *(const struct str *)key);
}

static uint32_t pair_find(const struct pairs *p, struct str key)
{
    return map_find(&p->index, hash_keyed(key), key_equal, p, &key);
}

static void pair_add(struct loader *l, struct pairs *p, struct yaml_pair pair)
{
    map_add(&p->index, hash_keyed(pair.key->text), (uint32_t)p->v.n);
    *vec_push_in(l->a, &p->v) = pair;
}

// Adds what a << value brings and the mapping has not got itself.
static bool merge_in(struct loader *l, struct pairs *p, const struct yaml_node *from)
{
    if (from->kind == YAML_SEQUENCE) {
        for (size_t i = 0; i < from->n; i++)
            if (from->items[i]->kind != YAML_MAPPING || !merge_in(l, p, from->items[i]))
                return err_at(
                    l->e, from->pos, ERR_INVALID,
                    "yaml: line %u: map merge requires map or sequence of maps as the value",
                    from->pos.line);
        return true;
    }
    if (from->kind != YAML_MAPPING)
        return err_at(l->e, from->pos, ERR_INVALID,
                      "yaml: line %u: map merge requires map or sequence of maps as the value",
                      from->pos.line);
    for (size_t i = 0; i < from->n; i++)
        if (pair_find(p, from->pairs[i].key->text) == MAP_NONE)
            pair_add(l, p, from->pairs[i]);
    return true;
}

static bool pair_at(struct loader *l, const yaml_event_t *key_event, struct pairs *p,
                    const struct yaml_node **merge)
{
    OWNED(event_delete) yaml_event_t ev = { 0 };
    struct yaml_pair pair = { 0 };

    if (!node_at(l, key_event, &pair.key))
        return false;
    struct pos at = pair.key->pos;
    if (pair.key->kind != YAML_SCALAR && pair.key->kind != YAML_NULL)
        return err_at(l->e, at, ERR_INVALID, "yaml: line %u: a key must be plain text", at.line);
    if (!next_event(l, &ev) || !node_at(l, &ev, &pair.value))
        return false;
    if (pair.key->plain && str_eq(pair.key->text, STR("<<"))) {
        *merge = pair.value;
        return true;
    }
    uint32_t before = pair_find(p, pair.key->text);
    if (before != MAP_NONE)
        return err_at(
            l->e, at, ERR_INVALID,
            "yaml: unmarshal errors:\n  line %u: mapping key \"%.*s\" already defined at line %u",
            at.line, STRF(pair.key->text), p->v.v[before].key->pos.line);
    pair_add(l, p, pair);
    return true;
}

static bool mapping_fill(struct loader *l, struct yaml_node *n)
{
    OWNED(pairs_fini) struct pairs p = { 0 };
    const struct yaml_node *merge = NULL;

    for (;;) {
        OWNED(event_delete) yaml_event_t ev = { 0 };
        if (!next_event(l, &ev))
            return false;
        if (ev.type == YAML_MAPPING_END_EVENT)
            break;
        if (!pair_at(l, &ev, &p, &merge))
            return false;
    }
    if (merge && !merge_in(l, &p, merge))
        return false;
    n->kind = YAML_MAPPING;
    n->pairs = p.v.v;
    n->n = p.v.n;
    return true;
}

static bool count_nodes(struct loader *l, size_t n, struct pos pos)
{
    l->nodes += n;
    if (l->nodes > YAML_NODES_MAX)
        return err_at(l->e, pos, ERR_LIMIT,
                      "yaml: document contains excessive aliasing or is too big");
    return true;
}

static bool alias_at(struct loader *l, const yaml_event_t *ev, const struct yaml_node **out)
{
    struct str name = str_c((const char *)ev->data.alias.anchor);
    struct pos pos = pos_of(ev->start_mark);

    for (size_t i = l->anchors.n; i-- > 0;) {
        if (!str_eq(l->anchors.v[i].name, name))
            continue;
        if (!l->anchors.v[i].node)
            return err_at(l->e, pos, ERR_INVALID, "yaml: anchor '%.*s' value contains itself",
                          STRF(name));
        if (!count_nodes(l, l->anchors.v[i].nodes, pos))
            return false;
        *out = l->anchors.v[i].node;
        return true;
    }
    return err_at(l->e, pos, ERR_INVALID, "yaml: unknown anchor '%.*s' referenced", STRF(name));
}

// Remembers the anchor before its content is read, so that a cycle is seen. SIZE_MAX: no anchor.
static size_t anchor_begin(struct loader *l, const yaml_event_t *ev)
{
    const yaml_char_t *name = ev->type == YAML_SCALAR_EVENT ? ev->data.scalar.anchor
                              : ev->type == YAML_SEQUENCE_START_EVENT
                                  ? ev->data.sequence_start.anchor
                                  : ev->data.mapping_start.anchor;
    if (!name)
        return SIZE_MAX;
    *vec_push_in(
        l->a, &l->anchors) = (struct anchor){ .name = arena_str(l->a, str_c((const char *)name)) };
    return l->anchors.n - 1;
}

static bool node_at(struct loader *l, const yaml_event_t *ev, const struct yaml_node **out)
{
    if (ev->type == YAML_ALIAS_EVENT)
        return alias_at(l, ev, out);
    struct yaml_node *n = arena_new(l->a, struct yaml_node);
    size_t anchor = anchor_begin(l, ev), before = l->nodes;
    bool ok = true;

    n->pos = pos_of(ev->start_mark);
    if (!count_nodes(l, 1, n->pos))
        return false;
    if (l->depth == YAML_DEPTH_MAX)
        return err_at(l->e, n->pos, ERR_LIMIT, "yaml: line %u: nested deeper than %d", n->pos.line,
                      YAML_DEPTH_MAX);
    l->depth++;
    if (ev->type == YAML_SCALAR_EVENT)
        ok = scalar_fill(l, ev, n);
    else if (ev->type == YAML_SEQUENCE_START_EVENT)
        ok = sequence_fill(l, n);
    else
        ok = mapping_fill(l, n);
    l->depth--;
    if (!ok)
        return false;
    if (anchor != SIZE_MAX) {
        l->anchors.v[anchor].node = n;
        l->anchors.v[anchor].nodes = l->nodes - before;
    }
    *out = n;
    return true;
}

static bool document_at(struct loader *l, const struct yaml_node **out)
{
    for (;;) {
        OWNED(event_delete) yaml_event_t ev = { 0 };
        if (!next_event(l, &ev))
            return false;
        if (ev.type == YAML_STREAM_END_EVENT) {
            *out = arena_new(l->a, struct yaml_node); // an empty file
            return true;
        }
        if (ev.type == YAML_STREAM_START_EVENT || ev.type == YAML_DOCUMENT_START_EVENT)
            continue;
        return node_at(l, &ev, out);
    }
}

bool yaml_parse(struct arena *a, struct str text, const struct yaml_node **out, struct err *e)
{
    struct loader l = { .a = a, .e = e };

    if (!yaml_parser_initialize(&l.parser))
        return err_set(e, ERR_IO, "yaml: cannot start the parser");
    yaml_parser_set_input_string(&l.parser, (const unsigned char *)(text.p ? text.p : ""), text.n);
    yaml_parser_set_encoding(&l.parser, YAML_UTF8_ENCODING);
    bool ok = document_at(&l, out);
    yaml_parser_delete(&l.parser);
    return ok;
}

const struct yaml_node *yaml_get(const struct yaml_node *n, struct str key)
{
    if (!n || n->kind != YAML_MAPPING)
        return NULL;
    for (size_t i = 0; i < n->n; i++)
        if (str_eq(n->pairs[i].key->text, key))
            return n->pairs[i].value;
    return NULL;
}

bool yaml_is_null(const struct yaml_node *n)
{
    return !n || n->kind == YAML_NULL;
}

bool yaml_to_bool(const struct yaml_node *n, bool *out)
{
    static const char *const yes[] = { "true", "True", "TRUE", "yes", "Yes", "YES",
                                       "on",   "On",   "ON",   "y",   "Y" };
    static const char *const no[] = { "false", "False", "FALSE", "no", "No", "NO",
                                      "off",   "Off",   "OFF",   "n",  "N" };

    if (!n || n->kind != YAML_SCALAR || !n->plain)
        return false;
    for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
        if (str_eq_c(n->text, yes[i]) || str_eq_c(n->text, no[i])) {
            *out = str_eq_c(n->text, yes[i]);
            return true;
        }
    }
    return false;
}

// Digits of a base without separators; false on anything else.
static bool digits_to_u64(struct str s, unsigned base, uint64_t *out)
{
    uint64_t v = 0;

    if (!s.n)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        unsigned c = (unsigned char)s.p[i];
        unsigned d = c >= '0' && c <= '9'                 ? c - '0'
                     : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
                                                          : 99;
        if (d >= base || __builtin_mul_overflow(v, (uint64_t)base, &v) ||
            __builtin_add_overflow(v, (uint64_t)d, &v))
            return false;
    }
    *out = v;
    return true;
}

bool yaml_to_i64(const struct yaml_node *n, int64_t *out)
{
    OWNED(buf_fini) struct buf b = { 0 };
    uint64_t v;

    if (!n || n->kind != YAML_SCALAR || !n->plain)
        return false;
    for (size_t i = 0; i < n->text.n; i++)
        if (n->text.p[i] != '_')
            buf_char(&b, n->text.p[i]);
    struct str s = buf_view(&b);
    bool negative = str_starts(s, STR("-"));
    if (negative || str_starts(s, STR("+")))
        s = str_sub(s, 1, s.n);
    unsigned base = str_starts(s, STR("0x"))   ? 16
                    : str_starts(s, STR("0b")) ? 2
                    : str_starts(s, STR("0o")) ? 8
                                               : 10;
    if (base != 10)
        s = str_sub(s, 2, s.n);
    else if (s.n > 1 && s.p[0] == '0')
        base = 8; // YAML 1.1
    if (!digits_to_u64(s, base, &v) || v > (uint64_t)INT64_MAX + negative)
        return false;
    *out = negative ? (int64_t)(0 - v) : (int64_t)v;
    return true;
}

bool yaml_to_double(const struct yaml_node *n, double *out)
{
    int64_t i;

    if (yaml_to_i64(n, &i)) {
        *out = (double)i;
        return true;
    }
    if (!n || n->kind != YAML_SCALAR || !n->plain)
        return false;
    struct str s = n->text;
    if (str_ends(s, STR(".inf")) || str_ends(s, STR(".Inf")) || str_ends(s, STR(".nan")) ||
        str_ends(s, STR(".NaN"))) {
        OWNED(buf_fini) struct buf b = { 0 };
        buf_bytes(&b, s.p, s.n - 4);
        buf_bytes(&b, s.p + s.n - 3, 3);
        return num_parse_double(buf_view(&b), out);
    }
    return num_parse_double(s, out);
}

const char *yaml_kind_name(const struct yaml_node *n)
{
    static const char *const names[] = { "nothing", "text", "a list", "a mapping" };

    return n ? names[n->kind] : names[0];
}

// Whether a plain scalar would be read as something else than this text.
static bool needs_quotes(struct str s)
{
    struct yaml_node n = { .kind = YAML_SCALAR, .plain = true, .text = s };
    bool b;
    double d;

    if (is_null_text(s) || yaml_to_bool(&n, &b) || yaml_to_double(&n, &d))
        return true;
    if (strchr("-?:,[]{}#&*!|>'\"%@` ", s.p[0]) &&
        !(s.n > 1 && strchr("-?:", s.p[0]) && s.p[1] != ' '))
        return true;
    if (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == ':' || str_find(s, STR(": ")) != STR_NPOS ||
        str_find(s, STR(" #")) != STR_NPOS)
        return true;
    return false;
}

void buf_yaml_scalar(struct buf *b, struct str s)
{
    bool control = false;

    for (size_t i = 0; i < s.n; i++)
        control |= (unsigned char)s.p[i] < ' ' || s.p[i] == 0x7f;
    if (!control && s.n && !needs_quotes(s)) {
        buf_str(b, s);
        return;
    }
    bool single = !control && s.n &&
                  (str_find_char(s, '"') != STR_NPOS || strchr("-?:,[]{}#&*!|>%@`", s.p[0]) ||
                   s.p[s.n - 1] == ':' || str_find(s, STR(": ")) != STR_NPOS ||
                   str_find(s, STR(" #")) != STR_NPOS);
    buf_char(b, single ? '\'' : '"');
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (single && c == '\'')
            buf_lit(b, "''");
        else if (!single && (c == '"' || c == '\\'))
            buf_printf(b, "\\%c", c);
        else if (c == '\n')
            buf_lit(b, "\\n");
        else if (c == '\t')
            buf_lit(b, "\\t");
        else if ((unsigned char)c < ' ' || c == 0x7f)
            buf_printf(b, "\\x%02X", (unsigned char)c);
        else
            buf_char(b, c);
    }
    buf_char(b, single ? '\'' : '"');
}
