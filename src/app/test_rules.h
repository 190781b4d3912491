/*
 * test_rules.h - `test rules FILE…`: unit tests of rules in promtool's format.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "app/tools_cli.h"

// Runs the files of the command at hand. Returns the exit code: 1 when anything failed.
int test_rules_command(const struct cli *c);
