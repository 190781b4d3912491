// node_test.c - collectors against upstream's fixtures and against trees of our own; the self page.
// SPDX-License-Identifier: Apache-2.0
#include "test.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/vec.h"
#include "export/export.h"

/* ---- trees of files ---- */

static void put_file(struct arena *a, const char *dir, const char *name, struct str content)
{
    struct err e = { 0 };
    struct str path = arena_printf(a, "%s/%s", dir, name);
    size_t slash = str_rfind_char(path, '/');

    CHECK_OK(file_mkdirs(arena_cstr(a, str_sub(path, 0, slash)), &e), &e);
    CHECK_OK(file_replace(path.p, content, &e), &e);
}

// One content line: escapes undone; EOF at its end means that no newline follows.
static void put_line(struct buf *b, struct str line)
{
    static const struct {
        const char *word, *text;
        size_t n;
    } words[] = { { "\\EOF", "EOF", 3 }, { "\\NULLBYTE", "NULLBYTE", 8 }, { "NULLBYTE", "", 1 } };
    bool end = str_ends(line, STR("EOF")) && !str_ends(line, STR("\\EOF"));

    if (end)
        line.n -= 3;
    while (line.n) {
        size_t skip = 0;
        for (size_t i = 0; i < ARRAY_LEN(words) && !skip; i++) {
            if (!str_starts(line, str_c(words[i].word)))
                continue;
            buf_bytes(b, words[i].text, words[i].n);
            skip = strlen(words[i].word);
        }
        if (!skip)
            buf_char(b, *line.p);
        line = str_sub(line, skip ? skip : 1, line.n);
    }
    if (!end)
        buf_char(b, '\n');
}

/* Unpacks an archive (format: corpus/exporters/README.md) below dir. Modes are not set. */
static void unpack(struct arena *a, struct str text, const char *dir)
{
    OWNED(buf_fini) struct buf b = { 0 };
    struct str path = STR_NONE, line;
    struct err e = { 0 };

    while (text.n) {
        line = str_cut(&text, '\n');
        struct str value = line, key = str_cut(&value, ':');
        value = str_trim(value);
        if (str_eq(key, STR("Path"))) {
            path = value;
        } else if (str_eq(key, STR("Directory"))) {
            CHECK_OK(file_mkdirs(arena_printf(a, "%s/%.*s", dir, STRF(value)).p, &e), &e);
        } else if (str_eq(key, STR("SymlinkTo"))) {
            struct str link = arena_printf(a, "%s/%.*s", dir, STRF(path));
            CHECK_OK(file_mkdirs(arena_cstr(a, str_sub(link, 0, str_rfind_char(link, '/'))), &e),
                     &e);
            CHECK(symlink(arena_cstr(a, value), link.p) == 0);
        } else if (str_eq(key, STR("Lines"))) {
            int64_t n = 0;
            CHECK(str_to_i64(value, &n));
            buf_reset(&b);
            for (int64_t i = 0; i < n; i++)
                put_line(&b, str_cut(&text, '\n'));
            put_file(a, dir, arena_cstr(a, path), buf_view(&b));
        }
    }
}

/* ---- pages as families ---- */

struct family {
    struct str name, text; // text: HELP, TYPE and samples
    bool samples;
};

struct page {
    VEC(struct family) v;
};

static void page_fini(struct page *p)
{
    vec_fini(&p->v);
}
OWN_DEFINE_FINI(struct page, page_fini)

static void split_page(struct page *p, struct str text)
{
    const char *p0 = text.p;

    while (text.n) {
        const char *at = text.p;
        struct str line = str_cut(&text, '\n');

        if (str_starts(line, STR("# HELP "))) {
            struct str rest = str_sub(line, 7, line.n);
            struct family *f = vec_push(&p->v);
            f->name = str_cut(&rest, ' ');
            f->text.p = at;
        }
        if (p->v.n == 0)
            continue;
        struct family *last = &p->v.v[p->v.n - 1];
        last->samples |= *line.p != '#';
        last->text.n = (size_t)(line.p + line.n - last->text.p);
    }
    CHECK(p0 != NULL);
}

static const struct family *find(const struct page *p, struct str name)
{
    for (size_t i = 0; i < p->v.n; i++)
        if (str_eq(p->v.v[i].name, name))
            return &p->v.v[i];
    return NULL;
}

