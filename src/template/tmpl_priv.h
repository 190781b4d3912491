/*
 * tmpl_priv.h - what the files of template/tmpl share.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/rune.h"
#include "template/tmpl.h"

struct tmpl_variable {
    struct str name;
    struct tmpl_value value;
};

enum tmpl_jump { TMPL_STAY, TMPL_BREAK, TMPL_CONTINUE };

struct tmpl_html; // where in a page the output is: tmpl_html.c

struct tmpl_exec {
    const struct gotemplate_set *set;
    const struct gotemplate *template;
    const struct gotemplate_node *node; // at hand, for messages
    const struct tmpl_options *options;
    VEC(struct tmpl_variable) variables; // in the arena
    size_t frame;                        // where the variables of this template begin
    struct arena *arena;
    struct buf *out;
    size_t out_start; // bytes in out before
    uint64_t output_max, memory_left, steps_left;
    unsigned depth;
    enum tmpl_jump jump;
    struct tmpl_html *html; // NULL: text
    struct str error;
    struct err *e;
    bool limited; // error is about a limit
};

// Fails the evaluation with Go's words around the text; false.
bool tmpl_error(struct tmpl_exec *x, struct str text);
bool tmpl_errorf(struct tmpl_exec *x, const char *fmt, ...) PRINTF_LIKE(2, 3);
bool tmpl_limit(struct tmpl_exec *x, const char *fmt, ...) PRINTF_LIKE(2, 3);
bool tmpl_step(struct tmpl_exec *x);
bool tmpl_take_memory(struct tmpl_exec *x, uint64_t bytes);

// "interface {}" for what is in a box, else the type's name; "<nil>" for no value.
const char *tmpl_type_name(const struct tmpl_value *v);
bool tmpl_assignable(const struct tmpl_type *from, const struct tmpl_type *to);
bool tmpl_can_be_nil(const struct tmpl_type *t);
// The zero of a type; in a box for interface {}.
struct tmpl_value tmpl_zero(const struct tmpl_type *t);
// An element of a list or map: in a box where its type is interface {}.
static inline struct tmpl_value tmpl_element(const struct tmpl_type *container, struct tmpl_value v)
{
    v.boxed = container->elem->kind == TMPL_ANY;
    return v;
}
static inline struct tmpl_value tmpl_unbox(struct tmpl_value v)
{
    v.boxed = false;
    return v;
}

/*
 * As fmt's Sprintf, Sprint, Sprintln. False: the output would pass max bytes.
 */
bool tmpl_sprintf(struct buf *b, size_t max, struct str format, const struct tmpl_value *arg,
                  size_t n);
bool tmpl_sprint(struct buf *b, size_t max, const struct tmpl_value *arg, size_t n, bool line);

// Text of the template and output of an action, at its place in the page.
struct tmpl_html *tmpl_html_new(struct arena *a);
void tmpl_html_text(struct tmpl_html *h, struct buf *out, struct str text);
void tmpl_html_value(struct tmpl_html *h, struct buf *out, const struct tmpl_value *v,
                     struct str printed);
void tmpl_escape_html(struct buf *b, struct str s);
void tmpl_escape_js(struct buf *b, struct str s);
