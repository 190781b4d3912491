/*
 * tmpl_exec.c - walks trees: control structures, pipelines, fields, calls. Source: Go 1.26,
 * text/template.
 *
 * Messages name the node at hand: x->node is set where that program sets its own, which is not
 * always the node that a reader would name.
 */
// SPDX-License-Identifier: Apache-2.0
#include <stdarg.h>
#include <stdio.h>

#include "template/tmpl_priv.h"

typedef const struct gotemplate_node *node_ref;

// Arguments of a call as written, the callee first, and the value a pipeline passes on.
struct arguments {
    const node_ref *v;
    size_t n;
    const struct tmpl_value *final; // NULL: none
};

static bool eval_pipe(struct tmpl_exec *x, const struct tmpl_value *dot, node_ref pipe,
                      struct tmpl_value *out);
static bool eval_argument(struct tmpl_exec *x, const struct tmpl_value *dot,
                          const struct tmpl_type *type, node_ref n, struct tmpl_value *out);
static bool walk(struct tmpl_exec *x, const struct tmpl_value *dot, node_ref n);

/* ---- failing, limits ---- */

bool tmpl_error(struct tmpl_exec *x, struct str text)
{
    OWNED(buf_fini) struct buf b = { 0 };
    unsigned line, col;

    if (x->error.p)
        return false; // the first one counts
    gotemplate_place(x->template, x->node->offset, &line, &col);
    buf_printf(&b, "template: %.*s:%u:%u: executing ", STRF(x->template->file), line, col);
    buf_quoted(&b, x->template->name);
    buf_lit(&b, " at <");
    gotemplate_print(&b, x->node);
    buf_printf(&b, ">: %.*s", STRF(text));
    x->error = arena_str(x->arena, buf_view(&b));
    struct pos at = { line, col + 1, x->node->offset };
    return err_at(x->e, at, x->limited ? ERR_LIMIT : ERR_INVALID, "%.*s", STRF(x->error));
}

static void put_v(struct buf *b, const char *fmt, va_list args)
{
    va_list again;

    va_copy(again, args);
    int n = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    if (n > 0) {
        vsnprintf(buf_room(b, (size_t)n + 1), (size_t)n + 1, fmt, args);
        b->n += (size_t)n;
    }
}

static bool error_v(struct tmpl_exec *x, const char *fmt, va_list args)
{
    OWNED(buf_fini) struct buf b = { 0 };

    put_v(&b, fmt, args);
    return tmpl_error(x, buf_view(&b));
}

bool tmpl_errorf(struct tmpl_exec *x, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    error_v(x, fmt, args);
    va_end(args);
    return false;
}

bool tmpl_limit(struct tmpl_exec *x, const char *fmt, ...)
{
    va_list args;

    x->limited = true;
    va_start(args, fmt);
    error_v(x, fmt, args);
    va_end(args);
    return false;
}

// Counts a step of work.
bool tmpl_step(struct tmpl_exec *x)
{
    if (!x->steps_left)
        return tmpl_limit(x, "the template takes too many steps");
    x->steps_left--;
    if (x->options->budget && !budget_step(x->options->budget, 1, x->e)) {
        x->error = arena_str(x->arena, str_c(x->e->text));
        return false;
    }
    return true;
}

bool tmpl_take_memory(struct tmpl_exec *x, uint64_t bytes)
{
    if (bytes > x->memory_left)
        return tmpl_limit(x, "the template takes too much memory");
    x->memory_left -= bytes;
    return true;
}

static bool check_output(struct tmpl_exec *x)
{
    return x->out->n - x->out_start <= x->output_max ||
           tmpl_limit(x, "the output is longer than %llu bytes", (unsigned long long)x->output_max);
}

static bool enter(struct tmpl_exec *x)
{
    if (x->depth >= TMPL_DEPTH_MAX)
        return tmpl_limit(x, "exceeded maximum template depth (%d)", TMPL_DEPTH_MAX);
    x->depth++;
    return tmpl_step(x);
}

// A text for %s in messages: the node as written.
static struct str node_text(struct tmpl_exec *x, node_ref n)
{
    OWNED(buf_fini) struct buf b = { 0 };

    gotemplate_print(&b, n);
    return arena_str(x->arena, buf_view(&b));
}