static struct str write_page(struct arena *a, const struct export_node_options *o,
                             const char *collector)
{
    OWNED(export_node_close) struct export_node *n = NULL;
    OWNED(buf_fini) struct buf b = { 0 };
    struct str only = str_c(collector);
    struct export_select s = { .collect = &only, .collect_count = collector ? 1 : 0 };
    struct err e = { 0 };

    CHECK_OK(export_node_open(&n, o, &e), &e);
    CHECK_OK(export_node_write_some(n, &s, EXPO_TEXT, &b, &e), &e);
    return arena_str(a, buf_view(&b));
}

static bool is_ours(struct str name)
{
    static const char *const others[] = {
        "node_memory_numa_", "node_cpu_vulnerabilities", "node_time_seconds",
        "node_time_zone",    "node_network_route",
    };
    static const char *const ours[] = {
        "node_arp_",
        "node_nf_conntrack_",
        "node_cpu_",
        "node_disk_",
        "node_entropy_",
        "node_filefd_",
        "node_load",
        "node_memory_",
        "node_network_",
        "node_netstat_",
        "node_os_",
        "node_pressure_",
        "node_sockstat_",
        "node_intr_",
        "node_context_",
        "node_forks_",
        "node_boot_",
        "node_procs_",
        "node_softirqs_total",
        "node_thermal_",
        "node_cooling_",
        "node_time_",
        "node_vmstat_",
        "node_bonding_",
        "node_buddyinfo_",
        "node_dmi_",
        "node_edac_",
        "node_hwmon_",
        "node_interrupts_",
        "node_kernel_hung_",
        "node_md_",
        "node_nvme_",
        "node_power_supply_",
        "node_processes_",
        "node_schedstat_",
        "node_softnet_",
        "node_udp_queues",
        "node_watchdog_",
    };

    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        if (str_starts(name, str_c(others[i])))
            return false;
    // Upstream's network counters come from the host of the recording, by netlink.
    if (str_starts(name, STR("node_network_receive_")) ||
        (str_starts(name, STR("node_network_transmit_")) && str_ends(name, STR("_total"))))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(ours); i++)
        if (str_starts(name, str_c(ours[i])))
            return true;
    return false;
}

TEST(upstream_fixtures)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(page_fini) struct page want = { 0 }, got = { 0 };
    const char *below = test_corpus("exporters/node");
    struct str text;
    struct err e = { 0 };
    size_t compared = 0;

    SKIP_WITHOUT_CORPUS(below);
    const char *dir = file_temp_dir(&a);
    const char *root = arena_printf(&a, "%s/fixtures", below).p;
    CHECK_OK(file_read(&a, arena_printf(&a, "%s/sys.ttar", root).p, 64 << 20, &text, &e), &e);
    unpack(&a, text, dir);
    CHECK_OK(file_read(&a, arena_printf(&a, "%s/udev.ttar", root).p, 64 << 20, &text, &e), &e);
    unpack(&a, text, dir);
    CHECK_OK(file_read(&a, arena_printf(&a, "%s/../expected-e2e-output.txt", root).p, 64 << 20,
                       &text, &e),
             &e);
    split_page(&want, text);
    struct export_node_options o = {
        .procfs = arena_printf(&a, "%s/proc", root).p,
        .sysfs = arena_printf(&a, "%s/sys", dir).p,
        .udev_data = arena_printf(&a, "%s/udev/data", dir).p,
        .rootfs = root,
        .cpu_flags_include = "^(aes|avx.?|constant_tsc)$",
        .cpu_bugs_include = "^(cpu_meltdown|spectre_.*|mds)$",
        .softirq = true,
        .arp_exclude = "nope",
        .netclass_exclude = "(dmz|int)",
        .netclass_ignore_invalid_speed = true,
        .enable = (const char *const[]){ "buddyinfo", "interrupts", "processes" },
        .enable_count = 3,
    };
    split_page(&got, write_page(&a, &o, NULL));
    for (size_t i = 0; i < want.v.n; i++) {
        const struct family *w = &want.v.v[i], *g = find(&got, w->name);

        if (!w->samples || !is_ours(w->name))
            continue;
        CHECK_F(g, "no family %.*s", STRF(w->name));
        CHECK_F(str_eq(g->text, w->text), "got:\n%.*s\nwant:\n%.*s", STRF(g->text), STRF(w->text));
        compared++;
    }
    for (size_t i = 0; i < got.v.n; i++)
        if (is_ours(got.v.v[i].name))
            CHECK_F(find(&want, got.v.v[i].name), "too much: %.*s", STRF(got.v.v[i].name));
    CHECK_F(compared > 150, "%zu families compared", compared);
    CHECK_OK(file_remove_tree(dir, &e), &e);
}

