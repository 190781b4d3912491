// rand.c - getrandom for keys, xoroshiro128+ for the rest.
// SPDX-License-Identifier: Apache-2.0
#include "base/rand.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/hash.h"

void rand_bytes(void *p, size_t n)
{
    for (size_t done = 0; done < n;) {
        ssize_t got = getrandom((char *)p + done, n - done, 0);
        if (got < 0 && errno != EINTR)
            abort(); // keys must not be guessable: better no process
        done += got > 0 ? (size_t)got : 0;
    }
}

uint64_t rand_next(struct rand_state *r)
{
    uint64_t a = r->s[0], b = r->s[1], out = a + b;

    b ^= a;
    r->s[0] = ((a << 24) | (a >> 40)) ^ b ^ (b << 16);
    r->s[1] = (b << 37) | (b >> 27);
    return out;
}

struct rand_state rand_seeded(uint64_t seed)
{
    return (struct rand_state){ { hash_u64(seed + 1), hash_u64(seed + 2) | 1 } };
}

uint64_t rand_u64(void)
{
    static __thread struct rand_state state;

    if (!(state.s[0] | state.s[1]))
        rand_bytes(&state, sizeof state);
    return rand_next(&state);
}