static struct str value_text(struct tmpl_exec *x, const struct tmpl_value *v)
{
    OWNED(buf_fini) struct buf b = { 0 };

    tmpl_print(&b, v);
    return arena_str(x->arena, str_sub(buf_view(&b), 0, 1000));
}

static bool with_node(struct tmpl_exec *x, const char *before, node_ref n)
{
    return tmpl_errorf(x, "%s%.*s", before, STRF(node_text(x, n)));
}

/* ---- variables ---- */

static void push_variable(struct tmpl_exec *x, struct str name, struct tmpl_value v)
{
    *vec_push_in(x->arena, &x->variables) = (struct tmpl_variable){ name, v };
}

static struct tmpl_variable *find_variable(struct tmpl_exec *x, struct str name)
{
    for (size_t i = x->variables.n; i > x->frame; i--)
        if (str_eq(x->variables.v[i - 1].name, name))
            return &x->variables.v[i - 1];
    return NULL;
}

static bool set_variable(struct tmpl_exec *x, struct str name, struct tmpl_value v)
{
    struct tmpl_variable *at = find_variable(x, name);

    if (!at)
        return tmpl_errorf(x, "undefined variable: %.*s", STRF(name));
    at->value = v;
    return true;
}

/* ---- types of arguments ---- */

// The value as a parameter of a type takes it. type NULL: any, also none.
static bool fit(struct tmpl_exec *x, struct tmpl_value v, const struct tmpl_type *type,
                struct tmpl_value *out)
{
    *out = v;
    if (!type || type->kind == TMPL_REFLECT)
        return true;
    if (!v.type && !v.boxed) {
        if (!tmpl_can_be_nil(type))
            return tmpl_errorf(x, "invalid value; expected %s", type->name);
        *out = tmpl_zero(type);
        return true;
    }
    if (type->kind == TMPL_ANY || (v.type && tmpl_assignable(v.type, type))) {
        out->boxed = false;
        return true;
    }
    if (v.type && v.type->kind == TMPL_POINTER && tmpl_assignable(v.type->elem, type)) {
        *out = tmpl_unbox(*v.target);
        return true;
    }
    return tmpl_errorf(x, "wrong type for value; expected %s; got %s", type->name,
                       v.type ? v.type->name : "interface {}");
}

static bool is_rune(struct str s)
{
    return s.n && s.p[0] == '\'';
}

static bool has_any(struct str s, const char *set)
{
    for (size_t i = 0; i < s.n; i++)
        if (strchr(set, s.p[i]))
            return true;
    return false;
}

// A numeral where no type is asked for.
static bool eval_constant(struct tmpl_exec *x, node_ref n, struct tmpl_value *out)
{
    const struct gotemplate_number *c = &n->number;
    struct str s = n->source;
    bool hex = s.n > 2 && s.p[0] == '0' && (s.p[1] | 32) == 'x' && !has_any(s, "pP");

    x->node = n;
    if (c->is_complex)
        *out = (struct tmpl_value){ .type = &tmpl_complex, .c = { c->f, c->imaginary } };
    else if (c->is_float && !hex && !is_rune(s) && has_any(s, ".eEpP"))
        *out = tmpl_of_float(c->f);
    else if (c->is_int)
        *out = tmpl_of_int(c->i);
    else
        return tmpl_errorf(x, "%.*s overflows int", STRF(s));
    return true;
}

// A literal as a value of a type of numbers.
static bool eval_typed(struct tmpl_exec *x, const struct tmpl_type *type, node_ref n,
                       struct tmpl_value *out)
{
    bool number = n->kind == GOTEMPLATE_NUMBER;
    const char *want;

    *out = (struct tmpl_value){ .type = type };
    switch (type->kind) {
    case TMPL_BOOL:
        out->b = n->truth;
        want = n->kind == GOTEMPLATE_BOOL ? NULL : "expected bool; found ";
        break;
    case TMPL_STRING:
        out->s = n->text;
        want = n->kind == GOTEMPLATE_STRING ? NULL : "expected string; found ";
        break;
    case TMPL_INT:
        out->i = n->number.i;
        want = number && n->number.is_int ? NULL : "expected integer; found ";
        break;
    case TMPL_UINT:
        out->u = n->number.u;
        want = number && n->number.is_uint ? NULL : "expected unsigned integer; found ";
        break;
    case TMPL_FLOAT:
        out->f = n->number.f;
        want = number && n->number.is_float ? NULL : "expected float; found ";
        break;
    default:
        return tmpl_errorf(x, "can't handle %.*s for arg of type %s", STRF(node_text(x, n)),
                           type->name);
    }
    return !want || with_node(x, want, n);
}

