// budget.c - limits of one request.
// SPDX-License-Identifier: Apache-2.0
#include "base/budget.h"

#include "base/time.h"

enum { STEPS_PER_LOOK = 4096 };

static const char *what(const struct budget *b)
{
    return b->what ? b->what : "request";
}

bool budget_charge(struct budget *b, uint64_t bytes, struct err *e)
{
    uint64_t before = atomic_fetch_add_explicit(&b->bytes, bytes, memory_order_relaxed);

    if (LIKELY(!b->bytes_max || (bytes <= b->bytes_max && before <= b->bytes_max - bytes)))
        return true;
    atomic_fetch_sub_explicit(&b->bytes, bytes, memory_order_relaxed);
    return err_set(e, ERR_LIMIT, "%s needs more than its %llu bytes of memory (%llu in use)",
                   what(b), (unsigned long long)b->bytes_max, (unsigned long long)before);
}

void budget_refund(struct budget *b, uint64_t bytes)
{
    uint64_t before UNUSED = atomic_fetch_sub_explicit(&b->bytes, bytes, memory_order_relaxed);

    assert(before >= bytes);
}

bool budget_check(struct budget *b, struct err *e)
{
    if (b->cancelled && atomic_load_explicit(b->cancelled, memory_order_relaxed))
        return err_set(e, ERR_CANCELLED, "%s was canceled", what(b));
    if (b->deadline_mono_ns && clock_mono_ns(clock_real()) >= b->deadline_mono_ns)
        return err_set(e, ERR_TIMEOUT, "%s timed out", what(b));
    return true;
}

bool budget_step(struct budget *b, uint64_t n, struct err *e)
{
    uint64_t before = atomic_fetch_add_explicit(&b->steps, n, memory_order_relaxed);

    if (LIKELY(before / STEPS_PER_LOOK == (before + n) / STEPS_PER_LOOK))
        return true;
    return budget_check(b, e);
}
