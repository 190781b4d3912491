/*
 * tmpl_alertmanager.c - the function table of Alertmanager; Data, Alerts, KV and their methods.
 */
// SPDX-License-Identifier: Apache-2.0
#include "template/tmpl_alertmanager.h"

#include "base/time.h"
#include "base/zone.h"
#include "codec/base64.h"
#include "template/tmpl_human.h"
#include "template/tmpl_priv.h"

enum { ROUTE_LABELS_DEEP = 16 };

// ctx of the functions.
struct note_ctx {
    const struct tmpl_note_run *run;
    const struct tmpl_options *options;
    struct str stack[ROUTE_LABELS_DEEP]; // route labels being expanded
    size_t stack_n;
};

/* ---- KV and pairs ---- */

static const struct tmpl_type type_strings_named; // template.Strings
static const struct tmpl_type type_pairs, type_kv;

static const struct tmpl_field pair_fields[] = { { "Name", "Name", &tmpl_string, false },
                                                 { "Value", "Value", &tmpl_string, false } };
static const struct tmpl_type type_pair = { .name = "template.Pair",
                                            .kind = TMPL_STRUCT,
                                            .field = pair_fields,
                                            .field_count = ARRAY_LEN(pair_fields) };

// As SortedPairs: alertname first, the others by name.
static struct tmpl_value sorted_pairs(struct arena *a, const struct tmpl_value *kv)
{
    struct tmpl_value *v = arena_array(a, kv->map.n + 1, struct tmpl_value);
    size_t n = 0;

    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < kv->map.n; i++) {
            struct tmpl_value pair[] = { tmpl_of_str(kv->map.v[i].key), kv->map.v[i].value };
            if (str_eq(pair[0].s, STR("alertname")) == (pass == 0))
                v[n++] = tmpl_of_fields(a, &type_pair, pair);
        }
    return (struct tmpl_value){ .type = &type_pairs, .list = { v, n } };
}

static TMPL_FN(kv_sorted_pairs)
{
    (void)n;
    *out = sorted_pairs(c->arena, &arg[0]);
    return tmpl_charge(c, arg[0].map.n * 3 * sizeof *arg);
}

// Names (field 0) or values (field 1) of pairs.
static bool column(struct tmpl_call *c, const struct tmpl_value *pairs, size_t field,
                   struct tmpl_value *out)
{
    struct tmpl_value *v = arena_array(c->arena, pairs->list.n + 1, struct tmpl_value);

    for (size_t i = 0; i < pairs->list.n; i++)
        v[i] = pairs->list.v[i].field[field];
    *out = (struct tmpl_value){ .type = &type_strings_named, .list = { v, pairs->list.n } };
    return tmpl_charge(c, pairs->list.n * sizeof *v);
}

static TMPL_FN(pairs_names)
{
    (void)n;
    return column(c, &arg[0], 0, out);
}

static TMPL_FN(pairs_values)
{
    (void)n;
    return column(c, &arg[0], 1, out);
}

static TMPL_FN(kv_names)
{
    struct tmpl_value pairs = sorted_pairs(c->arena, &arg[0]);

    (void)n;
    return column(c, &pairs, 0, out);
}

static TMPL_FN(kv_values)
{
    struct tmpl_value pairs = sorted_pairs(c->arena, &arg[0]);

    (void)n;
    return column(c, &pairs, 1, out);
}

static bool is_listed(const struct tmpl_value *list, struct str s)
{
    for (size_t i = 0; i < list->list.n; i++)
        if (str_eq(list->list.v[i].s, s))
            return true;
    return false;
}

static TMPL_FN(kv_remove)
{
    struct tmpl_pair *v = arena_array(c->arena, arg[0].map.n + 1, struct tmpl_pair);
    size_t kept = 0;

    (void)n;
    if (!tmpl_charge(c, arg[0].map.n * sizeof *v))
        return false;
    for (size_t i = 0; i < arg[0].map.n; i++)
        if (!is_listed(&arg[1], arg[0].map.v[i].key))
            v[kept++] = arg[0].map.v[i];
    *out = (struct tmpl_value){ .type = &type_kv, .map = { v, kept } };
    return true;
}