static bool eval_literal(struct tmpl_exec *x, const struct tmpl_type *type, node_ref n,
                         struct tmpl_value *out)
{
    if (type && type->kind != TMPL_ANY && type->kind != TMPL_REFLECT)
        return eval_typed(x, type, n, out);
    switch (n->kind) {
    case GOTEMPLATE_BOOL:
        *out = tmpl_of_bool(n->truth);
        return true;
    case GOTEMPLATE_NUMBER:
        return eval_constant(x, n, out);
    case GOTEMPLATE_STRING:
        *out = tmpl_of_str(n->text);
        return true;
    default:
        return tmpl_errorf(x, "can't handle assignment of %.*s to empty interface argument",
                           STRF(node_text(x, n)));
    }
}

/* ---- calls ---- */

static size_t fixed_count(const struct tmpl_function *f)
{
    size_t n = 0;

    while (n < ARRAY_LEN(f->in) && f->in[n])
        n++;
    return n;
}

static const struct tmpl_type *parameter(const struct tmpl_function *f, size_t i)
{
    return i < fixed_count(f) ? f->in[i] : f->rest;
}

static bool check_count(struct tmpl_exec *x, const struct tmpl_function *f, size_t given,
                        size_t written)
{
    size_t want = fixed_count(f);

    if (f->rest && given < want)
        return tmpl_errorf(x, "wrong number of args for %s: want at least %zu got %zu", f->name,
                           want, written);
    if (!f->rest && given != want)
        return tmpl_errorf(x, "wrong number of args for %s: want %zu got %zu", f->name, want,
                           given);
    return given <= TMPL_ARGUMENTS_MAX ||
           tmpl_limit(x, "more than %d arguments for %s", TMPL_ARGUMENTS_MAX, f->name);
}

// and, or: the first argument that decides, else the last one.
static bool eval_logic(struct tmpl_exec *x, const struct tmpl_value *dot, bool is_or,
                       const struct arguments *args, struct tmpl_value *out)
{
    for (size_t i = 1; i < args->n; i++) {
        if (!eval_argument(x, dot, &tmpl_reflect, args->v[i], out))
            return false;
        struct tmpl_value bare = tmpl_unbox(*out);
        if (tmpl_is_true(&bare) == is_or)
            return true;
    }
    if (args->final)
        *out = *args->final;
    return true;
}

// node: what the message of a failing function names. receiver: of a method; NULL: a function.
static bool eval_call(struct tmpl_exec *x, const struct tmpl_value *dot,
                      const struct tmpl_function *f, const struct tmpl_value *receiver,
                      node_ref node, const struct arguments *args, struct tmpl_value *out)
{
    size_t written = args->n ? args->n - 1 : 0, given = written + (args->final != NULL);
    bool builtin = f >= tmpl_builtins && f < tmpl_builtins + tmpl_builtin_count;

    if (!check_count(x, f, given, written))
        return false;
    if (builtin && (strcmp(f->name, "and") == 0 || strcmp(f->name, "or") == 0))
        return eval_logic(x, dot, f->name[0] == 'o', args, out);
    struct tmpl_value *v = arena_array(x->arena, given + 1, struct tmpl_value), *arg = v;
    if (receiver)
        *arg++ = *receiver;
    for (size_t i = 0; i < written; i++)
        if (!eval_argument(x, dot, parameter(f, i), args->v[i + 1], &arg[i]))
            return false;
    if (args->final && !fit(x, *args->final, parameter(f, written), &arg[written]))
        return false;
    if (!tmpl_take_memory(x, given * sizeof *v))
        return false;
    struct tmpl_call c = { x, x->arena, x->options->ctx, f->name };
    node_ref before = x->node;
    x->node = node;
    if (!f->call(&c, v, given + (receiver != NULL), out))
        return false;
    x->node = before;
    return true;
}

