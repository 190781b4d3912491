/*
 * node_systemd.c - the systemd collector: units and their states, over the system bus.
 *
 * libsystemd (sd-bus) is loaded on first use, as libpq is: a host without systemd needs none of it.
 */
// SPDX-License-Identifier: Apache-2.0
#include <dlfcn.h>

#include "export/export_priv.h"

struct bus;
struct message;

struct bus_api {
    void *handle;
    int (*open_system)(struct bus **out);
    struct bus *(*close)(struct bus *b);
    int (*set_timeout)(struct bus *b, uint64_t usec);
    int (*call)(struct bus *b, const char *to, const char *path, const char *face,
                const char *member, void *error, struct message **reply, const char *types, ...);
    int (*get_string)(struct bus *b, const char *to, const char *path, const char *face,
                      const char *member, void *error, char **out);
    int (*get_trivial)(struct bus *b, const char *to, const char *path, const char *face,
                       const char *member, void *error, char type, void *out);
    int (*enter)(struct message *m, char type, const char *contents);
    int (*read)(struct message *m, const char *types, ...);
    int (*leave)(struct message *m);
    struct message *(*unref)(struct message *m);
    void (*release)(void *p); // of the texts that sd-bus hands out
};

static const char manager[] = "org.freedesktop.systemd1";
static const char manager_path[] = "/org/freedesktop/systemd1";

static bool api_open(struct bus_api *a, struct err *e)
{
    struct {
        const char *name;
        void *to;
    } f[] = { { "sd_bus_open_system", &a->open_system },
              { "sd_bus_flush_close_unref", &a->close },
              { "sd_bus_set_method_call_timeout", &a->set_timeout },
              { "sd_bus_call_method", &a->call },
              { "sd_bus_get_property_string", &a->get_string },
              { "sd_bus_get_property_trivial", &a->get_trivial },
              { "sd_bus_message_enter_container", &a->enter },
              { "sd_bus_message_read", &a->read },
              { "sd_bus_message_exit_container", &a->leave },
              { "sd_bus_message_unref", &a->unref },
              { "free", &a->release } };

    a->handle = dlopen("libsystemd.so.0", RTLD_NOW | RTLD_LOCAL);
    if (!a->handle)
        return err_set(e, ERR_NOT_FOUND, "libsystemd is not installed");
    for (size_t i = 0; i < ARRAY_LEN(f); i++) {
        void *p = dlsym(a->handle, f[i].name);
        if (!p)
            return err_set(e, ERR_UNSUPPORTED, "libsystemd has no %s", f[i].name);
        memcpy(f[i].to, &p, sizeof p);
    }
    return true;
}

struct unit {
    const char *name, *state, *path;
};

static const char *const states[] = { "active", "activating", "deactivating", "inactive",
                                      "failed" };

static void add_unit(struct export_run *r, const struct bus_api *a, struct bus *b,
                     const struct unit *u)
{
    static const struct export_desc d = { "node_systemd_unit_state", "Systemd unit", EXPO_GAUGE };
    static const struct export_desc start = { "node_systemd_unit_start_time_seconds",
                                              "Start time of the unit since unix epoch in seconds.",
                                              EXPO_GAUGE };
    static const struct export_desc timer = { "node_systemd_timer_last_trigger_seconds",
                                              "Seconds since epoch of last trigger.", EXPO_GAUGE };
    bool service = str_ends(str_c(u->name), STR(".service"));
    struct expo_label l[] = { { STR("name"), str_c(u->name) },
                              { STR("state"), STR("") },
                              { STR("type"), STR("") } };
    char *type = NULL;
    uint64_t usec = 0;

    if (service && a->get_string(b, manager, u->path, "org.freedesktop.systemd1.Service", "Type",
                                 NULL, &type) >= 0) {
        l[2].value = arena_str(r->a, str_c(type));
        a->release(type);
    }
    for (size_t i = 0; i < ARRAY_LEN(states); i++) {
        l[1].value = str_c(states[i]);
        export_add(r->set, &d, strcmp(states[i], u->state) == 0, l, 3);
    }
    if (a->get_trivial(b, manager, u->path, "org.freedesktop.systemd1.Unit", "ActiveEnterTimestamp",
                       NULL, 't', &usec) >= 0)
        export_add(r->set, &start, strcmp(u->state, "active") == 0 ? (double)usec / 1e6 : 0, l, 1);
    if (str_ends(l[0].value, STR(".timer")) &&
        a->get_trivial(b, manager, u->path, "org.freedesktop.systemd1.Timer", "LastTriggerUSec",
                       NULL, 't', &usec) >= 0)
        export_add(r->set, &timer, (double)usec / 1e6, l, 1);
}

