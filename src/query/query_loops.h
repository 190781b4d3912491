/*
 * query_loops.h - loops over plain arrays, where queries spend their time.
 *
 * Lanes are steps, never samples of one window, so that every result has the bits that a loop
 * over its own samples would give. Absent steps may hold anything finite or not: results there
 * mean nothing.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/base.h"

/*
 * Windows [from[i], to[i]) over times t, one per step i < n: lo_ms + i·step_ms < t <= hi_ms +
 * i·step_ms. An empty window has from = to.
 */
struct window_bounds {
    int64_t lo_ms, hi_ms, step_ms; // of step 0
};
void loop_windows(const int64_t *t, size_t t_n, struct window_bounds b, uint32_t *from,
                  uint32_t *to, size_t n);
bool loop_any_drop(const double *v, size_t n);  // v[i] < v[i − 1] anywhere
bool loop_any_stale(const double *v, size_t n); // a stale marker anywhere
bool loop_any_nonzero(const int64_t *v, size_t n);
bool loop_any_beyond(const double *v, size_t n, double limit); // |v[i]| > limit, or NaN

// first[i] = v[from[i]], delta[i] = v[to[i] − 1] − v[from[i]]; no window is empty.
void loop_delta(const double *v, const uint32_t *from, const uint32_t *to, size_t n, double *first,
                double *delta);
/*
 * Extrapolation of rates. out[i] = delta[i]·factor[i]; factor is what results unless a counter
 * would fall below zero before its first sample. True: for some steps that is not sure; they have
 * to be looked at one by one with loop_is_unsure().
 */
struct loop_rate {
    const double *first, *delta, *sampled, *to_start, *factor;
};
bool loop_extrapolate(const struct loop_rate *r, bool counter, double *out, size_t n);
// The counter may reach zero within to_start: first / delta · sampled is near to_start or below.
static inline bool loop_is_unsure(const struct loop_rate *r, size_t i)
{
    double reach = r->first[i] * r->sampled[i], need = r->delta[i] * r->to_start[i] * (1 + 1e-9);
    bool sure = (reach > need) & (reach >= 0x1p-1022) & (reach <= 0x1.fffffffffffffp1023);

    return (r->delta[i] > 0) & (r->first[i] >= 0) & !sure;
}

// Neumaier's sum of each window, started with the first value; no window is empty.
void loop_window_sums(const double *v, const uint32_t *from, const uint32_t *to, size_t n,
                      double *sum, double *comp);
// v[i] becomes the lesser or greater of both; anything replaces a NaN.
void loop_min(double *v, const double *x, size_t n);
void loop_max(double *v, const double *x, size_t n);
// The least or greatest that is no NaN; NaN: none. The first of equal ones.
double loop_min_of(const double *v, size_t n);
double loop_max_of(const double *v, size_t n);
// sum[i] += x[i], compensated.
void loop_add(double *sum, double *comp, const double *x, size_t n);
