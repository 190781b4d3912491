// alertmanager_check.c - what each integration asks of its own fields.
// SPDX-License-Identifier: Apache-2.0
#include "config/alertmanager_priv.h"

// At most one of a value and a file that holds it.
static bool not_both(struct err *e, const struct yaml_node *n, struct str a, struct str b,
                     const char *names)
{
    return !a.n || !b.n || conf_fail(e, n, "at most one of %s must be configured", names);
}

static bool one_of(struct err *e, const struct yaml_node *n, struct str a, struct str b,
                   const char *names)
{
    return a.n || b.n || conf_fail(e, n, "one of %s must be configured", names);
}

bool am_check_slack_confirm(struct conf_reader *r UNUSED, const struct yaml_node *n, void *obj,
                            struct err *e)
{
    const struct am_slack_confirm *c = obj;

    return c->text.n || conf_fail(e, n, "missing text in Slack confirmation configuration");
}

bool am_check_slack_action(struct conf_reader *r UNUSED, const struct yaml_node *n, void *obj,
                           struct err *e)
{
    struct am_slack_action *a = obj;

    if (!a->type.n)
        return conf_fail(e, n, "missing type in Slack action configuration");
    if (!a->text.n)
        return conf_fail(e, n, "missing text in Slack action configuration");
    if (a->url.n) { // a link: nothing is sent back
        a->name = a->value = STR_NONE;
        a->confirm = NULL;
        return true;
    }
    return a->name.n || conf_fail(e, n, "missing name or url in Slack action configuration");
}

static bool check_field(const struct yaml_node *n, const struct am_field *f, const char *of,
                        struct err *e)
{
    if (!f->title.n)
        return conf_fail(e, n, "missing title in %s field configuration", of);
    return f->value.n || conf_fail(e, n, "missing value in %s field configuration", of);
}

bool am_check_slack_field(struct conf_reader *r UNUSED, const struct yaml_node *n, void *obj,
                          struct err *e)
{
    return check_field(n, obj, "Slack", e);
}

bool am_check_mattermost_field(struct conf_reader *r UNUSED, const struct yaml_node *n, void *obj,
                               struct err *e)
{
    return check_field(n, obj, "Mattermost", e);
}

bool am_check_slack(struct conf_reader *r UNUSED, const struct yaml_node *n, void *obj,
                    struct err *e)
{
    const struct am_slack *s = obj;

    if (!am_check_url(s->api_url, n, e) || !am_check_url(s->app_url, n, e) ||
        !not_both(e, n, s->api_url, s->api_url_file, "api_url & api_url_file") ||
        !not_both(e, n, s->app_token, s->app_token_file, "app_token & app_token_file"))
        return false;
    if ((s->api_url.n || s->api_url_file.n) && (s->app_token.n || s->app_token_file.n))
        return conf_fail(e, n,
                         "at most one of api_url/api_url_file & app_token/app_token_file "
                         "must be configured");
    if (s->update_message && !str_eq_c(s->api_url, "https://slack.com/api/chat.postMessage"))
        return conf_fail(e, n,
                         "update_message can only be used with bot tokens. api_url must be "
                         "set to https://slack.com/api/chat.postMessage");
    return true;
}

// "reply-TO" → "Reply-To", as MIME's readers write the names of headers.
static struct str canonical_header(struct arena *a, struct str name)
{
    struct str s = { arena_cstr(a, name), name.n };
    char *p = (char *)s.p;
    bool upper = true;

    for (size_t i = 0; i < s.n; i++) {
        if (p[i] == ' ' || (unsigned char)p[i] >= 0x7f)
            return name; // no name of a header: left alone
    }
    for (size_t i = 0; i < s.n; i++) {
        if (upper && p[i] >= 'a' && p[i] <= 'z')
            p[i] = (char)(p[i] - 'a' + 'A');
        else if (!upper && p[i] >= 'A' && p[i] <= 'Z')
            p[i] = (char)(p[i] - 'A' + 'a');
        upper = p[i] == '-';
    }
    return s;
}

