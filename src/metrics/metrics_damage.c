/*
 * metrics_damage.c - what answers lack: known damages of a tenant, and those a view met.
 *
 * A part, segment or partition that could not be opened is noted for the tenant with the times it
 * may have held, until its partition goes; views over these times begin with its warning. A page
 * found damaged while reading is noted in the view. The log hears of a file once a minute.
 */
// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "metrics/metrics_view_priv.h"

enum { DAMAGES_MAX = 1000, VIEW_WARNINGS_MAX = 50 };

void damage_note(struct metrics_tenant *t, const struct span *s, int64_t min_ms, int64_t max_ms,
                 const char *what, const struct err *why)
{
    OWNED(buf_fini) struct buf b = { 0 };

    buf_printf(&b, "%s: %s", what, why->text);
    LOCKED(&t->snapshot_mu);
    for (size_t i = 0; i < t->damages.n; i++) {
        if (str_eq(str_c(t->damages.v[i].text), buf_view(&b)))
            return;
    }
    if (t->damages.n >= DAMAGES_MAX)
        return;
    *vec_push(&t->damages) = (struct damage){ s, min_ms, max_ms, xstrdup_str(buf_view(&b)) };
}

void damage_forget_locked(struct metrics_tenant *t, const struct span *s)
{
    size_t kept = 0;

    assert(mutex_is_mine(&t->snapshot_mu));
    for (size_t i = 0; i < t->damages.n; i++) {
        if (t->damages.v[i].span == s)
            xfree(t->damages.v[i].text);
        else
            t->damages.v[kept++] = t->damages.v[i];
    }
    t->damages.n = kept;
}

void damages_fini(struct metrics_tenant *t)
{
    for (size_t i = 0; i < t->damages.n; i++)
        xfree(t->damages.v[i].text);
    vec_fini(&t->damages);
}

// Whether the log has not heard of the file in the last minute.
static bool is_news(struct metrics_tenant *t, struct str file)
{
    uint64_t h = hash_keyed(file);
    int64_t now_ns = clock_mono_ns(t->m->clock);
    struct damage_said *said;
    LOCKED(&t->snapshot_mu);

    said = &t->damage_said[h % ARRAY_LEN(t->damage_said)];
    if (said->file == h && now_ns - said->at_mono_ns < MS_MINUTE * NS_MS)
        return false;
    *said = (struct damage_said){ h, now_ns };
    return true;
}

/* ---- of a view ---- */

// Under the view's mutex, or before others know of the view. False: it was there.
static bool add(struct metrics_view *v, struct str text)
{
    for (size_t i = 0; i < v->warnings.n; i++) {
        if (str_eq(v->warnings.v[i], text))
            return false;
    }
    if (v->warnings.n >= VIEW_WARNINGS_MAX) {
        v->warnings_left_out = true;
        return false;
    }
    *vec_push_in(&v->warnings_arena, &v->warnings) = arena_str(&v->warnings_arena, text);
    return true;
}

void view_damage(struct metrics_view *v, const char *what, struct str file, const struct err *why)
{
    OWNED(buf_fini) struct buf b = { 0 };
    bool fresh;

    buf_printf(&b, "%s: %s", what, why->text);
    mutex_lock(&v->warnings_mu);
    fresh = add(v, buf_view(&b));
    mutex_unlock(&v->warnings_mu);
    if (!fresh)
        return;
    atomic_fetch_add_explicit(&v->tenant->m->corruptions, 1, memory_order_relaxed);
    if (is_news(v->tenant, file))
        log_error("metrics", "an answer is incomplete", KV("what", what), KV_ERR(why));
}

void view_damages_locked(struct metrics_view *v, int64_t min_ms, int64_t max_ms)
{
    struct metrics_tenant *t = v->tenant;

    assert(mutex_is_mine(&t->snapshot_mu));
    for (size_t i = 0; i < t->damages.n; i++) {
        if (t->damages.v[i].min_ms <= max_ms && t->damages.v[i].max_ms >= min_ms)
            (void)add(v, str_c(t->damages.v[i].text));
    }
}

size_t metrics_view_warnings(struct series_view *base, struct arena *a, struct str **out)
{
    struct metrics_view *v = CONTAINER_OF(base, struct metrics_view, base);
    LOCKED(&v->warnings_mu);
    size_t n = v->warnings.n;

    *out = arena_array(a, n + 1, struct str);
    for (size_t i = 0; i < n; i++)
        (*out)[i] = arena_str(a, v->warnings.v[i]);
    if (v->warnings_left_out)
        (*out)[n++] = STR("more damaged files than are listed here were left out");
    return n;
}
