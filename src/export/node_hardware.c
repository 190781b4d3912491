/*
 * node_hardware.c - collectors of hardware in /sys: bonding, dmi, edac, nvme, powersupplyclass,
 * rapl, watchdog; and mdadm in /proc.
 */
// SPDX-License-Identifier: Apache-2.0
#include "export/export_priv.h"

static void add(struct export_run *r, const char *name, const char *help, enum expo_type type,
                double v, const struct expo_label *l, size_t n)
{
    export_add(r->set, &(struct export_desc){ name, help, type }, v, l, n);
}

// A label's value as Go's ToValidUTF8 makes it: each run of bad bytes becomes U+FFFD.
static struct str valid(struct arena *a, struct str s)
{
    OWNED(buf_fini) struct buf b = { 0 };
    bool bad = false;

    if (str_is_utf8(s))
        return s.p ? s : STR("");
    for (size_t i = 0; i < s.n;) {
        size_t n = 1;
        while (n < 4 && i + n <= s.n && !str_is_utf8(str_sub(s, i, i + n)))
            n++;
        if (i + n <= s.n && n <= 4 && str_is_utf8(str_sub(s, i, i + n))) {
            buf_str(&b, str_sub(s, i, i + n));
            i += n;
            bad = false;
        } else {
            if (!bad)
                buf_lit(&b, "\xef\xbf\xbd");
            bad = true;
            i++;
        }
    }
    return arena_str(a, buf_view(&b));
}

/* ---- bonding ---- */

bool node_bonding(struct export_run *r, struct err *e)
{
    const char *dir = node_path(r, r->node->o.sysfs, "class/net");
    struct str masters, master[64], slave[64];

    if (!node_read(r, node_path(r, dir, "bonding_masters"), &masters, e))
        return false;
    size_t n = node_fields(str_trim(masters), master, ARRAY_LEN(master));
    for (size_t i = 0; i < n; i++) {
        const char *own = node_path(r, dir, "%.*s", STRF(master[i]));
        struct str slaves = node_read_word(r, node_path(r, own, "bonding/slaves"));
        size_t count = node_fields(slaves, slave, ARRAY_LEN(slave));
        double up = 0;
        for (size_t k = 0; k < count; k++) {
            struct str state = node_read_word(
                r, node_path(r, own, "lower_%.*s/bonding_slave/mii_status", STRF(slave[k])));
            if (!state.p)
                state = node_read_word(
                    r, node_path(r, own, "slave_%.*s/bonding_slave/mii_status", STRF(slave[k])));
            up += str_eq(state, STR("up"));
        }
        struct expo_label l = { STR("master"), master[i] };
        add(r, "node_bonding_slaves", "Number of configured slaves per bonding interface.",
            EXPO_GAUGE, (double)count, &l, 1);
        add(r, "node_bonding_active", "Number of active slaves per bonding interface.", EXPO_GAUGE,
            up, &l, 1);
    }
    return true;
}

/* ---- dmi ---- */

bool node_dmi(struct export_run *r, struct err *e)
{
    static const char *const names[] = { "bios_date",         "bios_release",    "bios_vendor",
                                         "bios_version",      "board_asset_tag", "board_name",
                                         "board_serial",      "board_vendor",    "board_version",
                                         "chassis_asset_tag", "chassis_serial",  "chassis_vendor",
                                         "chassis_version",   "product_family",  "product_name",
                                         "product_serial",    "product_sku",     "product_uuid",
                                         "product_version",   "sys_vendor" };
    struct expo_label l[ARRAY_LEN(names)];
    size_t n = 0;

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct str v = node_read_word(r,
                                      node_path(r, r->node->o.sysfs, "class/dmi/id/%s", names[i]));
        const char *name = i + 1 == ARRAY_LEN(names) ? "system_vendor" : names[i];
        if (v.p)
            l[n++] = (struct expo_label){ str_c(name), valid(r->a, v) };
    }
    if (!n)
        return err_set(e, ERR_NOT_FOUND, "there is no DMI information");
    add(r, "node_dmi_info",
        "A metric with a constant '1' value labeled by bios_date, bios_release, bios_vendor, "
        "bios_version, board_asset_tag, board_name, board_serial, board_vendor, board_version, "
        "chassis_asset_tag, chassis_serial, chassis_vendor, chassis_version, product_family, "
        "product_name, product_serial, product_sku, product_uuid, product_version, system_vendor "
        "if provided by DMI.",
        EXPO_GAUGE, 1, l, n);
    return true;
}