static void print_pairs(struct buf *b, const struct tmpl_value *v)
{
    for (size_t i = 0; i < v->list.n; i++) {
        const struct tmpl_value *pair = v->list.v[i].field;
        buf_printf(b, "%s%.*s=%.*s", i ? ", " : "", STRF(pair[0].s), STRF(pair[1].s));
    }
}

static void print_kv(struct buf *b, const struct tmpl_value *v)
{
    OWNED(arena_fini) struct arena a = { 0 };
    struct tmpl_value pairs = sorted_pairs(&a, v);

    print_pairs(b, &pairs);
}

// The text of a value's own String().
static TMPL_FN(any_string)
{
    OWNED(buf_fini) struct buf b = { 0 };

    (void)n;
    arg[0].type->print(&b, &arg[0]);
    return tmpl_give_str(c, buf_view(&b), out);
}

static bool join(struct tmpl_call *c, struct str sep, const struct tmpl_value *list,
                 struct tmpl_value *out)
{
    OWNED(buf_fini) struct buf b = { 0 };
    uint64_t bytes = 0;

    for (size_t i = 0; i < list->list.n; i++)
        bytes += list->list.v[i].s.n + sep.n;
    if (!tmpl_charge(c, bytes))
        return false;
    for (size_t i = 0; i < list->list.n; i++) {
        buf_str(&b, i ? sep : STR_NONE);
        buf_str(&b, list->list.v[i].s);
    }
    return tmpl_give_str(c, buf_view(&b), out);
}

static TMPL_FN(strings_join)
{
    (void)n;
    return join(c, arg[1].s, &arg[0], out);
}

static const struct tmpl_function strings_methods[] = {
    { "Join", strings_join, { &tmpl_string }, NULL },
};
static const struct tmpl_type type_strings_named = { .name = "template.Strings",
                                                     .kind = TMPL_LIST,
                                                     .elem = &tmpl_string,
                                                     .method = strings_methods,
                                                     .method_count = 1 };
static const struct tmpl_function pairs_methods[] = {
    { "Names", pairs_names, { NULL }, NULL },
    { "Values", pairs_values, { NULL }, NULL },
    { "String", any_string, { NULL }, NULL },
};
static const struct tmpl_type type_pairs = { .name = "template.Pairs",
                                             .kind = TMPL_LIST,
                                             .elem = &type_pair,
                                             .method = pairs_methods,
                                             .method_count = ARRAY_LEN(pairs_methods),
                                             .print = print_pairs };
static const struct tmpl_function kv_methods[] = {
    { "SortedPairs", kv_sorted_pairs, { NULL }, NULL },
    { "Remove", kv_remove, { &tmpl_strings }, NULL },
    { "Names", kv_names, { NULL }, NULL },
    { "Values", kv_values, { NULL }, NULL },
    { "String", any_string, { NULL }, NULL },
};
static const struct tmpl_type type_kv = { .name = "template.KV",
                                          .kind = TMPL_MAP,
                                          .elem = &tmpl_string,
                                          .method = kv_methods,
                                          .method_count = ARRAY_LEN(kv_methods),
                                          .print = print_kv };

/* ---- alerts and data ---- */

static const struct tmpl_field alert_fields[] = {
    { "Status", "status", &tmpl_string, false },
    { "Labels", "labels", &type_kv, false },
    { "Annotations", "annotations", &type_kv, false },
    { "StartsAt", "startsAt", &tmpl_time, false },
    { "EndsAt", "endsAt", &tmpl_time, false },
    { "GeneratorURL", "generatorURL", &tmpl_string, false },
    { "Fingerprint", "fingerprint", &tmpl_string, false },
};
static const struct tmpl_type type_alert = { .name = "template.Alert",
                                             .kind = TMPL_STRUCT,
                                             .field = alert_fields,
                                             .field_count = ARRAY_LEN(alert_fields) };
static const struct tmpl_type type_alert_list = { .name = "[]template.Alert",
                                                  .kind = TMPL_LIST,
                                                  .elem = &type_alert };

static bool of_status(struct tmpl_call *c, const struct tmpl_value *alerts, struct str status,
                      struct tmpl_value *out)
{
    struct tmpl_value *v = arena_array(c->arena, alerts->list.n + 1, struct tmpl_value);
    size_t n = 0;

