/*
 * alertmanager_inherit.c - what integrations take from the global section, and what must then be there.
 */
// SPDX-License-Identifier: Apache-2.0
#include "config/alertmanager_priv.h"

static void or_text(struct str *at, struct str other)
{
    if (!at->n)
        *at = other;
}

// A value and the file that may hold it instead: both are taken when neither is there.
static void or_pair(struct str *at, struct str *file, struct str other, struct str other_file)
{
    if (at->n || file->n)
        return;
    *at = other;
    *file = other_file;
}

static bool missing(struct err *e, const char *text)
{
    return err_set(e, ERR_INVALID, "%s", text);
}

// URLs that are joined with a path end in a slash.
static void end_in_slash(struct arena *a, struct str *url)
{
    if (url->n && !str_ends(*url, STR("/")))
        *url = arena_printf(a, "%.*s/", STRF(*url));
}

static bool at_most_one(struct err *e, struct str a, struct str b, const char *names)
{
    return !a.n || !b.n || err_set(e, ERR_INVALID, "at most one of %s must be configured", names);
}

static bool check_global(const struct am_global *g, struct err *e)
{
#define BOTH(m) at_most_one(e, g->m, g->m##_file, #m " & " #m "_file")
    if (!BOTH(slack_app_token) || !BOTH(slack_api_url))
        return false;
    if ((g->slack_app_token.n || g->slack_app_token_file.n) &&
        (g->slack_api_url.n || g->slack_api_url_file.n) &&
        !str_eq(g->slack_api_url, g->slack_app_url))
        return missing(e, "at most one of slack_app_token/slack_app_token_file & "
                          "slack_api_url/slack_api_url_file must be configured");
    return BOTH(opsgenie_api_key) && BOTH(victorops_api_key) && BOTH(telegram_bot_token) &&
           BOTH(smtp_auth_password) && BOTH(rocketchat_token) && BOTH(rocketchat_token_id) &&
           BOTH(smtp_auth_secret) && BOTH(wechat_api_secret) && BOTH(mattermost_webhook_url);
#undef BOTH
}

/* ---- one function per integration that needs more than the HTTP client ---- */

static bool inherit_email(struct am_config *c, void *obj, struct err *e)
{
    const struct am_global *g = c->doc.global;
    struct am_email *m = obj;

    if (!m->tls)
        m->tls = g->smtp_tls;
    or_text(&m->smarthost, g->smtp_smarthost);
    if (!m->smarthost.n)
        return missing(e, "no global SMTP smarthost set");
    or_text(&m->from, g->smtp_from);
    if (!m->from.n)
        return missing(e, "no global SMTP from set");
    or_text(&m->hello, g->smtp_hello);
    or_text(&m->auth_username, g->smtp_auth_username);
    or_pair(&m->auth_password, &m->auth_password_file, g->smtp_auth_password,
            g->smtp_auth_password_file);
    or_pair(&m->auth_secret, &m->auth_secret_file, g->smtp_auth_secret, g->smtp_auth_secret_file);
    or_text(&m->auth_identity, g->smtp_auth_identity);
    if (m->require_tls == CONF_UNSET)
        m->require_tls = g->smtp_require_tls ? CONF_TRUE : CONF_FALSE;
    if (m->force_implicit_tls == CONF_UNSET)
        m->force_implicit_tls = g->smtp_force_implicit_tls;
    return true;
}

static bool inherit_slack(struct am_config *c, void *obj, struct err *e)
{
    const struct am_global *g = c->doc.global;
    struct am_slack *s = obj;
    struct conf_http *http;

    or_text(&s->app_url, g->slack_app_url);
    if (!s->app_url.n)
        return missing(e, "no global Slack App URL set");
    if ((!s->base.http || !s->base.http->authorization) && !s->api_url.n)
        or_pair(&s->app_token, &s->app_token_file, g->slack_app_token, g->slack_app_token_file);
    or_pair(&s->api_url, &s->api_url_file, g->slack_api_url, g->slack_api_url_file);
    if (!s->api_url.n && !s->api_url_file.n && !s->app_token.n && !s->app_token_file.n)
        return missing(e, "no Slack API URL nor App token set either inline or in a file");
    if (!s->app_token.n && !s->app_token_file.n)
        return true;
    http = s->base.http ? s->base.http : g->http;
    if (http->authorization)
        return missing(e, "http authorization can't be set when using Slack App tokens");
    s->base.http = arena_new(&c->arena, struct conf_http); // its own: the token is put in
    *s->base.http = *http;
    s->base.http->authorization = arena_new(&c->arena, struct conf_authorization);
    *s->base.http->authorization = (struct conf_authorization){ STR("Bearer"), s->app_token,
                                                                s->app_token_file };
    s->api_url = s->app_url;
    return true;
}

