// main.c - one binary, several programs: by its own name, or by the first word.
// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include <string.h>

#include "app/serve.h"
#include "app/tools.h"

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

int main(int argc, char **argv)
{
    const char *name = argc ? base_name(argv[0]) : "vigie";

    if (strcmp(name, "prometheus") == 0)
        return serve_main(argc, argv, true);
    if (strcmp(name, "promtool") == 0)
        return tools_promtool(argc, argv);
    if (argc > 1 && argv[1][0] != '-')
        return tools_main(argc, argv);
    return serve_main(argc, argv, false);
}
