// node_hwmon.c - the hwmon collector: sensors below /sys/class/hwmon, named as lm-sensors names them.
// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "export/export_priv.h"

enum { VALUE_MAX = 128 };

struct sensor {
    struct str name, type;
    VEC(struct expo_label) part; // element and its value; "" for the sensor itself
};

struct chip {
    struct export_run *r;
    const char *dir;
    struct str name, file; // file: content of `name`
    VEC(struct sensor) sensors;
};

// Lower case, anything unusual as _, none at the ends.
static struct str clean(struct arena *a, struct str s)
{
    char *p = arena_cstr(a, s);
    size_t from = 0, n = s.n;

    for (size_t i = 0; i < n; i++) {
        if (p[i] >= 'A' && p[i] <= 'Z')
            p[i] = (char)(p[i] + 32);
        if (!((p[i] >= 'a' && p[i] <= 'z') || (p[i] >= '0' && p[i] <= '9') || p[i] == ':'))
            p[i] = '_';
    }
    while (from < n && p[from] == '_')
        from++;
    while (n > from && p[n - 1] == '_')
        n--;
    return str_of(p + from, n - from);
}

// temp1_input: type temp, number 1, element input. False: not of a sensor.
static bool explode(struct str file, struct str *type, struct str *sensor, struct str *element)
{
    static const char *const types[] = {
        "vrm",  "beep_enable", "update_interval", "in",     "cpu",      "fan",       "pwm",
        "temp", "curr",        "power",           "energy", "humidity", "intrusion", "freq"
    };
    size_t digit = 0;

    while (digit < file.n && !(file.p[digit] >= '0' && file.p[digit] <= '9'))
        digit++;
    size_t end = digit;
    while (end < file.n && file.p[end] >= '0' && file.p[end] <= '9')
        end++;
    *sensor = str_sub(file, 0, end);
    *type = str_sub(file, 0, digit);
    *element = end < file.n && file.p[end] == '_' ? str_sub(file, end + 1, file.n) : STR("");
    if (end < file.n && file.p[end] != '_')
        return false;
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (str_eq_c(*type, types[i]))
            return true;
    return false;
}

// Some drivers answer EAGAIN for ever: one read and no more.
static struct str read_once(struct arena *a, const char *path)
{
    char room[VALUE_MAX];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, room, sizeof room);

    file_close(fd);
    if (n < 0)
        return STR_NONE;
    while (n > 0 && room[n - 1] == '\n')
        n--;
    return arena_str(a, str_of(room, (size_t)n));
}

static void gather(struct chip *c, const char *dir)
{
    struct arena *a = c->r->a;
    struct file_list list = node_list(c->r, dir);

    for (size_t i = 0; i < list.n; i++) {
        struct str type, name, element;
        size_t at = 0;
        if (!explode(list.v[i], &type, &name, &element))
            continue;
        struct str value = read_once(a, node_path(c->r, dir, "%.*s", STRF(list.v[i])));
        if (!value.p)
            continue;
        while (at < c->sensors.n && !str_eq(c->sensors.v[at].name, name))
            at++;
        if (at == c->sensors.n)
            *vec_push_in(a, &c->sensors) = (struct sensor){ .name = name, .type = type };
        *vec_push_in(a, &c->sensors.v[at].part) = (struct expo_label){ element, value };
    }
}

static struct str part_of(const struct sensor *s, const char *element)
{
    for (size_t i = 0; i < s->part.n; i++)
        if (str_eq_c(s->part.v[i].name, element))
            return s->part.v[i].value;
    return STR_NONE;
}

struct unit {
    const char *end, *help; // help has %.*s for the element
    double factor;
    enum expo_type type;
};

static bool one_of(struct str s, const char *const *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq_c(s, v[i]))
            return true;
    return false;
}

static struct unit unit_of(struct str type, struct str element)
{
    static const char *const intervals[] = { "average_interval", "average_interval_min",
                                             "average_interval_max" };
    static const char *const turns[] = { "input", "min", "max", "target" };
    static const struct {
        const char *type;
        struct unit unit;
    } units[] = {
        { "in", { "_volts", "Hardware monitor for voltage (%.*s)", 1e-3, EXPO_GAUGE } },
        { "cpu", { "_volts", "Hardware monitor for voltage (%.*s)", 1e-3, EXPO_GAUGE } },
        { "temp", { "_celsius", "Hardware monitor for temperature (%.*s)", 1e-3, EXPO_GAUGE } },
        { "curr", { "_amps", "Hardware monitor for current (%.*s)", 1e-3, EXPO_GAUGE } },
        { "energy",
          { "_joule_total", "Hardware monitor for joules used so far (%.*s)", 1e-6,
            EXPO_COUNTER } },
        { "power",
          { "_watt", "Hardware monitor for power usage in watts (%.*s)", 1e-6, EXPO_GAUGE } },
        { "humidity",
          { "",
            "Hardware monitor for humidity, as a ratio (multiply with 100.0 to get the humidity as "
            "a percentage) (%.*s)",
            1e-6, EXPO_GAUGE } },
    };