static bool has_header(const struct am_email *m, const char *name)
{
    for (size_t i = 0; i < m->headers.n; i++) {
        if (str_eq_c(m->headers.v[i].key, name))
            return true;
    }
    return false;
}

static bool check_headers(struct conf_reader *r, const struct yaml_node *n, struct am_email *m,
                          struct err *e)
{
    for (size_t i = 0; i < m->headers.n; i++) {
        m->headers.v[i].key = canonical_header(r->arena, m->headers.v[i].key);
        for (size_t k = 0; k < i; k++) {
            if (str_eq(m->headers.v[i].key, m->headers.v[k].key))
                return conf_fail(e, n, "duplicate header \"%.*s\" in email config",
                                 STRF(m->headers.v[i].key));
        }
    }
    return true;
}

// Keys that people expect an e-mail to have, and the original refuses.
static void take_as_meant(struct conf_reader *r, const struct yaml_node *n, struct am_email *m)
{
    const struct yaml_node *subject = yaml_get(n, STR("subject")), *body = yaml_get(n, STR("body"));

    if (subject && m->subject.n) {
        conf_warn(r, subject,
                  STR("subject is taken as headers.Subject: Alertmanager refuses this "
                      "key, write headers: {Subject: …}"));
        if (!has_header(m, "Subject")) {
            struct conf_pair *v = arena_array(r->arena, m->headers.n + 1, struct conf_pair);

            if (m->headers.n)
                memcpy(v, m->headers.v, m->headers.n * sizeof *v);
            v[m->headers.n] = (struct conf_pair){ STR("Subject"), m->subject };
            m->headers = (struct conf_map){ v, m->headers.n + 1 };
        }
    }
    if (body && m->body.n) {
        conf_warn(r, body,
                  STR("body is taken as text: Alertmanager refuses this key, write text: "
                      "… (and html: '' to send no HTML)"));
        if (!m->text.n)
            m->text = m->body;
        if (!yaml_get(n, STR("html")))
            m->html = STR_NONE;
    }
}

bool am_check_email(struct conf_reader *r, const struct yaml_node *n, void *obj, struct err *e)
{
    struct am_email *m = obj;

    if (!m->to.n)
        return conf_fail(e, n, "missing to address in email config");
    if (!am_check_host_port(m->smarthost, n, e) || !check_headers(r, n, m, e))
        return false;
    take_as_meant(r, n, m);
    if (!m->threading.enabled)
        return true;
    if (has_header(m, "References"))
        return conf_fail(e, n,
                         "conflicting configuration: threading.enabled conflicts with custom "
                         "References header");
    if (has_header(m, "In-Reply-To"))
        return conf_fail(e, n,
                         "conflicting configuration: threading.enabled conflicts with custom "
                         "In-Reply-To header");
    if (!str_eq_c(m->threading.thread_by_date, "none") &&
        !str_eq_c(m->threading.thread_by_date, "daily"))
        return conf_fail(e, n, "threading.thread_by_date must be either 'none' or 'daily'");
    return true;
}

bool am_check_webhook(struct conf_reader *r UNUSED, const struct yaml_node *n, void *obj,
                      struct err *e)
{
    const struct am_webhook *w = obj;
    struct err why;

    if (!one_of(e, n, w->url, w->url_file, "url or url_file") ||
        !not_both(e, n, w->url, w->url_file, "url & url_file"))
        return false;
    if (str_find(w->url, STR("{{")) == STR_NPOS && !am_check_url(w->url, n, &why))
        return conf_fail(e, n, "invalid URL: %s", why.text);
    return true;
}

bool am_check_pagerduty(struct conf_reader *r UNUSED, const struct yaml_node *n, void *obj,
                        struct err *e)
{
    struct am_pagerduty *p = obj;