/* ---- edac ---- */

static void edac_pair(struct export_run *r, const char *dir, const char *file, const char *space,
                      const char *where, const struct expo_label *l, size_t n)
{
    static const struct {
        const char *prefix, *name;
    } kinds[] = { { "ce", "correctable" }, { "ue", "uncorrectable" } };
    double v;

    for (size_t i = 0; i < 2; i++) {
        const char *path = node_path(r, dir, "%s", file);
        char *own = arena_cstr(r->a, str_c(path));
        char *at = strstr(own + strlen(dir), "XX"); // stands for ce or ue
        if (at)
            memcpy(at, kinds[i].prefix, 2);
        if (!node_read_number(r, own, &v))
            continue;
        add(r, node_text(r, "node_edac_%s%s_errors_total", space, kinds[i].name),
            node_text(r, "Total %s memory errors%s.", kinds[i].name, where), EXPO_COUNTER, v, l, n);
    }
}

static void edac_row(struct export_run *r, const char *dir, struct str row, struct str controller)
{
    const char *own = node_path(r, dir, "%.*s", STRF(row));
    struct file_list list = node_list(r, own);
    struct expo_label l[4] = { { STR("controller"), controller },
                               { STR("csrow"), str_sub(row, 5, row.n) } };

    edac_pair(r, own, "XX_count", "csrow_", " for this csrow", l, 2);
    for (size_t i = 0; i < list.n; i++) {
        if (!str_starts(list.v[i], STR("ch")) || !str_ends(list.v[i], STR("_ce_count")))
            continue;
        struct str channel = str_sub(list.v[i], 2, list.v[i].n - 9);
        struct str label = node_read_word(r, node_path(r, own, "ch%.*s_dimm_label", STRF(channel)));
        OWNED(buf_fini) struct buf b = { 0 };
        for (size_t k = 0; k < label.n; k++) {
            struct str rest = str_sub(label, k, label.n);
            if (str_starts(rest, STR("csrow")) || str_starts(rest, STR("channel")))
                buf_char(&b, '_');
            if (label.p[k] != '#')
                buf_char(&b, label.p[k]);
        }
        l[2] = (struct expo_label){ STR("channel"), channel };
        l[3] = (struct expo_label){ STR("dimm_label"),
                                    label.p ? arena_str(r->a, buf_view(&b)) : STR("unknown") };
        edac_pair(r, own, node_text(r, "ch%.*s_XX_count", STRF(channel)), "channel_",
                  " for this channel", l, 4);
    }
}

bool node_edac(struct export_run *r, struct err *e UNUSED)
{
    const char *dir = node_path(r, r->node->o.sysfs, "devices/system/edac/mc");
    struct file_list list = node_list(r, dir);

    for (size_t i = 0; i < list.n; i++) {
        if (!str_starts(list.v[i], STR("mc")) || list.v[i].n < 3)
            continue;
        const char *own = node_path(r, dir, "%.*s", STRF(list.v[i]));
        struct expo_label l[] = { { STR("controller"), str_sub(list.v[i], 2, list.v[i].n) },
                                  { STR("csrow"), STR("unknown") } };
        edac_pair(r, own, "XX_count", "", "", l, 1);
        edac_pair(r, own, "XX_noinfo_count", "csrow_", " for this csrow", l, 2);
        struct file_list rows = node_list(r, own);
        for (size_t k = 0; k < rows.n; k++)
            if (str_starts(rows.v[k], STR("csrow")) && rows.v[k].n > 5)
                edac_row(r, own, rows.v[k], l[0].value);
    }
    return true;
}

/* ---- nvme ---- */

