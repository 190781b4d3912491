// export_blackbox.c - flags of blackbox_exporter.
// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include <sys/stat.h>

#include "app/export_command.h"
#include "base/log.h"
#include "base/num.h"
#include "export/blackbox.h"

static const char group[] = "Probes";

static const struct flag flags[] = {
    { "config.file", FLAG_TEXT, "blackbox.yml", "modules; what is built in when it is absent",
      group, FLAG_ACTS },
    { "timeout-offset", FLAG_TEXT, "0.5", "seconds taken off the scraper's timeout", group,
      FLAG_ACTS },
    { "config.check", FLAG_BOOL, "false", "check the file and exit", group, FLAG_ACTS },
    { "history.limit", FLAG_INT, "100", "probes remembered", group, FLAG_ACTS },
    { "probe.allow", FLAG_LIST, "",
      "network that may be probed (10.0.0.0/8); may repeat; none: all", group, FLAG_ACTS },
    { "log.prober", FLAG_TEXT, "info", NULL, NULL, FLAG_IGNORED },
    { "config.enable-auto-reload", FLAG_BOOL, "false", NULL, NULL, FLAG_IGNORED },
    { "config.auto-reload-interval", FLAG_INT, "30", NULL, NULL, FLAG_IGNORED },
};

// Compose files mount a folder where the file is missing: that is no file either.
static const char *config_path(const struct flags *f)
{
    const char *path = flags_text(f, "config.file").p;
    struct stat st;

    if (stat(path, &st) == 0 && !S_ISDIR(st.st_mode))
        return path;
    if (flags_get(f, "config.file")->given && stat(path, &st) != 0)
        return path; // says what is wrong with it
    log_info("export", "no configuration file, using the modules built in", KV("path", path));
    return NULL;
}

static bool open_blackbox(struct exporter **out, const struct flags *f, struct err *e)
{
    OWNED(arena_fini) struct arena a = { 0 };
    struct export_blackbox_options o = {
        .config_path = config_path(f),
        .history_max = (size_t)MAX(flags_int(f, "history.limit"), INT64_C(1)),
    };

    if (!num_parse_double(flags_text(f, "timeout-offset"), &o.timeout_offset_s))
        return err_set(e, ERR_INVALID, "--timeout-offset: expected seconds such as 0.5");
    o.allow = export_flag_list(f, &a, "probe.allow", &o.allow_count);
    if (!export_blackbox_open(out, &o, e))
        return false;
    if (flags_bool(f, "config.check")) {
        exporter_close(*out);
        *out = NULL;
        puts("Config file is ok exiting...");
    }
    return true;
}

const struct export_kind export_kind_blackbox = {
    .name = "blackbox",
    .binaries = { "blackbox_exporter", "blackbox-exporter" },
    .title = "Blackbox Exporter",
    .listen = ":9115",
    .flags = flags,
    .flag_count = ARRAY_LEN(flags),
    .open = open_blackbox,
    .threads = 64,
};
