/*
 * catalog_priv.h - what the files of the catalog share.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <stdatomic.h>

#include "base/thread.h"
#include "base/vec.h"
#include "store/catalog.h"
#include "store/catalog_cache.h"
#include "store/catalog_live.h"
#include "store/segment.h"

/* ---- slices of live ids: catalog_slices.c ---- */

struct catalog_slices; // reference-counted; set and read by any thread, grown under the mutex

// Slices of no id, with one reference, which is the caller's.
struct catalog_slices *catalog_slices_new(void);
// One more reference, for a view; returns s.
struct catalog_slices *catalog_slices_ref(struct catalog_slices *s);
void catalog_slices_put(struct catalog_slices *s);                   // NULL is fine
void catalog_slices_begin(struct catalog_slices *s, uint32_t first); // least id that is kept
void catalog_slices_grow(struct catalog_slices *s, uint32_t id);     // room for this id
// Whether all of an id's bits are here; else only those set since the start.
bool catalog_slices_has_all(const struct catalog_slices *s, uint32_t id);
// Bits of an id as known now, 0 for one without room: see catalog_slices_has_all() for what is
// missing.
uint32_t catalog_slices_of(const struct catalog_slices *s, uint32_t id);
// False: there is no room for the id yet.
MUST_CHECK bool catalog_slices_mark(struct catalog_slices *s, uint32_t id, uint32_t bits);
// Whether bits were set for ids from before the start; forgets it, or notes it again.
bool catalog_slices_take_extra(struct catalog_slices *s);
// Notes again that bits were set for ids from before the start: whoever took the note could not
// act on it.
void catalog_slices_give_extra(struct catalog_slices *s);
// Heap memory held, in bytes.
uint64_t catalog_slices_bytes(const struct catalog_slices *s);

/* ---- sources: one segment as a reader sees it ---- */

struct catalog_source {
    struct live *live; // one of the two
    struct segment *segment;
    uint32_t n; // positions of the view are below
};

// All segments of a catalog at one time, immutable; owns a reference to each. n is not used.
struct catalog_list {
    atomic_uint refs;
    size_t n;
    struct catalog_source v[]; // ascending by id
};
struct catalog_list *catalog_list_new(size_t n); // pointers are the caller's to fill
// Drops one reference; the last drops those to the segments, which may unlink doomed files.
void catalog_list_put(struct catalog_list *l);
OWN_DEFINE(struct catalog_list *, catalog_list_put);

struct catalog_view {
    atomic_uint refs;
    uint32_t id_end;
    uint64_t series;
    struct catalog_list *list; // pins the segments
    struct catalog_slices *slices;
    struct catalog_cache *cache;
    struct catalog_shared *shared;
    size_t n;
    struct catalog_source v[]; // ascending by id
};

// What outlives the catalog while there are views.
struct catalog_shared {
    atomic_uint refs;
    _Atomic uint64_t damages;
    uint64_t quarantined; // segments that could not be opened: told with every read
    struct err quarantine;
};

static inline uint32_t source_id(const struct catalog_source *s, uint32_t position)
{
    return s->live ? live_id(s->live, position) : segment_id(s->segment, position);
}
// Position of the first id >= id, at most n.
uint32_t source_position(const struct catalog_source *s, uint32_t id);
// Slices of one series; the cursor is of the source's segment, NULL for a live one.
MUST_CHECK bool source_slices(const struct catalog_source *s, uint32_t position,
                              const struct catalog_slices *live, struct segment_slices *cursor,
                              uint32_t *out, struct err *e);

/*
 * Notes damage of one segment. True: go on without it; false: *e stays and the call fails (another
 * kind of error, or nobody wants to hear of damage).
 */
bool catalog_damaged(struct catalog_view *v, const struct catalog_read *r, struct err *e);
// Tells of segments that could not even be opened.
MUST_CHECK bool catalog_quarantine_check(struct catalog_view *v, const struct catalog_read *r,
                                         struct err *e);

/* ---- values of all sources in order: catalog_merge.c ---- */