    for (size_t i = 0; i < alerts->list.n; i++)
        if (str_eq(alerts->list.v[i].field[0].s, status))
            v[n++] = alerts->list.v[i];
    *out = (struct tmpl_value){ .type = &type_alert_list, .list = { v, n } };
    return tmpl_charge(c, n * sizeof *v);
}

static TMPL_FN(alerts_firing)
{
    (void)n;
    return of_status(c, &arg[0], STR("firing"), out);
}

static TMPL_FN(alerts_resolved)
{
    (void)n;
    return of_status(c, &arg[0], STR("resolved"), out);
}

static const struct tmpl_function alerts_methods[] = {
    { "Firing", alerts_firing, { NULL }, NULL },
    { "Resolved", alerts_resolved, { NULL }, NULL },
};
static const struct tmpl_type type_alerts = { .name = "template.Alerts",
                                              .kind = TMPL_LIST,
                                              .elem = &type_alert,
                                              .method = alerts_methods,
                                              .method_count = ARRAY_LEN(alerts_methods) };
static const struct tmpl_field data_fields[] = {
    { "Receiver", "receiver", &tmpl_string, false },
    { "Status", "status", &tmpl_string, false },
    { "Alerts", "alerts", &type_alerts, false },
    { "NotificationReason", "notification_reason", &tmpl_string, false },
    { "GroupLabels", "groupLabels", &type_kv, false },
    { "CommonLabels", "commonLabels", &type_kv, false },
    { "CommonAnnotations", "commonAnnotations", &type_kv, false },
    { "RouteLabels", "routeLabels", &type_kv, false },
    { "ExternalURL", "externalURL", &tmpl_string, false },
};
static const struct tmpl_type type_data = { .name = "template.Data",
                                            .kind = TMPL_STRUCT,
                                            .field = data_fields,
                                            .field_count = ARRAY_LEN(data_fields) };
static const struct tmpl_type type_data_pointer = { .name = "*template.Data",
                                                    .kind = TMPL_POINTER,
                                                    .elem = &type_data };

// Absent labels are a nil map, which JSON shows as null.
static struct tmpl_value kv_of(struct arena *a, struct labels ls)
{
    struct tmpl_value v = { .type = &type_kv };

    if (!ls.v)
        return v;
    struct tmpl_pair *pairs = arena_array(a, ls.n + 1, struct tmpl_pair);
    for (size_t i = 0; i < ls.n; i++)
        pairs[i] = (struct tmpl_pair){ ls.v[i].name, tmpl_of_str(ls.v[i].value) };
    v.map = (struct tmpl_map){ pairs, ls.n };
    return v;
}

static struct tmpl_value time_of(struct arena *a, int64_t ns)
{
    int64_t s = floor_div(ns, NS_SECOND);

    if (!ns)
        return tmpl_of_time(a, -62135596800, 0);
    return tmpl_of_time(a, s, (int32_t)(ns - s * NS_SECOND));
}

static struct tmpl_value alert_of(struct arena *a, const struct tmpl_note_alert *n)
{
    struct tmpl_value v[] = { tmpl_of_str(n->resolved ? STR("resolved") : STR("firing")),
                              kv_of(a, n->labels),
                              kv_of(a, n->annotations),
                              time_of(a, n->starts_ns),
                              time_of(a, n->ends_ns),
                              tmpl_of_str(n->generator_url),
                              tmpl_of_str(n->fingerprint) };

    return tmpl_of_fields(a, &type_alert, v);
}

struct tmpl_value tmpl_of_note(struct arena *a, const struct tmpl_note *n)
{
    struct tmpl_value *alerts = arena_array(a, n->alert_count + 1, struct tmpl_value);

    for (size_t i = 0; i < n->alert_count; i++)
        alerts[i] = alert_of(a, &n->alerts[i]);
    struct tmpl_value v[] = {
        tmpl_of_str(n->receiver),
        tmpl_of_str(n->status),
        { .type = &type_alerts, .list = { n->alerts ? alerts : NULL, n->alert_count } },
        tmpl_of_str(n->reason),
        kv_of(a, n->group_labels),
        kv_of(a, n->common_labels),
        kv_of(a, n->common_annotations),
        kv_of(a, n->route_labels),
        tmpl_of_str(n->external_url),
    };
    return tmpl_pointer_to(a, &type_data_pointer, tmpl_of_fields(a, &type_data, v));
}

