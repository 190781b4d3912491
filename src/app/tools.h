/*
 * tools.h - the commands beside the server: check, query, test; and promtool's spelling of them.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once

int tools_main(int argc, char **argv);     // vigie COMMAND …; returns the exit code
int tools_promtool(int argc, char **argv); // promtool COMMAND …