TEST(upstream_textfiles)
{
    static const char *const cases[] = {
        "no_metric_files",
        "two_metric_files",
        "nonexistent_path",
        "client_side_timestamp",
        "different_metric_types",
        "inconsistent_metrics",
        "histogram",
        "histogram_extra_dimension",
        "summary",
        "summary_extra_dimension",
        "*_extra_dimension",
        "metrics_merge_empty_help",
        "metrics_merge_no_help",
        "metrics_merge_same_help",
        "metrics_merge_different_help",
    };
    const char *found = test_corpus("exposition/node_exporter/textfile");
    OWNED(arena_fini) struct arena a = { 0 };
    struct err e = { 0 };

    SKIP_WITHOUT_CORPUS(found);
    const char *root = arena_cstr(&a, str_c(found));
    FOR_CASES (t, cases) {
        OWNED(buf_fini) struct buf b = { 0 };
        const char *name = **t == '*' ? "glob_extra_dimension" : *t;
        const char *dir = arena_printf(&a, "%s/%s", root, *t).p;
        struct export_node_options o = { .textfile_dirs = &dir, .textfile_dir_count = 1 };
        struct str page = write_page(&a, &o, "textfile"), want;

        // Paths are relative and times are 1 in what is expected.
        while (page.n) {
            struct str line = str_cut(&page, '\n');
            if (str_find(line, STR("node_scrape_collector")) != STR_NPOS ||
                str_find(line, STR("node_exporter_build")) != STR_NPOS)
                continue;
            bool is_time = str_starts(line, STR("node_textfile_mtime_seconds{"));
            for (size_t at; (at = str_find(line, str_c(root))) != STR_NPOS;) {
                buf_str(&b, str_sub(line, 0, at));
                buf_lit(&b, "fixtures/textfile");
                line = str_sub(line, at + strlen(root), line.n);
            }
            if (is_time)
                line = str_sub(line, 0, str_find_char(line, '}') + 1);
            buf_printf(&b, "%.*s%s\n", STRF(line), is_time ? " 1" : "");
        }
        CHECK_OK(file_read(&a, arena_printf(&a, "%s/%s.out", root, name).p, 1 << 20, &want, &e),
                 &e);
        CHECK_F(str_eq(buf_view(&b), want), "%s: got:\n%.*s\nwant:\n%.*s", *t, STRF(buf_view(&b)),
                STRF(want));
    }
}

/* ---- trees of our own ---- */

// Whether a line of the page begins like this.
static bool has(struct str page, const char *line)
{
    while (page.n) {
        if (str_starts(page, str_c(line)))
            return true;
        str_cut(&page, '\n');
    }
    return false;
}

TEST(netdev_and_filters)
{
    OWNED(arena_fini) struct arena a = { 0 };
    const char *dir = file_temp_dir(&a);
    struct err e = { 0 };

    put_file(&a, dir, "proc/net/dev",
             STR("Inter-|   Receive |  Transmit\n face |bytes packets\n"
                 "    lo: 10 1 0 0 0 0 0 0 11 2 0 0 0 0 0 0\n"
                 "  eth0:1000000 5 1 2 3 4 6 7 8 9 10 11 12 13 14 15\n"));
    put_file(&a, dir, "sys/class/net/eth0/statistics/rx_nohandler", STR("3\n"));
    struct export_node_options o = { .procfs = arena_printf(&a, "%s/proc", dir).p,
                                     .sysfs = arena_printf(&a, "%s/sys/", dir).p,
                                     .netdev_exclude = "^lo$" };
    struct str page = write_page(&a, &o, "netdev");
    CHECK(has(page, "node_network_receive_bytes_total{device=\"eth0\"} 1e+06\n"));
    CHECK(has(page, "node_network_transmit_compressed_total{device=\"eth0\"} 15\n"));
    CHECK(has(page, "node_network_receive_nohandler_total{device=\"eth0\"} 3\n"));
    CHECK(has(page, "node_scrape_collector_success{collector=\"netdev\"} 1\n"));
    CHECK(!has(page, "node_network_receive_bytes_total{device=\"lo\"}"));
    CHECK_OK(file_remove_tree(dir, &e), &e);
}

