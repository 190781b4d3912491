// rules.c - rule files.
// SPDX-License-Identifier: Apache-2.0
#include "config/rules.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/time.h"
#include "model/labels.h"
#include "template/tmpl_prometheus.h"

struct rule_reader {
    struct rule_file *file;
    const struct rule_file_options *options;
    struct str text;
    VEC(struct rule_problem) problems;
    VEC(struct promql) queries;
    struct rule_group *group; // being checked
    const struct rule *rule;
    struct str where;
};

/* ---- the document ---- */

static struct pos pos_of_key(const struct yaml_node *node, struct str key)
{
    const struct yaml_node *value = yaml_get(node, key);

    return value ? value->pos : (struct pos){ 0 };
}

static bool note_rule(struct conf_reader *r UNUSED, const struct yaml_node *node, void *obj,
                      struct err *e UNUSED)
{
    struct rule *rule = obj;

    rule->pos = node->pos;
    rule->record_pos = pos_of_key(node, STR("record"));
    rule->alert_pos = pos_of_key(node, STR("alert"));
    rule->expr_pos = pos_of_key(node, STR("expr"));
    return true;
}

static bool note_group(struct conf_reader *r UNUSED, const struct yaml_node *node, void *obj,
                       struct err *e)
{
    struct rule_group *g = obj;
    struct err inner = { 0 };

    g->pos = node->pos;
    if (yaml_is_null(g->offset_node))
        return true;
    g->has_query_offset = true;
    return duration_parse(g->offset_node->text, &g->query_offset_ms, &inner) ||
           conf_fail(e, g->offset_node, "%s", inner.text);
}

static const struct conf_field rule_fields[] = {
    CONF_FIELD(struct rule, record, "record", CONF_STR, 0, NULL),
    CONF_FIELD(struct rule, alert, "alert", CONF_STR, 0, NULL),
    CONF_FIELD(struct rule, expr, "expr", CONF_STR, 0, NULL),
    CONF_FIELD(struct rule, for_ms, "for", CONF_DURATION, 0, NULL),
    CONF_FIELD(struct rule, keep_firing_for_ms, "keep_firing_for", CONF_DURATION, 0, NULL),
    CONF_FIELD(struct rule, labels, "labels", CONF_MAP, 0, NULL),
    CONF_FIELD(struct rule, annotations, "annotations", CONF_MAP, 0, NULL),
};
static const struct conf_type rule_type = CONF_TYPE("rulefmt.Rule", struct rule, rule_fields, NULL,
                                                    note_rule);

static const struct conf_field group_fields[] = {
    CONF_FIELD(struct rule_group, name, "name", CONF_STR, 0, NULL),
    CONF_FIELD(struct rule_group, interval_ms, "interval", CONF_DURATION, 0, NULL),
    CONF_FIELD(struct rule_group, offset_node, "query_offset", CONF_NODE, 0, NULL),
    CONF_FIELD(struct rule_group, limit, "limit", CONF_INT, 0, NULL),
    CONF_FIELD(struct rule_group, rules, "rules", CONF_LIST, 0, &rule_type),
    CONF_FIELD(struct rule_group, labels, "labels", CONF_MAP, 0, NULL),
};
static const struct conf_type group_type = CONF_TYPE("rulefmt.RuleGroup", struct rule_group,
                                                     group_fields, NULL, note_group);

struct groups_only {
    struct conf_list groups;
};
static const struct conf_field file_fields[] = {
    CONF_FIELD(struct groups_only, groups, "groups", CONF_LIST, 0, &group_type),
};
static const struct conf_type file_type = CONF_TYPE("rulefmt.RuleGroups", struct groups_only,
                                                    file_fields, NULL, NULL);

/* ---- problems ---- */

static struct rule_problem *add_problem(struct rule_reader *r, struct pos pos, struct str text)
{
    struct rule_problem *p = vec_push_in(&r->file->arena, &r->problems);

    *p = (struct rule_problem){ .pos = pos, .where = r->where, .text = text, .upstream = text };
    return p;
}

// A problem of the rule at hand; `places` is upstream's prefix of positions, "4:17: ".
static struct rule_problem *add_rule_problem(struct rule_reader *r, struct pos pos,
                                             struct str places, struct str text)
{
    struct rule_problem *p = add_problem(r, pos.line ? pos : r->rule->pos, text);

    p->upstream = arena_printf(&r->file->arena, "%.*s%.*s: %.*s", STRF(places), STRF(r->where),
                               STRF(text));
    return p;
}

static struct str place(struct rule_reader *r, struct pos pos)
{
    return arena_printf(&r->file->arena, "%u:%u: ", pos.line, pos.col);
}

