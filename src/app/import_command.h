/*
 * import_command.h - `vigie import prometheus DIR` and `vigie export metrics`: data directories in and out.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "app/tools_cli.h"

int import_command_prometheus(const struct cli *c);
int export_command_metrics(const struct cli *c);