    if (!p->routing_key.n && !p->service_key.n && !p->routing_key_file.n && !p->service_key_file.n)
        return conf_fail(e, n, "missing service or routing key in PagerDuty config");
    if (!p->source.n)
        p->source = p->client;
    return am_check_url(p->url, n, e) &&
           not_both(e, n, p->routing_key, p->routing_key_file, "routing_key & routing_key_file") &&
           not_both(e, n, p->service_key, p->service_key_file, "service_key & service_key_file");
}

static bool check_responder(const struct yaml_node *n, struct am_opsgenie_responder *p,
                            struct err *e)
{
    static const char *const types[] = { "team", "teams", "user", "escalation", "schedule" };

    if (!p->id.n && !p->username.n && !p->name.n)
        return conf_fail(e, n,
                         "opsGenieConfig responder {%.*s %.*s %.*s %.*s} has to have at least "
                         "one of id, username or name specified",
                         STRF(p->id), STRF(p->name), STRF(p->username), STRF(p->type));
    if (str_find(p->type, STR("{{")) != STR_NPOS)
        return true;
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        if (str_eq_nocase(p->type, str_c(types[i]))) {
            p->type = str_c(types[i]);
            return true;
        }
    }
    return conf_fail(e, n,
                     "opsGenieConfig responder {%.*s %.*s %.*s %.*s} type does not match valid "
                     "options ^(team|teams|user|escalation|schedule)$",
                     STRF(p->id), STRF(p->name), STRF(p->username), STRF(p->type));
}

bool am_check_opsgenie(struct conf_reader *r UNUSED, const struct yaml_node *n, void *obj,
                       struct err *e)
{
    struct am_opsgenie *o = obj;

    for (size_t i = 0; i < o->responders.n; i++) {
        if (!check_responder(n, o->responders.v[i], e))
            return false;
    }
    return am_check_url(o->api_url, n, e) &&
           not_both(e, n, o->api_key, o->api_key_file, "api_key & api_key_file");
}

bool am_check_wechat(struct conf_reader *r UNUSED, const struct yaml_node *n, void *obj,
                     struct err *e)
{
    struct am_wechat *w = obj;

    if (!w->message_type.n)
        w->message_type = STR("text");
    if (!str_eq_c(w->message_type, "text") && !str_eq_c(w->message_type, "markdown"))
        return conf_fail(e, n,
                         "weChat message type \"%.*s\" does not match valid options "
                         "^(text|markdown)$",
                         STRF(w->message_type));
    return am_check_url(w->api_url, n, e) &&
           not_both(e, n, w->api_secret, w->api_secret_file, "api_secret & api_secret_file");
}

bool am_check_pushover(struct conf_reader *r UNUSED, const struct yaml_node *n, void *obj,
                       struct err *e)
{
    const struct am_pushover *p = obj;

    if (!one_of(e, n, p->user_key, p->user_key_file, "user_key or user_key_file") ||
        !not_both(e, n, p->user_key, p->user_key_file, "user_key & user_key_file") ||
        !one_of(e, n, p->token, p->token_file, "token or token_file") ||
        !not_both(e, n, p->token, p->token_file, "token & token_file"))
        return false;
    return !p->html || !p->monospace ||
           conf_fail(e, n, "at most one of monospace & html must be configured");
}

bool am_check_victorops(struct conf_reader *r UNUSED, const struct yaml_node *n, void *obj,
                        struct err *e)
{
    static const char *const fixed[] = { "routing_key",         "message_type",    "state_message",
                                         "entity_display_name", "monitoring_tool", "entity_id",
                                         "entity_state" };
    const struct am_victorops *v = obj;