/* ---- functions: text ---- */

static TMPL_FN(fn_trim_space)
{
    (void)c, (void)n;
    *out = tmpl_of_str(str_trim(arg[0].s));
    return true;
}

static TMPL_FN(fn_join)
{
    (void)n;
    return join(c, arg[0].s, &arg[1], out);
}

static const struct tmpl_type type_url = { .name = "template.URL", .kind = TMPL_STRING };

static TMPL_FN(fn_safe_url)
{
    (void)c, (void)n;
    *out = arg[0];
    out->type = &type_url;
    return true;
}

static int hex_digit(char ch)
{
    if (ch >= '0' && ch <= '9')
        return ch - '0';
    return (ch | 32) >= 'a' && (ch | 32) <= 'f' ? (ch | 32) - 'a' + 10 : -1;
}

// As url.QueryUnescape.
static TMPL_FN(fn_url_unescape)
{
    OWNED(buf_fini) struct buf b = { 0 };
    struct str s = arg[0].s;

    (void)n;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '%') {
            int hi = i + 1 < s.n ? hex_digit(s.p[i + 1]) : -1;
            int lo = i + 2 < s.n ? hex_digit(s.p[i + 2]) : -1;
            if (hi < 0 || lo < 0) {
                buf_reset(&b);
                buf_quoted(&b, str_sub(s, i, i + 3));
                return tmpl_fail(c, "invalid URL escape %.*s", STRF(buf_view(&b)));
            }
            buf_char(&b, (char)(hi << 4 | lo));
            i += 2;
        } else {
            buf_char(&b, s.p[i] == '+' ? ' ' : s.p[i]);
        }
    }
    return tmpl_give_str(c, buf_view(&b), out);
}

static TMPL_FN(fn_string_slice)
{
    *out = (struct tmpl_value){ .type = &tmpl_strings,
                                .list = { arena_copy(c->arena, arg, (n + 1) * sizeof *arg), n } };
    return true;
}

static TMPL_FN(fn_to_json)
{
    OWNED(buf_fini) struct buf b = { 0 };
    const char *why = NULL;

    (void)n;
    if (!tmpl_json(&b, &arg[0], &why))
        return tmpl_fail(c, "%s", why);
    return tmpl_give_str(c, buf_view(&b), out);
}

static TMPL_FN(fn_base64_encode)
{
    OWNED(buf_fini) struct buf b = { 0 };

    (void)n;
    buf_base64(&b, arg[0].s);
    for (size_t i = 0; i < b.n; i++)
        b.p[i] = b.p[i] == '+' ? '-' : b.p[i] == '/' ? '_' : b.p[i];
    return tmpl_give_str(c, buf_view(&b), out);
}

static TMPL_FN(fn_base64_decode)
{
    OWNED(buf_fini) struct buf b = { 0 };

    (void)n;
    if (!base64_decode(arg[0].s, &b))
        return tmpl_fail(c, "illegal base64 data");
    return tmpl_give_str(c, buf_view(&b), out);
}

/* ---- functions: lists and maps ---- */

static TMPL_FN(fn_list)
{
    *out = (struct tmpl_value){ .type = &tmpl_any_list,
                                .list = { arena_copy(c->arena, arg, (n + 1) * sizeof *arg), n } };
    return true;
}

static TMPL_FN(fn_append)
{
    size_t before = arg[0].list.n;

    if (!tmpl_charge(c, (before + n) * sizeof *arg))
        return false;
    struct tmpl_value *v = arena_array(c->arena, before + n, struct tmpl_value);
    if (before)
        memcpy(v, arg[0].list.v, before * sizeof *v);
    memcpy(v + before, arg + 1, (n - 1) * sizeof *v);
    *out = (struct tmpl_value){ .type = &tmpl_any_list, .list = { v, before + n - 1 } };
    return true;
}

