/*
 * catalog_build.c - freezing and merging: a new segment file, then a new list.
 *
 * Between writing the file and catalog_install lies the caller's commit of the
 * MANIFEST. Until then the inputs serve; a build that is given up unlinks its file.
 */
// SPDX-License-Identifier: Apache-2.0
#include "base/file.h"
#include "base/mem.h"
#include "store/catalog_priv.h"

struct catalog_build {
    struct catalog *catalog;
    struct catalog_list *inputs;
    struct catalog_segment segment;
    uint64_t *replaced;
    size_t replaced_count;
    char *path;
    bool written, installed;
    bool extra; // slices of older series changed before this build, which takes them in
};

// Inputs as of now: what was put aside, and for a merge all sealed segments too.
static struct catalog_list *inputs_of(struct catalog *c, bool sealed)
{
    OWNED(catalog_list_put) struct catalog_list *now = catalog_list_get(c);
    struct catalog_list *in = catalog_list_new(now->n);

    in->n = 0;
    for (size_t i = 0; i + 1 < now->n; i++) { // the last one is open
        const struct catalog_source *s = &now->v[i];
        if (!s->live && !sealed)
            continue;
        struct catalog_source *to = &in->v[in->n++];
        *to = *s;
        if (s->live)
            live_get(s->live);
        else
            segment_get(s->segment);
        to->n = s->live ? live_count(s->live) : segment_count(s->segment);
    }
    return in;
}

static bool begin(struct catalog *c, struct err *e)
{
    LOCKED(&c->mu);
    if (c->building)
        return err_set(e, ERR_CONFLICT, "catalog is being frozen or merged already");
    c->building = true;
    return true;
}

void catalog_build_free(struct catalog_build *b)
{
    if (!b)
        return;
    if (b->written && !b->installed)
        (void)!file_remove(b->path, &(struct err){ 0 }); // an orphan is deleted at the next open
    if (b->extra && !b->installed)
        catalog_slices_give_extra(b->catalog->slices);
    mutex_lock(&b->catalog->mu);
    b->catalog->building = false;
    mutex_unlock(&b->catalog->mu);
    catalog_list_put(b->inputs);
    xfree(b->replaced);
    xfree(b->path);
    xfree(b);
}

static struct catalog_build *build_new(struct catalog *c, uint64_t number, bool sealed)
{
    OWNED(buf_fini) struct buf path = { 0 };
    struct catalog_build *b = xcalloc(1, sizeof *b);

    b->catalog = c;
    b->inputs = inputs_of(c, sealed);
    b->replaced = xcalloc(b->inputs->n, sizeof *b->replaced);
    for (size_t i = 0; i < b->inputs->n; i++)
        if (b->inputs->v[i].segment)
            b->replaced[b->replaced_count++] = segment_info(b->inputs->v[i].segment)->number;
    buf_printf(&path, "%s/", c->dir);
    buf_segment_name(&path, number);
    b->path = xstrdup_str(buf_view(&path));
    return b;
}

static bool build_write(struct catalog_build *b, uint64_t number, bool final, struct err *e)
{
    struct catalog *c = b->catalog;
    struct catalog_write_options o = { .path = b->path,
                                       .v = b->inputs->v,
                                       .n = b->inputs->n,
                                       .slices = c->slices,
                                       .place = c->place,
                                       .number = number,
                                       .epoch = c->epoch,
                                       .final = final };

    if (!catalog_write(&o, &b->segment, e))
        return err_wrap(e, "catalog segment %s", b->path);
    b->written = true;
    return file_sync_dir(c->dir, e);
}

// One sealed segment that is as it should be, or nothing at all, needs no new file.
static bool has_work(const struct catalog_build *b, bool final)
{
    const struct catalog_list *in = b->inputs;

    if (in->n != 1 || in->v[0].live)
        return in->n > 0;
    return final && (b->extra || !segment_is_final(in->v[0].segment));
}

static bool run(struct catalog *c, uint64_t number, bool sealed, bool final,
                struct catalog_build **out, struct err *e)
{
    OWNED(catalog_build_free) struct catalog_build *b = NULL;

    if (!begin(c, e))
        return false;
    b = build_new(c, number, sealed);
    b->extra = final && catalog_slices_take_extra(c->slices);
    if (!has_work(b, final)) {
        *out = NULL;
        return true;
    }
    if (!build_write(b, number, final, e))
        return false;
    *out = TAKE(b);
    return true;
}

bool catalog_freeze(struct catalog *c, uint64_t number, struct catalog_build **out, struct err *e)
{
    return run(c, number, false, false, out, e);
}

bool catalog_merge(struct catalog *c, uint64_t number, bool final, struct catalog_build **out,
                   struct err *e)
{
    if (c->quarantined.n > 0)
        return err_set(e, ERR_CORRUPT, "catalog has damaged segments and cannot be merged");
    return run(c, number, true, final, out, e);
}

const struct catalog_segment *catalog_build_segment(const struct catalog_build *b)
{
    return &b->segment;
}

const uint64_t *catalog_build_replaced(const struct catalog_build *b, size_t *n)
{
    *n = b->replaced_count;
    return b->replaced;
}

static bool is_input(const struct catalog_build *b, const struct catalog_source *s)
{
    for (size_t i = 0; i < b->inputs->n; i++)
        if (b->inputs->v[i].live == s->live && b->inputs->v[i].segment == s->segment)
            return true;
    return false;
}

// The current list with the new segment in place of the first input.
static struct catalog_list *replace_locked(struct catalog *c, const struct catalog_build *b,
                                           struct segment *fresh)
{
    struct catalog_list *list = catalog_list_new(c->current->n + 1);

    list->n = 0;
    for (size_t i = 0; i < c->current->n; i++) {
        const struct catalog_source *s = &c->current->v[i];
        if (is_input(b, s)) {
            if (fresh)
                list->v[list->n++].segment = TAKE(fresh);
            continue;
        }
        list->v[list->n++] = *s;
        if (s->live)
            live_get(s->live);
        else
            segment_get(s->segment);
    }
    assert(!fresh);
    return list;
}

bool catalog_install(struct catalog *c, struct catalog_build *build, struct err *e)
{
    OWNED(catalog_build_free) struct catalog_build *b = build;
    OWNED(catalog_list_put) struct catalog_list *old = NULL;
    struct segment *fresh;
    struct segment_options o = {
        .path = b->path, .cache = c->pages, .place = c->place, .expect = &b->segment
    };

    b->installed = true; // the MANIFEST names it now
    mutex_lock(&c->mu);
    o.uid = c->uid_next++;
    mutex_unlock(&c->mu);
    if (!segment_open(&fresh, &o, e))
        return err_wrap(e, "new catalog segment");
    for (size_t i = 0; i < b->inputs->n; i++)
        if (b->inputs->v[i].segment)
            segment_doom(b->inputs->v[i].segment);
    LOCKED(&c->mu);
    old = catalog_publish_locked(c, replace_locked(c, b, fresh));
    return true;
}