static void nvme_namespace(struct export_run *r, const char *dir, struct str device,
                           struct str name)
{
    size_t at = str_rfind_char(name, 'n');
    const char *own = node_path(r, dir, "%.*s", STRF(name));
    struct expo_label l[] = { { STR("device"), device },
                              { STR("nsid"), str_sub(name, at + 1, name.n) },
                              { STR("ana_state"), STR("unknown") } };
    double size = 0, used = 0, block = 0;
    struct str state = node_read_word(r, node_path(r, own, "ana_state"));

    if (state.n)
        l[2].value = state;
    if (!node_read_number(r, node_path(r, own, "size"), &size) ||
        !node_read_number(r, node_path(r, own, "nuse"), &used) ||
        !node_read_number(r, node_path(r, own, "queue/logical_block_size"), &block))
        return;
    add(r, "node_nvme_namespace_info", "Information about NVMe namespaces. Value is always 1",
        EXPO_GAUGE, 1, l, 3);
    add(r, "node_nvme_namespace_capacity_bytes",
        "Capacity of the NVMe namespace in bytes. Computed as namespace_size * "
        "namespace_logical_block_size",
        EXPO_GAUGE, size * block, l, 2);
    add(r, "node_nvme_namespace_size_bytes",
        "Size of the NVMe namespace in bytes. Available in "
        "/sys/class/nvme/<device>/<namespace>/size",
        EXPO_GAUGE, size * block, l, 2);
    add(r, "node_nvme_namespace_used_bytes",
        "Used space of the NVMe namespace in bytes. Available in "
        "/sys/class/nvme/<device>/<namespace>/nuse",
        EXPO_GAUGE, used * block, l, 2);
    add(r, "node_nvme_namespace_logical_block_size_bytes",
        "Logical block size of the NVMe namespace in bytes. Usually 4Kb. Available in "
        "/sys/class/nvme/<device>/<namespace>/queue/logical_block_size",
        EXPO_GAUGE, block, l, 2);
}

bool node_nvme(struct export_run *r, struct err *e)
{
    static const char *const files[] = { "firmware_rev", "model", "serial", "state", "cntlid" };
    static const char *const labels[] = { "firmware_revision", "model", "serial", "state",
                                          "cntlid" };
    const char *dir = node_path(r, r->node->o.sysfs, "class/nvme");
    struct file_list list;

    if (!file_list(r->a, dir, &list, e))
        return false;
    for (size_t i = 0; i < list.n; i++) {
        const char *own = node_path(r, dir, "%.*s", STRF(list.v[i]));
        struct expo_label l[6] = { { STR("device"), list.v[i] } };
        for (size_t k = 0; k < 5; k++)
            l[k + 1] = (struct expo_label){
                str_c(labels[k]), valid(r->a, node_read_word(r, node_path(r, own, "%s", files[k])))
            };
        add(r, "node_nvme_info",
            "Non-numeric data from /sys/class/nvme/<device>, value is always 1.", EXPO_GAUGE, 1, l,
            6);
        struct file_list inner = node_list(r, own);
        for (size_t k = 0; k < inner.n; k++)
            if (str_starts(inner.v[k], list.v[i]) && inner.v[k].n > list.v[i].n &&
                str_rfind_char(inner.v[k], 'n') > 3)
                nvme_namespace(r, own, list.v[i], inner.v[k]);
    }
    return true;
}

/* ---- powersupplyclass ---- */

