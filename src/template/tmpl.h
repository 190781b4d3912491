/*
 * tmpl.h - evaluates templates of lang/gotemplate: values, functions, execution.
 *
 * Values carry their Go type, because what prints, what compares and what the messages say follows
 * from it. Whoever evaluates gives data, a table of functions and limits; everything an evaluation
 * makes lives in its arena. A set may be evaluated by several threads at once.
 * Source: Go 1.26, text/template and fmt.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/arena.h"
#include "base/base.h"
#include "base/budget.h"
#include "base/buf.h"
#include "lang/gotemplate.h"

enum {
    TMPL_OUTPUT_MAX = 4 << 20,   // bytes of one output, by default
    TMPL_MEMORY_MAX = 64 << 20,  // bytes made while evaluating, by default
    TMPL_STEPS_MAX = 4 << 20,    // nodes and elements visited, by default
    TMPL_DEPTH_MAX = 400,        // templates, blocks and pipelines open at once
    TMPL_ARGUMENTS_MAX = 1 << 8, // of one call
};

/* ---- types ---- */

enum tmpl_kind {
    TMPL_BOOL,
    TMPL_INT, // also durations, months, weekdays
    TMPL_UINT,
    TMPL_FLOAT,
    TMPL_COMPLEX,
    TMPL_STRING,
    TMPL_LIST,
    TMPL_MAP, // keys are strings
    TMPL_STRUCT,
    TMPL_POINTER,
    TMPL_OPAQUE,  // a struct whose fields nobody sees: times, histograms
    TMPL_ANY,     // interface {}: of parameters and elements, never of a value
    TMPL_REFLECT, // of parameters that take a value or none
};

struct tmpl_value;
struct tmpl_function;

struct tmpl_field {
    const char *name, *json; // json NULL: not in JSON
    const struct tmpl_type *type;
    bool omit_empty;
};

struct tmpl_type {
    const char *name; // as Go's %T
    enum tmpl_kind kind;
    const struct tmpl_type *elem;   // of lists, maps, pointers
    const struct tmpl_field *field; // of structs, in order
    size_t field_count;
    const struct tmpl_function *method; // the first argument is the value
    size_t method_count;
    void (*print)(struct buf *b, const struct tmpl_value *v); // its String(); NULL: none
    void (*json)(struct buf *b, const struct tmpl_value *v);  // its MarshalJSON(); NULL: none
};

extern const struct tmpl_type tmpl_bool, tmpl_int, tmpl_int64, tmpl_uint, tmpl_uint64, tmpl_float,
    tmpl_complex, tmpl_string, tmpl_any, tmpl_reflect, tmpl_byte, tmpl_strings, tmpl_any_list,
    tmpl_string_map, tmpl_any_map, tmpl_html, tmpl_time, tmpl_time_pointer, tmpl_duration,
    tmpl_duration_pointer;

/* ---- values ---- */

struct tmpl_list {
    const struct tmpl_value *v;
    size_t n;
};
struct tmpl_pair;
struct tmpl_map {
    const struct tmpl_pair *v; // by key, ascending
    size_t n;
};
struct tmpl_instant {
    int64_t s; // since 1970, UTC
    int32_t ns;
    int32_t offset_s; // of the zone it is shown in
    struct str zone;  // its name; UTC when empty
};

struct tmpl_value {
    const struct tmpl_type *type; // NULL: no value at all
    bool boxed;                   // in a place of type interface {}; type may be NULL: nil
    union {
        bool b;
        int64_t i;
        uint64_t u;
        double f;
        struct {
            double re, im;
        } c;
        struct str s;
        struct tmpl_list list;
        struct tmpl_map map;
        const struct tmpl_value *field;  // of a struct, in the order of its type
        const struct tmpl_value *target; // of a pointer, never NULL
        const struct tmpl_instant *instant;
        const void *opaque;
    };
};
struct tmpl_pair {
    struct str key;
    struct tmpl_value value;
};

static inline struct tmpl_value tmpl_of_str(struct str s)
{
    return (struct tmpl_value){ .type = &tmpl_string, .s = s };
}
static inline struct tmpl_value tmpl_of_int(int64_t i)
{
    return (struct tmpl_value){ .type = &tmpl_int, .i = i };
}
static inline struct tmpl_value tmpl_of_float(double f)
{
    return (struct tmpl_value){ .type = &tmpl_float, .f = f };
}
static inline struct tmpl_value tmpl_of_bool(bool b)
{
    return (struct tmpl_value){ .type = &tmpl_bool, .b = b };
}
// A time in UTC.
struct tmpl_value tmpl_of_time(struct arena *a, int64_t s, int32_t ns);
// A list of strings; the array is borrowed where n is 0, else copied.
struct tmpl_value tmpl_of_strs(struct arena *a, const struct tmpl_type *type, const struct str *v,
                               size_t n);
