// otlp_proto_fuzz.c - OTLP metrics in protobuf.
// SPDX-License-Identifier: Apache-2.0
#include "otlp_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    otlp_fuzz_run(false, str_of((const char *)p, n));
    return 0;
}
