/*
 * version.h - what this is, as the programs it stands for would say it.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/base.h"

// The Prometheus whose behaviour is kept: shown where clients decide by version.
#define VERSION_PROMETHEUS "3.14.0"

void version_print(const char *program);
