/*
 * node_net.c - collectors of the network: arp, conntrack, netclass, netdev, netstat, sockstat.
 */
// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>
#include <unistd.h>

#include "export/export_priv.h"

/* ---- netdev ---- */

static const char *const netdev_columns[] = {
    "receive_bytes",  "receive_packets",  "receive_errs",       "receive_drop",
    "receive_fifo",   "receive_frame",    "receive_compressed", "receive_multicast",
    "transmit_bytes", "transmit_packets", "transmit_errs",      "transmit_drop",
    "transmit_fifo",  "transmit_colls",   "transmit_carrier",   "transmit_compressed",
};

static void add_netdev(struct export_run *r, const char *key, struct str device, double v)
{
    struct export_desc d = { node_text(r, "node_network_%s_total", key),
                             node_text(r, "Network device statistic %s.", key), EXPO_COUNTER };
    struct expo_label l = { STR("device"), device };

    export_add(r->set, &d, v, &l, 1);
}

bool node_netdev(struct export_run *r, struct err *e)
{
    struct str text, line, field[32];
    double v;

    if (!node_read(r, node_path(r, r->node->o.procfs, "net/dev"), &text, e))
        return false;
    while (node_line(&text, &line)) {
        size_t colon = str_rfind_char(line, ':');

        if (colon == STR_NPOS)
            continue; // one of the two lines of headings
        struct str device = str_trim(str_sub(line, 0, colon));
        size_t n = node_fields(str_sub(line, colon + 1, line.n), field, ARRAY_LEN(field));
        if (n < ARRAY_LEN(netdev_columns) || node_filter_drops(&r->node->netdev, device))
            continue;
        for (size_t i = 0; i < ARRAY_LEN(netdev_columns); i++)
            add_netdev(r, netdev_columns[i], device, node_number(field[i]));
        // Upstream asks netlink, which has this one, too.
        if (node_read_number(r,
                             node_path(r, r->node->o.sysfs,
                                       "class/net/%.*s/statistics/rx_nohandler", STRF(device)),
                             &v))
            add_netdev(r, "receive_nohandler", device, v);
    }
    return true;
}

/* ---- netclass ---- */

static void add_net_info(struct export_run *r, const char *dir, struct str device, uint64_t flags)
{
    static const struct export_desc up = { "node_network_up",
                                           "Value is 1 if operstate is 'up', 0 otherwise.",
                                           EXPO_GAUGE };
    static const struct export_desc info = {
        "node_network_info", "Non-numeric data from /sys/class/net/<iface>, value is always 1.",
        EXPO_GAUGE
    };
    static const char *const files[] = { "address", "broadcast", "duplex", "operstate", "ifalias" };
    struct expo_label l[7] = { { STR("device"), device } };

    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        struct str s = node_read_word(r, node_path(r, dir, "%s", files[i]));
        l[i + 1] = (struct expo_label){ str_c(files[i]), s.p && str_is_utf8(s) ? s : STR("") };
    }
    l[6] = (struct expo_label){ STR("adminstate"), flags & 1 ? STR("up") : STR("down") };
    export_add(r->set, &up, str_eq(l[4].value, STR("up")), l, 1);
    export_add(r->set, &info, 1, l, ARRAY_LEN(l));
}

static bool parse_integer(struct str s, double *out)
{
    char text[32], *end;

    if (s.n == 0 || s.n >= sizeof text)
        return false;
    memcpy(text, s.p, s.n);
    text[s.n] = 0;
    *out = (double)strtoll(text, &end, 0); // decimal or with 0x
    return *end == 0;
}

static void add_netclass(struct export_run *r, const char *dir, struct str device)
{
    static const struct {
        const char *file, *name;
        enum expo_type type;
        double scale;
    } files[] = {
        { "addr_assign_type", "address_assign_type", EXPO_GAUGE, 1 },
        { "carrier", "carrier", EXPO_GAUGE, 1 },
        { "carrier_changes", "carrier_changes_total", EXPO_COUNTER, 1 },
        { "carrier_up_count", "carrier_up_changes_total", EXPO_COUNTER, 1 },
        { "carrier_down_count", "carrier_down_changes_total", EXPO_COUNTER, 1 },
        { "dev_id", "device_id", EXPO_GAUGE, 1 },
        { "dormant", "dormant", EXPO_GAUGE, 1 },
        { "flags", "flags", EXPO_GAUGE, 1 },
        { "ifindex", "iface_id", EXPO_GAUGE, 1 },
        { "iflink", "iface_link", EXPO_GAUGE, 1 },
        { "link_mode", "iface_link_mode", EXPO_GAUGE, 1 },
        { "mtu", "mtu_bytes", EXPO_GAUGE, 1 },
        { "name_assign_type", "name_assign_type", EXPO_GAUGE, 1 },
        { "netdev_group", "net_dev_group", EXPO_GAUGE, 1 },
        { "speed", "speed_bytes", EXPO_GAUGE, 125000 }, // Mbit/s
        { "tx_queue_len", "transmit_queue_length", EXPO_GAUGE, 1 },
        { "type", "protocol_type", EXPO_GAUGE, 1 },
    };
    struct expo_label l = { STR("device"), device };
    double v, flags = 0;

    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        struct export_desc d = { node_text(r, "node_network_%s", files[i].name),
                                 node_text(r, "Network device property: %s", files[i].name),
                                 files[i].type };
        struct str s = node_read_word(r, node_path(r, dir, "%s", files[i].file));
        if (!s.p || !parse_integer(s, &v))
            continue;
        if (strcmp(files[i].file, "flags") == 0)
            flags = v;
        if (v < 0 && files[i].scale != 1 && r->node->o.netclass_ignore_invalid_speed)
            continue; // an unknown speed is −1
        export_add(r->set, &d, v * files[i].scale, &l, 1);
    }
    add_net_info(r, dir, device, (uint64_t)flags);
}