static bool inherit_pagerduty(struct am_config *c, void *obj, struct err *e)
{
    struct am_pagerduty *p = obj;

    or_text(&p->url, c->doc.global->pagerduty_url);
    return p->url.n || missing(e, "no global PagerDuty URL set");
}

static bool inherit_opsgenie(struct am_config *c, void *obj, struct err *e)
{
    const struct am_global *g = c->doc.global;
    struct am_opsgenie *o = obj;

    or_text(&o->api_url, g->opsgenie_api_url);
    if (!o->api_url.n)
        return missing(e, "no global OpsGenie URL set");
    end_in_slash(&c->arena, &o->api_url);
    or_text(&o->api_key, g->opsgenie_api_key);
    or_text(&o->api_key_file, g->opsgenie_api_key_file);
    return o->api_key.n || o->api_key_file.n ||
           missing(e, "no global OpsGenie API Key set either inline or in a file");
}

static bool inherit_wechat(struct am_config *c, void *obj, struct err *e)
{
    const struct am_global *g = c->doc.global;
    struct am_wechat *w = obj;

    or_text(&w->api_url, g->wechat_api_url);
    if (!w->api_url.n)
        return missing(e, "no global Wechat URL set");
    or_pair(&w->api_secret, &w->api_secret_file, g->wechat_api_secret, g->wechat_api_secret_file);
    if (!w->api_secret.n && !w->api_secret_file.n)
        return missing(e, "no global Wechat Api Secret set either inline or in a file");
    or_text(&w->corp_id, g->wechat_api_corp_id);
    if (!w->corp_id.n)
        return missing(e, "no global Wechat CorpID set");
    end_in_slash(&c->arena, &w->api_url);
    return true;
}

static bool inherit_victorops(struct am_config *c, void *obj, struct err *e)
{
    const struct am_global *g = c->doc.global;
    struct am_victorops *v = obj;

    or_text(&v->api_url, g->victorops_api_url);
    if (!v->api_url.n)
        return missing(e, "no global VictorOps URL set");
    end_in_slash(&c->arena, &v->api_url);
    or_text(&v->api_key, g->victorops_api_key);
    or_text(&v->api_key_file, g->victorops_api_key_file);
    return v->api_key.n || v->api_key_file.n || missing(e, "no global VictorOps API Key set");
}

static bool inherit_telegram(struct am_config *c, void *obj, struct err *e)
{
    const struct am_global *g = c->doc.global;
    struct am_telegram *t = obj;

    or_text(&t->api_url, g->telegram_api_url);
    or_pair(&t->bot_token, &t->bot_token_file, g->telegram_bot_token, g->telegram_bot_token_file);
    return t->bot_token.n || t->bot_token_file.n ||
           missing(e, "missing bot_token or bot_token_file on telegram_config");
}

static bool inherit_webex(struct am_config *c, void *obj, struct err *e)
{
    struct am_webex *w = obj;

    or_text(&w->api_url, c->doc.global->webex_api_url);
    return w->api_url.n || missing(e, "no global Webex URL set");
}

static bool inherit_jira(struct am_config *c, void *obj, struct err *e)
{
    struct am_jira *j = obj;

    or_text(&j->api_url, c->doc.global->jira_api_url);
    return j->api_url.n || missing(e, "no global Jira Cloud URL set");
}

