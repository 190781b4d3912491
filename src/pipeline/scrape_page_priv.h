/*
 * scrape_page_priv.h - the page being appended, shared by the files that make rows of it.
 *
 * scrape_append.c leads; scrape_series.c makes labels, scrape_nhcb.c converts classic
 * histograms, scrape_cache.c remembers. One thread has a page from begin to end.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "model/histogram_ops.h"
#include "pipeline/scrape_priv.h"

// In row_slot: the row's refusal is not counted (zero rows); the row has no slot (markers, report).
#define ROW_QUIET (UINT32_C(1) << 31)
#define ROW_NONE  UINT32_MAX

// Classic lines being put together to one histogram.
struct nhcb {
    enum nhcb_state { NHCB_START, NHCB_COLLECTING, NHCB_INHIBITED } state;
    bool failed;            // a line was wrong: no histogram
    uint64_t family;        // hash of the name of the last TYPE line
    uint64_t base;          // of the histogram collected, or inhibiting
    struct str raw;         // of its first line; the body lives as long as the page
    uint32_t slot;          // of its first line
    int64_t start_ms, t_ms; // of its first and its last line
    bool has_time;
    VEC(struct exemplar) exemplars; // in the page's arena
};

// Memory that a page needs while it is read, kept from page to page. One page at a time.
struct scrape_scratch {
    struct scrape_scratch *next; // under scraper.scratch_mu
    struct append_batch *batch;
    struct expo *expo;
    struct arena arena;
    scrape_known order;     // the page's lines, once they differ from `known`
    VEC(uint32_t) row_slot; // of each row of the batch: its slot, maybe with ROW_QUIET; ROW_NONE
    struct buf status;
    struct nhcb_builder builder;
};

struct page {
    struct scrape_target *t;
    const struct conf_scrape *conf;
    struct scrape_scratch *sc;
    enum expo_format format;
    int64_t stamp_ms;
    uint64_t scraped, kept, new_series, appended, duplicates;
    uint32_t seen;  // distinct slots
    uint32_t lines; // with a slot
    bool differs;   // from `known`, so far
    bool over_samples, over_buckets, over_labels;
    bool redo; // only rows of slots that say so
    struct nhcb nhcb;
    struct err error;
};

// One sample as it is put away: a line, or a histogram made of several.
struct page_sample {
    const struct expo_event *ev;  // of a line, else NULL
    const struct nhcb *made;      // of a histogram made of several, else NULL
    const struct histogram *hist; // of one made; lines have theirs in ev
    uint64_t hash;
    int64_t t_ms, start_ms;
    bool has_time;
};

/*
 * scrape_append.c: puts a sample away. *slot: of its series, MAP_NONE when there is none yet; then
 * it may get one. False: the page fails with p->error.
 */
bool scrape_page_put(struct page *p, uint32_t *slot, const struct page_sample *x);
// An exemplar with its labels decoded, in the page's arena. False: it cannot be read.
bool scrape_page_exemplar(struct page *p, const struct expo_exemplar *from, struct exemplar *out);

/*
 * scrape_series.c: labels of a new series by decoding, target labels and relabelling, in the page's
 * arena. *dropped: by relabelling. False: the page fails with p->error.
 */
bool scrape_page_labels(struct page *p, const struct page_sample *x, struct labels_builder *b,
                        bool *dropped);
// Labels of a report series.
void scrape_report_labels(const struct scrape_target *t, struct str name, struct labels_builder *b);

/*
 * scrape_nhcb.c: looks at a line before it becomes a sample. *taken: it became a part of a histogram
 * and is no sample by itself. May put the histogram before it. False: the page fails.
 */
bool scrape_nhcb_line(struct page *p, const struct expo_event *ev, uint32_t slot, bool *taken);
bool scrape_nhcb_meta(struct page *p,
                      const struct expo_event *ev); // a line of metadata ends a histogram
bool scrape_nhcb_end(struct page *p);               // puts what was collected
// Labels of the histogram being put, in the page's arena, not sorted.
bool scrape_nhcb_labels(struct page *p, struct labels *out);

/* ---- scrape_cache.c ---- */

uint32_t scrape_cache_find(struct scrape_cache *c, uint64_t hash); // MAP_NONE: absent
uint32_t scrape_cache_add(struct scrape_cache *c, uint64_t hash);
void scrape_cache_remove(struct scrape_cache *c, uint32_t slot);
// Frees all slots not seen on the page of this number.
void scrape_cache_keep_only(struct scrape_cache *c, uint32_t page);
// The page was good: its order is the known one; NULL: as it was.
void scrape_cache_settle(struct scrape_cache *c, const scrape_known *order);
// Moves the slots together when most are free: all numbers of slots change.
void scrape_cache_compact(struct scrape_cache *c);
/*
 * Puts one metadata line away. True with a copy in the arena when it says something new.
 * Call from the thread of the page; locks t->mu to change.
 */
bool scrape_cache_meta(struct scrape_target *t, const struct expo_event *ev, struct arena *a,
                       struct metric_meta *changed);
// Forgets metadata not seen for ten pages.
void scrape_cache_meta_expire(struct scrape_target *t);
