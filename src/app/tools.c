// tools.c - which command is meant.
// SPDX-License-Identifier: Apache-2.0
#include "app/tools.h"

#include <stdio.h>

#include "app/test_promql.h"
#include "base/base.h"

static int usage(const char *program)
{
    fprintf(stderr,
            "usage: %s COMMAND, one of:\n  test promql FILE…   run scripts of PromQL tests\n",
            program);
    return 2;
}

int tools_main(int argc, char **argv)
{
    if (argc > 2 && strcmp(argv[1], "test") == 0 && strcmp(argv[2], "promql") == 0)
        return app_test_promql(argc - 2, argv + 2);
    return usage("vigie");
}

int tools_promtool(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    return usage("promtool");
}