    if (!v->routing_key.n)
        return conf_fail(e, n, "missing Routing key in VictorOps config");
    if (!am_check_url(v->api_url, n, e) ||
        !not_both(e, n, v->api_key, v->api_key_file, "api_key & api_key_file"))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(fixed); i++) {
        for (size_t k = 0; k < v->custom_fields.n; k++) {
            if (str_eq_c(v->custom_fields.v[k].key, fixed[i]))
                return conf_fail(e, n,
                                 "victorOps config contains custom field %s which cannot be "
                                 "used as it conflicts with the fixed/static fields",
                                 fixed[i]);
        }
    }
    return true;
}

bool am_check_sigv4(struct conf_reader *r UNUSED, const struct yaml_node *n, void *obj,
                    struct err *e)
{
    const struct am_sigv4 *s = obj;

    return (s->access_key.n != 0) == (s->secret_key.n != 0) ||
           conf_fail(e, n,
                     "must provide a AWS SigV4 Access key and Secret Key if credentials are "
                     "specified in the SigV4 config");
}

bool am_check_sns(struct conf_reader *r UNUSED, const struct yaml_node *n, void *obj, struct err *e)
{
    const struct am_sns *s = obj;

    // As upstream counts: one of them, or all three.
    if (((!s->target_arn.n) != (!s->topic_arn.n)) != (!s->phone_number.n))
        return conf_fail(e, n,
                         "must provide either a Target ARN, Topic ARN, or Phone Number for "
                         "SNS config");
    return true;
}

bool am_check_telegram(struct conf_reader *r UNUSED, const struct yaml_node *n, void *obj,
                       struct err *e)
{
    static const char *const modes[] = { "", "Markdown", "MarkdownV2", "HTML" };
    const struct am_telegram *t = obj;

    if (!am_check_url(t->api_url, n, e) ||
        !not_both(e, n, t->bot_token, t->bot_token_file, "bot_token & bot_token_file"))
        return false;
    if (!t->chat_id && !t->chat_id_file.n)
        return conf_fail(e, n, "missing chat_id or chat_id_file on telegram_config");
    if (t->chat_id && t->chat_id_file.n)
        return conf_fail(e, n, "at most one of chat_id & chat_id_file must be configured");
    for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
        if (str_eq_c(t->parse_mode, modes[i]))
            return true;
    }
    return conf_fail(e, n,
                     "unknown parse_mode on telegram_config, must be Markdown, MarkdownV2, "
                     "HTML or empty string");
}

static bool check_hook(const struct yaml_node *n, struct str url, struct str file, struct err *e)
{
    return am_check_url(url, n, e) && one_of(e, n, url, file, "webhook_url or webhook_url_file") &&
           not_both(e, n, url, file, "webhook_url & webhook_url_file");
}

bool am_check_discord(struct conf_reader *r UNUSED, const struct yaml_node *n, void *obj,
                      struct err *e)
{
    const struct am_discord *d = obj;

    return check_hook(n, d->webhook_url, d->webhook_url_file, e);
}

bool am_check_msteams(struct conf_reader *r UNUSED, const struct yaml_node *n, void *obj,
                      struct err *e)
{
    const struct am_msteams *m = obj;

    return check_hook(n, m->webhook_url, m->webhook_url_file, e);
}

bool am_check_webex(struct conf_reader *r UNUSED, const struct yaml_node *n, void *obj,
                    struct err *e)
{
    const struct am_webex *w = obj;

    if (!w->room_id.n)
        return conf_fail(e, n, "missing room_id on webex_config");
    if (!w->base.http || !w->base.http->authorization)
        return conf_fail(e, n, "missing webex_configs.http_config.authorization");
    return am_check_url(w->api_url, n, e);
}

bool am_check_incidentio(struct conf_reader *r UNUSED, const struct yaml_node *n, void *obj,
                         struct err *e)
{
    const struct am_incidentio *i = obj;
    bool token = i->alert_source_token.n || i->alert_source_token_file.n;
    const struct conf_http *http = i->base.http;