static const struct tmpl_function *find_function(const struct tmpl_exec *x, struct str name)
{
    const struct tmpl_options *o = x->options;
    const struct tmpl_function *f = tmpl_find(o->functions, o->function_count, name);

    return f ? f : tmpl_find(tmpl_builtins, tmpl_builtin_count, name);
}

// `call` says the name of what it was to call.
static bool eval_call_of(struct tmpl_exec *x, const struct tmpl_value *dot, node_ref cmd,
                         const struct arguments *args)
{
    struct tmpl_value v = { 0 };
    struct str name;

    if (args->n < 2 && !args->final)
        return tmpl_errorf(x, "wrong number of args for call: want at least 1 got 0");
    if (args->n >= 2 && !eval_argument(x, dot, &tmpl_reflect, args->v[1], &v))
        return false;
    if (args->n < 2)
        v = *args->final;
    name = args->n < 2 ? value_text(x, &v) : node_text(x, args->v[1]);
    x->node = cmd;
    if (!v.type)
        return tmpl_errorf(x, "error calling call: call of nil");
    return tmpl_errorf(x, "error calling call: non-function %.*s of type %s", STRF(name),
                       v.type->name);
}

static bool eval_function(struct tmpl_exec *x, const struct tmpl_value *dot, node_ref n,
                          node_ref cmd, const struct arguments *args, struct tmpl_value *out)
{
    const struct tmpl_function *f = find_function(x, n->text);

    x->node = n;
    if (!f)
        return tmpl_errorf(x, "\"%.*s\" is not a defined function", STRF(n->text));
    if (f >= tmpl_builtins && f < tmpl_builtins + tmpl_builtin_count &&
        strcmp(f->name, "call") == 0)
        return eval_call_of(x, dot, cmd, args);
    return eval_call(x, dot, f, NULL, cmd, args, out);
}

/* ---- fields ---- */

static bool eval_key(struct tmpl_exec *x, const struct tmpl_value *map, struct str name,
                     struct tmpl_value *out)
{
    const struct tmpl_value *v = tmpl_map_get(map, name);
    OWNED(buf_fini) struct buf b = { 0 };

    if (v) {
        *out = tmpl_element(map->type, *v);
        return true;
    }
    switch (x->options->missing) {
    case TMPL_MISSING_ZERO:
        *out = tmpl_zero(map->type->elem);
        return true;
    case TMPL_MISSING_INVALID:
        *out = (struct tmpl_value){ 0 };
        return true;
    default:
        buf_lit(&b, "map has no entry for key ");
        buf_quoted(&b, name);
        return tmpl_error(x, buf_view(&b));
    }
}

static bool eval_nothing(struct tmpl_exec *x, struct str name, struct tmpl_value *out)
{
    OWNED(buf_fini) struct buf b = { 0 };

    *out = (struct tmpl_value){ 0 };
    if (x->options->missing != TMPL_MISSING_ERROR)
        return true;
    buf_lit(&b, "nil data; no entry for key ");
    buf_quoted(&b, name);
    return tmpl_error(x, buf_view(&b));
}

static const struct tmpl_function *find_method(const struct tmpl_value *v, struct str name)
{
    return v->type ? tmpl_find(v->type->method, v->type->method_count, name) : NULL;
}

// A field of a struct; NULL: there is none of that name.
static const struct tmpl_value *find_field(const struct tmpl_value *v, struct str name)
{
    for (size_t i = 0; i < v->type->field_count; i++)
        if (str_eq_c(name, v->type->field[i].name))
            return &v->field[i];
    return NULL;
}

