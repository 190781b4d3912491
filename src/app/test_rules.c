// test_rules.c - unit tests of rules.
// SPDX-License-Identifier: Apache-2.0
#include "app/test_rules.h"

#include <stdio.h>

int test_rules_command(const struct cli *c)
{
    (void)c;
    fprintf(stderr, "test rules: not yet supported\n");
    return 1;
}
