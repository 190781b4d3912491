// alertmanager_test.c - alertmanager.yml: what is taken, what is inherited, what is refused and how.
// SPDX-License-Identifier: Apache-2.0
#include "config/alertmanager.h"

#include "base/file.h"
#include "codec/json.h"
#include "test.h"

static struct am_config *load(const char *text)
{
    struct am_config *c = NULL;
    struct err e = { 0 };

    CHECK_OK(am_config_parse(str_c(text), "dir/alertmanager.yml", &c, &e), &e);
    return c;
}

static const char full[] =
    "global:\n"
    "  smtp_smarthost: 'localhost:25'\n"
    "  smtp_from: 'alerts@example.org'\n"
    "  smtp_require_tls: false\n"
    "  slack_api_url: 'https://hooks.example.org/x'\n"
    "templates: ['t/*.tmpl', /abs/x.tmpl]\n"
    "route:\n"
    "  receiver: team\n"
    "  group_by: [alertname, cluster]\n"
    "  group_wait: 10s\n"
    "  labels: {who: team}\n"
    "  routes:\n"
    "  - match: {severity: critical}\n"
    "    match_re: {service: 'a|b'}\n"
    "    matchers: [team!=infra, 'x=~\"y.*\"']\n"
    "    receiver: page\n"
    "    continue: true\n"
    "    group_by: ['...']\n"
    "    repeat_interval: 1h\n"
    "    labels: {who: pager, extra: '1'}\n"
    "    mute_time_intervals: [nights]\n"
    "    routes:\n"
    "    - matchers: ['{deep=\"1\"}']\n"
    "      group_wait: 0s\n"
    "receivers:\n"
    "- name: team\n"
    "  email_configs: [{to: 'a@example.org', headers: {reply-to: x}}]\n"
    "  slack_configs: [{channel: '#c'}]\n"
    "- name: page\n"
    "  labels: {tier: one}\n"
    "  webhook_configs: [{url: 'http://127.0.0.1:1/x', send_resolved: false, max_alerts: 3}]\n"
    "  pagerduty_configs: [{routing_key: k}]\n"
    "inhibit_rules:\n"
    "- source_match: {severity: critical}\n"
    "  target_matchers: ['severity=~\"warning|info\"']\n"
    "  equal: [alertname]\n"
    "time_intervals:\n"
    "- name: nights\n"
    "  time_intervals: [{times: [{start_time: '22:00', end_time: '24:00'}]}]\n";

TEST(a_whole_document)
{
    OWNED(am_config_put) struct am_config *c = load(full);
    const struct am_route *root = c->doc.route, *page = c->routes[1], *deep = c->routes[2];

    CHECK(c->route_count == 3 && root->to == am_receiver_find(c, STR("team")));
    CHECK(root->group_wait_ms == 10000 && root->repeat_interval_ms == 4 * 3600 * 1000);
    CHECK_STR(page->key,
              STR("{}/{service=~\"^(?:a|b)$\",severity=\"critical\",team!=\"infra\",x=~\"y.*\"}"));
    CHECK(page->is_continue && page->group_by_all && page->group_wait_ms == 10000);
    CHECK(page->all_labels.n == 2 && str_eq(page->all_labels.v[1].value, STR("pager")));
    CHECK(deep->group_wait_ms == 0 && deep->group_by_all && deep->parent == page);
    CHECK(deep->repeat_interval_ms == 3600 * 1000 && str_eq(deep->receiver, STR("page")));
    CHECK(str_ends(deep->id, STR("/0/{deep=\"1\"}/0")));
    CHECK_STR(c->doc.templates.v[0], STR("dir/t/*.tmpl"));
    CHECK_STR(c->doc.templates.v[1], STR("/abs/x.tmpl"));
    CHECK(am_interval_find(c, STR("nights")) && !am_interval_find(c, STR("days")));
    CHECK(c->warning_count == 0);
}