static bool eval_field(struct tmpl_exec *x, const struct tmpl_value *dot,
                       const struct tmpl_value *receiver, struct str name, node_ref node,
                       const struct arguments *args, struct tmpl_value *out)
{
    bool has_args = args->n > 1 || args->final;

    if (!receiver->type && !receiver->boxed)
        return eval_nothing(x, name, out);
    if (!receiver->type)
        return tmpl_errorf(x, "nil pointer evaluating interface {}.%.*s", STRF(name));
    struct tmpl_value v = tmpl_follow(*receiver);
    const struct tmpl_function *method = find_method(receiver, name);
    struct tmpl_value self = tmpl_unbox(method ? *receiver : v);
    if (!method)
        method = find_method(&v, name);
    if (method)
        return eval_call(x, dot, method, &self, node, args, out);
    if (v.type->kind == TMPL_MAP) {
        if (has_args)
            return tmpl_errorf(x, "%.*s is not a method but has arguments", STRF(name));
        return eval_key(x, &v, name, out);
    }
    const struct tmpl_value *field = v.type->kind == TMPL_STRUCT ? find_field(&v, name) : NULL;
    if (!field)
        return tmpl_errorf(x, "can't evaluate field %.*s in type %s", STRF(name),
                           tmpl_type_name(receiver));
    if (has_args)
        return tmpl_errorf(x, "%.*s has arguments but cannot be invoked as function", STRF(name));
    *out = *field;
    out->boxed = v.type->field[field - v.field].type->kind == TMPL_ANY;
    return true;
}

// .x.y.z of a value; the last one gets the arguments.
static bool eval_fields(struct tmpl_exec *x, const struct tmpl_value *dot,
                        struct tmpl_value receiver, node_ref node, size_t first,
                        const struct arguments *args, struct tmpl_value *out)
{
    static const struct arguments none = { 0 };

    for (size_t i = first; i < node->ident_count; i++) {
        bool last = i + 1 == node->ident_count;
        struct tmpl_value v;
        if (!eval_field(x, dot, &receiver, node->ident[i], node, last ? args : &none, &v))
            return false;
        receiver = v;
    }
    *out = receiver;
    return true;
}

static bool not_a_function(struct tmpl_exec *x, const struct arguments *args)
{
    if (args->n > 1 || args->final)
        return with_node(x, "can't give argument to non-function ", args->v[0]);
    return true;
}

static bool eval_variable(struct tmpl_exec *x, const struct tmpl_value *dot, node_ref n,
                          const struct arguments *args, struct tmpl_value *out)
{
    struct tmpl_variable *v = find_variable(x, n->ident[0]);

    x->node = n;
    if (!v)
        return tmpl_errorf(x, "undefined variable: %.*s", STRF(n->ident[0]));
    if (n->ident_count > 1)
        return eval_fields(x, dot, v->value, n, 1, args, out);
    *out = v->value;
    return !(args->n > 1 || args->final) || not_a_function(x, args);
}

static bool eval_chain(struct tmpl_exec *x, const struct tmpl_value *dot, node_ref n,
                       const struct arguments *args, struct tmpl_value *out)
{
    struct tmpl_value v;

    x->node = n;
    return eval_argument(x, dot, NULL, n->kid[0], &v) && eval_fields(x, dot, v, n, 0, args, out);
}

/* ---- pipelines ---- */

static bool eval_argument(struct tmpl_exec *x, const struct tmpl_value *dot,
                          const struct tmpl_type *type, node_ref n, struct tmpl_value *out)
{
    static const struct arguments none = { 0 };
    struct arguments self = { &n, 1, NULL };
    struct tmpl_value v;
    bool ok;

    x->node = n;
    switch (n->kind) {
    case GOTEMPLATE_DOT:
        return fit(x, *dot, type, out);
    case GOTEMPLATE_NIL:
        if (!type || !tmpl_can_be_nil(type))
            return tmpl_errorf(x, "cannot assign nil to %s", type ? type->name : "<nil>");
        *out = tmpl_unbox(tmpl_zero(type));
        return true;
    case GOTEMPLATE_FIELD:
        ok = eval_fields(x, dot, *dot, n, 0, &self, &v);
        break;
    case GOTEMPLATE_VARIABLE:
        ok = eval_variable(x, dot, n, &none, &v);
        break;
    case GOTEMPLATE_PIPE:
        ok = eval_pipe(x, dot, n, &v);
        break;
    case GOTEMPLATE_FUNCTION:
        ok = eval_function(x, dot, n, n, &none, &v);
        break;
    case GOTEMPLATE_CHAIN:
        ok = eval_chain(x, dot, n, &none, &v);
        break;
    default:
        return eval_literal(x, type, n, out);
    }
    return ok && fit(x, v, type, out);
}

