/*
 * otlp_priv.h - reading the pieces that occur in all signals of OTLP, for the files otlp_*.c.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/vec.h"
#include "codec/otlp.h"
#include "codec/proto.h"

struct otlp_list { // attributes while they are read
    VEC(struct otlp_attr) v;
    uint32_t nodes; // values so far
};
static inline struct otlp_attrs otlp_list_view(const struct otlp_list *l)
{
    return (struct otlp_attrs){ l->v.v, l->v.n };
}

// Always false.
bool otlp_malformed(struct err *e, const char *what);

/* ---- protobuf ---- */

// One KeyValue message, appended.
MUST_CHECK bool otlp_proto_attr(struct arena *a, struct str message, struct otlp_list *out,
                                struct err *e);

/* ---- JSON: names in lowerCamelCase or as in the .proto files ---- */

// A member by its lowerCamelCase name; NULL: absent or null.
const struct json_value *otlp_json_get(const struct json_value *object, const char *name);
struct str otlp_json_str(const struct json_value *object, const char *name); // absent: empty
// Numbers, or numbers in strings. Absent: *out stays. False: something else.
MUST_CHECK bool otlp_json_u64(const struct json_value *object, const char *name, uint64_t *out,
                              struct err *e);
MUST_CHECK bool otlp_json_i64(const struct json_value *object, const char *name, int64_t *out,
                              struct err *e);
// NaN and Infinity too. *found: it was there.
MUST_CHECK bool otlp_json_double(const struct json_value *object, const char *name, double *out,
                                 bool *found, struct err *e);
bool otlp_json_to_u64(const struct json_value *v, uint64_t *out);
bool otlp_json_to_i64(const struct json_value *v, int64_t *out);
bool otlp_json_to_double(const struct json_value *v, double *out);
// An enum as number or as name: prefix and one of the names, whose index it is. Unknown: 0.
MUST_CHECK bool otlp_json_enum(const struct json_value *object, const char *name,
                               const char *prefix, const char *const *names, int *out,
                               struct err *e);
// The list of that name; *n 0 when absent. False: no list.
MUST_CHECK bool otlp_json_list(const struct json_value *object, const char *name,
                               const struct json_value **items, size_t *n, struct err *e);
MUST_CHECK bool otlp_json_attrs(struct arena *a, const struct json_value *object, const char *name,
                                struct otlp_attrs *out, struct err *e);
// Hex of so many bytes, or nothing; in the arena.
MUST_CHECK bool otlp_json_hex(struct arena *a, const struct json_value *object, const char *name,
                              size_t size, struct str *out, struct err *e);
