/*
 * page_cache.c - pages in shards of a hash table, thrown out by a clock hand.
 *
 * Invariants:
 *  1. A page in a table holds one reference of the cache's; every pin is one more.
 *     Pins are taken under the shard's mutex only, so a page that is seen there
 *     with one reference stays unpinned while the mutex is held.
 *  2. The bytes of a page do not change after it was published in a table.
 *  3. No I/O happens under a mutex: two threads that miss the same page both read
 *     it, and the second finds the first one's in the table and uses that.
 */
// SPDX-License-Identifier: Apache-2.0
#include "store/page_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/thread.h"

enum { SHARDS_DEFAULT = 16, SLOTS_MIN = 64 };
#define BYTES_MAX_DEFAULT (UINT64_C(16) << 20)

struct entry {
    struct page page; // first: page_put() gets here from it
    atomic_uint references;
    bool used; // under the shard's mu: touched since the hand passed
    uint64_t file, offset;
    struct entry *chain;       // under mu: next of its bucket
    struct entry *next, *prev; // under mu: ring of the clock
    uint8_t bytes[];
};

struct shard {
    struct mutex mu;       // guards everything below
    struct entry **bucket; // power of two
    size_t buckets, n;
    struct entry *hand; // NULL while empty
    uint64_t bytes, bytes_max;
    uint64_t hits, misses, evictions;
    char pad[64]; // neighbours in the array are locked by other threads
};

struct page_cache {
    struct shard *shard;
    unsigned shards; // power of two
    uint64_t bytes_max;
    atomic_uint_fast64_t file_next, corrupt;
    atomic_uint files; // open: asserted to be none at the end
};

struct page_file {
    struct page_cache *cache;
    int fd;
    uint64_t id; // never reused in this process, so that stale pages cannot be met
    uint64_t seed, bytes;
    char *path;
};

static uint64_t entry_bytes(const struct entry *n)
{
    return sizeof *n + n->page.n + PAGE_SLACK;
}

/* ---- the cache ---- */

struct page_cache *page_cache_new(const struct page_cache_options *o)
{
    struct page_cache *c = xcalloc(1, sizeof *c);

    c->shards = o && o->shards ? o->shards : SHARDS_DEFAULT;
    c->bytes_max = o && o->bytes_max ? o->bytes_max : BYTES_MAX_DEFAULT;
    assert((c->shards & (c->shards - 1)) == 0);
    c->shard = xcalloc(c->shards, sizeof *c->shard);
    for (unsigned i = 0; i < c->shards; i++) {
        struct shard *s = &c->shard[i];

        mutex_init(&s->mu, "page cache", RANK_CACHE);
        s->buckets = SLOTS_MIN;
        s->bucket = xcalloc(s->buckets, sizeof *s->bucket);
        s->bytes_max = c->bytes_max / c->shards;
    }
    return c;
}

static void release(struct entry *n)
{
    // acq_rel: the last owner must see what the others did with the bytes before it frees them.
    if (atomic_fetch_sub_explicit(&n->references, 1, memory_order_acq_rel) == 1)
        xfree(n);
}

void page_put(const struct page *p)
{
    if (p)
        release((struct entry *)(uintptr_t)p);
}

static uint64_t place_hash(uint64_t file, uint64_t offset)
{
    return hash_u64(file * UINT64_C(0x9e3779b97f4a7c15) ^ offset);
}

static struct entry **bucket_of(const struct shard *s, uint64_t hash)
{
    return &s->bucket[(hash >> 16) & (s->buckets - 1)];
}

static void unlink_locked(struct shard *s, struct entry *n)
{
    struct entry **at = bucket_of(s, place_hash(n->file, n->offset));

    while (*at != n)
        at = &(*at)->chain;
    *at = n->chain;
    if (s->hand == n)
        s->hand = n->next == n ? NULL : n->next;
    n->next->prev = n->prev;
    n->prev->next = n->next;
    s->bytes -= entry_bytes(n);
    s->n--;
}

void page_cache_free(struct page_cache *c)
{
    if (!c)
        return;
    assert(atomic_load(&c->files) == 0);
    for (unsigned i = 0; i < c->shards; i++) {
        struct shard *s = &c->shard[i];

        assert(s->n == 0); // closing the files has emptied it
        mutex_fini(&s->mu);
        xfree(s->bucket);
    }
    xfree(c->shard);
    xfree(c);
}

