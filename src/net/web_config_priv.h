// web_config_priv.h - the counted form of a web config, with the files it was read from.
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <stdatomic.h>

#include "base/vec.h"
#include "net/web_config.h"

struct web_config_counted {
    struct web_config pub;
    atomic_int refs;
    struct arena arena;      // of all text
    VEC(const char *) files; // config, certificate, key, CA
};
