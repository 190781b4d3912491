/*
 * otlp.h - OTLP: what metrics, logs and traces share: values, attributes, resources, scopes.
 *
 * A request is a list of resources, each with scopes, each with items (a metric, a log record, a
 * span); the numbers of the fields are the same for the three signals. otlp_walk() goes through
 * that envelope, in protobuf or in JSON, and hands over the items as they are, for
 * otlp_metrics.h and its like to read. Source: opentelemetry-proto 1.x, common.proto,
 * resource.proto; OTLP specification, "JSON Protobuf Encoding".
 *
 * Strings are slices of the input; lists live in the arena given. Unknown fields are skipped.
 * Stateless; any thread.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "codec/json.h"

enum {
    OTLP_DEPTH_MAX = 32,     // of a value inside values
    OTLP_NODES_MAX = 65536,  // values of one list of attributes, nested ones counted
    OTLP_TRACE_ID_SIZE = 16, // bytes
    OTLP_SPAN_ID_SIZE = 8,
};

enum otlp_kind {
    OTLP_EMPTY,
    OTLP_STRING,
    OTLP_BOOL,
    OTLP_INT,
    OTLP_DOUBLE,
    OTLP_ARRAY,
    OTLP_MAP,
    OTLP_BYTES,
};

struct otlp_attr;
struct otlp_value {
    enum otlp_kind kind;
    uint32_t n; // of items or map
    union {
        struct str s; // OTLP_STRING, OTLP_BYTES
        bool b;
        int64_t i;
        double d;
        const struct otlp_value *items;
        const struct otlp_attr *map;
    };
};

struct otlp_attr {
    struct str key;
    struct otlp_value value;
};

struct otlp_attrs { // as sent: not sorted; a key may come again
    const struct otlp_attr *v;
    size_t n;
};

// The last value of a key; NULL: absent.
const struct otlp_value *otlp_attr_get(struct otlp_attrs attrs, struct str key);
/*
 * The value as text, as OpenTelemetry's own libraries make it for labels: strings as they are,
 * numbers as in JSON, bytes in base64, lists and maps as JSON with sorted keys.
 */
void buf_otlp_value(struct buf *b, const struct otlp_value *v);
// The same without a copy where it is a string.
struct str otlp_value_text(struct arena *a, const struct otlp_value *v);

struct otlp_resource {
    struct otlp_attrs attrs;
    struct str schema_url;
};

struct otlp_scope {
    struct str name, version, schema_url;
    struct otlp_attrs attrs;
};

enum otlp_signal { OTLP_METRICS, OTLP_LOGS, OTLP_TRACES };

// An item as it came: one of the two.
struct otlp_item {
    struct str message;            // protobuf
    const struct json_value *json; // NULL: protobuf
};

/*
 * What otlp_walk() calls, each may be NULL; false ends the walk with that error. Resource and
 * scope stay until the next of their kind; `arena` is the walker's and whoever allocates from it for an
 * item releases it again.
 */
struct otlp_walk {
    enum otlp_signal signal;
    struct arena *arena;
    void *ctx;
    bool (*resource)(void *ctx, const struct otlp_resource *r, struct err *e);
    bool (*scope)(void *ctx, const struct otlp_scope *s, struct err *e);
    bool (*item)(void *ctx, const struct otlp_item *item, struct err *e);
    bool (*resource_end)(void *ctx, struct err *e);
};

// Errors: ERR_CORRUPT: not such a message; ERR_LIMIT; and those of the functions.
MUST_CHECK bool otlp_walk_proto(const struct otlp_walk *w, struct str request, struct err *e);
MUST_CHECK bool otlp_walk_json(const struct otlp_walk *w, struct str request, struct err *e);

/* ---- answers ---- */

// An Export…ServiceResponse. rejected 0 and no text: full success, which is an empty message.
void buf_otlp_response(struct buf *b, enum otlp_signal signal, bool json, uint64_t rejected,
                       struct str text);
// A google.rpc.Status, the body of an error over HTTP. code: of gRPC.
void buf_otlp_status(struct buf *b, bool json, int code, struct str text);