static bool eval_command(struct tmpl_exec *x, const struct tmpl_value *dot, node_ref cmd,
                         const struct tmpl_value *final, struct tmpl_value *out)
{
    node_ref first = cmd->kid[0];
    struct arguments args = { (const node_ref *)cmd->kid, cmd->kid_count, final };

    switch (first->kind) {
    case GOTEMPLATE_FIELD:
        x->node = first;
        return eval_fields(x, dot, *dot, first, 0, &args, out);
    case GOTEMPLATE_CHAIN:
        return eval_chain(x, dot, first, &args, out);
    case GOTEMPLATE_FUNCTION:
        return eval_function(x, dot, first, cmd, &args, out);
    case GOTEMPLATE_PIPE:
        return not_a_function(x, &args) && eval_pipe(x, dot, first, out);
    case GOTEMPLATE_VARIABLE:
        return eval_variable(x, dot, first, &args, out);
    default:
        break;
    }
    x->node = first;
    if (!not_a_function(x, &args))
        return false;
    if (first->kind == GOTEMPLATE_NIL)
        return tmpl_errorf(x, "nil is not a command");
    if (first->kind != GOTEMPLATE_DOT)
        return eval_literal(x, NULL, first, out);
    *out = *dot;
    return true;
}

static bool declare_variables(struct tmpl_exec *x, node_ref pipe, struct tmpl_value v)
{
    for (size_t i = 0; i < pipe->variable_count; i++) {
        struct str name = pipe->variable[i]->ident[0];
        if (!pipe->truth)
            push_variable(x, name, v);
        else if (!set_variable(x, name, v))
            return false;
    }
    return true;
}

static bool eval_pipe(struct tmpl_exec *x, const struct tmpl_value *dot, node_ref pipe,
                      struct tmpl_value *out)
{
    struct tmpl_value v = { 0 };

    *out = v;
    if (!pipe)
        return true;
    x->node = pipe;
    if (!enter(x))
        return false;
    for (size_t i = 0; i < pipe->kid_count; i++) {
        struct tmpl_value before = v;
        v = (struct tmpl_value){ 0 };
        if (!eval_command(x, dot, pipe->kid[i], i ? &before : NULL, &v))
            return false;
        v.boxed = false;
    }
    x->depth--;
    *out = v;
    return declare_variables(x, pipe, v);
}

/* ---- walking ---- */

static bool walk_list(struct tmpl_exec *x, const struct tmpl_value *dot, node_ref list)
{
    x->node = list;
    for (size_t i = 0; i < list->kid_count && x->jump == TMPL_STAY; i++)
        if (!walk(x, dot, list->kid[i]))
            return false;
    return true;
}

static bool print_value(struct tmpl_exec *x, node_ref n, const struct tmpl_value *v)
{
    OWNED(buf_fini) struct buf b = { 0 };

    x->node = n;
    if (!x->html && v->type == &tmpl_string) {
        buf_str(x->out, v->s);
        return check_output(x);
    }
    if (v->type)
        tmpl_print(&b, v);
    else
        buf_lit(&b, "<no value>");
    if (x->html)
        tmpl_html_value(x->html, x->out, v, buf_view(&b));
    else
        buf_str(x->out, buf_view(&b));
    return check_output(x);
}

static bool walk_branch(struct tmpl_exec *x, const struct tmpl_value *dot, node_ref n)
{
    size_t mark = x->variables.n;
    struct tmpl_value v;

    if (!eval_pipe(x, dot, n->pipe, &v))
        return false;
    bool truth = tmpl_is_true(&v), ok = true;
    if (truth)
        ok = walk_list(x, n->kind == GOTEMPLATE_WITH ? &v : dot, n->list);
    else if (n->else_list)
        ok = walk_list(x, dot, n->else_list);
    x->variables.n = mark;
    return ok;
}

