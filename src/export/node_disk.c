/*
 * node_disk.c - collectors of block devices and mounts: diskstats, filesystem.
 */
// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <sys/statfs.h>

#include "export/export_priv.h"

/* ---- diskstats ---- */

// Properties of a device in udev's data base: `E:KEY=value` lines.
struct udev {
    struct str text;
};

static struct str udev_get(const struct udev *u, const char *key)
{
    struct str text = u->text, line;

    while (node_line(&text, &line)) {
        if (!str_starts(line, STR("E:")))
            continue;
        line = str_sub(line, 2, line.n);
        struct str name = str_cut(&line, '=');
        if (str_eq_c(name, key))
            return line;
    }
    return STR("");
}

static void add_disk_info(struct export_run *r, const struct str *field, const struct udev *u)
{
    static const struct export_desc d = { "node_disk_info", "Info of /sys/block/<block_device>.",
                                          EXPO_GAUGE };
    static const char *const serials[] = { "SCSI_IDENT_SERIAL", "ID_SERIAL_SHORT", "ID_SERIAL" };
    struct str serial = STR("");
    double rotational = 0;

    for (size_t i = 0; i < ARRAY_LEN(serials) && !serial.n; i++)
        serial = udev_get(u, serials[i]);
    const char *path = node_path(r, r->node->o.sysfs, "block/%.*s/queue/rotational",
                                 STRF(field[2]));
    if (!node_read_number(r, path, &rotational))
        rotational = 0;
    struct expo_label l[] = {
        { STR("device"), field[2] },
        { STR("major"), field[0] },
        { STR("minor"), field[1] },
        { STR("path"), udev_get(u, "ID_PATH") },
        { STR("wwn"), udev_get(u, "ID_WWN") },
        { STR("model"), udev_get(u, "ID_MODEL") },
        { STR("serial"), serial },
        { STR("revision"), udev_get(u, "ID_REVISION") },
        { STR("rotational"), rotational == 1 ? STR("1") : STR("0") },
    };
    export_add(r->set, &d, 1, l, ARRAY_LEN(l));
}

static void add_udev(struct export_run *r, struct str device, const struct udev *u)
{
    static const struct export_desc filesystem = { "node_disk_filesystem_info",
                                                   "Info about disk filesystem.", EXPO_GAUGE };
    static const struct export_desc mapper = { "node_disk_device_mapper_info",
                                               "Info about disk device mapper.", EXPO_GAUGE };
    static const struct {
        const char *key;
        struct export_desc d;
    } ata[] = {
        { "ID_ATA_WRITE_CACHE",
          { "node_disk_ata_write_cache", "ATA disk has a write cache.", EXPO_GAUGE } },
        { "ID_ATA_WRITE_CACHE_ENABLED",
          { "node_disk_ata_write_cache_enabled", "ATA disk has its write cache enabled.",
            EXPO_GAUGE } },
        { "ID_ATA_ROTATION_RATE_RPM",
          { "node_disk_ata_rotation_rate_rpm", "ATA disk rotation rate in RPMs (0 for SSDs).",
            EXPO_GAUGE } },
    };
    struct expo_label fs[] = {
        { STR("device"), device },
        { STR("type"), udev_get(u, "ID_FS_TYPE") },
        { STR("usage"), udev_get(u, "ID_FS_USAGE") },
        { STR("uuid"), udev_get(u, "ID_FS_UUID") },
        { STR("version"), udev_get(u, "ID_FS_VERSION") },
    };
    struct expo_label dm[] = {
        { STR("device"), device },
        { STR("name"), udev_get(u, "DM_NAME") },
        { STR("uuid"), udev_get(u, "DM_UUID") },
        { STR("vg_name"), udev_get(u, "DM_VG_NAME") },
        { STR("lv_name"), udev_get(u, "DM_LV_NAME") },
        { STR("lv_layer"), udev_get(u, "DM_LV_LAYER") },
    };

    if (fs[1].value.n)
        export_add(r->set, &filesystem, 1, fs, ARRAY_LEN(fs));
    if (dm[1].value.n)
        export_add(r->set, &mapper, 1, dm, ARRAY_LEN(dm));
    if (!udev_get(u, "ID_ATA").n)
        return;
    for (size_t i = 0; i < ARRAY_LEN(ata); i++) {
        double v;
        if (num_parse_double(udev_get(u, ata[i].key), &v))
            export_add(r->set, &ata[i].d, v, fs, 1);
    }
}