#define SAY(r, ...) arena_printf(&(r)->file->arena, __VA_ARGS__)

/* ---- expressions ---- */

static struct str line_of(struct str text, uint32_t line)
{
    struct str rest = text, one = STR_NONE;

    for (uint32_t i = 0; i < line && rest.p; i++)
        one = str_cut(&rest, '\n');
    return one;
}

static size_t indent_of(struct str line)
{
    size_t n = 0;

    while (n < line.n && line.p[n] == ' ')
        n++;
    return n;
}

/*
 * Where byte `offset` of an expression stands in the file: exact for a value on one line and for
 * a literal block (|); else the start of the value.
 */
static struct pos expr_place(const struct rule_reader *r, const struct rule *rule, size_t offset)
{
    struct pos at = rule->expr_pos, inner = pos_of_offset(rule->expr, offset);
    struct str line = line_of(r->text, at.line);
    struct str value = str_sub(line, at.col - 1, line.n);

    if (value.n && value.p[0] == '|') {
        struct str first = STR_NONE;
        for (uint32_t i = 1; !first.n && i < 4; i++) // blank lines may come first
            first = str_trim(line_of(r->text, at.line + i)).n ? line_of(r->text, at.line + i)
                                                              : STR_NONE;
        at.line += inner.line;
        at.col = (uint32_t)indent_of(first) + inner.col;
        return at;
    }
    size_t quote = value.n && (value.p[0] == '"' || value.p[0] == '\'');
    if (str_starts(str_sub(value, quote, value.n), str_sub(rule->expr, 0, offset)))
        at.col += (uint32_t)(quote + offset);
    return at;
}

static void check_expr(struct rule_reader *r, struct rule *rule, size_t index)
{
    struct promql *q = &r->file->queries[index];
    struct err e = { 0 };

    if (!rule->expr.n) {
        add_rule_problem(r, rule->expr_pos, place(r, rule->expr_pos),
                         STR("field 'expr' must be set in rule"));
        return;
    }
    r->file->query_count = index + 1;
    if (promql_parse_with(&r->file->arena, rule->expr, &r->options->syntax, q, &e)) {
        rule->query = q;
        return;
    }
    OWNED(buf_fini) struct buf b = { 0 };
    if (q->error_count)
        promql_print_error(&b, q, 0);
    else
        buf_str(&b, str_c(e.text));
    struct pos at = expr_place(r, rule, q->error_count ? q->errors[0].start : 0);
    struct rule_problem *p = add_rule_problem(
        r, at, place(r, rule->expr_pos),
        SAY(r, "could not parse expression: %.*s", STRF(buf_view(&b))));
    if (q->error_count)
        p->text = SAY(r, "%.*s", STRF(q->errors[0].text));
}

/* ---- rules ---- */

static void check_kind(struct rule_reader *r, const struct rule *rule)
{
    struct str places = SAY(r, "%u:%u: %u:%u: ", rule->record_pos.line, rule->record_pos.col,
                            rule->alert_pos.line, rule->alert_pos.col);

    if (rule->record.n && rule->alert.n)
        add_rule_problem(r, rule->record_pos, places,
                         STR("only one of 'record' and 'alert' must be set"));
    if (!rule->record.n && !rule->alert.n)
        add_rule_problem(r, rule->pos, places, STR("one of 'record' or 'alert' must be set"));
}

static void check_record(struct rule_reader *r, const struct rule *rule)
{
    struct str at = place(r, rule->record_pos);
    struct pos pos = rule->record_pos;

    if (rule->annotations.n)
        add_rule_problem(r, pos, at, STR("invalid field 'annotations' in recording rule"));
    if (rule->for_ms)
        add_rule_problem(r, pos, at, STR("invalid field 'for' in recording rule"));
    if (rule->keep_firing_for_ms)
        add_rule_problem(r, pos, at, STR("invalid field 'keep_firing_for' in recording rule"));
    bool valid = r->options->legacy_names ? metric_name_is_legacy(rule->record)
                                          : str_is_utf8(rule->record);
    if (!valid)
        add_rule_problem(r, pos, at,
                         SAY(r, "invalid recording rule name: %.*s", STRF(rule->record)));
    if (str_find_char(rule->record, '{') != STR_NPOS ||
        str_find_char(rule->record, '}') != STR_NPOS)
        add_rule_problem(r, pos, at,
                         SAY(r,
                             "braces present in the recording rule name; should it be in expr?: "
                             "%.*s",
                             STRF(rule->record)));
}

