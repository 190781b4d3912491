/*
 * node_memory.c - collectors of memory and small kernel counters: meminfo, vmstat, entropy, filefd.
 */
// SPDX-License-Identifier: Apache-2.0
#include "export/export_priv.h"

// `Active(anon)` is Active_anon: what is in brackets comes behind an underscore.
static const char *meminfo_name(struct export_run *r, struct str key, bool bytes)
{
    struct str name = str_cut(&key, '('), inner = str_cut(&key, ')');

    return node_text(r, "%.*s%s%.*s%s", STRF(name), inner.n ? "_" : "", STRF(inner),
                     bytes ? "_bytes" : "");
}

bool node_meminfo(struct export_run *r, struct err *e)
{
    struct str text, line, field[4];

    if (!node_read(r, node_path(r, r->node->o.procfs, "meminfo"), &text, e))
        return false;
    while (node_line(&text, &line)) {
        struct str key = str_cut(&line, ':');
        size_t n = node_fields(line, field, ARRAY_LEN(field));

        if (n == 0)
            continue;
        bool kilobytes = n > 1 && str_eq(field[1], STR("kB"));
        const char *name = meminfo_name(r, key, kilobytes);
        struct export_desc d = { node_text(r, "node_memory_%s", name),
                                 node_text(r, "Memory information field %s.", name),
                                 str_ends(str_c(name), STR("_total")) ? EXPO_COUNTER : EXPO_GAUGE };
        export_add(r->set, &d, node_number(field[0]) * (kilobytes ? 1024 : 1), NULL, 0);
    }
    return true;
}

bool node_vmstat(struct export_run *r, struct err *e)
{
    struct str text, line, field[2];

    if (!node_read(r, node_path(r, r->node->o.procfs, "vmstat"), &text, e))
        return false;
    while (node_line(&text, &line)) {
        if (node_fields(line, field, ARRAY_LEN(field)) != 2 ||
            (r->node->vmstat_fields && !regex_match(r->node->vmstat_fields, field[0])))
            continue;
        struct export_desc d = {
            node_text(r, "node_vmstat_%.*s", STRF(field[0])),
            node_text(r, "/proc/vmstat information field %.*s.", STRF(field[0])), EXPO_UNKNOWN
        };
        export_add(r->set, &d, node_number(field[1]), NULL, 0);
    }
    return true;
}

bool node_entropy(struct export_run *r, struct err *e)
{
    static const struct export_desc available = { "node_entropy_available_bits",
                                                  "Bits of available entropy.", EXPO_GAUGE };
    static const struct export_desc pool = { "node_entropy_pool_size_bits", "Bits of entropy pool.",
                                             EXPO_GAUGE };
    const char *dir = node_path(r, r->node->o.procfs, "sys/kernel/random");
    double v;

    if (!node_read_number(r, node_path(r, dir, "entropy_avail"), &v))
        return err_set(e, ERR_NOT_FOUND, "couldn't get value for entropy_avail");
    export_add(r->set, &available, v, NULL, 0);
    if (!node_read_number(r, node_path(r, dir, "poolsize"), &v))
        return err_set(e, ERR_NOT_FOUND, "couldn't get value for poolsize");
    export_add(r->set, &pool, v, NULL, 0);
    return true;
}

bool node_filefd(struct export_run *r, struct err *e)
{
    static const struct export_desc allocated = { "node_filefd_allocated",
                                                  "File descriptor statistics: allocated.",
                                                  EXPO_GAUGE };
    static const struct export_desc maximum = { "node_filefd_maximum",
                                                "File descriptor statistics: maximum.",
                                                EXPO_GAUGE };
    struct str text, field[4];

    if (!node_read(r, node_path(r, r->node->o.procfs, "sys/fs/file-nr"), &text, e))
        return false;
    if (node_fields(str_trim(text), field, ARRAY_LEN(field)) < 3)
        return err_set(e, ERR_INVALID, "unexpected number of file stats in file-nr");
    export_add(r->set, &allocated, node_number(field[0]), NULL, 0);
    export_add(r->set, &maximum, node_number(field[2]), NULL, 0);
    return true;
}
