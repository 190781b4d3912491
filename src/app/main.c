// main.c - one binary, several programs: by its own name, or by the first word.
// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "app/export_command.h"
#include "app/pushgateway_command.h"
#include "app/serve.h"
#include "app/tools.h"

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

// Called by its old name, an exporter sees that name without its folder.
static int run_exporter(int argc, char **argv)
{
    char *slash = strrchr(argv[0], '/');

    if (slash)
        argv[0] = slash + 1;
    return export_command(argc, argv);
}

// Each day of data takes a few files, each connection one: as many as this user may have.
static void raise_file_limit(void)
{
    struct rlimit l;

    if (getrlimit(RLIMIT_NOFILE, &l) == 0 && l.rlim_cur < l.rlim_max) {
        l.rlim_cur = l.rlim_max;
        setrlimit(RLIMIT_NOFILE, &l);
    }
}

int main(int argc, char **argv)
{
    const char *name = argc ? base_name(argv[0]) : "vigie";
    char agent[] = "--agent"; // what the command of that name is short for

    raise_file_limit();
    if (strcmp(name, "prometheus") == 0)
        return serve_main(argc, argv, true);
    if (strcmp(name, "promtool") == 0)
        return tools_promtool(argc, argv);
    if (pushgateway_command_is(name))
        return pushgateway_command(argc, argv);
    if (export_command_is(name))
        return run_exporter(argc, argv);
    if (argc > 2 && strcmp(argv[1], "export") == 0 && strcmp(argv[2], "metrics") == 0)
        return tools_main(argc, argv);
    if (argc > 1 && strcmp(argv[1], "export") == 0)
        return export_command(argc - 2, argv + 2);
    if (argc > 1 && strcmp(argv[1], "pushgateway") == 0)
        return pushgateway_command(argc - 1, argv + 1);
    if (argc > 1 && strcmp(argv[1], "agent") == 0) {
        argv[1] = agent;
        return serve_main(argc, argv, false);
    }
    if (argc > 1 && argv[1][0] != '-')
        return tools_main(argc, argv);
    return serve_main(argc, argv, false);
}