// One turn of a range. index.type NULL: there is none.
static bool turn(struct tmpl_exec *x, node_ref n, struct tmpl_value index, struct tmpl_value elem)
{
    const struct gotemplate_node *pipe = n->pipe;
    size_t mark = x->variables.n, count = pipe->variable_count;

    if (!tmpl_step(x))
        return false;
    if (pipe->truth) {
        if (count == 1 && !set_variable(x, pipe->variable[0]->ident[0], elem))
            return false;
        if (count > 1 && (!set_variable(x, pipe->variable[0]->ident[0], index) ||
                          !set_variable(x, pipe->variable[1]->ident[0], elem)))
            return false;
    } else if (count) {
        x->variables.v[mark - 1].value = elem;
        if (count > 1)
            x->variables.v[mark - 2].value = index;
    }
    bool ok = walk_list(x, &elem, n->list);
    x->variables.n = mark;
    if (x->jump == TMPL_CONTINUE)
        x->jump = TMPL_STAY;
    return ok;
}

static bool range_over_number(struct tmpl_exec *x, node_ref n, const struct tmpl_value *v)
{
    bool is_signed = v->type->kind == TMPL_INT;

    for (uint64_t i = 0; (is_signed ? (int64_t)i < v->i : i < v->u) && x->jump == TMPL_STAY; i++) {
        struct tmpl_value elem = { .type = v->type };
        elem.u = i;
        if (!turn(x, n, (struct tmpl_value){ 0 }, elem))
            return false;
    }
    return true;
}

static bool range_over(struct tmpl_exec *x, node_ref n, const struct tmpl_value *v, bool *empty)
{
    *empty = !tmpl_is_true(v);
    if (!v->type)
        return true;
    switch (v->type->kind) {
    case TMPL_INT:
    case TMPL_UINT:
        if (n->pipe->variable_count > 1)
            return tmpl_errorf(x, "can't use %.*s to iterate over more than one variable",
                               STRF(value_text(x, v)));
        *empty = *empty || (v->type->kind == TMPL_INT && v->i < 0);
        return range_over_number(x, n, v);
    case TMPL_LIST:
        for (size_t i = 0; i < v->list.n && x->jump == TMPL_STAY; i++)
            if (!turn(x, n, tmpl_of_int((int64_t)i), tmpl_element(v->type, v->list.v[i])))
                return false;
        return true;
    case TMPL_MAP:
        for (size_t i = 0; i < v->map.n && x->jump == TMPL_STAY; i++)
            if (!turn(x, n, tmpl_of_str(v->map.v[i].key), tmpl_element(v->type, v->map.v[i].value)))
                return false;
        return true;
    default:
        return tmpl_errorf(x, "range can't iterate over %.*s", STRF(value_text(x, v)));
    }
}

static bool walk_range(struct tmpl_exec *x, const struct tmpl_value *dot, node_ref n)
{
    size_t mark = x->variables.n;
    struct tmpl_value v;
    bool empty = false;

    if (!eval_pipe(x, dot, n->pipe, &v))
        return false;
    v = tmpl_follow(v);
    bool ok = range_over(x, n, &v, &empty);
    if (x->jump == TMPL_BREAK)
        x->jump = TMPL_STAY;
    if (ok && empty && n->else_list)
        ok = walk_list(x, dot, n->else_list);
    x->variables.n = mark;
    return ok;
}

// Another template: it sees nothing but its dot.
static bool run_template(struct tmpl_exec *x, const struct gotemplate *t, struct tmpl_value dot)
{
    const struct gotemplate *before = x->template;
    size_t frame = x->frame, mark = x->variables.n;

    x->template = t;
    x->frame = mark;
    push_variable(x, STR("$"), dot);
    if (!walk_list(x, &dot, t->root))
        return false;
    x->template = before;
    x->frame = frame;
    x->variables.n = mark;
    return true;
}

static bool walk_call(struct tmpl_exec *x, const struct tmpl_value *dot, node_ref n)
{
    const struct gotemplate *t = gotemplate_find(x->set, n->text);
    OWNED(buf_fini) struct buf b = { 0 };
    struct tmpl_value v;

    if (!t) {
        buf_lit(&b, "template ");
        buf_quoted(&b, n->text);
        buf_lit(&b, " not defined");
        return tmpl_error(x, buf_view(&b));
    }
    return eval_pipe(x, dot, n->pipe, &v) && run_template(x, t, v);
}

static bool walk_text(struct tmpl_exec *x, node_ref n)
{
    if (x->html)
        tmpl_html_text(x->html, x->out, n->text);
    else
        buf_str(x->out, n->text);
    return check_output(x);
}

