/*
 * cgroup.h - control groups as cAdvisor shows containers: cgroup v2 and v1.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "export/exporter.h"

struct export_cgroup_options { // texts are copied
    const char *root;          // of the control groups; NULL: /sys/fs/cgroup
    const char *procfs;        // NULL: /proc
    const char *rootfs;        // where docker and containerd keep their state; NULL: /
};
MUST_CHECK bool export_cgroup_open(struct exporter **out, const struct export_cgroup_options *o,
                                   struct err *e);
