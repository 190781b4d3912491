/*
 * serve.h - the server: everything wired together. The only module that knows all others.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "app/flags.h"

extern const struct flag serve_flags[];
extern const size_t serve_flag_count;

// Runs until SIGINT or SIGTERM. as_prometheus: called by that name. Returns the exit code.
int serve_main(int argc, char **argv, bool as_prometheus);