void page_cache_stats(struct page_cache *c, struct page_cache_stats *out)
{
    *out = (struct page_cache_stats){
        .bytes_max = c->bytes_max,
        .corrupt = atomic_load_explicit(&c->corrupt, memory_order_relaxed), // a figure only
    };
    for (unsigned i = 0; i < c->shards; i++) {
        struct shard *s = &c->shard[i];
        LOCKED(&s->mu);

        out->hits += s->hits;
        out->misses += s->misses;
        out->evictions += s->evictions;
        out->pages += s->n;
        out->bytes += s->bytes;
    }
}

static struct entry *find_locked(struct shard *s, uint64_t hash, uint64_t file, uint64_t offset)
{
    for (struct entry *n = *bucket_of(s, hash); n; n = n->chain)
        if (n->file == file && n->offset == offset)
            return n;
    return NULL;
}

static void grow_locked(struct shard *s)
{
    struct entry **old = s->bucket;
    size_t buckets = s->buckets;

    s->buckets *= 2;
    s->bucket = xcalloc(s->buckets, sizeof *s->bucket);
    for (size_t i = 0; i < buckets; i++) {
        for (struct entry *n = old[i], *next; n; n = next) {
            struct entry **to = bucket_of(s, place_hash(n->file, n->offset));

            next = n->chain;
            n->chain = *to;
            *to = n;
        }
    }
    xfree(old);
}

// Moves the hand until there is room for more bytes, or all pages left are pinned.
static void make_room_locked(struct shard *s, uint64_t more)
{
    for (size_t steps = 2 * s->n; steps && s->hand && s->bytes + more > s->bytes_max; steps--) {
        struct entry *n = s->hand;

        s->hand = n->next;
        // relaxed: a pin is only taken under mu; a put that is not seen yet makes it look pinned.
        if (atomic_load_explicit(&n->references, memory_order_relaxed) > 1)
            continue;
        if (n->used) {
            n->used = false;
            continue;
        }
        unlink_locked(s, n);
        s->evictions++;
        release(n);
    }
}

static void insert_locked(struct shard *s, struct entry *n, uint64_t hash)
{
    make_room_locked(s, entry_bytes(n));
    if (s->bytes + entry_bytes(n) > s->bytes_max)
        return; // everything is pinned: the page lives as long as its user wants it
    if (s->n >= s->buckets)
        grow_locked(s);
    struct entry **at = bucket_of(s, hash);
    n->chain = *at;
    *at = n;
    if (s->hand) { // just behind the hand: the last to be looked at
        n->next = s->hand;
        n->prev = s->hand->prev;
        n->prev->next = n->next->prev = n;
    } else {
        s->hand = n->next = n->prev = n;
    }
    s->bytes += entry_bytes(n);
    s->n++;
    atomic_fetch_add_explicit(&n->references, 1, memory_order_relaxed); // the caller holds one
}

/* ---- files ---- */

bool page_file_open(struct page_file **out, struct page_cache *c, const char *path, uint64_t seed,
                    struct err *e)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0 && errno == ENOENT)
        return err_set(e, ERR_NOT_FOUND, "%s does not exist", path);
    if (fd < 0)
        return err_os(e, "open %s", path);
    if (fstat(fd, &st) < 0) {
        err_os(e, "stat %s", path);
        file_close(fd);
        return false;
    }
    struct page_file *f = xcalloc(1, sizeof *f);
    *f = (struct page_file){
        .cache = c,
        .fd = fd,
        .seed = seed,
        .bytes = (uint64_t)st.st_size,
        .path = xstrdup_str(str_c(path)),
    };
    f->id = atomic_fetch_add_explicit(&c->file_next, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&c->files, 1, memory_order_relaxed);
    *out = f;
    return true;
}

static void forget_file_locked(struct shard *s, uint64_t file)
{
    for (size_t i = 0; i < s->buckets; i++) {
        for (struct entry *n = s->bucket[i], *next; n; n = next) {
            next = n->chain;
            if (n->file != file)
                continue;
            unlink_locked(s, n);
            release(n);
        }
    }
}