TEST(receivers_take_what_is_global)
{
    OWNED(am_config_put) struct am_config *c = load(full);
    struct am_receiver *team = am_receiver_find(c, STR("team")),
                       *page = am_receiver_find(c, STR("page"));
    const struct am_email *mail = team->config[AM_EMAIL].v[0];
    const struct am_slack *slack = team->config[AM_SLACK].v[0];
    const struct am_webhook *hook = page->config[AM_WEBHOOK].v[0];
    const struct am_pagerduty *duty = page->config[AM_PAGERDUTY].v[0];

    CHECK_STR(mail->smarthost, STR("localhost:25"));
    CHECK_STR(mail->html, STR("{{ template \"email.default.html\" . }}"));
    CHECK_STR(mail->headers.v[0].key, STR("Reply-To"));
    CHECK(mail->require_tls == CONF_FALSE && !mail->base.send_resolved);
    CHECK_STR(slack->api_url, STR("https://hooks.example.org/x"));
    CHECK(slack->base.http && slack->base.http->follow_redirects);
    CHECK(!hook->base.send_resolved && hook->max_alerts == 3 && duty->base.send_resolved);
    CHECK_STR(duty->url, STR("https://events.pagerduty.com/v2/enqueue"));
    CHECK(page->labels.n == 2);
}

TEST(keys_of_an_email_that_are_meant_are_taken_with_a_warning)
{
    OWNED(am_config_put)
    struct am_config *c = load("global: {smtp_smarthost: 'h:25', smtp_from: f}\n"
                               "route: {receiver: r}\n"
                               "receivers:\n"
                               "- name: r\n"
                               "  email_configs:\n"
                               "  - to: t\n"
                               "    subject: 'about {{ .Status }}'\n"
                               "    body: |\n"
                               "      text\n");
    const struct am_email *mail = am_receiver_find(c, STR("r"))->config[AM_EMAIL].v[0];

    CHECK_STR(mail->headers.v[0].key, STR("Subject"));
    CHECK_STR(mail->headers.v[0].value, STR("about {{ .Status }}"));
    CHECK_STR(mail->text, STR("text\n"));
    CHECK(!mail->html.n && c->warning_count == 2);
    CHECK(c->warnings[0].pos.line == 7 && c->warnings[1].pos.line == 8);
}

#define ROUTE     "route: {receiver: r}\n"
#define RECEIVERS "receivers: [{name: r}]\n"
static const struct {
    const char *yaml, *error;
} refused[] = {
    { "", "no route provided in config" },
    { RECEIVERS, "no routes provided" },
    { RECEIVERS "route: {}\n", "root route must specify a default receiver" },
    { RECEIVERS "route: {receiver: x}\n", "undefined receiver \"x\" used in route" },
    { RECEIVERS "route: {receiver: r, matchers: [a=b]}\n",
      "root route must not have any matchers" },
    { RECEIVERS "route: {receiver: r, continue: true}\n", "cannot have continue in root route" },
    { RECEIVERS "route: {receiver: r, group_by: ['...', a]}\n",
      "cannot have wildcard group_by (`...`) and other labels at the same time" },
    { RECEIVERS "route: {receiver: r, group_by: [a, a]}\n", "duplicated label \"a\" in group_by" },
    { RECEIVERS "route: {receiver: r, group_interval: 0s}\n", "group_interval cannot be zero" },
    { RECEIVERS "route: {receiver: r, routes: [{match: {a-b: c}}]}\n",
      "invalid label name \"a-b\"" },
    { RECEIVERS "route: {receiver: r, routes: [{match_re: {a: '('}}]}\n",
      "error parsing regexp: missing closing ): `(`" },
    { RECEIVERS "route: {receiver: r, routes: [{matchers: ['a']}]}\n", "bad matcher format: a" },
    { RECEIVERS "route: {receiver: r, routes: [{mute_time_intervals: [x]}]}\n",
      "undefined time interval \"x\" used in route" },
    { ROUTE "receivers: [{name: r}, {name: r}]\n", "notification config name \"r\" is not unique" },
    { ROUTE "receivers: [{}]\n", "missing name in receiver" },
    { ROUTE "receivers: [{name: r, webhook_configs: [{}]}]\n",
      "one of url or url_file must be configured" },
    { ROUTE "receivers: [{name: r, webhook_configs: [{url: 'ftp://x'}]}]\n",
      "invalid URL: unsupported scheme \"ftp\" for URL" },
    { ROUTE "receivers: [{name: r, email_configs: [{to: x}]}]\n", "no global SMTP smarthost set" },
    { ROUTE "receivers: [{name: r, slack_configs: [{}]}]\n",
      "no Slack API URL nor App token set either inline or in a file" },
    { ROUTE RECEIVERS "global: {smtp_smarthost: x}\n", "address x: missing port in address" },
    { ROUTE RECEIVERS
      "time_intervals: [{name: a, time_intervals: []}, {name: a, time_intervals: []}]\n",
      "time interval \"a\" is not unique" },
};

