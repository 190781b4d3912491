/*
 * expo_family.h - whole metric families out of delimited protobuf, for those who keep them.
 *
 * The scraper wants events one by one (expo.h); a push gateway keeps families as they were sent
 * and writes them again (expo_write.h). This reads io.prometheus.client.MetricFamily messages
 * into the structs that the writer takes, so that write(read(x)) means what x meant. What the
 * structs have no room for is dropped: exemplars of native histograms, start times of summaries.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "codec/expo_write.h"

struct expo_whole {
    struct expo_family family;
    struct expo_metric *metric; // in the order sent; an array of the arena
    size_t n;
    // The first metric that has no value of the family's type; n: all have one.
    size_t odd;
};

/*
 * Reads the next family at *rest, a sequence of messages each behind its length, and moves *rest
 * behind it. Texts are slices of the input, arrays live in the arena, which may grow to bytes_max.
 * 1 a family, 0 the end, −1: ERR_INVALID malformed, ERR_LIMIT too much.
 */
int expo_family_next(struct arena *a, size_t bytes_max, struct str *rest, struct expo_whole *out,
                     struct err *e);