void page_file_close(struct page_file *f)
{
    if (!f)
        return;
    for (unsigned i = 0; i < f->cache->shards; i++) {
        struct shard *s = &f->cache->shard[i];
        LOCKED(&s->mu);

        forget_file_locked(s, f->id);
    }
    file_close(f->fd);
    atomic_fetch_sub_explicit(&f->cache->files, 1, memory_order_relaxed);
    xfree(f->path);
    xfree(f);
}

uint64_t page_file_bytes(const struct page_file *f)
{
    return f->bytes;
}

const char *page_file_path(const struct page_file *f)
{
    return f->path;
}

bool page_file_pread(const struct page_file *f, void *p, size_t n, uint64_t offset, struct err *e)
{
    if (offset > f->bytes || n > f->bytes - offset)
        return err_set(e, ERR_CORRUPT, "%s: %zu bytes wanted at offset %llu of %llu", f->path, n,
                       (unsigned long long)offset, (unsigned long long)f->bytes);
    if (!file_pread_all(f->fd, p, n, offset, e))
        return err_wrap(e, "%s", f->path);
    return true;
}

/* ---- pages ---- */

uint32_t page_checksum(uint64_t seed, uint64_t offset, const void *p, size_t n)
{
    return crc32c((uint32_t)hash_u64(seed ^ hash_u64(offset)), p, n);
}

static bool checksum_matches(const struct page_file *f, uint64_t offset, const uint8_t *p, size_t n)
{
#ifdef VIGIE_NO_CHECKSUMS
    (void)f, (void)offset, (void)p, (void)n; // fuzzing: decoders must stand alone
    return true;
#else
    return page_checksum(f->seed, offset, p, n) == get_le32(p + n);
#endif
}

// A page from disk with one reference, in no table.
static bool read_page(struct page_file *f, uint64_t offset, uint32_t n, struct entry **out,
                      struct err *e)
{
    if (n > PAGE_BYTES_MAX)
        return err_set(e, ERR_CORRUPT, "%s: page of %u bytes at offset %llu", f->path, n,
                       (unsigned long long)offset);
    if (offset > f->bytes || n + PAGE_TRAILER > f->bytes - offset)
        return err_set(e, ERR_CORRUPT, "%s: page at offset %llu ends beyond the file", f->path,
                       (unsigned long long)offset);
    OWNED(xfree) void *memory = xmalloc(sizeof(struct entry) + n + PAGE_SLACK);
    struct entry *entry = memory;
    memset(entry, 0, sizeof *entry);
    static_assert(PAGE_TRAILER <= PAGE_SLACK, "the trailer is read into the slack");
    if (!page_file_pread(f, entry->bytes, n + PAGE_TRAILER, offset, e))
        return false;
    if (!checksum_matches(f, offset, entry->bytes, n)) {
        atomic_fetch_add_explicit(&f->cache->corrupt, 1, memory_order_relaxed);
        return err_set(e, ERR_CORRUPT, "%s: checksum of the page at offset %llu does not match",
                       f->path, (unsigned long long)offset);
    }
    memset(entry->bytes + n, 0, PAGE_SLACK);
    entry->page = (struct page){ entry->bytes, n };
    entry->file = f->id;
    entry->offset = offset;
    atomic_init(&entry->references, 1);
    memory = NULL;
    *out = entry;
    return true;
}

bool page_get(struct page_file *f, uint64_t offset, uint32_t n, enum page_use use,
              const struct page **out, struct err *e)
{
    uint64_t hash = place_hash(f->id, offset);
    struct shard *s = &f->cache->shard[hash & (f->cache->shards - 1)];
    struct entry *entry, *there;

    mutex_lock(&s->mu);
    there = find_locked(s, hash, f->id, offset);
    if (there && there->page.n == n) {
        // relaxed: the mutex orders it against eviction.
        atomic_fetch_add_explicit(&there->references, 1, memory_order_relaxed);
        there->used = there->used || use == PAGE_KEEP;
        s->hits++;
        mutex_unlock(&s->mu);
        *out = &there->page;
        return true;
    }
    s->misses++;
    mutex_unlock(&s->mu);

    if (!read_page(f, offset, n, &entry, e))
        return false;
    if (use == PAGE_KEEP && !there) {
        LOCKED(&s->mu);

        there = find_locked(s, hash, f->id, offset);
        if (!there)
            insert_locked(s, entry, hash);
    }
    *out = &entry->page;
    return true;
}