// A struct or a pointer to one of that type; fields in order, copied.
struct tmpl_value tmpl_of_fields(struct arena *a, const struct tmpl_type *type,
                                 const struct tmpl_value *v);
struct tmpl_value tmpl_pointer_to(struct arena *a, const struct tmpl_type *type,
                                  struct tmpl_value target);
// Sorts pairs by key (each once) and makes the map of them; the array is borrowed.
struct tmpl_value tmpl_of_pairs(const struct tmpl_type *type, struct tmpl_pair *v, size_t n);
// NULL: not in the map.
const struct tmpl_value *tmpl_map_get(const struct tmpl_value *map, struct str key);
// The value with its pointers followed.
struct tmpl_value tmpl_follow(struct tmpl_value v);
bool tmpl_is_true(const struct tmpl_value *v);

/* ---- functions ---- */

struct tmpl_call; // what a function is called with besides its arguments

// Writes the result to *out. False: it failed, tmpl_fail() said why.
typedef bool (*tmpl_fn)(struct tmpl_call *c, const struct tmpl_value *arg, size_t n,
                        struct tmpl_value *out);

struct tmpl_function {
    const char *name;
    tmpl_fn call;
    const struct tmpl_type *in[3]; // fixed parameters; of a method without its value
    const struct tmpl_type *rest;  // of further ones; NULL: none
};

struct tmpl_call {
    struct tmpl_exec *x;
    struct arena *arena;
    void *ctx;        // of tmpl_options
    const char *name; // of the function
};

bool tmpl_fail(struct tmpl_call *c, const char *fmt, ...) PRINTF_LIKE(2, 3); // false
// Counts memory made; false: too much, and the call has failed.
MUST_CHECK bool tmpl_charge(struct tmpl_call *c, uint64_t bytes);
// The text as a string value, counted.
MUST_CHECK bool tmpl_give_str(struct tmpl_call *c, struct str s, struct tmpl_value *out);
// The function of that name; NULL: none.
const struct tmpl_function *tmpl_find(const struct tmpl_function *v, size_t n, struct str name);
// and, or, not, len, index, slice, print…, html, js, urlquery, call, eq…: in every table.
extern const struct tmpl_function tmpl_builtins[];
extern const size_t tmpl_builtin_count;

/* ---- running ---- */

enum tmpl_missing {       // what a map says of a key that it does not have
    TMPL_MISSING_ZERO,    // the zero of its elements
    TMPL_MISSING_INVALID, // no value: printed as such
    TMPL_MISSING_ERROR,
};

struct tmpl_options {                      // zero in a field means its default
    const struct tmpl_function *functions; // besides the builtins, which they may replace
    size_t function_count;
    void *ctx; // for them
    enum tmpl_missing missing;
    bool html; // what actions print is escaped for its place in HTML, as Go's html/template
    uint64_t output_max, memory_max, steps_max;
    struct budget *budget; // stepped, too; NULL: none
};

/*
 * Evaluates the named template over data and appends to out, also what was written before an
 * error. *error: the whole message on failure, in the arena, as Go's. ERR_INVALID; ERR_LIMIT when
 * a limit was passed; what the budget says.
 */
MUST_CHECK bool tmpl_run(const struct gotemplate_set *set, struct str name, struct tmpl_value data,
                         const struct tmpl_options *o, struct arena *a, struct buf *out,
                         struct str *error, struct err *e);
/*
 * From within a function: runs another template of the same set, or of `set`, with the same
 * limits; the output is appended to out.
 */
MUST_CHECK bool tmpl_run_inner(struct tmpl_call *c, const struct gotemplate_set *set,
                               struct str name, struct tmpl_value data, struct buf *out);

/* ---- printing ---- */

// As fmt.Sprint of one value: %v.
void tmpl_print(struct buf *b, const struct tmpl_value *v);
// As encoding/json's Marshal; false: *why is its error.
MUST_CHECK bool tmpl_json(struct buf *b, const struct tmpl_value *v, const char **why);
// As time.Time's Format; and its Parse, UTC without a zone in the layout.
void tmpl_time_format(struct buf *b, const struct tmpl_instant *t, struct str layout);
MUST_CHECK bool tmpl_time_parse(struct arena *a, struct str layout, struct str text,
                                struct tmpl_instant *out, struct str *why);
// As net/url's QueryEscape.
void tmpl_escape_query(struct buf *b, struct str s);
