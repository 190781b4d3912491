/*
 * redis_priv.h - the protocol of Redis, and one scrape of a server.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "export/dial.h"
#include "export/export_priv.h"
#include "export/redis.h"

/* ---- RESP: redis_resp.c ---- */

enum resp_kind { RESP_NULL, RESP_TEXT, RESP_ERROR, RESP_INT, RESP_ARRAY };

struct resp { // an answer, in the arena
    enum resp_kind kind;
    struct str s; // text, error
    int64_t i;
    struct resp *items;
    size_t n;
};

enum { RESP_DEPTH_MAX = 16, RESP_BYTES_MAX = 64 << 20 };

struct resp_stream {
    struct dial *d;
    struct arena *a;
    struct buf in; // fini by the owner
    size_t at;
    size_t total; // bytes of all answers: at most RESP_BYTES_MAX
};

/*
 * Reads one value from *in, which it shortens; 1: done, 0: needs more bytes, −1: not RESP, *e set.
 * Slices point into the input: copy what has to live on.
 */
int resp_parse(struct arena *a, struct str *in, struct resp *out, struct err *e);
void resp_put(struct buf *b, const struct str *word, size_t n);
MUST_CHECK bool resp_read(struct resp_stream *s, struct resp *out, struct err *e);
// Sends a command of words separated by blanks, or of n words; reads the answer.
MUST_CHECK bool resp_call(struct resp_stream *s, const struct str *word, size_t n, struct resp *out,
                          struct err *e);
MUST_CHECK bool resp_ask(struct resp_stream *s, const char *command, struct resp *out,
                         struct err *e);

/* ---- names: redis_names.c ---- */

struct redis_name {
    const char *field, *name;
    bool counter;
};
const struct redis_name *redis_name_of(struct str field); // NULL: unknown

/* ---- one scrape ---- */

struct redis_scrape {
    const struct export_redis_options *o;
    struct arena *a;
    struct export_set *set;
    struct resp_stream *stream;
    int64_t now_ms;
    uint64_t databases;
    bool is_sentinel;
};

struct redis_label {
    const char *name;
    struct str value;
};
// Adds <space>_<name>. help NULL: "<name> metric".
void redis_add(struct redis_scrape *r, const char *name, const char *help, enum expo_type type,
               double v, const struct redis_label *l, size_t n);
// The text of INFO: redis_info.c.
void redis_info(struct redis_scrape *r, struct str info);
// CONFIG GET *: pairs.
void redis_config(struct redis_scrape *r, const struct resp *pairs);
// SLOWLOG, LATENCY, CLIENT LIST, keys, sentinel: redis_more.c. What fails is left out.
void redis_more(struct redis_scrape *r, struct str info);
