/*
 * query_loops.c - loops over plain arrays; see query_loops.h. Compiled with -O3.
 */
// SPDX-License-Identifier: Apache-2.0
#include "query/query_loops.h"

#include <math.h>
#include <string.h>

#include "base/hot.h"
#include "model/sample.h"

enum { LANES = 8 };

void loop_windows(const int64_t *t, size_t t_n, struct window_bounds b, uint32_t *from,
                  uint32_t *to, size_t n)
{
    size_t f = 0, e = 0;

    for (size_t i = 0; i < n; i++) {
        int64_t lo = b.lo_ms + (int64_t)i * b.step_ms, hi = b.hi_ms + (int64_t)i * b.step_ms;

        while (f < t_n && t[f] <= lo)
            f++;
        e = MAX(e, f);
        while (e < t_n && t[e] <= hi)
            e++;
        from[i] = (uint32_t)f;
        to[i] = (uint32_t)e;
    }
}

HOT_CLONES
bool loop_any_drop(const double *v, size_t n)
{
    bool any = false;

    for (size_t i = 1; i < n; i++)
        any |= v[i] < v[i - 1];
    return any;
}

HOT_CLONES
bool loop_any_stale(const double *v, size_t n)
{
    uint64_t bits, any = 0;

    for (size_t i = 0; i < n; i++) {
        memcpy(&bits, &v[i], sizeof bits);
        any |= bits == SAMPLE_STALE_BITS;
    }
    return any;
}

HOT_CLONES
bool loop_any_nonzero(const int64_t *v, size_t n)
{
    int64_t any = 0;

    for (size_t i = 0; i < n; i++)
        any |= v[i];
    return any != 0;
}

HOT_CLONES
bool loop_any_beyond(const double *v, size_t n, double limit)
{
    bool any = false;

    for (size_t i = 0; i < n; i++)
        any |= !(fabs(v[i]) <= limit);
    return any;
}

HOT_CLONES
void loop_delta(const double *v, const uint32_t *from, const uint32_t *to, size_t n, double *first,
                double *delta)
{
    for (size_t i = 0; i < n; i++) {
        double a = v[from[i]];

        first[i] = a;
        delta[i] = v[to[i] - 1] - a;
    }
}

HOT_CLONES
bool loop_extrapolate(const struct loop_rate *r, bool counter, double *out, size_t n)
{
    const double *first = r->first, *delta = r->delta, *sampled = r->sampled;
    const double *to_start = r->to_start, *factor = r->factor;
    uint64_t unsure = 0;

    for (size_t i = 0; i < n; i++)
        out[i] = delta[i] * factor[i];
    if (!counter)
        return false;
    for (size_t i = 0; i < n; i++) { // loop_is_unsure(), without branches
        double reach = first[i] * sampled[i], need = delta[i] * to_start[i] * (1 + 1e-9);
        uint64_t sure = (reach > need) & (reach >= 0x1p-1022) & (reach <= 0x1.fffffffffffffp1023);

        unsure |= (uint64_t)(delta[i] > 0) & (uint64_t)(first[i] >= 0) & !sure;
    }
    return unsure;
}

// One step of Neumaier's sum without branches; see sum_add().
static inline __attribute__((always_inline)) void add_one(double x, double *sum, double *comp)
{
    double s = *sum, t = s + x;
    bool larger = fabs(s) >= fabs(x);
    double big = larger ? s : x, small = larger ? x : s;
    double lost = *comp + ((big - t) + small);

    *comp = fabs(t) == INFINITY ? 0 : lost;
    *sum = t;
}

HOT_CLONES
void loop_add(double *restrict sum, double *restrict comp, const double *restrict x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        add_one(x[i], &sum[i], &comp[i]);
}

HOT_CLONES
void loop_min(double *restrict v, const double *restrict x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        v[i] = (v[i] > x[i]) | (v[i] != v[i]) ? x[i] : v[i];
}

HOT_CLONES
void loop_max(double *restrict v, const double *restrict x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        v[i] = (v[i] < x[i]) | (v[i] != v[i]) ? x[i] : v[i];
}

/*
 * Four parts at once, each from its start: the first of equal values stays, as -0 and 0 are, when
 * parts are compared in order.
 */
static inline __attribute__((always_inline)) double extreme(const double *v, size_t n, bool max)
{
    double none = max ? -INFINITY : INFINITY, m[4] = { none, none, none, none };
    size_t part = n / 4;

    for (size_t j = 0; j < part; j++)
        for (size_t k = 0; k < 4; k++) {
            double x = v[k * part + j];

            m[k] = (max ? x > m[k] : x < m[k]) ? x : m[k];
        }
    for (size_t j = 4 * part; j < n; j++)
        m[3] = (max ? v[j] > m[3] : v[j] < m[3]) ? v[j] : m[3];
    for (size_t k = 1; k < 4; k++)
        m[0] = (max ? m[k] > m[0] : m[k] < m[0]) ? m[k] : m[0];
    for (size_t j = 0; m[0] == none && j < n; j++)
        if (v[j] == none)
            return none;
    return m[0] == none ? NAN : m[0];
}

