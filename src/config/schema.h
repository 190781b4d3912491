/*
 * schema.h - configuration documents by table: one description of a struct reads it, checks it and
 * prints it.
 *
 * A document type is a list of fields with key, kind and place in a C struct. Reading
 * fills defaults, refuses unknown keys with a guess at what was meant, and calls
 * the type's own check; printing gives the effective configuration with secrets
 * masked, in the order of the table. Error texts are those of Go's YAML library and of
 * the systems replaced, because users search for them; position and hint come beside.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/arena.h"
#include "base/vec.h"
#include "codec/yaml.h"

enum conf_kind {
    CONF_BOOL,     // bool
    CONF_TRI,      // enum conf_tri
    CONF_INT,      // int64_t
    CONF_UINT,     // uint64_t
    CONF_DOUBLE,   // double
    CONF_STR,      // struct str
    CONF_SECRET,   // struct str, printed as <secret>
    CONF_URL,      // struct str; a password in it is printed as xxxxx
    CONF_DURATION, // int64_t milliseconds
    CONF_SIZE,     // uint64_t bytes: 15MB, 1GiB
    CONF_STRUCT,   // a struct of `type`
    CONF_INLINE,   // a struct of `type` whose keys stand in this mapping
    CONF_PTR,      // pointer to a struct of `type`, NULL when absent
    CONF_LIST,     // struct conf_list of structs of `type`
    CONF_STRS,     // struct conf_strs
    CONF_MAP,      // struct conf_map, sorted by key
    CONF_MULTIMAP, // struct conf_multimap, sorted by key
    CONF_NODE,     // const struct yaml_node *, kept as it is
};

enum conf_tri { CONF_UNSET, CONF_FALSE, CONF_TRUE };

enum conf_flags {
    CONF_OMIT = 1,      // not printed when empty, zero or false
    CONF_FLOW = 2,      // a list printed as [a, b]
    CONF_HIDDEN = 4,    // read, never printed
    CONF_NULL_ITEM = 8, // a list whose null items are kept as NULL (the check refuses them)
};

struct conf_list {
    void **v; // pointers to structs
    size_t n;
};
struct conf_strs {
    struct str *v;
    size_t n;
    bool set; // the key was there, even with an empty list
};
struct conf_pair {
    struct str key, value;
};
struct conf_map {
    struct conf_pair *v;
    size_t n;
};
struct conf_multi {
    struct str key;
    struct conf_strs values;
};
struct conf_multimap {
    struct conf_multi *v;
    size_t n;
};

struct conf_type;
struct conf_field {
    const char *key;
    enum conf_kind kind;
    uint32_t offset, flags;
    const struct conf_type *type; // STRUCT, INLINE, PTR, LIST
};

struct conf_reader;
// Called after the fields of obj were read. node: the mapping (or null).
typedef bool conf_check_fn(struct conf_reader *r, const struct yaml_node *node, void *obj,
                           struct err *e);
struct conf_type {
    const char *name; // as Go's messages name it: "config.plain"
    size_t size;      // bytes of the struct
    const struct conf_field *fields;
    size_t field_count;
    const void *defaults; // a struct to start from; NULL: zeros
    conf_check_fn *check; // NULL: none
};

// Rows of the tables.
#define CONF_FIELD(struct_, member_, key_, kind_, flags_, type_)                                 \
    {                                                                                            \
        .key = (key_), .kind = (kind_), .offset = offsetof(struct_, member_), .flags = (flags_), \
        .type = (type_)                                                                          \
    }
#define CONF_TYPE(name_, struct_, fields_, defaults_, check_)                         \
    {                                                                                 \
        .name = (name_), .size = sizeof(struct_), .fields = (fields_),                \
        .field_count = ARRAY_LEN(fields_), .defaults = (defaults_), .check = (check_) \
    }

struct conf_problem {
    struct pos pos;
    struct str text; // upstream's words
    struct str hint; // what was probably meant; may be empty
};

struct conf_reader {
    struct arena *arena;
    void *ctx;                         // of the document's checks
    VEC(struct conf_problem) problems; // unknown keys and wrong kinds, all of them
    VEC(struct conf_problem) warnings; // accepted as meant
    const struct conf_type *top;       // unknown keys of inline structs are the top's
    bool ignore_unknown;               // unknown keys are no problems
};

/*
 * Reads node into *obj (type->size bytes, zeroed by the caller or not: it is overwritten). On failure
 * *e has upstream's text ("yaml: unmarshal errors:\n  line 2: …" for unknown keys) and the position.
 */
MUST_CHECK bool conf_read(struct conf_reader *r, const struct conf_type *type,
                          const struct yaml_node *node, void *obj, struct err *e);
// Fails with ERR_INVALID at the node: shorthand for checks.
bool conf_fail(struct err *e, const struct yaml_node *node, const char *fmt, ...) PRINTF_LIKE(3, 4);
void conf_warn(struct conf_reader *r, const struct yaml_node *at, struct str text);

// Appends the struct as block YAML with this indentation (spaces).
void conf_print(struct buf *b, const struct conf_type *type, const void *obj, int indent);
/*
 * Everything that conf_print() shows not or masked: secrets, URLs, sections kept as they are. For
 * comparing; never to be shown.
 */
void buf_conf_secrets(struct buf *b, const struct conf_type *type, const void *obj);
void conf_print_node(struct buf *b, const struct yaml_node *n, int indent); // CONF_NODE as it is

bool conf_size_parse(struct str s, uint64_t *out); // 15MB, 1GiB, 100: units of 1024, as upstream
void buf_conf_size(struct buf *b, uint64_t bytes); // 15MiB
// The closest of n names within a small edit distance; empty: none.
struct str conf_suggest(struct str word, const struct str *names, size_t n);
