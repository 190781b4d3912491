/*
 * tools_push.h - `push metrics`: sends pages of the text format by remote write 1.0.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "app/tools_cli.h"

// Sends the files of the command at hand, or standard input. Returns the exit code.
int tools_push_metrics(const struct cli *c);
