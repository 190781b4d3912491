/*
 * export_command.h - `vigie export NAME`: an exporter alone, with the flags of the program it replaces.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "app/flags.h"
#include "export/exporter.h"

// argv[0] is the exporter's name or that of the old binary. Returns the exit code.
int export_command(int argc, char **argv);
// Whether a program of this name is an exporter that we replace.
bool export_command_is(const char *program);

/* ---- for export_command*.c ---- */

struct export_env { // an environment variable in the place of a flag
    const char *flag, *variable;
};

struct export_kind {
    const char *name;        // of the subcommand: "redis"
    const char *binaries[3]; // old names
    const char *title;
    const char *listen;      // default address
    const char *listen_flag; // NULL: web.listen-address
    const char *path_flag;   // NULL: web.telemetry-path
    const struct flag *flags;
    size_t flag_count;
    const struct export_env *env;
    size_t env_count;
    unsigned threads;
    // More flags, made at run time; may be NULL.
    const struct flag *(*more)(struct arena *a, size_t *n);
    bool (*open)(struct exporter **out, const struct flags *f, struct err *e);
};

extern const struct export_kind export_kind_node, export_kind_blackbox, export_kind_redis,
    export_kind_postgres, export_kind_nginx, export_kind_elasticsearch, export_kind_process,
    export_kind_cgroup, export_kind_xml;

// NUL-terminated text of a flag; NULL when empty.
const char *export_flag(const struct flags *f, const char *name);
// All values of a FLAG_LIST; the default one when none was given and it is not empty.
const char *const *export_flag_list(const struct flags *f, struct arena *a, const char *name,
                                    size_t *n);
