/*
 * json.h - JSON: an appending writer, and a pull reader with positions.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/arena.h"
#include "base/base.h"
#include "base/buf.h"

/* ---- writing: commas are placed by the writer ---- */

struct json_writer {
    struct buf *out;
    uint64_t comma; // bit per depth: a value was written there
    int depth;      // ≤ 63
};

static inline struct json_writer json_writer(struct buf *out)
{
    return (struct json_writer){ out, 0, 0 };
}
void json_object(struct json_writer *w);     // {
void json_object_end(struct json_writer *w); // }
// Opens an array: each value written next is an element until json_array_end().
void json_array(struct json_writer *w);
// Closes the innermost array: begin and end nest, at most 63 deep.
void json_array_end(struct json_writer *w);
// Writes a member's key, escaped; the value must follow. Only directly inside an object.
void json_key(struct json_writer *w, struct str key);
#define json_key_lit(w, lit) json_key((w), STR(lit))
void json_str(struct json_writer *w,
              struct str s); // escapes; bytes that are no UTF-8 become U+FFFD
// A whole number, also beyond 2^53, where readers that use doubles round.
void json_i64(struct json_writer *w, int64_t v);
// As json_i64, without a sign.
void json_u64(struct json_writer *w, uint64_t v);
void json_double(struct json_writer *w, double v); // finite only; NaN and Inf are written as null
// true or false.
void json_bool(struct json_writer *w, bool v);
// null.
void json_null(struct json_writer *w);
void json_raw(struct json_writer *w, struct str json); // already JSON
void buf_json_str(struct buf *b, struct str s);        // quoted and escaped, no writer

/* ---- reading ---- */

enum json_kind { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

struct json_value; // a node of a parsed document
struct json_member {
    struct str key;
    struct json_value *value;
};
struct json_value {
    enum json_kind kind;
    uint32_t n; // elements or members
    struct pos pos;
    union {
        bool b;
        struct str s; // JSON_STRING: unescaped; JSON_NUMBER: the text as written
        struct json_value *items;
        struct json_member *members;
    };
};

enum { JSON_DEPTH_MAX = 256 };
// Strict RFC 8259, UTF-8 checked, repeated keys kept (json_get gives the last). Errors at line:col.
MUST_CHECK bool json_parse(struct arena *a, struct str text, struct json_value **out,
                           struct err *e);
// Member of an object, NULL when absent or v is NULL or no object.
struct json_value *json_get(const struct json_value *v, struct str key);
// Text of a string member, or STR_NONE.
struct str json_get_str(const struct json_value *v, struct str key);
bool json_to_double(const struct json_value *v, double *out); // numbers only
bool json_to_i64(const struct json_value *v, int64_t *out);   // integers that fit