// Units of kinds that come and go with devices and mounts are left out, as by upstream's default.
static bool is_wanted(const struct export_run *r, struct str name)
{
    static const char *const without[] = { ".automount", ".device", ".mount", ".scope", ".slice" };

    if (r->node->unit.exclude || r->node->unit.include)
        return !node_filter_drops(&r->node->unit, name);
    for (size_t i = 0; i < ARRAY_LEN(without); i++)
        if (str_ends(name, str_c(without[i])))
            return false;
    return true;
}

static bool list_units(struct export_run *r, const struct bus_api *a, struct bus *b, struct err *e)
{
    static const struct export_desc count = { "node_systemd_units",
                                              "Summary of systemd unit states", EXPO_GAUGE };
    double by_state[ARRAY_LEN(states)] = { 0 };
    struct message *m = NULL;
    VEC(struct unit) units = { 0 };
    const char *s[9];
    uint32_t job;

    if (a->call(b, manager, manager_path, "org.freedesktop.systemd1.Manager", "ListUnits", NULL, &m,
                "") < 0)
        return err_set(e, ERR_UNAVAILABLE, "couldn't get units: ListUnits failed");
    if (a->enter(m, 'a', "(ssssssouso)") < 0) {
        a->unref(m);
        return err_set(e, ERR_INVALID, "couldn't get units: unexpected answer");
    }
    while (a->read(m, "(ssssssouso)", &s[0], &s[1], &s[2], &s[3], &s[4], &s[5], &s[6], &job, &s[7],
                   &s[8]) > 0) {
        for (size_t i = 0; i < ARRAY_LEN(states); i++)
            by_state[i] += strcmp(s[3], states[i]) == 0;
        if (strcmp(s[2], "loaded") == 0 && is_wanted(r, str_c(s[0])))
            *vec_push_in(r->a, &units) = (struct unit){ arena_cstr(r->a, str_c(s[0])),
                                                        arena_cstr(r->a, str_c(s[3])),
                                                        arena_cstr(r->a, str_c(s[6])) };
    }
    a->unref(m);
    for (size_t i = 0; i < ARRAY_LEN(states); i++) {
        struct expo_label l = { STR("state"), str_c(states[i]) };
        export_add(r->set, &count, by_state[i], &l, 1);
    }
    for (size_t i = 0; i < units.n; i++)
        add_unit(r, a, b, &units.v[i]);
    return true;
}

static bool collect(struct export_run *r, const struct bus_api *a, struct bus *b, struct err *e)
{
    static const struct export_desc running = {
        "node_systemd_system_running",
        "Whether the system is operational (see 'systemctl is-system-running')", EXPO_GAUGE
    };
    static const struct export_desc version = { "node_systemd_version", "Detected systemd version",
                                                EXPO_GAUGE };
    char *text = NULL;
    double v;

    a->set_timeout(b, 5000000);
    if (a->get_string(b, manager, manager_path, "org.freedesktop.systemd1.Manager", "Version", NULL,
                      &text) < 0)
        return err_set(e, ERR_UNAVAILABLE, "couldn't get systemd version");
    struct str s = arena_str(r->a, str_c(text)), digits = s;
    a->release(text);
    for (digits.n = 0; digits.n < s.n &&
                       ((s.p[digits.n] >= '0' && s.p[digits.n] <= '9') || s.p[digits.n] == '.');)
        digits.n++;
    struct expo_label l = { STR("version"), s };
    if (num_parse_double(digits, &v))
        export_add(r->set, &version, v, &l, 1);
    if (a->get_string(b, manager, manager_path, "org.freedesktop.systemd1.Manager", "SystemState",
                      NULL, &text) >= 0) {
        export_add(r->set, &running, strcmp(text, "running") == 0, NULL, 0);
        a->release(text);
    }
    return list_units(r, a, b, e);
}

bool node_systemd(struct export_run *r, struct err *e)
{
    struct bus_api a = { 0 };
    struct bus *b = NULL;
    bool ok = api_open(&a, e);

    if (ok && a.open_system(&b) < 0)
        ok = err_set(e, ERR_UNAVAILABLE, "couldn't get dbus connection");
    ok = ok && collect(r, &a, b, e);
    if (b)
        a.close(b);
    if (a.handle)
        dlclose(a.handle);
    return ok;
}