    if (!am_check_url(i->url, n, e) || !one_of(e, n, i->url, i->url_file, "url or url_file") ||
        !not_both(e, n, i->url, i->url_file, "url & url_file") ||
        !not_both(e, n, i->alert_source_token, i->alert_source_token_file,
                  "alert_source_token & alert_source_token_file"))
        return false;
    if (http && http->authorization && token)
        return conf_fail(e, n,
                         "cannot specify alert_source_token or alert_source_token_file when "
                         "using http_config.authorization");
    if (http && !http->authorization && !token)
        return conf_fail(e, n,
                         "at least one of alert_source_token, alert_source_token_file or "
                         "http_config.authorization must be configured");
    return true;
}

// A text, or {template: …, enable_update: …}.
static bool read_jira_field(struct conf_reader *r, const struct yaml_node *n,
                            struct am_jira_field *f, const char *name, struct err *e)
{
    struct str usual = arena_printf(r->arena, "{{ template \"jira.default.%s\" . }}", name);

    f->template = usual;
    if (!n || n->kind == YAML_NULL)
        return true;
    if (n->kind == YAML_SCALAR) {
        f->template = n->text;
        return true;
    }
    if (!conf_read(r, &am_jira_field_type, n, f, e))
        return false;
    if (!yaml_get(n, STR("template")))
        f->template = usual;
    return true;
}

bool am_check_jira(struct conf_reader *r, const struct yaml_node *n, void *obj, struct err *e)
{
    struct am_jira *j = obj;

    if (!read_jira_field(r, j->summary_node, &j->summary, "summary", e) ||
        !read_jira_field(r, j->description_node, &j->description, "description", e))
        return false;
    if (!j->project.n)
        return conf_fail(e, n, "missing project in jira_config");
    if (!j->issue_type.n)
        return conf_fail(e, n, "missing issue_type in jira_config");
    if (!str_eq_c(j->api_type, "auto") && !str_eq_c(j->api_type, "cloud") &&
        !str_eq_c(j->api_type, "datacenter"))
        return conf_fail(e, n,
                         "unknown api_type on jira_config, must be auto, cloud or datacenter");
    return am_check_url(j->api_url, n, e);
}

bool am_check_rocketchat(struct conf_reader *r UNUSED, const struct yaml_node *n, void *obj,
                         struct err *e)
{
    const struct am_rocketchat *c = obj;

    return am_check_url(c->api_url, n, e) &&
           not_both(e, n, c->token, c->token_file, "token & token_file") &&
           not_both(e, n, c->token_id, c->token_id_file, "token_id & token_id_file");
}

bool am_check_mattermost(struct conf_reader *r UNUSED, const struct yaml_node *n, void *obj,
                         struct err *e)
{
    const struct am_mattermost *m = obj;

    return am_check_url(m->webhook_url, n, e) &&
           not_both(e, n, m->webhook_url, m->webhook_url_file, "webhook_url & webhook_url_file");
}

bool am_check_receiver(struct conf_reader *r, const struct yaml_node *n, void *obj, struct err *e)
{
    struct am_receiver *x = obj;
    struct conf_pair *v = arena_array(r->arena, x->labels.n + 1, struct conf_pair);
    bool named = false;

    if (!x->name.n)
        return conf_fail(e, n, "missing name in receiver");
    if (x->labels.n)
        memcpy(v, x->labels.v, x->labels.n * sizeof *v);
    for (size_t i = 0; i < x->labels.n; i++) {
        if (!str_eq_c(v[i].key, "name"))
            continue;
        named = true;
        if (!str_eq(v[i].value, x->name))
            return conf_fail(e, n,
                             "receiver label \"name\" must match receiver name \"%.*s\", got "
                             "\"%.*s\"",
                             STRF(x->name), STRF(v[i].value));
    }
    if (!named)
        v[x->labels.n] = (struct conf_pair){ STR("name"), x->name };
    x->labels = (struct conf_map){ v, x->labels.n + !named };
    return true;
}
