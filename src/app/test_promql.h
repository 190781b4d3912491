/*
 * test_promql.h - the subcommand `vigie test promql`.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once

/*
 * argv[1…]: files, or -v to list what passes. Prints each failure and, last, "N passed, M failed"
 * (eval commands). Returns the exit status: 1 when anything failed.
 */
int app_test_promql(int argc, char **argv);