    if (str_eq(type, STR("fan")) && one_of(element, turns, ARRAY_LEN(turns)))
        return (struct unit){ "_rpm", "Hardware monitor for fan revolutions per minute (%.*s)", 1,
                              EXPO_GAUGE };
    if (str_eq(type, STR("power")) && str_eq(element, STR("accuracy")))
        return (struct unit){ "", "Hardware monitor power meter accuracy, as a ratio", 1e-6,
                              EXPO_GAUGE };
    if (str_eq(type, STR("power")) && one_of(element, intervals, ARRAY_LEN(intervals)))
        return (struct unit){ "_seconds", "Hardware monitor power usage update interval (%.*s)",
                              1e-3, EXPO_GAUGE };
    for (size_t i = 0; i < ARRAY_LEN(units); i++)
        if (str_eq_c(type, units[i].type) &&
            !(str_eq(type, STR("temp")) && str_eq(element, STR("type"))))
            return units[i].unit;
    return (struct unit){ NULL, NULL, 1, EXPO_GAUGE };
}

static void add_element(struct chip *c, const struct sensor *s, struct str element, double v)
{
    struct arena *a = c->r->a;
    struct expo_label l[] = { { STR("chip"), c->name }, { STR("sensor"), s->name } };
    struct str name = arena_printf(a, "node_hwmon_%.*s", STRF(s->type)), help;
    bool is_input = str_eq(element, STR("input"));
    enum expo_type type = EXPO_GAUGE;

    if (!is_input && element.n)
        name = arena_printf(a, "%.*s_%.*s", STRF(name), STRF(clean(a, element)));
    else if (is_input && part_of(s, "").p)
        name = arena_printf(a, "%.*s_input", STRF(name));
    if (str_eq(element, STR("fault")) || str_eq(element, STR("alarm"))) {
        help = arena_printf(a, "Hardware sensor %.*s status (%.*s)", STRF(element), STRF(s->type));
    } else if (str_eq(element, STR("beep"))) {
        name = arena_printf(a, "%.*s_enabled", STRF(name));
        help = STR("Hardware monitor sensor has beeping enabled");
    } else if (str_eq(s->type, STR("freq")) && is_input) {
        struct str label = part_of(s, "label");
        if (!label.p)
            return;
        name = arena_printf(a, "%.*s_freq_mhz", STRF(name));
        help = STR("Hardware monitor for GPU frequency in MHz");
        l[1].value = clean(a, label);
        v /= 1e6;
    } else {
        struct unit u = unit_of(s->type, element);
        if (!element.n && str_eq(s->type, STR("temp")))
            element = STR("input");
        struct str shown = element;
        help = !u.end ? arena_printf(a, "Hardware monitor %.*s element %.*s", STRF(s->type),
                                     STRF(shown))
               : str_find(str_c(u.help), STR("%")) == STR_NPOS ? str_c(u.help)
                                                               : STR("");
        if (u.end && !help.n) { // the only % is the element's
            struct str before = str_c(u.help), after;
            size_t at = str_find(before, STR("%.*s"));
            after = str_sub(before, at + 4, before.n);
            help = arena_printf(a, "%.*s%.*s%.*s", (int)at, before.p, STRF(shown), STRF(after));
        }
        name = arena_printf(a, "%.*s%s", STRF(name), u.end ? u.end : "");
        v *= u.factor;
        type = u.type;
    }
    export_add(c->r->set, &(struct export_desc){ name.p, arena_cstr(a, help), type }, v, l, 2);
}