static bool inherit_rocketchat(struct am_config *c, void *obj, struct err *e)
{
    const struct am_global *g = c->doc.global;
    struct am_rocketchat *r = obj;

    or_text(&r->api_url, g->rocketchat_api_url);
    or_text(&r->token_id, g->rocketchat_token_id);
    or_text(&r->token_id_file, g->rocketchat_token_id_file);
    if (!r->token_id.n && !r->token_id_file.n)
        return missing(e, "no global Rocketchat TokenID set either inline or in a file");
    or_text(&r->token, g->rocketchat_token);
    or_text(&r->token_file, g->rocketchat_token_file);
    return r->token.n || r->token_file.n ||
           missing(e, "no global Rocketchat Token set either inline or in a file");
}

static bool inherit_mattermost(struct am_config *c, void *obj, struct err *e)
{
    const struct am_global *g = c->doc.global;
    struct am_mattermost *m = obj;

    or_pair(&m->webhook_url, &m->webhook_url_file, g->mattermost_webhook_url,
            g->mattermost_webhook_url_file);
    return m->webhook_url.n || m->webhook_url_file.n ||
           missing(e, "missing webhook_url or webhook_url_file on mattermost_config");
}

/* ---- all of them ---- */

typedef bool (*inherit_fn)(struct am_config *c, void *obj, struct err *e);

static bool inherit_one(struct am_config *c, enum am_kind k, struct am_base *b, struct err *e)
{
    static const inherit_fn more[AM_KINDS] = {
        [AM_EMAIL] = inherit_email,
        [AM_SLACK] = inherit_slack,
        [AM_PAGERDUTY] = inherit_pagerduty,
        [AM_OPSGENIE] = inherit_opsgenie,
        [AM_WECHAT] = inherit_wechat,
        [AM_VICTOROPS] = inherit_victorops,
        [AM_TELEGRAM] = inherit_telegram,
        [AM_WEBEX] = inherit_webex,
        [AM_JIRA] = inherit_jira,
        [AM_ROCKETCHAT] = inherit_rocketchat,
        [AM_MATTERMOST] = inherit_mattermost,
    };

    if (!b)
        return err_set(e, ERR_INVALID, "missing %s config", am_kind_name(k));
    if (more[k] && !more[k](c, b, e))
        return false;
    if (!b->http)
        b->http = c->doc.global->http;
    else if (k == AM_MSTEAMSV2 && !b->http->proxy.proxy_url.n)
        b->http->proxy.proxy_url = c->doc.global->http->proxy.proxy_url;
    return true;
}

static bool inherit_receiver(struct am_config *c, struct am_receiver *r, struct err *e)
{
    // The order in which the original finds faults.
    static const enum am_kind order[AM_KINDS] = {
        AM_WEBHOOK,  AM_EMAIL,   AM_SLACK,     AM_PUSHOVER, AM_PAGERDUTY,  AM_INCIDENTIO,
        AM_OPSGENIE, AM_WECHAT,  AM_VICTOROPS, AM_SNS,      AM_TELEGRAM,   AM_DISCORD,
        AM_WEBEX,    AM_MSTEAMS, AM_MSTEAMSV2, AM_JIRA,     AM_ROCKETCHAT, AM_MATTERMOST,
    };

    for (size_t i = 0; i < AM_KINDS; i++) {
        const struct conf_list *list = &r->config[order[i]];

        for (size_t k = 0; k < list->n; k++) {
            if (!inherit_one(c, order[i], list->v[k], e))
                return false;
        }
    }
    return true;
}

bool am_inherit(struct am_config *c, struct err *e)
{
    struct am_global *g = c->doc.global;

    if (!g->http) {
        g->http = arena_new(&c->arena, struct conf_http);
        *g->http = *(const struct conf_http *)conf_http_type.defaults;
    }
    if (!check_global(g, e))
        return false;
    for (size_t i = 0; i < c->doc.receivers.n; i++) {
        struct am_receiver *r = c->doc.receivers.v[i];

        for (size_t k = 0; k < i; k++) {
            const struct am_receiver *other = c->doc.receivers.v[k];
            if (str_eq(r->name, other->name))
                return err_set(e, ERR_INVALID, "notification config name \"%.*s\" is not unique",
                               STRF(r->name));
        }
        if (!inherit_receiver(c, r, e))
            return false;
    }
    return true;
}
