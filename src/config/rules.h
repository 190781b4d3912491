/*
 * rules.h - rule files: groups of recording and alerting rules, read and checked.
 *
 * Everything wrong with a file is found in one reading: each problem has its place, what
 * it is, and the line that the replaced system prints, which people search for.
 * Expressions come parsed. Templates in labels and annotations are text here.
 * Source: Prometheus 3.15, model/rulefmt.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "config/schema.h"
#include "lang/promql.h"

enum { RULE_FILE_BYTES_MAX = 64 << 20 };

struct rule {
    struct str record, alert; // one of them is set in a valid file
    struct str expr;
    int64_t for_ms, keep_firing_for_ms;
    struct conf_map labels, annotations;
    struct pos pos;      // of the rule
    struct pos expr_pos; // of its expression's value; line 0: absent
    struct pos record_pos, alert_pos;
    const struct promql *query; // the parsed expression; NULL when it does not parse
};

struct rule_group {
    struct str name;
    int64_t interval_ms;     // 0: the global evaluation interval
    int64_t query_offset_ms; // with has_query_offset; else the global one
    bool has_query_offset;
    int64_t limit;          // series or alerts one rule may give; 0: no limit
    struct conf_map labels; // added to every rule that does not set them
    struct conf_list rules; // struct rule
    struct pos pos;
    const struct yaml_node *offset_node;
};

struct rule_problem {
    struct pos pos;   // line 0: the file as a whole
    struct str where; // `group "g", rule 1, "name"`; empty: the file
    struct str text;  // what is wrong; empty: upstream says the same thing twice
    struct str hint;  // what was probably meant; may be empty
    struct str
        upstream; // as promtool prints it, without the file's name; empty: not repeated there
};

// Immutable once loaded; one owner.
struct rule_file {
    struct arena arena;
    struct conf_list groups; // struct rule_group
    struct rule_problem *problems;
    size_t problem_count;
    struct promql *queries; // of all rules, for their regexes
    size_t query_count;
};

struct rule_file_options {
    bool ignore_unknown;          // keys that nobody knows
    bool legacy_names;            // label names of the old alphabet only
    struct promql_options syntax; // parts of the language that are off
};

/*
 * Reads a file's text. *out is always set: rule_file_free() it. False: there are problems, *e has
 * the first one (ERR_INVALID, with its place).
 */
MUST_CHECK bool rule_file_parse(struct str text, const struct rule_file_options *o,
                                struct rule_file **out, struct err *e);
// The same from disk; a file that cannot be read is a problem, too. o NULL: defaults.
MUST_CHECK bool rule_file_load(const char *path, const struct rule_file_options *o,
                               struct rule_file **out, struct err *e);
void rule_file_free(struct rule_file *f); // NULL is fine
OWN_DEFINE(struct rule_file *, rule_file_free)

// The name of what the rule makes: of the recorded series or of the alert.
static inline struct str rule_name(const struct rule *r)
{
    return r->alert.n ? r->alert : r->record;
}
// Labels of the rule over those of its group, sorted, empty ones left out: what it adds.
struct labels rule_labels(struct arena *a, const struct rule_group *g, const struct rule *r);