static bool walk_node(struct tmpl_exec *x, const struct tmpl_value *dot, node_ref n)
{
    struct tmpl_value v;

    switch (n->kind) {
    case GOTEMPLATE_TEXT:
        return walk_text(x, n);
    case GOTEMPLATE_ACTION:
        if (!eval_pipe(x, dot, n->pipe, &v))
            return false;
        return n->pipe->variable_count || print_value(x, n, &v);
    case GOTEMPLATE_IF:
    case GOTEMPLATE_WITH:
        return walk_branch(x, dot, n);
    case GOTEMPLATE_RANGE:
        return walk_range(x, dot, n);
    case GOTEMPLATE_CALL:
        return walk_call(x, dot, n);
    case GOTEMPLATE_BREAK:
    case GOTEMPLATE_CONTINUE:
        x->jump = n->kind == GOTEMPLATE_BREAK ? TMPL_BREAK : TMPL_CONTINUE;
        return true;
    default:
        return with_node(x, "unknown node: ", n);
    }
}

static bool walk(struct tmpl_exec *x, const struct tmpl_value *dot, node_ref n)
{
    x->node = n;
    if (!enter(x) || !walk_node(x, dot, n))
        return false;
    x->depth--;
    return true;
}

/* ---- entry ---- */

static bool run(struct tmpl_exec *x, struct str name, struct tmpl_value data)
{
    const struct gotemplate *t = gotemplate_find(x->set, name);

    if (!t) {
        x->error = arena_printf(x->arena, "template: no template \"%.*s\"", STRF(name));
        return err_set(x->e, ERR_NOT_FOUND, "%.*s", STRF(x->error));
    }
    x->template = t;
    x->node = t->root;
    return run_template(x, t, data);
}

bool tmpl_run(const struct gotemplate_set *set, struct str name, struct tmpl_value data,
              const struct tmpl_options *o, struct arena *a, struct buf *out, struct str *error,
              struct err *e)
{
    struct tmpl_exec x = { .set = set,
                           .options = o,
                           .arena = a,
                           .out = out,
                           .out_start = out->n,
                           .output_max = o->output_max ? o->output_max : TMPL_OUTPUT_MAX,
                           .memory_left = o->memory_max ? o->memory_max : TMPL_MEMORY_MAX,
                           .steps_left = o->steps_max ? o->steps_max : TMPL_STEPS_MAX,
                           .html = o->html ? tmpl_html_new(a) : NULL,
                           .e = e };

    if (run(&x, name, data))
        return true;
    *error = x.error;
    return false;
}

bool tmpl_run_inner(struct tmpl_call *c, const struct gotemplate_set *set, struct str name,
                    struct tmpl_value data, struct buf *out)
{
    struct tmpl_exec *outer = c->x, x = *outer;

    x.set = set;
    x.out = out;
    x.out_start = out->n;
    x.html = outer->html ? tmpl_html_new(c->arena) : NULL;
    if (!enter(&x))
        return outer->error = x.error, false;
    x.variables.n = x.frame = 0;
    memset(&x.variables, 0, sizeof x.variables);
    bool ok = run(&x, name, data);
    outer->memory_left = x.memory_left;
    outer->steps_left = x.steps_left;
    outer->limited = x.limited;
    if (ok)
        return true;
    struct str inner = x.error;
    outer->error = STR_NONE;
    return tmpl_fail(c, "%.*s", STRF(inner));
}

bool tmpl_fail(struct tmpl_call *c, const char *fmt, ...)
{
    OWNED(buf_fini) struct buf b = { 0 };
    va_list args;

    va_start(args, fmt);
    put_v(&b, fmt, args);
    va_end(args);
    return tmpl_errorf(c->x, "error calling %s: %.*s", c->name, STRF(buf_view(&b)));
}

bool tmpl_charge(struct tmpl_call *c, uint64_t bytes)
{
    return tmpl_take_memory(c->x, bytes);
}

bool tmpl_give_str(struct tmpl_call *c, struct str s, struct tmpl_value *out)
{
    if (!tmpl_charge(c, s.n))
        return false;
    *out = tmpl_of_str(arena_str(c->arena, s));
    return true;
}
