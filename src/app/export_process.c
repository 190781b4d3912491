// export_process.c - flags of process-exporter.
// SPDX-License-Identifier: Apache-2.0
#include "app/export_command.h"
#include "export/process.h"

static const char group[] = "Processes";

static const struct flag flags[] = {
    { "procnames", FLAG_TEXT, "", "names of processes to watch, comma-separated", group,
      FLAG_ACTS },
    { "config.path", FLAG_TEXT, "", "file with process_names", group, FLAG_ACTS },
    { "children", FLAG_BOOL, "true", "children belong to their parent's group", group, FLAG_ACTS },
    { "procfs", FLAG_TEXT, "/proc", "where /proc is", group, FLAG_ACTS },
    { "threads", FLAG_BOOL, "true", NULL, NULL, FLAG_IGNORED },
    { "recheck", FLAG_BOOL, "false", NULL, NULL, FLAG_IGNORED },
    { "recheck-with-time-limit", FLAG_DURATION, "0s", NULL, NULL, FLAG_IGNORED },
    { "remove-empty-groups", FLAG_BOOL, "false", NULL, NULL, FLAG_IGNORED },
    { "gather-smaps", FLAG_BOOL, "true", NULL, NULL, FLAG_IGNORED },
    { "namemapping", FLAG_TEXT, "", NULL, NULL, FLAG_IGNORED },
    { "debug", FLAG_BOOL, "false", NULL, NULL, FLAG_IGNORED },
};

static bool open_process(struct exporter **out, const struct flags *f, struct err *e)
{
    return export_process_open(out,
                               &(struct export_process_options){
                                   .procfs = export_flag(f, "procfs"),
                                   .names = export_flag(f, "procnames"),
                                   .config_path = export_flag(f, "config.path"),
                                   .no_children = !flags_bool(f, "children"),
                               },
                               e);
}

const struct export_kind export_kind_process = {
    .name = "process",
    .binaries = { "process-exporter", "process_exporter" },
    .title = "Process Exporter",
    .listen = ":9256",
    .flags = flags,
    .flag_count = ARRAY_LEN(flags),
    .open = open_process,
};
