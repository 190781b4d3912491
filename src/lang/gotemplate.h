/*
 * gotemplate.h - templates in the language of Go's text/template: text to trees.
 *
 * A set holds named templates, of one text or of several files. Nothing is evaluated here: see
 * template/. Trees live in the set's arena and hold slices of the texts, which are copied. Messages
 * and positions are those of Go 1.26, which people find in logs and search for.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/arena.h"
#include "base/base.h"
#include "base/buf.h"
#include "base/vec.h"

enum {
    GOTEMPLATE_TEXT_MAX = 16 << 20, // bytes of one text
    GOTEMPLATE_DEPTH_MAX = 200,     // parentheses and blocks open at once
};

enum gotemplate_kind {
    GOTEMPLATE_LIST,
    GOTEMPLATE_TEXT,
    GOTEMPLATE_ACTION,
    GOTEMPLATE_IF,
    GOTEMPLATE_RANGE,
    GOTEMPLATE_WITH,
    GOTEMPLATE_CALL, // {{template "name" pipe}}, and the place of a {{block}}
    GOTEMPLATE_BREAK,
    GOTEMPLATE_CONTINUE,
    GOTEMPLATE_PIPE,
    GOTEMPLATE_COMMAND,
    GOTEMPLATE_FUNCTION,
    GOTEMPLATE_VARIABLE,
    GOTEMPLATE_FIELD,
    GOTEMPLATE_CHAIN, // (pipe).x.y
    GOTEMPLATE_DOT,
    GOTEMPLATE_NIL,
    GOTEMPLATE_BOOL,
    GOTEMPLATE_NUMBER,
    GOTEMPLATE_STRING,
};

// What a numeral can stand for; a rune is a number, too.
struct gotemplate_number {
    bool is_int, is_uint, is_float, is_complex;
    int64_t i;
    uint64_t u;
    double f, imaginary; // imaginary: of complex ones; f is their real part
};

struct gotemplate_node {
    enum gotemplate_kind kind;
    uint32_t offset; // bytes from the start of the text: where Go reports it
    bool truth;      // _BOOL; _PIPE: its variables are assigned, not declared
    // _TEXT: its bytes; _FUNCTION: name; _STRING: value; _CALL: the template's name
    struct str text;
    struct str source; // _STRING and _NUMBER: as written
    // _LIST: nodes; _PIPE: commands; _COMMAND: operands; _CHAIN: the one node in front
    struct gotemplate_node **kid;
    size_t kid_count;
    struct gotemplate_node **variable; // _PIPE: what it declares or assigns, at most two
    size_t variable_count;
    struct str *ident; // _VARIABLE ("$x" first), _FIELD, _CHAIN: names between the dots
    size_t ident_count;
    struct gotemplate_node *pipe;             // _ACTION, _IF, _RANGE, _WITH; _CALL: may be NULL
    struct gotemplate_node *list, *else_list; // _IF, _RANGE, _WITH; else_list may be NULL
    struct gotemplate_number number;
};

struct gotemplate { // one named template
    struct str name;
    struct str file, text; // of the text it is in: for places in messages
    struct gotemplate_node *root;
};

struct gotemplate_set { // zero is an empty set
    struct arena own;
    struct arena *arena; // where everything goes; NULL: own
    const struct gotemplate_set
        *base;                // where names are looked for that are not here; NULL: nowhere
    VEC(struct gotemplate) v; // in the arena
    // Is this the name of a function? Asked while parsing; NULL: every name is.
    bool (*has_function)(void *ctx, struct str name);
    void *ctx;
    struct str error; // after a failure: the whole message, in the arena
};
// Frees all templates; the set is empty and usable again.
void gotemplate_set_fini(struct gotemplate_set *s);
OWN_DEFINE_FINI(struct gotemplate_set, gotemplate_set_fini)

/*
 * Adds the template of a text under `name`, and all that the text defines inside. A later text may
 * define what an earlier one did: it replaces it, unless it is empty. Within one text that is an
 * error. On failure the set is as it was; ERR_INVALID or ERR_LIMIT with the line.
 */
MUST_CHECK bool gotemplate_parse(struct gotemplate_set *s, struct str name, struct str text,
                                 struct err *e);
// NULL: there is none of that name.
const struct gotemplate *gotemplate_find(const struct gotemplate_set *s, struct str name);

// The node as Go prints it, which reads back as the same tree.
void gotemplate_print(struct buf *b, const struct gotemplate_node *n);
// Line and column (from 1 and 0, bytes, as Go counts) of an offset in a template's text.
void gotemplate_place(const struct gotemplate *t, uint32_t offset, unsigned *line, unsigned *col);