struct catalog_stream { // the values of one name in one source, ascending
    const struct catalog_source *source;
    struct segment_values values; // sealed
    uint32_t pair_end;            // sealed: where the name ends
    uint32_t *pairs;              // live: of the name, sorted by value
    size_t n, at;                 // live
    bool there;                   // value and pair are set, else the stream is at its end
    bool hit;                     // value is the merge's current one
    struct str value;
    struct segment_pair pair;
};
struct catalog_merge {
    struct catalog_stream *v;
    size_t n;
    struct str *names; // of all sources, sorted, each once; borrowed from them
    size_t name_count;
    struct str value; // current, until the next step
    uint64_t count;   // series that have it
    bool begun;
};
// Begins at no name. The sources are borrowed until catalog_merge_fini() and are read up to their
// n.
void catalog_merge_init(struct catalog_merge *m, const struct catalog_source *v, size_t n,
                        enum page_use use);
// Puts pinned pages and frees; values told before are invalid.
void catalog_merge_fini(struct catalog_merge *m);
OWN_DEFINE_FINI(struct catalog_merge, catalog_merge_fini);
// Goes before the first value of this name in all sources. Names come in the order of m->names, so
// that no page is read twice.
MUST_CHECK bool catalog_merge_name(struct catalog_merge *m, struct str name, struct err *e);
// The next value of the name, each once, ascending: 1 with value and count set, 0 at the end, −1
// failed. The streams that have the value are marked `hit`.
int catalog_merge_next(struct catalog_merge *m, struct err *e);
// Pairs of one name of a live source that are in use below n, sorted by value; heap memory.
uint32_t *live_sorted_pairs(const struct live *s, uint32_t name, uint32_t n, size_t *count);

/* ---- selecting in one source: catalog_match.c ---- */

// Positions of one source that match, below s->n. *out is uninitialised before, owned after.
MUST_CHECK bool source_select(struct catalog_view *v, const struct catalog_source *s,
                              const struct catalog_query *q, struct budget *b, struct posset *out,
                              struct err *e);

/* ---- the catalog: catalog.c ---- */

struct catalog_pending { // records of one log, in order of age
    uint64_t log_number;
    struct buf bytes;
};

struct catalog {
    struct mutex mu;                     // serialises writers
    struct live *open;                   // under mu; also the last of `current`
    uint32_t id_next;                    // under mu
    uint64_t log_number;                 // under mu: where records of `open` go; 0: replaying
    uint64_t pending_bytes;              // under mu
    VEC(struct catalog_pending) pending; // under mu
    VEC(uint32_t) replay_pair; // replay: pair id in the log → in `open`, LIVE_NONE: lost
    uint32_t id_floor;         // replay: the MANIFEST's next id
    uint64_t uid_next;         // under mu
    bool building;             // under mu: one freeze or merge at a time

    struct mutex view_mu;         // leaf: guards current
    struct catalog_list *current; // under view_mu

    struct catalog_slices *slices;
    struct catalog_cache *cache;
    struct catalog_shared *shared;
    struct page_cache *pages;
    char *dir;
    uint64_t place;
    uint32_t epoch;
    VEC(struct catalog_segment) quarantined; // since open
};

// The current list with one more reference: catalog_list_put() it. Takes the leaf lock only.
struct catalog_list *catalog_list_get(struct catalog *c);
// Puts another list in place of the current one. Takes it and returns the old one, which is the
// caller's to put after unlocking (that may unlink files).
MUST_CHECK struct catalog_list *catalog_publish_locked(struct catalog *c,
                                                       struct catalog_list *list);

/* ---- writing a segment file: catalog_write.c ---- */

struct catalog_write_options {
    const char *path;               // must not exist
    const struct catalog_source *v; // ascending by id; nothing is added to them any more
    size_t n;
    const struct catalog_slices *slices;
    uint64_t place, number;
    uint32_t epoch;
    bool final;
};
// Writes and syncs the file (not its folder). *out: what the MANIFEST says of it.
MUST_CHECK bool catalog_write(const struct catalog_write_options *o, struct catalog_segment *out,
                              struct err *e);

/* ---- log records: catalog_log.c ---- */

// Appends PAIR records of the pairs [from, to) of an open segment.
void catalog_log_pairs(struct buf *b, const struct live *s, uint32_t from, uint32_t to);
// Appends the SERIES record of one position; the PAIR records that it names come before.
void catalog_log_series(struct buf *b, const struct live *s, uint32_t position);