TEST(wrong_documents_say_what_is_wrong)
{
    FOR_CASES (c, refused) {
        OWNED(am_config_put) struct am_config *got = NULL;
        struct err e = { 0 };

        CHECK_F(!am_config_parse(str_c(c->yaml), "x.yml", &got, &e), "%s", c->yaml);
        CHECK_STR(str_c(e.text), str_c(c->error));
    }
}

TEST(unknown_keys_have_a_place_and_a_guess)
{
    OWNED(am_config_put) struct am_config *c = NULL;
    struct err e = { 0 };

    CHECK(!am_config_parse(STR("route:\n  receiver: r\n  group_byy: [a]\nreceivers: [{name: r}]\n"),
                           "x.yml", &c, &e));
    CHECK(c && c->problem_count == 1 && c->problems[0].pos.line == 3);
    CHECK(str_find(c->problems[0].hint, STR("group_by")) != STR_NPOS);
}

static const struct {
    const char *file;
    bool good;
} files[] = {
    { "alertmanager/amtool-config/amtool.good1.yml", false }, // of amtool, not of the server
    { "alertmanager/routing/conf.good.yml", true },
    { "alertmanager/routing/conf.routing.yml", true },
    { "alertmanager/routing/conf.routing-reverted.yml", true },
    { "alertmanager/routing/conf.bad.yml", false },
};

TEST(corpus_of_documents)
{
    FOR_CASES (c, files) {
        OWNED(am_config_put) struct am_config *got = NULL;
        const char *path = test_corpus(c->file);
        struct err e = { 0 };

        SKIP_WITHOUT_CORPUS(path);
        bool ok = am_config_load(path, &got, &e);
        CHECK_F(ok == c->good, "%s: %s", c->file, ok ? "taken" : e.text);
    }
}

// Each file's cause of refusal as the original gives it, or null.
TEST(corpus_of_test_configurations)
{
    OWNED(arena_fini) struct arena a = { 0 };
    const char *dir = test_corpus("config/alertmanager");
    struct json_value *want;
    struct err e = { 0 };
    struct str text;

    SKIP_WITHOUT_CORPUS(dir);
    CHECK_OK(file_read(&a, arena_printf(&a, "%s/expected.json", dir).p, 1 << 20, &text, &e), &e);
    CHECK_OK(json_parse(&a, text, &want, &e), &e);
    CHECK(want->n > 20);
    for (size_t i = 0; i < want->n; i++) {
        OWNED(am_config_put) struct am_config *got = NULL;
        const struct json_value *cause = want->members[i].value;
        struct str name = want->members[i].key;
        const char *path = arena_printf(&a, "%s/%.*s", dir, STRF(name)).p;
        struct err why = { 0 };
        bool ok = am_config_load(path, &got, &why);

        CHECK_F(ok == (cause->kind == JSON_NULL), "%.*s: %s, want %.*s", STRF(name),
                ok ? "taken" : why.text, STRF(cause->s));
        if (!ok)
            CHECK_F(str_eq_c(cause->s, why.text), "%.*s: got %s, want %.*s", STRF(name), why.text,
                    STRF(cause->s));
    }
}