bool node_netclass(struct export_run *r, struct err *e)
{
    const char *dir = node_path(r, r->node->o.sysfs, "class/net");
    struct file_list list;

    if (!file_list(r->a, dir, &list, e))
        return false;
    for (size_t i = 0; i < list.n; i++) {
        const char *device = node_path(r, dir, "%.*s", STRF(list.v[i]));
        const struct regex *ignored = r->node->netclass.exclude;

        // bonding_masters is a file beside the folders
        if ((ignored && regex_match(ignored, list.v[i])) ||
            !file_exists(node_path(r, device, "address")))
            continue;
        add_netclass(r, device, list.v[i]);
    }
    return true;
}

/* ---- netstat ---- */

static void add_netstat(struct export_run *r, struct str protocol, struct str name,
                        struct str value)
{
    const char *key = node_text(r, "%.*s_%.*s", STRF(protocol), STRF(name));

    if (r->node->netstat_fields && !regex_match(r->node->netstat_fields, str_c(key)))
        return;
    struct export_desc d = { node_text(r, "node_netstat_%s", key),
                             node_text(r, "Statistic %.*s%.*s.", STRF(protocol), STRF(name)),
                             EXPO_UNKNOWN };
    export_add(r->set, &d, node_number(value), NULL, 0);
}

// Pairs of lines: `Proto: name…` and `Proto: value…`.
static bool add_netstat_pairs(struct export_run *r, const char *file, struct err *e)
{
    struct str text, names, values, a[2 * NODE_FIELDS_MAX], b[2 * NODE_FIELDS_MAX];

    if (!node_read(r, node_path(r, r->node->o.procfs, "net/%s", file), &text, e))
        return false;
    while (node_line(&text, &names) && node_line(&text, &values)) {
        size_t n = node_fields(names, a, ARRAY_LEN(a)), m = node_fields(values, b, ARRAY_LEN(b));

        if (n != m || n == 0)
            return err_set(e, ERR_INVALID, "mismatch field count mismatch in %s", file);
        for (size_t i = 1; i < n; i++)
            add_netstat(r, str_sub(a[0], 0, a[0].n - 1), a[i], b[i]);
    }
    return true;
}

bool node_netstat(struct export_run *r, struct err *e)
{
    struct str text, line, field[2];

    if (!add_netstat_pairs(r, "netstat", e) || !add_netstat_pairs(r, "snmp", e))
        return false;
    if (!node_read(r, node_path(r, r->node->o.procfs, "net/snmp6"), &text, &(struct err){ 0 }))
        return true; // IPv6 is off
    while (node_line(&text, &line)) {
        if (node_fields(line, field, 2) < 2)
            continue;
        size_t six = str_find_char(field[0], '6');
        if (six != STR_NPOS)
            add_netstat(r, str_sub(field[0], 0, six + 1), str_sub(field[0], six + 1, field[0].n),
                        field[1]);
    }
    return true;
}

/* ---- sockstat ---- */

static void add_sockstat(struct export_run *r, struct str protocol, const char *state, double v)
{
    struct export_desc d = {
        node_text(r, "node_sockstat_%.*s_%s", STRF(protocol), state),
        node_text(r, "Number of %.*s sockets in state %s.", STRF(protocol), state), EXPO_GAUGE
    };

    export_add(r->set, &d, v, NULL, 0);
}

static void add_sockstat_line(struct export_run *r, const struct str *field, size_t n)
{
    static const struct export_desc used = { "node_sockstat_sockets_used",
                                             "Number of IPv4 sockets in use.", EXPO_GAUGE };
    static const char *const states[] = { "inuse", "orphan", "tw", "alloc", "mem", "memory" };
    struct str protocol = str_sub(field[0], 0, field[0].n - 1);

    for (size_t i = 1; i + 1 < n; i += 2) {
        double v = node_number(field[i + 1]);

        if (str_eq(protocol, STR("sockets")) && str_eq(field[i], STR("used")))
            export_add(r->set, &used, v, NULL, 0);
        for (size_t k = 0; k < ARRAY_LEN(states); k++)
            if (str_eq_c(field[i], states[k]))
                add_sockstat(r, protocol, states[k], v);
        if (str_eq(field[i], STR("mem")))
            add_sockstat(r, protocol, "mem_bytes", v * (double)sysconf(_SC_PAGESIZE));
    }
}