HOT_CLONES
double loop_min_of(const double *v, size_t n)
{
    return extreme(v, n, false);
}

HOT_CLONES
double loop_max_of(const double *v, size_t n)
{
    return extreme(v, n, true);
}

// Four lanes; GCC splits them where registers are shorter.
typedef double lanes __attribute__((vector_size(32), aligned(8)));
typedef int64_t lane_bits __attribute__((vector_size(32), aligned(8)));

// add_one() of every lane.
#define ADD_LANES(x, s, c)                                                                \
    do {                                                                                  \
        lanes sum_ = (s) + (x);                                                           \
        lane_bits abs_s_ = (lane_bits)(s)&ABS_BITS, abs_x_ = (lane_bits)(x)&ABS_BITS;     \
        lane_bits larger_ = (lanes)abs_s_ >= (lanes)abs_x_;                               \
        lane_bits finite_ = ((lane_bits)sum_ & ABS_BITS) != INF_BITS;                     \
        lanes big_ = (lanes)((larger_ & (lane_bits)(s)) | (~larger_ & (lane_bits)(x)));   \
        lanes small_ = (lanes)((larger_ & (lane_bits)(x)) | (~larger_ & (lane_bits)(s))); \
        (c) = (lanes)((lane_bits)((c) + ((big_ - sum_) + small_)) & finite_);             \
        (s) = sum_;                                                                       \
    } while (0)
#define ABS_BITS INT64_C(0x7fffffffffffffff)
#define INF_BITS INT64_C(0x7ff0000000000000)

static inline __attribute__((always_inline)) lanes *lanes_at(double *v)
{
    return (lanes *)v;
}

// Eight windows that begin at neighbouring samples.
static inline __attribute__((always_inline)) void sums_beside(const double *v, size_t count,
                                                              double *sum, double *comp)
{
    lanes s0 = *lanes_at(sum), s1 = *lanes_at(sum + 4), c0 = { 0 }, c1 = { 0 };

    for (size_t j = 1; j < count; j++) {
        lanes x0 = *(const lanes *)(v + j), x1 = *(const lanes *)(v + j + 4);

        ADD_LANES(x0, s0, c0);
        ADD_LANES(x1, s1, c1);
    }
    *lanes_at(sum) = s0;
    *lanes_at(sum + 4) = s1;
    *lanes_at(comp) = c0;
    *lanes_at(comp + 4) = c1;
}

// Eight windows anywhere.
static inline __attribute__((always_inline)) void
sums_apart(const double *v, const uint32_t *from, size_t count, double *sum, double *comp)
{
    lanes s0 = *lanes_at(sum), s1 = *lanes_at(sum + 4), c0 = { 0 }, c1 = { 0 };

    for (size_t j = 1; j < count; j++) {
        lanes x0 = { v[from[0] + j], v[from[1] + j], v[from[2] + j], v[from[3] + j] };
        lanes x1 = { v[from[4] + j], v[from[5] + j], v[from[6] + j], v[from[7] + j] };

        ADD_LANES(x0, s0, c0);
        ADD_LANES(x1, s1, c1);
    }
    *lanes_at(sum) = s0;
    *lanes_at(sum + 4) = s1;
    *lanes_at(comp) = c0;
    *lanes_at(comp + 4) = c1;
}

HOT_CLONES
void loop_window_sums(const double *v, const uint32_t *from, const uint32_t *to, size_t n,
                      double *sum, double *comp)
{
    size_t i = 0;

    for (size_t k = 0; k < n; k++) {
        sum[k] = v[from[k]];
        comp[k] = 0;
    }
    for (; i + LANES <= n; i += LANES) {
        size_t count = to[i] - from[i];
        bool beside = true;

        for (size_t l = 1; l < LANES; l++) {
            count = MIN(count, (size_t)(to[i + l] - from[i + l]));
            beside &= from[i + l] == from[i] + l;
        }
        if (beside)
            sums_beside(v + from[i], count, sum + i, comp + i);
        else
            sums_apart(v, from + i, count, sum + i, comp + i);
        for (size_t l = 0; l < LANES; l++)
            for (size_t j = from[i + l] + count; j < to[i + l]; j++)
                add_one(v[j], &sum[i + l], &comp[i + l]);
    }
    for (; i < n; i++)
        for (size_t j = from[i] + 1; j < to[i]; j++)
            add_one(v[j], &sum[i], &comp[i]);
}
