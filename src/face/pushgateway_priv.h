/*
 * pushgateway_priv.h - what the files of face/pushgateway share: the groups and what is done to them.
 *
 * A push is decoded into a batch: an arena with families in it. The store is one array of families,
 * sorted by name, then group. A family is never changed: it is replaced or taken out, and its batch goes
 * with its last family. A group is there as long as it has families, and it always has the two that
 * tell the times of its pushes.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <stdatomic.h>

#include "base/metric.h"
#include "base/thread.h"
#include "base/rune.h"
#include "base/vec.h"
#include "codec/expo_family.h"
#include "codec/json.h"
#include "face/pushgateway.h"
#include "model/page.h"

#define PUSH_TIME_NAME    STR("push_time_seconds")
#define PUSH_FAILURE_NAME STR("push_failure_time_seconds")

struct push_family {
    struct push_batch *batch; // where it lives
    struct expo_family head;
    struct expo_metric *metric; // labels sorted by name, those of the group in them
    size_t n;
    size_t odd;     // the first metric without a value of the type; n: none
    uint64_t *hash; // of each metric's labels
    int64_t t_ns;   // of the push
};

struct push_batch {
    struct arena arena;
    atomic_uint refs;         // families in the store and in snapshots, and whoever decodes it
    struct expo_label *label; // of the group: sorted, "job" among them
    size_t labels;
    struct str key;            // of the group
    atomic_size_t *charged_to; // the gateway's count of bytes; NULL: not in the store yet
    size_t charged;
    bool plain;                         // no group: labels are left as they are
    VEC(struct push_family *) families; // sorted by name, in the arena
};

struct push_batch *push_batch_new(void); // with one reference
struct push_batch *push_batch_get(struct push_batch *b);
void push_batch_put(struct push_batch *b);
OWN_DEFINE(struct push_batch *, push_batch_put)
// Sets the group: sorts the labels, makes the key. The array and its texts are of the batch's arena.
void push_batch_group(struct push_batch *b, struct expo_label *v, size_t n);
/*
 * Adds a family, in the arena of the batch, in the place of one of the same name. Its metrics get
 * the labels of the group and an instance.
 */
struct push_family *push_batch_add(struct push_batch *b, const struct expo_whole *w, int64_t t_ns);

struct pushgateway {
    struct pushgateway_options o;
    struct arena arena; // of route paths and self
    struct page self;   // families of the process's own page, at the start
    struct pool *pool;
    struct metric_family *requests, *push_seconds, *push_bytes;
    int64_t start_ns;
    struct mutex mu;
    VEC(struct push_family *) families; // under mu; see above
    atomic_size_t bytes;                // of the batches' arenas
    bool dirty, stopping;               // under mu
    int64_t saved_mono_ns;              // under mu
    struct cond wake;
    struct thread saver;
};

int64_t push_now_ns(struct pushgateway *g);

// References to all families, in the order of the store. In *a; to be given back.
struct push_snapshot {
    struct push_family **v;
    size_t n;
};
struct push_snapshot push_snapshot_get(struct pushgateway *g, struct arena *a);
void push_snapshot_put(struct push_snapshot *s);

enum push_mode { PUSH_REPLACE, PUSH_UPDATE };
/*
 * Applies a decoded push, or notes its failure in the group: ERR_INVALID in upstream's words.
 * ERR_LIMIT: no room, nothing is noted. The batch stays the caller's.
 */
MUST_CHECK bool push_store_push(struct pushgateway *g, struct push_batch *b, enum push_mode mode,
                                struct err *e);
// Takes a group out; one that is not there is fine.
void push_store_delete(struct pushgateway *g, struct str key);
void push_store_wipe(struct pushgateway *g);
// Adds a batch as it is, without checks and times: what the file held.
void push_store_restore(struct pushgateway *g, struct push_batch *b);
// Whether the push succeeded last: t of failure ≤ t of success. v: families of one group.
bool push_group_is_good(struct push_family *const *v, size_t n);

// What is wrong with the families: checked alone and against others of the same and other names.
MUST_CHECK bool push_check(const struct pushgateway *g, const struct push_batch *b,
                           enum push_mode mode, struct err *e);

// Of this process's page keeps what a Pushgateway shows of itself.
void push_keep_own(struct page *page);
// The page: pushed families and, with `self`, those of the process. ERR_INVALID: inconsistent.
MUST_CHECK bool push_gather(struct pushgateway *g, bool self, enum expo_format format,
                            struct buf *out, struct err *e);

// The body of a push: decoded from its Content-Encoding, in the arena of the exchange.
MUST_CHECK bool push_body(struct http_exchange *x, struct str *out, struct err *e);
// Families of the body by its Content-Type, into the batch.
MUST_CHECK bool push_decode(struct http_exchange *x, struct str body, struct push_batch *b,
                            int64_t t_ns, struct err *e);
// The families of a text page, which lives in the arena of the batch.
void push_decode_page(const struct page *page, struct push_batch *b, int64_t t_ns);
/*
 * The group of a path behind /metrics: "/job/x/a/b", "/job@base64/eA". Labels in the arena of the
 * batch. ERR_INVALID in upstream's words.
 */
MUST_CHECK bool push_path(struct pushgateway *g, struct str path, struct push_batch *b,
                          struct err *e);

// Reads the file, if there is one; starts the saver. The stop saves.
MUST_CHECK bool push_file_start(struct pushgateway *g, struct err *e);
void push_file_stop(struct pushgateway *g);
// The file's bytes, and back; ERR_CORRUPT.
void push_file_write(const struct push_snapshot *s, struct buf *out);
MUST_CHECK bool push_file_read(struct pushgateway *g, struct str content, struct err *e);

// Visits the groups, each with its families in order of name.
typedef void (*push_group_fn)(void *ctx, struct push_family *const *v, size_t n);
void push_groups_each(struct pushgateway *g, push_group_fn visit, void *ctx);
// The same of prometheus/pushgateway's file. ERR_CORRUPT.
MUST_CHECK bool push_gob_read(struct pushgateway *g, struct str content, struct err *e);

// Counts a request; status 0: 200.
void push_count(struct pushgateway *g, struct http_exchange *x, const char *handler, int status);
void push_routes_read(struct pushgateway *g, struct http_server *s); // api, page
void push_routes_page(struct pushgateway *g, struct http_server *s);
void push_route(struct pushgateway *g, struct http_server *s, const struct http_route *r);
static inline struct pushgateway *push_of(struct http_exchange *x)
{
    return x->route_ctx;
}
