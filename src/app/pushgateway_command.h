/*
 * pushgateway_command.h - the program `pushgateway`: the face alone, with that program's flags.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/base.h"

int pushgateway_command(int argc, char **argv); // the exit code
bool pushgateway_command_is(const char *program);
