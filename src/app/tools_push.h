/*
 * tools_push.h - `push metrics`: sends pages of the text format by remote write 1.0.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "app/tools_cli.h"

int tools_push_metrics(const struct cli *c);