static bool name_is_valid(const struct rule_reader *r, struct str name)
{
    return r->options->legacy_names ? label_name_is_legacy(name) : name.n && str_is_utf8(name);
}

static void check_labels(struct rule_reader *r, const struct conf_map *labels, struct pos pos)
{
    for (size_t i = 0; i < labels->n; i++) {
        struct str name = labels->v[i].key, value = labels->v[i].value;
        struct str bad = STR_NONE;
        if (!name_is_valid(r, name) || str_eq(name, LABEL_NAME))
            bad = SAY(r, "invalid label name: %.*s", STRF(name));
        else if (!str_is_utf8(value))
            bad = SAY(r, "invalid label value: %.*s", STRF(value));
        if (bad.n && r->rule)
            add_rule_problem(r, pos, STR_NONE, bad);
        else if (bad.n)
            add_problem(r, pos, bad);
    }
}

// The values of labels or annotations of an alert are templates.
static void check_templates(struct rule_reader *r, const struct rule *rule, const char *what,
                            const struct conf_map *map)
{
    OWNED(arena_fini) struct arena scratch = { 0 };

    for (size_t i = 0; i < map->n; i++) {
        OWNED(buf_fini) struct buf b = { 0 };
        const struct tmpl_alert *t = tmpl_alert_new(&scratch, rule->alert, map->v[i].value);
        struct str problem = tmpl_alert_problem(t);
        if (!problem.n)
            continue;
        buf_printf(&b, "%s ", what);
        buf_quoted(&b, map->v[i].key);
        buf_printf(&b, ": %.*s", STRF(problem));
        add_rule_problem(r, rule->pos, STR_NONE, arena_str(&r->file->arena, buf_view(&b)));
    }
}

static void check_rule(struct rule_reader *r, struct rule *rule, size_t index)
{
    check_kind(r, rule);
    check_expr(r, rule, index);
    if (rule->record.n)
        check_record(r, rule);
    check_labels(r, &rule->labels, rule->pos);
    for (size_t i = 0; i < rule->annotations.n; i++)
        if (!name_is_valid(r, rule->annotations.v[i].key))
            add_rule_problem(
                r, rule->pos, STR_NONE,
                SAY(r, "invalid annotation name: %.*s", STRF(rule->annotations.v[i].key)));
    if (!rule->alert.n)
        return;
    check_templates(r, rule, "label", &rule->labels);
    check_templates(r, rule, "annotation", &rule->annotations);
}

static void check_group_name(struct rule_reader *r, const struct rule_group *g, size_t index)
{
    struct conf_list *all = &r->file->groups;
    struct rule_problem *p;

    if (!g->name.n) {
        p = add_problem(r, g->pos, STR("Groupname must not be empty"));
        p->upstream = STR("0:0: Groupname must not be empty");
    }
    for (size_t i = 0; i < index; i++) {
        const struct rule_group *before = all->v[i];
        if (!str_eq(before->name, g->name))
            continue;
        p = add_problem(r, g->pos,
                        SAY(r, "group name \"%.*s\" is already used in line %u", STRF(g->name),
                            before->pos.line));
        p->upstream = SAY(r, "0:0: groupname: \"%.*s\" is repeated in the same file",
                          STRF(g->name));
        break;
    }
}

static void check_group(struct rule_reader *r, size_t index, size_t *rules_before)
{
    struct rule_group *g = r->file->groups.v[index];

    r->where = STR_NONE;
    r->rule = NULL;
    check_group_name(r, g, index);
    check_labels(r, &g->labels, g->pos);
    for (size_t i = 0; i < g->rules.n; i++) {
        struct rule *rule = g->rules.v[i];
        OWNED(buf_fini) struct buf b = { 0 };
        buf_lit(&b, "group ");
        buf_quoted(&b, g->name);
        buf_printf(&b, ", rule %zu, ", i + 1);
        buf_quoted(&b, rule_name(rule));
        r->where = arena_str(&r->file->arena, buf_view(&b));
        r->rule = rule;
        check_rule(r, rule, (*rules_before)++);
    }
}

static void check_all(struct rule_reader *r)
{
    struct conf_list *groups = &r->file->groups;
    size_t rules = 0;

    for (size_t i = 0; i < groups->n; i++)
        rules += ((struct rule_group *)groups->v[i])->rules.n;
    r->file->queries = arena_array(&r->file->arena, rules, struct promql);
    rules = 0;
    for (size_t i = 0; i < groups->n; i++)
        check_group(r, i, &rules);
}

/* ---- reading ---- */

/*
 * Upstream reads the text twice, strictly and for its positions, and says what fails in both
 * twice; unknown keys fail only the first time.
 */
