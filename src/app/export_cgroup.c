// export_cgroup.c - flags of cAdvisor, as far as they matter to its metrics.
// SPDX-License-Identifier: Apache-2.0
#include "app/export_command.h"
#include "export/cgroup.h"

static const char group[] = "Control groups";

#define IGNORE(name, kind, value)                   \
    {                                               \
        name, kind, value, NULL, NULL, FLAG_IGNORED \
    }

static const struct flag flags[] = {
    { "path.cgroup", FLAG_TEXT, "/sys/fs/cgroup", "where the control groups are", group,
      FLAG_ACTS },
    { "path.procfs", FLAG_TEXT, "/proc", "procfs mountpoint", group, FLAG_ACTS },
    { "path.rootfs", FLAG_TEXT, "/", "where docker and containerd keep their state", group,
      FLAG_ACTS },
    IGNORE("port", FLAG_INT, "8080"),
    IGNORE("listen_ip", FLAG_TEXT, ""),
    IGNORE("docker_only", FLAG_BOOL, "false"),
    IGNORE("housekeeping_interval", FLAG_TEXT, "1s"),
    IGNORE("store_container_labels", FLAG_BOOL, "true"),
    IGNORE("disable_metrics", FLAG_TEXT, ""),
    IGNORE("logtostderr", FLAG_BOOL, "true"),
};

static bool open_cgroup(struct exporter **out, const struct flags *f, struct err *e)
{
    return export_cgroup_open(out,
                              &(struct export_cgroup_options){
                                  .root = export_flag(f, "path.cgroup"),
                                  .procfs = export_flag(f, "path.procfs"),
                                  .rootfs = export_flag(f, "path.rootfs"),
                              },
                              e);
}

const struct export_kind export_kind_cgroup = {
    .name = "cgroup",
    .binaries = { "cadvisor" },
    .title = "cgroup exporter",
    .listen = ":8080",
    .flags = flags,
    .flag_count = ARRAY_LEN(flags),
    .open = open_cgroup,
};