TEST(filesystem_of_a_real_mount)
{
    OWNED(arena_fini) struct arena a = { 0 };
    const char *dir = file_temp_dir(&a);
    struct err e = { 0 };

    put_file(&a, dir, "proc/self/mountinfo",
             STR("22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
                 "23 22 8:2 / /a\\040b ro - ext4 /dev/sda2 rw\n"
                 "24 22 0:5 / /gone rw - ext4 /dev/sdb rw\n"
                 "25 22 0:6 / /proc rw - proc proc rw\nshort line\n"));
    put_file(&a, dir, "root/a b/file", STR(""));
    struct export_node_options o = { .procfs = arena_printf(&a, "%s/proc", dir).p,
                                     .rootfs = arena_printf(&a, "%s/root", dir).p };
    struct str page = write_page(&a, &o, "filesystem");
    CHECK(has(page, "node_filesystem_size_bytes{device=\"/dev/sda1\",device_error=\"\","
                    "fstype=\"ext4\",mountpoint=\"/\"} "));
    CHECK(has(page, "node_filesystem_readonly{device=\"/dev/sda2\",device_error=\"\","
                    "fstype=\"ext4\",mountpoint=\"/a b\"} 1\n"));
    CHECK(has(page, "node_filesystem_device_error{device=\"/dev/sdb\",device_error=\"No such file "
                    "or directory\",fstype=\"ext4\",mountpoint=\"/gone\"} 1\n"));
    CHECK(has(page, "node_filesystem_mount_info{device=\"/dev/sda2\",major=\"8\",minor=\"2\","
                    "mountpoint=\"/a b\"} 1\n"));
    CHECK(!has(page, "node_filesystem_readonly{device=\"proc\""));
    CHECK_OK(file_remove_tree(dir, &e), &e);
}

TEST(cpu_counters_never_go_back)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(export_node_close) struct export_node *n = NULL;
    OWNED(buf_fini) struct buf b = { 0 };
    const char *dir = file_temp_dir(&a);
    struct export_node_options o = { .procfs = dir, .sysfs = dir };
    struct err e = { 0 };
    struct str only = STR("cpu");
    struct export_select s = { .collect = &only, .collect_count = 1 };

    put_file(&a, dir, "stat", STR("cpu 9 9 9 9\ncpu0 100 0 0 1000 50 0 0 0 0 0\n"));
    CHECK_OK(export_node_open(&n, &o, &e), &e);
    CHECK_OK(export_node_write_some(n, &s, EXPO_TEXT, &b, &e), &e);
    put_file(&a, dir, "stat", STR("cpu0 150 0 0 990 20 0 0 0 0 0\n"));
    buf_reset(&b);
    CHECK_OK(export_node_write_some(n, &s, EXPO_TEXT, &b, &e), &e);
    CHECK(has(buf_view(&b), "node_cpu_seconds_total{cpu=\"0\",mode=\"user\"} 1.5\n"));
    CHECK(has(buf_view(&b), "node_cpu_seconds_total{cpu=\"0\",mode=\"idle\"} 10\n"));
    CHECK(has(buf_view(&b), "node_cpu_seconds_total{cpu=\"0\",mode=\"iowait\"} 0.5\n"));
    put_file(&a, dir, "stat",
             STR("cpu0 1 0 0 100 2 0 0 0 0 0\n")); // came back from being unplugged
    buf_reset(&b);
    CHECK_OK(export_node_write_some(n, &s, EXPO_TEXT, &b, &e), &e);
    CHECK(has(buf_view(&b), "node_cpu_seconds_total{cpu=\"0\",mode=\"idle\"} 1\n"));
    CHECK(has(buf_view(&b), "node_cpu_seconds_total{cpu=\"0\",mode=\"iowait\"} 0.02\n"));
    CHECK_OK(file_remove_tree(dir, &e), &e);
}