static void add_read_error(struct rule_reader *r, const struct conf_reader *conf,
                           const struct err *e)
{
    OWNED(buf_fini) struct buf known = { 0 };
    OWNED(buf_fini) struct buf all = { 0 };

    if (!conf->problems.n) {
        struct str text = arena_str(&r->file->arena, str_c(e->text)), plain = text;
        if (str_starts(text, STR("yaml: line ")))
            plain = str_sub(text, str_find(str_sub(text, 6, text.n), STR(": ")) + 8, text.n);
        add_problem(r, e->pos, plain)->upstream = text;
        add_problem(r, e->pos, STR_NONE)->upstream = text;
        return;
    }
    buf_lit(&all, "yaml: unmarshal errors:");
    for (size_t i = 0; i < conf->problems.n; i++) {
        const struct conf_problem *p = &conf->problems.v[i];
        struct str text = p->text, prefix = SAY(r, "line %u: ", p->pos.line);
        buf_printf(&all, "\n  %.*s", STRF(text));
        if (str_find(text, STR(" not found in type ")) == STR_NPOS)
            buf_printf(&known, "\n  %.*s", STRF(text));
        if (str_starts(text, prefix))
            text = str_sub(text, prefix.n, text.n);
        struct rule_problem *problem = add_problem(r, p->pos, text);
        problem->hint = p->hint;
        problem->upstream = STR_NONE;
    }
    r->problems.v[0].upstream = arena_str(&r->file->arena, buf_view(&all));
    if (known.n)
        add_problem(r, (struct pos){ 0 }, STR_NONE)->upstream = SAY(
            r, "yaml: unmarshal errors:%.*s", STRF(buf_view(&known)));
}

static void read_text(struct rule_reader *r)
{
    struct rule_file *f = r->file;
    struct conf_reader conf = { .arena = &f->arena, .ignore_unknown = r->options->ignore_unknown };
    struct groups_only top;
    const struct yaml_node *root = NULL;
    struct err e = { 0 };

    if (!yaml_parse(&f->arena, r->text, &root, &e) ||
        !conf_read(&conf, &file_type, root, &top, &e)) {
        add_read_error(r, &conf, &e);
        return;
    }
    f->groups = top.groups;
    check_all(r);
}

static bool finish(struct rule_reader *r, struct err *e)
{
    r->file->problems = r->problems.v;
    r->file->problem_count = r->problems.n;
    if (!r->problems.n)
        return true;
    const struct rule_problem *p = &r->problems.v[0];
    if (p->where.n)
        return err_at(e, p->pos, ERR_INVALID, "%.*s: %.*s", STRF(p->where), STRF(p->text));
    return err_at(e, p->pos, ERR_INVALID, "%.*s", STRF(p->text));
}

bool rule_file_parse(struct str text, const struct rule_file_options *o, struct rule_file **out,
                     struct err *e)
{
    static const struct rule_file_options defaults;
    struct rule_reader r = { .file = xcalloc(1, sizeof *r.file), .options = o ? o : &defaults };

    *out = r.file;
    r.text = arena_str(&r.file->arena, text);
    read_text(&r);
    return finish(&r, e);
}

bool rule_file_load(const char *path, const struct rule_file_options *o, struct rule_file **out,
                    struct err *e)
{
    OWNED(arena_fini) struct arena a = { 0 };
    struct err inner = { 0 };
    struct str text;

    if (file_read(&a, path, RULE_FILE_BYTES_MAX, &text, &inner))
        return rule_file_parse(text, o, out, e);
    struct rule_reader r = { .file = xcalloc(1, sizeof *r.file) };
    *out = r.file;
    add_problem(&r, (struct pos){ 0 }, arena_str(&r.file->arena, str_c(inner.text)));
    return finish(&r, e);
}

void rule_file_free(struct rule_file *f)
{
    if (!f)
        return;
    for (size_t i = 0; i < f->query_count; i++)
        promql_fini(&f->queries[i]);
    arena_fini(&f->arena);
    xfree(f);
}

struct labels rule_labels(struct arena *a, const struct rule_group *g, const struct rule *r)
{
    OWNED(labels_builder_fini) struct labels_builder b = { 0 };

    for (size_t i = 0; i < g->labels.n; i++)
        labels_builder_set(&b, g->labels.v[i].key, g->labels.v[i].value);
    for (size_t i = 0; i < r->labels.n; i++)
        labels_builder_set(&b, r->labels.v[i].key, r->labels.v[i].value);
    return labels_copy(a, labels_builder_view(&b));
}