// The columns of diskstats behind the name, in their order.
static const struct {
    struct export_desc d;
    double scale;
} disk_columns[] = {
    { { "node_disk_reads_completed_total", "The total number of reads completed successfully.",
        EXPO_COUNTER },
      1 },
    { { "node_disk_reads_merged_total", "The total number of reads merged.", EXPO_COUNTER }, 1 },
    { { "node_disk_read_bytes_total", "The total number of bytes read successfully.",
        EXPO_COUNTER },
      512 },
    { { "node_disk_read_time_seconds_total", "The total number of seconds spent by all reads.",
        EXPO_COUNTER },
      0.001 },
    { { "node_disk_writes_completed_total", "The total number of writes completed successfully.",
        EXPO_COUNTER },
      1 },
    { { "node_disk_writes_merged_total", "The number of writes merged.", EXPO_COUNTER }, 1 },
    { { "node_disk_written_bytes_total", "The total number of bytes written successfully.",
        EXPO_COUNTER },
      512 },
    { { "node_disk_write_time_seconds_total",
        "This is the total number of seconds spent by all writes.", EXPO_COUNTER },
      0.001 },
    { { "node_disk_io_now", "The number of I/Os currently in progress.", EXPO_GAUGE }, 1 },
    { { "node_disk_io_time_seconds_total", "Total seconds spent doing I/Os.", EXPO_COUNTER },
      0.001 },
    { { "node_disk_io_time_weighted_seconds_total", "The weighted # of seconds spent doing I/Os.",
        EXPO_COUNTER },
      0.001 },
    { { "node_disk_discards_completed_total",
        "The total number of discards completed successfully.", EXPO_COUNTER },
      1 },
    { { "node_disk_discards_merged_total", "The total number of discards merged.", EXPO_COUNTER },
      1 },
    { { "node_disk_discarded_sectors_total", "The total number of sectors discarded successfully.",
        EXPO_COUNTER },
      1 },
    { { "node_disk_discard_time_seconds_total",
        "This is the total number of seconds spent by all discards.", EXPO_COUNTER },
      0.001 },
    { { "node_disk_flush_requests_total",
        "The total number of flush requests completed successfully", EXPO_COUNTER },
      1 },
    { { "node_disk_flush_requests_time_seconds_total",
        "This is the total number of seconds spent by all flush requests.", EXPO_COUNTER },
      0.001 },
};

bool node_diskstats(struct export_run *r, struct err *e)
{
    struct str text, line, field[32];

    if (!node_read(r, node_path(r, r->node->o.procfs, "diskstats"), &text, e))
        return false;
    while (node_line(&text, &line)) {
        size_t n = node_fields(line, field, ARRAY_LEN(field));
        struct udev u = { STR("") };

        if (n < 14 || node_filter_drops(&r->node->disk, field[2]))
            continue;
        const char *path = node_path(r, r->node->o.udev_data, "b%.*s:%.*s", STRF(field[0]),
                                     STRF(field[1]));
        if (!node_read(r, path, &u.text, &(struct err){ 0 })) // containers have none
            u.text = STR("");
        add_disk_info(r, field, &u);
        struct expo_label l = { STR("device"), field[2] };
        for (size_t i = 0; i < ARRAY_LEN(disk_columns) && i + 3 < n; i++)
            export_add(r->set, &disk_columns[i].d,
                       node_number(field[i + 3]) * disk_columns[i].scale, &l, 1);
        add_udev(r, field[2], &u);
    }
    return true;
}

/* ---- filesystem ---- */

struct mount {
    struct str device, point, type, major, minor;
    bool read_only;
};

static bool has_option(struct str options, struct str want)
{
    while (options.p && options.n)
        if (str_eq(str_cut(&options, ','), want))
            return true;
    return false;
}

// \040 and \011 are a space and a tab, as in fstab(5).
static struct str unescape_path(struct arena *a, struct str s)
{
    char *out = arena_raw(a, s.n + 1);
    size_t n = 0;

    for (size_t i = 0; i < s.n; i++) {
        struct str rest = str_sub(s, i, s.n);
        bool space = str_starts(rest, STR("\\040")), tab = str_starts(rest, STR("\\011"));

        out[n++] = space ? ' ' : tab ? '\t' : s.p[i];
        i += space || tab ? 3 : 0;
    }
    return str_of(out, n);
}

/*
 * A line of mountinfo: id parent major:minor root point options [tags…] - type source options.
 * The mount point is given as seen from rootfs.
 */
