/*
 * tools_promql.h - `promql format` and `promql label-matchers`: expressions, rewritten.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "app/tools_cli.h"
#include "lang/promql.h"

// What of the language is off: as promtool, all that its --enable-feature does not name; else nothing.
struct promql_options tools_promql_syntax(const struct cli *c);
// Whether --enable-feature has this name.
bool tools_has_feature(const struct cli *c, const char *name);

// Prints the expression laid out.
int tools_promql_format(const struct cli *c);
int tools_promql_set(const struct cli *c);    // adds or replaces a matcher of every selector
int tools_promql_delete(const struct cli *c); // takes a label out of every selector
