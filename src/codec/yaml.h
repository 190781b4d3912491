/*
 * yaml.h - YAML documents as a tree with positions, for the configuration files people write.
 *
 * The scanner is libyaml's; the tree, the repeated-key check, merge keys (<<) and
 * the bound on alias expansion are ours. Scalars keep their text; what they mean
 * (number, duration …) is decided by who reads them, so that errors can say what
 * was expected and where.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/arena.h"
#include "base/base.h"
#include "base/buf.h"

enum { YAML_DEPTH_MAX = 100, YAML_NODES_MAX = 4 << 20 };

enum yaml_kind { YAML_NULL, YAML_SCALAR, YAML_SEQUENCE, YAML_MAPPING };

struct yaml_node;
struct yaml_pair {
    const struct yaml_node *key, *value; // key: a scalar
};
struct yaml_node {
    enum yaml_kind kind;
    struct pos pos;  // of the node's first byte
    bool plain;      // scalar without quotes: may be a number, a bool, null
    struct str text; // scalar: its value; null: as written ("", "~", "null")
    size_t n;        // sequence, mapping
    union {
        const struct yaml_node **items;
        struct yaml_pair *pairs; // in order of the file, merges applied at the end
    };
};

/*
 * Parses one document (an empty text is a null node). Errors carry line and column and read as
 * Go's yaml library writes them: "yaml: line 3: mapping values are not allowed in this context".
 */
MUST_CHECK bool yaml_parse(struct arena *a, struct str text, const struct yaml_node **out,
                           struct err *e);
// Value of a key of a mapping; NULL when absent or when n is no mapping.
const struct yaml_node *yaml_get(const struct yaml_node *n, struct str key);
bool yaml_is_null(const struct yaml_node *n); // NULL counts as null
// As YAML 1.1 reads plain scalars: true/yes/on …, and numbers (decimal, 0x, 0o, _ separators).
bool yaml_to_bool(const struct yaml_node *n, bool *out);
// A plain integer that fits; false, *out untouched, for quoted text and all else.
bool yaml_to_i64(const struct yaml_node *n, int64_t *out);
// A plain number, or .inf and .nan in any sign and case.
bool yaml_to_double(const struct yaml_node *n, double *out);
const char *yaml_kind_name(const struct yaml_node *n); // "a mapping", "a list", "text", "nothing"

/* ---- writing: block style, two spaces, as Go's yaml library would print ---- */

// A scalar, quoted when it would not read back as the same text.
void buf_yaml_scalar(struct buf *b, struct str s);