static bool parse_mount(struct export_run *r, struct str line, struct mount *out)
{
    struct str f[64], rootfs = str_c(r->node->o.rootfs);
    size_t n = node_fields(line, f, ARRAY_LEN(f)), dash = 6;

    while (dash < n && !str_eq(f[dash], STR("-")))
        dash++;
    if (dash + 3 >= n)
        return false;
    struct str device = f[2];
    *out = (struct mount){ .device = f[dash + 2], .type = f[dash + 1] };
    out->major = str_cut(&device, ':');
    out->minor = device;
    out->point = unescape_path(r->a, f[4]);
    if (rootfs.n > 1 && str_starts(out->point, rootfs) &&
        (out->point.n == rootfs.n || out->point.p[rootfs.n] == '/'))
        out->point = str_sub(out->point, rootfs.n, out->point.n);
    if (out->point.n == 0)
        out->point = STR("/");
    out->read_only = has_option(f[5], STR("ro")) || has_option(f[dash + 3], STR("ro")) ||
                     has_option(f[dash + 3], STR("emergency_ro"));
    return str_is_utf8(out->point) && str_is_utf8(out->device);
}

static const struct export_desc fs_size = { "node_filesystem_size_bytes",
                                            "Filesystem size in bytes.", EXPO_GAUGE };
static const struct export_desc fs_free = { "node_filesystem_free_bytes",
                                            "Filesystem free space in bytes.", EXPO_GAUGE };
static const struct export_desc fs_avail = {
    "node_filesystem_avail_bytes", "Filesystem space available to non-root users in bytes.",
    EXPO_GAUGE
};
static const struct export_desc fs_files = { "node_filesystem_files",
                                             "Filesystem total file nodes.", EXPO_GAUGE };
static const struct export_desc fs_files_free = { "node_filesystem_files_free",
                                                  "Filesystem total free file nodes.", EXPO_GAUGE };
static const struct export_desc fs_purgeable = {
    "node_filesystem_purgeable_bytes",
    "Filesystem space available including purgeable space (MacOS specific).", EXPO_GAUGE
};
static const struct export_desc fs_readonly = { "node_filesystem_readonly",
                                                "Filesystem read-only status.", EXPO_GAUGE };
static const struct export_desc fs_error = {
    "node_filesystem_device_error",
    "Whether an error occurred while getting statistics for the given device.", EXPO_GAUGE
};
static const struct export_desc fs_info = { "node_filesystem_mount_info",
                                            "Filesystem mount information.", EXPO_GAUGE };

static void add_mount(struct export_run *r, const struct mount *m)
{
    struct statfs s = { 0 };
    const char *root = strcmp(r->node->o.rootfs, "/") == 0 ? "" : r->node->o.rootfs;
    bool bad = statfs(node_path(r, root, "%.*s", STRF(str_sub(m->point, 1, m->point.n))), &s) < 0;
    struct expo_label l[] = {
        { STR("device"), m->device },
        { STR("mountpoint"), m->point },
        { STR("fstype"), m->type },
        { STR("device_error"), bad ? str_c(strerrordesc_np(errno)) : STR("") },
    };
    struct expo_label info[] = {
        { STR("device"), m->device },
        { STR("major"), m->major },
        { STR("minor"), m->minor },
        { STR("mountpoint"), m->point },
    };
    double block = (double)s.f_bsize;

    export_add(r->set, &fs_error, bad, l, ARRAY_LEN(l));
    export_add(r->set, &fs_readonly, m->read_only, l, ARRAY_LEN(l));
    if (bad)
        return;
    export_add(r->set, &fs_size, (double)s.f_blocks * block, l, ARRAY_LEN(l));
    export_add(r->set, &fs_free, (double)s.f_bfree * block, l, ARRAY_LEN(l));
    export_add(r->set, &fs_avail, (double)s.f_bavail * block, l, ARRAY_LEN(l));
    export_add(r->set, &fs_files, (double)s.f_files, l, ARRAY_LEN(l));
    export_add(r->set, &fs_files_free, (double)s.f_ffree, l, ARRAY_LEN(l));
    export_add(r->set, &fs_purgeable, 0, l, ARRAY_LEN(l));
    export_add(r->set, &fs_info, 1, info, ARRAY_LEN(info));
}

bool node_filesystem(struct export_run *r, struct err *e)
{
    struct str text, line;

    // The mounts of process 1 are the host's; our own may be a container's.
    if (!node_read(r, node_path(r, r->node->o.procfs, "1/mountinfo"), &text, &(struct err){ 0 }) &&
        !node_read(r, node_path(r, r->node->o.procfs, "self/mountinfo"), &text, e))
        return false;
    while (node_line(&text, &line)) {
        struct mount m;

        if (!parse_mount(r, line, &m) || node_filter_drops(&r->node->mount, m.point) ||
            node_filter_drops(&r->node->fstype, m.type))
            continue;
        add_mount(r, &m);
    }
    return true;
}