static TMPL_FN(fn_dict)
{
    struct tmpl_pair *v = arena_array(c->arena, n / 2 + 1, struct tmpl_pair);

    if (n % 2)
        return tmpl_fail(c, "dict requires an even number of arguments");
    for (size_t i = 0; i < n; i += 2) {
        if (arg[i].type != &tmpl_string)
            return tmpl_fail(c, "dict keys must be strings");
        v[i / 2] = (struct tmpl_pair){ arg[i].s, arg[i + 1] };
    }
    *out = tmpl_of_pairs(&tmpl_any_map, v, n / 2);
    return true;
}

/* ---- functions: times ---- */

static TMPL_FN(fn_date)
{
    OWNED(buf_fini) struct buf b = { 0 };

    (void)n;
    if (!tmpl_charge(c, arg[0].s.n * 8))
        return false;
    tmpl_time_format(&b, arg[1].instant, arg[0].s);
    return tmpl_give_str(c, buf_view(&b), out);
}

static TMPL_FN(fn_tz)
{
    struct tmpl_instant *t = arena_copy(c->arena, arg[1].instant, sizeof *t);
    const struct zone *z;
    struct err e = { 0 };

    (void)n;
    if (!zone_load(c->arena, arg[0].s, &z, &e))
        return tmpl_fail(c, "%s", e.text);
    t->offset_s = zone_offset(z, t->s, &t->zone);
    *out = (struct tmpl_value){ .type = &tmpl_time, .instant = t };
    return true;
}

static int64_t now_ms(const struct tmpl_call *c)
{
    return ((const struct note_ctx *)c->ctx)->run->now_ms;
}

static TMPL_FN(fn_now)
{
    int64_t ms = now_ms(c), s = floor_div(ms, 1000);

    (void)arg, (void)n;
    *out = tmpl_of_time(c->arena, s, (int32_t)(ms - s * 1000) * 1000000);
    return true;
}

static TMPL_FN(fn_since)
{
    const struct tmpl_instant *t = arg[0].instant;
    int64_t ns;

    (void)n;
    if (__builtin_mul_overflow(floor_div(now_ms(c), 1000) - t->s, NS_SECOND, &ns))
        ns = now_ms(c) / 1000 < t->s ? INT64_MIN : INT64_MAX;
    else
        ns += (now_ms(c) - floor_div(now_ms(c), 1000) * 1000) * NS_MS - t->ns;
    *out = (struct tmpl_value){ .type = &tmpl_duration, .i = ns };
    return true;
}

static TMPL_FN(fn_to_date)
{
    struct tmpl_instant *t = arena_new(c->arena, struct tmpl_instant);
    struct str why;

    (void)n;
    if (!tmpl_time_parse(c->arena, arg[0].s, arg[1].s, t, &why))
        *t = (struct tmpl_instant){ .s = -62135596800 };
    *out = (struct tmpl_value){ .type = &tmpl_time, .instant = t };
    return true;
}

static TMPL_FN(fn_must_to_date)
{
    struct tmpl_instant *t = arena_new(c->arena, struct tmpl_instant);
    struct str why;

    (void)n;
    if (!tmpl_time_parse(c->arena, arg[0].s, arg[1].s, t, &why))
        return tmpl_fail(c, "%.*s", STRF(why));
    *out = (struct tmpl_value){ .type = &tmpl_time, .instant = t };
    return true;
}

/* ---- route labels ---- */

static bool fail_cycle(struct tmpl_call *c, const struct note_ctx *x, struct str name)
{
    OWNED(buf_fini) struct buf b = { 0 };

    for (size_t i = 0; i < x->stack_n; i++)
        buf_printf(&b, "%.*s -> ", STRF(x->stack[i]));
    return tmpl_fail(c, "route label cycle detected: %.*s%.*s", STRF(buf_view(&b)), STRF(name));
}

// The label of the route, expanded like a text of the receiver.
static TMPL_FN(fn_route_labels)
{
    struct note_ctx *x = c->ctx;
    OWNED(gotemplate_set_fini) struct gotemplate_set set = { .base = x->run->base };
    OWNED(buf_fini) struct buf b = { 0 };
    struct str name = arg[0].s, text = labels_get(x->run->route_labels, name);
    struct err e = { 0 };

    (void)n;
    for (size_t i = 0; i < x->stack_n; i++)
        if (str_eq(x->stack[i], name))
            return fail_cycle(c, x, name);
    if (x->stack_n == ROUTE_LABELS_DEEP)
        return tmpl_fail(c, "route labels nested deeper than %d", ROUTE_LABELS_DEEP);
    set.has_function = tmpl_alertmanager_has_function;
    if (!gotemplate_parse(&set, STR(""), text, &e))
        return tmpl_fail(c, "%.*s", STRF(set.error));
    x->stack[x->stack_n++] = name;
    bool ok = tmpl_run_inner(c, &set, STR(""), x->run->data, &b);
    x->stack_n--;
    return ok && tmpl_give_str(c, buf_view(&b), out);
}

