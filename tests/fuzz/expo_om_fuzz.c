// expo_om_fuzz.c - OpenMetrics: no input breaks the parser, and fast and slow path agree.
// SPDX-License-Identifier: Apache-2.0
#include "expo_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    fuzz_format(EXPO_OPENMETRICS, p, n);
    return 0;
}