bool node_sockstat(struct export_run *r, struct err *e UNUSED)
{
    static const char *const files[] = { "sockstat", "sockstat6" };

    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        struct str text, line, field[32];

        if (!node_read(r, node_path(r, r->node->o.procfs, "net/%s", files[i]), &text,
                       &(struct err){ 0 })) // that version of IP is off
            continue;
        while (node_line(&text, &line)) {
            size_t n = node_fields(line, field, ARRAY_LEN(field));
            if (n)
                add_sockstat_line(r, field, n);
        }
    }
    return true;
}

/* ---- arp, conntrack ---- */

bool node_arp(struct export_run *r, struct err *e)
{
    static const struct export_desc d = { "node_arp_entries", "ARP entries by device", EXPO_GAUGE };
    struct str text, line, field[8];
    VEC(struct str) device = { 0 };

    if (!node_read(r, node_path(r, r->node->o.procfs, "net/arp"), &text, e))
        return false;
    node_line(&text, &line); // headings
    while (node_line(&text, &line)) {
        size_t n = node_fields(line, field, ARRAY_LEN(field));
        // Flags 0x0: asked for, not answered.
        if (n >= 6 && !str_eq(field[2], STR("0x0")) && !node_filter_drops(&r->node->arp, field[5]))
            *vec_push_in(r->a, &device) = field[5];
    }
    sort_strs(device.v, device.n);
    for (size_t i = 0, from = 0; i < device.n; i++) {
        if (i + 1 < device.n && str_eq(device.v[i], device.v[i + 1]))
            continue;
        struct expo_label l = { STR("device"), device.v[i] };
        export_add(r->set, &d, (double)(i + 1 - from), &l, 1);
        from = i + 1;
    }
    return true;
}

// Columns of /proc/net/stat/nf_conntrack, hexadecimal, one line per CPU, summed up.
static void add_conntrack_stats(struct export_run *r)
{
    static const struct {
        const char *column;
        struct export_desc d;
    } columns[] = {
        { "found",
          { "node_nf_conntrack_stat_found", "Number of searched entries which were successful.",
            EXPO_GAUGE } },
        { "invalid",
          { "node_nf_conntrack_stat_invalid", "Number of packets seen which can not be tracked.",
            EXPO_GAUGE } },
        { "ignore",
          { "node_nf_conntrack_stat_ignore",
            "Number of packets seen which are already connected to a conntrack entry.",
            EXPO_GAUGE } },
        { "insert",
          { "node_nf_conntrack_stat_insert", "Number of entries inserted into the list.",
            EXPO_GAUGE } },
        { "insert_failed",
          { "node_nf_conntrack_stat_insert_failed",
            "Number of entries for which list insertion was attempted but failed.", EXPO_GAUGE } },
        { "drop",
          { "node_nf_conntrack_stat_drop", "Number of packets dropped due to conntrack failure.",
            EXPO_GAUGE } },
        { "early_drop",
          { "node_nf_conntrack_stat_early_drop",
            "Number of dropped conntrack entries to make room for new ones, if maximum table size "
            "was reached.",
            EXPO_GAUGE } },
        { "search_restart",
          { "node_nf_conntrack_stat_search_restart",
            "Number of conntrack table lookups which had to be restarted due to hashtable resizes.",
            EXPO_GAUGE } },
    };
    struct str text, line, head[32], field[32];

    if (!node_read(r, node_path(r, r->node->o.procfs, "net/stat/nf_conntrack"), &text,
                   &(struct err){ 0 }) || // not in this kernel
        !node_line(&text, &line))
        return;
    size_t n = node_fields(line, head, ARRAY_LEN(head));
    for (size_t k = 0; k < ARRAY_LEN(columns); k++) {
        struct str rest = text;
        double sum = 0;

        while (node_line(&rest, &line)) {
            size_t m = node_fields(line, field, ARRAY_LEN(field));
            for (size_t i = 0; i < n && i < m; i++)
                if (str_eq_c(head[i], columns[k].column))
                    sum += (double)strtoull(arena_cstr(r->a, field[i]), NULL, 16);
        }
        export_add(r->set, &columns[k].d, sum, NULL, 0);
    }
}

bool node_conntrack(struct export_run *r, struct err *e)
{
    static const struct export_desc entries = {
        "node_nf_conntrack_entries",
        "Number of currently allocated flow entries for connection tracking.", EXPO_GAUGE
    };
    static const struct export_desc limit = { "node_nf_conntrack_entries_limit",
                                              "Maximum size of connection tracking table.",
                                              EXPO_GAUGE };
    const char *dir = node_path(r, r->node->o.procfs, "sys/net/netfilter");
    double v;

    if (!node_read_number(r, node_path(r, dir, "nf_conntrack_count"), &v))
        return err_set(e, ERR_NOT_FOUND, "conntrack probably not loaded");
    export_add(r->set, &entries, v, NULL, 0);
    if (!node_read_number(r, node_path(r, dir, "nf_conntrack_max"), &v))
        return err_set(e, ERR_NOT_FOUND, "conntrack probably not loaded");
    export_add(r->set, &limit, v, NULL, 0);
    add_conntrack_stats(r);
    return true;
}