const struct tmpl_function tmpl_alertmanager_functions[] = {
    { "append", fn_append, { &tmpl_any_list }, &tmpl_any },
    { "base64decode", fn_base64_decode, { &tmpl_string }, NULL },
    { "base64encode", fn_base64_encode, { &tmpl_string }, NULL },
    { "date", fn_date, { &tmpl_string, &tmpl_time }, NULL },
    { "dict", fn_dict, { NULL }, &tmpl_any },
    { "humanizeDuration", tmpl_fn_humanize_duration, { &tmpl_any }, NULL },
    { "join", fn_join, { &tmpl_string, &tmpl_strings }, NULL },
    { "list", fn_list, { NULL }, &tmpl_any },
    { "match", tmpl_fn_match, { &tmpl_string, &tmpl_string }, NULL },
    { "mustToDate", fn_must_to_date, { &tmpl_string, &tmpl_string }, NULL },
    { "now", fn_now, { NULL }, NULL },
    { "reReplaceAll", tmpl_fn_replace, { &tmpl_string, &tmpl_string, &tmpl_string }, NULL },
    { "routeLabels", fn_route_labels, { &tmpl_string }, NULL },
    { "safeHtml", tmpl_fn_safe_html, { &tmpl_string }, NULL },
    { "safeUrl", fn_safe_url, { &tmpl_string }, NULL },
    { "since", fn_since, { &tmpl_time }, NULL },
    { "stringSlice", fn_string_slice, { NULL }, &tmpl_string },
    { "title", tmpl_fn_title_lower, { &tmpl_string }, NULL },
    { "toDate", fn_to_date, { &tmpl_string, &tmpl_string }, NULL },
    { "toJson", fn_to_json, { &tmpl_any }, NULL },
    { "toLower", tmpl_fn_to_lower, { &tmpl_string }, NULL },
    { "toUpper", tmpl_fn_to_upper, { &tmpl_string }, NULL },
    { "trimSpace", fn_trim_space, { &tmpl_string }, NULL },
    { "tz", fn_tz, { &tmpl_string, &tmpl_time }, NULL },
    { "urlUnescape", fn_url_unescape, { &tmpl_string }, NULL },
};
const size_t tmpl_alertmanager_function_count = ARRAY_LEN(tmpl_alertmanager_functions);

bool tmpl_alertmanager_has_function(void *ctx UNUSED, struct str name)
{
    return tmpl_find(tmpl_alertmanager_functions, tmpl_alertmanager_function_count, name) ||
           tmpl_find(tmpl_builtins, tmpl_builtin_count, name);
}

bool tmpl_note_expand(const struct tmpl_note_run *r, struct str text, struct arena *a,
                      struct str *out, struct str *error, struct err *e)
{
    OWNED(gotemplate_set_fini) struct gotemplate_set set = { .base = r->base };
    OWNED(buf_fini) struct buf b = { 0 };
    struct tmpl_options o = { .functions = tmpl_alertmanager_functions,
                              .function_count = tmpl_alertmanager_function_count,
                              .html = r->html,
                              .budget = r->budget };
    struct note_ctx ctx = { .run = r, .options = &o };

    o.ctx = &ctx;
    set.has_function = tmpl_alertmanager_has_function;
    if (str_find(text, STR("{{")) == STR_NPOS) {
        *out = arena_str(a, text);
        return true;
    }
    if (!gotemplate_parse(&set, STR(""), text, e)) {
        *error = arena_str(a, set.error);
        return false;
    }
    if (!tmpl_run(&set, STR(""), r->data, &o, a, &b, error, e))
        return false;
    *out = arena_str(a, buf_view(&b));
    return true;
}