static const struct {
    const char *file, *name; // NULL: as the file
    double factor;
} power_values[] = {
    { "authentic", NULL, 1 },
    { "calibrate", NULL, 1 },
    { "capacity", NULL, 1 },
    { "capacity_alert_max", NULL, 1 },
    { "capacity_alert_min", NULL, 1 },
    { "cycle_count", "cyclecount", 1 },
    { "online", NULL, 1 },
    { "present", NULL, 1 },
    { "time_to_empty_now", "time_to_empty_seconds", 1 },
    { "time_to_full_now", "time_to_full_seconds", 1 },
    { "current_boot", NULL, 1e6 },
    { "current_max", NULL, 1e6 },
    { "current_now", "current_ampere", 1e6 },
    { "energy_empty", NULL, 1e6 },
    { "energy_empty_design", NULL, 1e6 },
    { "energy_full", NULL, 1e6 },
    { "energy_full_design", NULL, 1e6 },
    { "energy_now", "energy_watthour", 1e6 },
    { "voltage_boot", NULL, 1e6 },
    { "voltage_max", NULL, 1e6 },
    { "voltage_max_design", NULL, 1e6 },
    { "voltage_min", NULL, 1e6 },
    { "voltage_min_design", NULL, 1e6 },
    { "voltage_now", "voltage_volt", 1e6 },
    { "voltage_ocv", NULL, 1e6 },
    { "charge_control_limit", NULL, 1e6 },
    { "charge_control_limit_max", NULL, 1e6 },
    { "charge_counter", NULL, 1e6 },
    { "charge_empty", NULL, 1e6 },
    { "charge_empty_design", NULL, 1e6 },
    { "charge_full", NULL, 1e6 },
    { "charge_full_design", NULL, 1e6 },
    { "charge_now", "charge_ampere", 1e6 },
    { "charge_term_current", NULL, 1e6 },
    { "constant_charge_current", NULL, 1e6 },
    { "constant_charge_current_max", NULL, 1e6 },
    { "constant_charge_voltage", NULL, 1e6 },
    { "constant_charge_voltage_max", NULL, 1e6 },
    { "precharge_current", NULL, 1e6 },
    { "input_current_limit", NULL, 1e6 },
    { "power_now", "power_watt", 1e6 },
    { "temp", "temp_celsius", 10 },
    { "temp_alert_max", "temp_alert_max_celsius", 10 },
    { "temp_alert_min", "temp_alert_min_celsius", 10 },
    { "temp_ambient", "temp_ambient_celsius", 10 },
    { "temp_ambient_max", "temp_ambient_max_celsius", 10 },
    { "temp_ambient_min", "temp_ambient_min_celsius", 10 },
    { "temp_max", "temp_max_celsius", 10 },
    { "temp_min", "temp_min_celsius", 10 },
};

bool node_powersupply(struct export_run *r, struct err *e)
{
    static const char *const words[] = { "capacity_level", "charge_type", "health",
                                         "manufacturer",   "model_name",  "scope",
                                         "serial_number",  "status",      "technology",
                                         "type",           "usb_type" };
    const char *dir = node_path(r, r->node->o.sysfs, "class/power_supply");
    struct file_list list;

    if (!file_list(r->a, dir, &list, e))
        return false;
    for (size_t i = 0; i < list.n; i++) {
        const char *own = node_path(r, dir, "%.*s", STRF(list.v[i]));
        struct expo_label l[ARRAY_LEN(words) + 1] = { { STR("power_supply"), list.v[i] } };
        size_t n = 1;
        double v;
        for (size_t k = 0; k < ARRAY_LEN(power_values); k++) {
            const char *name = power_values[k].name ? power_values[k].name : power_values[k].file;
            if (node_read_number(r, node_path(r, own, "%s", power_values[k].file), &v))
                add(r, node_text(r, "node_power_supply_%s", name),
                    node_text(r, "%s value of /sys/class/power_supply/<power_supply>.", name),
                    EXPO_GAUGE, v / power_values[k].factor, l, 1);
        }
        for (size_t k = 0; k < ARRAY_LEN(words); k++) {
            struct str word = node_read_word(r, node_path(r, own, "%s", words[k]));
            if (word.n)
                l[n++] = (struct expo_label){ str_c(words[k]), valid(r->a, word) };
        }
        add(r, "node_power_supply_info", "info of /sys/class/power_supply/<power_supply>.",
            EXPO_GAUGE, 1, l, n);
    }
    return true;
}

/* ---- rapl ---- */