TEST(absent_files_are_reported_and_harmless)
{
    OWNED(arena_fini) struct arena a = { 0 };
    const char *dir = file_temp_dir(&a);
    struct export_node_options o = { .procfs = dir, .sysfs = dir, .rootfs = dir };
    struct err e = { 0 };
    struct str page = write_page(&a, &o, NULL);

    CHECK(has(page, "node_scrape_collector_success{collector=\"cpu\"} 0\n"));
    CHECK(has(page, "node_scrape_collector_success{collector=\"time\"} 1\n"));
    CHECK(has(page, "node_scrape_collector_duration_seconds{collector=\"vmstat\"} "));
    CHECK_OK(file_remove_tree(dir, &e), &e);
}

TEST(selection_and_options)
{
    const struct {
        struct export_node_options o;
        const char *err;
    } bad[] = {
        { { .disk_exclude = "(" }, "missing closing )" },
        { { .mount_exclude = "a", .mount_include = "b" }, "mutually exclusive" },
        { { .enable = (const char *const[]){ "nonsense" }, .enable_count = 1 },
          "unknown collector \"nonsense\"" },
    };
    OWNED(export_node_close) struct export_node *n = NULL;
    OWNED(buf_fini) struct buf b = { 0 };
    struct str load = STR("loadavg"), stat = STR("stat"), none = STR("nope");
    struct err e = { 0 };

    FOR_CASES (t, bad) {
        CHECK(!export_node_open(&n, &t->o, &e) && !n);
        CHECK_F(strstr(e.text, t->err), "%s", e.text);
    }
    CHECK_OK(export_node_open(&n,
                              &(struct export_node_options){
                                  .disable = (const char *const[]){ "stat" }, .disable_count = 1 },
                              &e),
             &e);
    struct export_select one = { .collect = &load, .collect_count = 1 };
    CHECK_OK(export_node_write_some(n, &one, EXPO_OPENMETRICS, &b, &e), &e);
    CHECK(has(buf_view(&b), "node_load1 "));
    CHECK(!has(buf_view(&b), "node_time_seconds"));
    CHECK(str_ends(buf_view(&b), STR("# EOF\n")));
    buf_reset(&b);
    CHECK(!export_node_write_some(
        n, &(struct export_select){ .collect = &stat, .collect_count = 1 }, EXPO_TEXT, &b, &e));
    CHECK(strcmp(e.text, "disabled collector: stat") == 0);
    CHECK(!export_node_write_some(
        n, &(struct export_select){ .exclude = &none, .exclude_count = 1 }, EXPO_TEXT, &b, &e));
    CHECK(strcmp(e.text, "missing collector: nope") == 0);
    one.exclude = &load;
    one.exclude_count = 1;
    CHECK(!export_node_write_some(n, &one, EXPO_TEXT, &b, &e));
    CHECK(strstr(e.text, "combined collect and exclude") && b.n == 0);
}

TEST(deadline_skips_what_is_left)
{
    OWNED(export_node_close) struct export_node *n = NULL;
    OWNED(buf_fini) struct buf b = { 0 };
    struct clock clock = clock_fake(1000);
    struct err e = { 0 };

    CHECK_OK(export_node_open(&n, &(struct export_node_options){ .clock = &clock }, &e), &e);
    struct export_select s = { .deadline_mono_ns = clock_mono_ns(&clock) };
    CHECK_OK(export_node_write_some(n, &s, EXPO_TEXT, &b, &e), &e);
    CHECK(has(buf_view(&b), "node_scrape_collector_success{collector=\"time\"} 0\n"));
    CHECK(!has(buf_view(&b), "node_time_seconds "));
}

TEST(self_page)
{
    OWNED(buf_fini) struct buf b = { 0 }, om = { 0 };

    export_self_write(EXPO_TEXT, NULL, &b);
    CHECK(has(buf_view(&b), "process_cpu_seconds_total "));
    CHECK(has(buf_view(&b), "process_resident_memory_bytes "));
    CHECK(has(buf_view(&b), "process_open_fds "));
    CHECK(has(buf_view(&b), "process_start_time_seconds "));
    export_self_write(EXPO_OPENMETRICS, "/nonexistent", &om);
    CHECK(!has(buf_view(&om), "process_cpu_seconds_total "));
    CHECK(str_ends(buf_view(&om), STR("# EOF\n")));
}