// Sensors that are one value of the chip. False: it is another.
static bool add_whole(struct chip *c, const struct sensor *s)
{
    static const struct {
        const char *type;
        struct export_desc d;
        double factor;
    } whole[] = {
        { "beep_enable", { "node_hwmon_beep_enabled", "Hardware beep enabled", EXPO_GAUGE }, 1 },
        { "vrm",
          { "node_hwmon_voltage_regulator_version", "Hardware voltage regulator", EXPO_GAUGE },
          1 },
        { "update_interval",
          { "node_hwmon_update_interval_seconds", "Hardware monitor update interval", EXPO_GAUGE },
          1e-3 },
    };
    struct expo_label l[] = { { STR("chip"), c->name }, { STR("sensor"), s->name } };
    double v;

    for (size_t i = 0; i < ARRAY_LEN(whole); i++) {
        if (!str_eq_c(s->type, whole[i].type))
            continue;
        if (i == 0)
            export_add(c->r->set, &whole[i].d, str_eq(part_of(s, ""), STR("1")), l, 2);
        else if (num_parse_double(part_of(s, ""), &v))
            export_add(c->r->set, &whole[i].d, v * whole[i].factor, l, 2);
        return true;
    }
    return false;
}

static void add_chip(struct chip *c)
{
    static const struct export_desc names = { "node_hwmon_chip_names",
                                              "Annotation metric for human-readable chip names",
                                              EXPO_GAUGE };
    static const struct export_desc labels = { "node_hwmon_sensor_label",
                                               "Label for given chip and sensor", EXPO_GAUGE };
    struct str human = clean(c->r->a, c->file);

    gather(c, c->dir);
    gather(c, node_path(c->r, c->dir, "device"));
    struct expo_label l[] = { { STR("chip"), c->name }, { STR("chip_name"), human } };
    if (human.n && c->sensors.n)
        export_add(c->r->set, &names, 1, l, 2);
    for (size_t i = 0; i < c->sensors.n; i++) {
        const struct sensor *s = &c->sensors.v[i];
        struct str label = part_of(s, "label");
        struct expo_label own[] = { { STR("chip"), c->name },
                                    { STR("sensor"), s->name },
                                    { STR("label"), label } };
        double v;
        if (label.p && str_is_utf8(label))
            export_add(c->r->set, &labels, 1, own, 3);
        if (add_whole(c, s))
            continue;
        for (size_t k = 0; k < s->part.n; k++)
            if (!str_eq(s->part.v[k].name, STR("label")) &&
                num_parse_double(s->part.v[k].value, &v))
                add_element(c, s, s->part.v[k].name, v);
    }
}

static struct str last_of(struct str path, struct str *before)
{
    size_t slash = str_rfind_char(path, '/');

    *before = slash == STR_NPOS ? STR("") : str_sub(path, 0, slash);
    return slash == STR_NPOS ? path : str_sub(path, slash + 1, path.n);
}

// By its device's place, which does not change with the order of loading; else by its own name.
static struct str base_name(struct chip *c)
{
    struct arena *a = c->r->a;
    char real[4096];
    struct str rest;

    if (realpath(node_path(c->r, c->dir, "device"), real)) {
        struct str device = clean(a, last_of(str_c(real), &rest));
        struct str bus = clean(a, last_of(rest, &rest));
        if (device.n && bus.n)
            return arena_printf(a, "%.*s_%.*s", STRF(bus), STRF(device));
        if (device.n)
            return device;
    }
    struct str name = clean(a, c->file);
    if (name.n || !realpath(c->dir, real))
        return name;
    return clean(a, last_of(arena_str(a, str_c(real)), &rest));
}

bool node_hwmon(struct export_run *r, struct err *e)
{
    const char *dir = node_path(r, r->node->o.sysfs, "class/hwmon");
    struct file_list list;

    if (!file_list(r->a, dir, &list, e))
        return false;
    struct chip *chips = arena_array(r->a, list.n, struct chip);
    for (size_t i = 0; i < list.n; i++) {
        struct chip *c = &chips[i];
        *c = (struct chip){ .r = r, .dir = node_path(r, dir, "%.*s", STRF(list.v[i])) };
        c->file = node_read_word(r, node_path(r, c->dir, "name"));
        c->name = base_name(c);
    }
    for (size_t i = 0; i < list.n; i++) {
        size_t same = 0, same_file = 0;
        for (size_t k = 0; k < list.n; k++) {
            same += str_eq(chips[k].name, chips[i].name);
            same_file += str_eq(chips[k].name, chips[i].name) &&
                         str_eq(chips[k].file, chips[i].file);
        }
        struct chip one = chips[i];
        if (same > 1) {
            struct str end = clean(r->a, one.file);
            if (!end.n || same_file > 1)
                end = clean(r->a, list.v[i]);
            one.name = arena_printf(r->a, "%.*s_%.*s", STRF(one.name), STRF(end));
        }
        if (one.name.n)
            add_chip(&one);
    }
    return true;
}
