/*
 * rand.h - random numbers: from the kernel for keys, fast ones for spreading load.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/base.h"

void rand_bytes(void *p, size_t n); // from the kernel; stops the process when it has none
uint64_t rand_u64(void);            // fast, per thread, seeded from the kernel; not for secrets

struct rand_state {
    uint64_t s[2];
};
struct rand_state rand_seeded(uint64_t seed); // for reproducible tests
// The next number of the sequence that the seed determines, on every machine.
uint64_t rand_next(struct rand_state *r);
