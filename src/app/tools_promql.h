/*
 * tools_promql.h - `promql format` and `promql label-matchers`: expressions, rewritten.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "app/tools_cli.h"

int tools_promql_format(const struct cli *c);
int tools_promql_set(const struct cli *c);    // adds or replaces a matcher of every selector
int tools_promql_delete(const struct cli *c); // takes a label out of every selector