bool node_rapl(struct export_run *r, struct err *e)
{
    const char *dir = node_path(r, r->node->o.sysfs, "class/powercap");
    struct file_list list;
    double v;

    if (!file_list(r->a, dir, &list, e))
        return false;
    struct str *seen = arena_array(r->a, list.n, struct str);
    for (size_t i = 0; i < list.n; i++) {
        const char *own = node_path(r, dir, "%.*s", STRF(list.v[i]));
        struct str name = node_read_word(r, node_path(r, own, "name"));
        uint64_t index = 0;
        if (!name.n || !node_read_number(r, node_path(r, own, "energy_uj"), &v))
            continue;
        size_t dash = str_rfind_char(name, '-');
        if (dash != STR_NPOS && str_to_u64(str_sub(name, dash + 1, name.n), &index))
            name = str_sub(name, 0, dash);
        else
            for (size_t k = 0; k < i; k++)
                index += str_eq(seen[k], name);
        seen[i] = name;
        char *clean = arena_cstr(r->a, name);
        for (char *c = clean; *c; c++)
            if (!((*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9') || (*c >= 'A' && *c <= 'Z')))
                *c = '_';
        struct expo_label l[] = { { STR("index"), arena_printf(r->a, "%u", (unsigned)index) },
                                  { STR("path"), str_c(own) } };
        add(r, node_text(r, "node_rapl_%s_joules_total", clean),
            node_text(r, "Current RAPL %.*s value in joules", STRF(name)), EXPO_COUNTER, v / 1e6, l,
            2);
    }
    return true;
}

/* ---- watchdog ---- */

bool node_watchdog(struct export_run *r, struct err *e)
{
    static const struct {
        const char *file, *name;
    } numbers[] = { { "bootstatus", "bootstatus" },   { "fw_version", "fw_version" },
                    { "nowayout", "nowayout" },       { "timeleft", "timeleft_seconds" },
                    { "timeout", "timeout_seconds" }, { "pretimeout", "pretimeout_seconds" },
                    { "access_cs0", "access_cs0" } };
    static const char *const words[] = { "options", "identity", "state", "status",
                                         "pretimeout_governor" };
    const char *dir = node_path(r, r->node->o.sysfs, "class/watchdog");
    struct file_list list;
    double v;

    if (!file_list(r->a, dir, &list, e))
        return false;
    for (size_t i = 0; i < list.n; i++) {
        const char *own = node_path(r, dir, "%.*s", STRF(list.v[i]));
        struct expo_label l[6] = { { STR("name"), list.v[i] } };
        for (size_t k = 0; k < ARRAY_LEN(numbers); k++)
            if (node_read_number(r, node_path(r, own, "%s", numbers[k].file), &v))
                add(r, node_text(r, "node_watchdog_%s", numbers[k].name),
                    node_text(r, "Value of /sys/class/watchdog/<watchdog>/%s", numbers[k].file),
                    EXPO_GAUGE, v, l, 1);
        for (size_t k = 0; k < ARRAY_LEN(words); k++)
            l[k + 1] = (struct expo_label){
                str_c(words[k]), valid(r->a, node_read_word(r, node_path(r, own, "%s", words[k])))
            };
        add(r, "node_watchdog_info", "Info of /sys/class/watchdog/<watchdog>", EXPO_GAUGE, 1, l, 6);
    }
    return true;
}

/* ---- mdadm ---- */

struct md {
    struct str name, level;
    bool inactive;
    double disks, failed, spare, required, active, blocks, synced;
    const char *state;
};

// md6 : active raid1 sdb2[2](F) sdc[1](S) sda2[0]
static bool md_head(struct str line, struct md *m)
{
    struct str field[128];
    size_t n = node_fields(line, field, ARRAY_LEN(field));

    if (n < 3 || !str_eq(field[1], STR(":")) || !str_starts(field[0], STR("md")))
        return false;
    *m = (struct md){ .name = field[0], .inactive = !str_eq(field[2], STR("active")) };
    for (size_t i = 3; i < n; i++) {
        if (str_find_char(field[i], '[') == STR_NPOS) {
            if (!str_starts(field[i], STR("(")))
                m->level = field[i];
            continue;
        }
        m->disks++;
        m->failed += str_ends(field[i], STR("(F)"));
        m->spare += str_ends(field[i], STR("(S)"));
    }
    m->state = m->inactive ? "inactive" : "active";
    return true;
}

// 195310144 blocks [2/1] [U_]: what is required and what is there.
static void md_status(struct str line, struct md *m)
{
    struct str field[32];
    size_t n = node_fields(line, field, ARRAY_LEN(field));

    m->blocks = m->synced = n ? node_number(field[0]) : 0;
    if (m->inactive)
        return;
    m->required = m->active = m->disks - m->failed - m->spare;
    for (size_t i = 1; i < n; i++) {
        struct str s = field[i];
        double required, active;
        if (s.n < 5 || s.p[0] != '[' || str_find_char(s, '/') == STR_NPOS)
            continue;
        s = str_sub(s, 1, s.n - 1);
        if (num_parse_double(str_cut(&s, '/'), &required) && num_parse_double(s, &active)) {
            m->required = required;
            m->active = active;
        }
    }
}

static void md_progress(struct str line, struct md *m)
{
    static const struct {
        const char *word, *state;
    } kinds[] = { { "recovery", "recovering" },
                  { "reshape", "resync" },
                  { "resync", "resync" },
                  { "check", "check" } };

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        size_t at = str_find(line, str_c(kinds[i].word));
        if (at == STR_NPOS)
            continue;
        m->state = kinds[i].state;
        size_t open = str_find_char(line, '('), slash = str_rfind_char(line, '/');
        m->synced = 0; // delayed or pending
        if (open != STR_NPOS && slash != STR_NPOS) {
            struct str done = str_sub(line, open + 1, line.n);
            m->synced = node_number(str_cut(&done, '/'));
        }
        return;
    }
}

static void md_add(struct export_run *r, const struct md *m)
{
    static const char *const states[] = { "active", "inactive", "recovering", "resync", "check" };
    struct expo_label l[] = { { STR("device"), m->name }, { STR("state"), STR("active") } };
    const double disks[] = { m->active, m->failed, m->spare };
    static const char *const kinds[] = { "active", "failed", "spare" };

    add(r, "node_md_disks_required", "Total number of disks of device.", EXPO_GAUGE, m->required, l,
        1);
    add(r, "node_md_blocks", "Total number of blocks on device.", EXPO_GAUGE, m->blocks, l, 1);
    add(r, "node_md_blocks_synced", "Number of blocks synced on device.", EXPO_GAUGE, m->synced, l,
        1);
    for (size_t i = 0; i < 3; i++) {
        l[1].value = str_c(kinds[i]);
        add(r, "node_md_disks", "Number of active/failed/spare disks of device.", EXPO_GAUGE,
            disks[i], l, 2);
    }
    for (size_t i = 0; i < ARRAY_LEN(states); i++) {
        l[1].value = str_c(states[i]);
        add(r, "node_md_state", "Indicates the state of md-device.", EXPO_GAUGE,
            strcmp(states[i], m->state) == 0, l, 2);
    }
}

static void md_sysfs(struct export_run *r)
{
    const char *dir = node_path(r, r->node->o.sysfs, "block");
    struct file_list list = node_list(r, dir);
    double v;

    for (size_t i = 0; i < list.n; i++) {
        struct expo_label l = { STR("device"), list.v[i] };
        if (!str_starts(list.v[i], STR("md")))
            continue;
        const char *own = node_path(r, dir, "%.*s/md", STRF(list.v[i]));
        if (node_read_number(r, node_path(r, own, "raid_disks"), &v))
            add(r, "node_md_raid_disks", "Number of raid disks on device.", EXPO_GAUGE, v, &l, 1);
        if (!node_read_number(r, node_path(r, own, "degraded"), &v))
            v = 0;
        add(r, "node_md_degraded", "Number of degraded disks on device.", EXPO_GAUGE, v, &l, 1);
    }
}

bool node_mdadm(struct export_run *r, struct err *e)
{
    struct str text, line;
    struct md m, next;
    int at = 0; // lines behind the head; 0: none yet

    if (!node_read(r, node_path(r, r->node->o.procfs, "mdstat"), &text, e))
        return false;
    while (node_line(&text, &line)) {
        if (md_head(line, &next)) {
            if (at)
                md_add(r, &m);
            m = next;
            at = 1;
        } else if (at && str_starts(line, STR("unused"))) {
            break;
        } else if (at == 1) {
            md_status(line, &m);
            at = 2;
        } else if (at) {
            md_progress(line, &m);
        }
    }
    if (at)
        md_add(r, &m);
    md_sysfs(r);
    return true;
}
