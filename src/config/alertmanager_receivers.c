/*
 * alertmanager_receivers.c - the tables of the integrations: keys, kinds, defaults, of every integration.
 */
// SPDX-License-Identifier: Apache-2.0
#include "config/alertmanager_priv.h"

// Rows of the tables: a member by the name of its key.
#define FIELD(s, m, key, kind, type) CONF_FIELD(struct s, m, key, kind, CONF_OMIT, type)
#define TEXT_OF(s, m)                FIELD(s, m, #m, CONF_STR, NULL)
#define SECRET(s, m)                 FIELD(s, m, #m, CONF_SECRET, NULL)
#define FLAG(s, m)                   FIELD(s, m, #m, CONF_BOOL, NULL)
#define COUNT(s, m)                  FIELD(s, m, #m, CONF_UINT, NULL)
#define NUMBER(s, m)                 FIELD(s, m, #m, CONF_INT, NULL)
#define MAP(s, m)                    FIELD(s, m, #m, CONF_MAP, NULL)
#define TEXTS(s, m)                  FIELD(s, m, #m, CONF_STRS, NULL)
#define TEXT(lit)            \
    {                        \
        lit, sizeof(lit) - 1 \
    }

/* ---- tables ---- */

static const struct conf_field slack_confirm_fields[] = { TEXT_OF(am_slack_confirm, text),
                                                          TEXT_OF(am_slack_confirm, title),
                                                          TEXT_OF(am_slack_confirm, ok_text),
                                                          TEXT_OF(am_slack_confirm, dismiss_text) };
static const struct conf_type slack_confirm_type = CONF_TYPE(
    "config.plain", struct am_slack_confirm, slack_confirm_fields, NULL, am_check_slack_confirm);

static const struct conf_field slack_action_fields[] = { TEXT_OF(am_slack_action, type),
                                                         TEXT_OF(am_slack_action, text),
                                                         TEXT_OF(am_slack_action, url),
                                                         TEXT_OF(am_slack_action, style),
                                                         TEXT_OF(am_slack_action, name),
                                                         TEXT_OF(am_slack_action, value),
                                                         FIELD(am_slack_action, confirm, "confirm",
                                                               CONF_PTR, &slack_confirm_type) };
static const struct conf_type slack_action_type = CONF_TYPE(
    "config.plain", struct am_slack_action, slack_action_fields, NULL, am_check_slack_action);

static const struct conf_field slack_field_fields[] = {
    TEXT_OF(am_field, title), TEXT_OF(am_field, value),
    FIELD(am_field, is_short, "short", CONF_TRI, NULL)
};
static const struct conf_type slack_field_type = CONF_TYPE(
    "config.plain", struct am_field, slack_field_fields, NULL, am_check_slack_field);

static const struct am_slack slack_defaults = {
    .color = TEXT("{{ template \"slack.default.color\" . }}"),
    .username = TEXT("{{ template \"slack.default.username\" . }}"),
    .title = TEXT("{{ template \"slack.default.title\" . }}"),
    .title_link = TEXT("{{ template \"slack.default.titlelink\" . }}"),
    .icon_emoji = TEXT("{{ template \"slack.default.iconemoji\" . }}"),
    .icon_url = TEXT("{{ template \"slack.default.iconurl\" . }}"),
    .pretext = TEXT("{{ template \"slack.default.pretext\" . }}"),
    .text = TEXT("{{ template \"slack.default.text\" . }}"),
    .fallback = TEXT("{{ template \"slack.default.fallback\" . }}"),
    .callback_id = TEXT("{{ template \"slack.default.callbackid\" . }}"),
    .footer = TEXT("{{ template \"slack.default.footer\" . }}")
};
static const struct conf_field slack_fields[] = {
    FIELD(am_slack, base.send_resolved, "send_resolved", CONF_BOOL, NULL),
    FIELD(am_slack, base.http, "http_config", CONF_PTR, &conf_http_type),
    SECRET(am_slack, api_url),
    TEXT_OF(am_slack, api_url_file),
    SECRET(am_slack, app_token),
    TEXT_OF(am_slack, app_token_file),
    TEXT_OF(am_slack, app_url),
    TEXT_OF(am_slack, channel),
    TEXT_OF(am_slack, username),
    TEXT_OF(am_slack, color),
    TEXT_OF(am_slack, title),
    TEXT_OF(am_slack, title_link),
    TEXT_OF(am_slack, pretext),
    TEXT_OF(am_slack, text),
    TEXT_OF(am_slack, message_text),
    FIELD(am_slack, fields, "fields", CONF_LIST, &slack_field_type),
    FLAG(am_slack, short_fields),
    TEXT_OF(am_slack, footer),
    TEXT_OF(am_slack, fallback),
    TEXT_OF(am_slack, callback_id),
    TEXT_OF(am_slack, icon_emoji),
    TEXT_OF(am_slack, icon_url),
    TEXT_OF(am_slack, image_url),
    TEXT_OF(am_slack, thumb_url),
    FLAG(am_slack, link_names),
    TEXTS(am_slack, mrkdwn_in),
    FIELD(am_slack, actions, "actions", CONF_LIST, &slack_action_type),
    FLAG(am_slack, update_message),
    FIELD(am_slack, timeout_ms, "timeout", CONF_DURATION, NULL)
};
static const struct conf_type slack_type = CONF_TYPE("config.plain", struct am_slack, slack_fields,
                                                     &slack_defaults, am_check_slack);

static const struct conf_field threading_fields[] = { FLAG(am_email_threading, enabled),
                                                      TEXT_OF(am_email_threading, thread_by_date) };
static const struct conf_type threading_type = CONF_TYPE("config.plain", struct am_email_threading,
                                                         threading_fields, NULL, NULL);

static const struct am_email email_defaults = { .html = TEXT(
                                                    "{{ template \"email.default.html\" . }}") };
static const struct conf_field email_fields[] = {
    FIELD(am_email, base.send_resolved, "send_resolved", CONF_BOOL, NULL),
    TEXT_OF(am_email, to),
    TEXT_OF(am_email, from),
    TEXT_OF(am_email, hello),
    TEXT_OF(am_email, smarthost),
    TEXT_OF(am_email, auth_username),
    SECRET(am_email, auth_password),
    TEXT_OF(am_email, auth_password_file),
    SECRET(am_email, auth_secret),
    TEXT_OF(am_email, auth_secret_file),
    TEXT_OF(am_email, auth_identity),
    MAP(am_email, headers),
    TEXT_OF(am_email, html),
    TEXT_OF(am_email, text),
    FIELD(am_email, require_tls, "require_tls", CONF_TRI, NULL),
    FIELD(am_email, tls, "tls_config", CONF_PTR, &conf_tls_type),
    FIELD(am_email, force_implicit_tls, "force_implicit_tls", CONF_TRI, NULL),
    FIELD(am_email, threading, "threading", CONF_STRUCT, &threading_type),
    CONF_FIELD(struct am_email, subject, "subject", CONF_STR, CONF_HIDDEN, NULL),
    CONF_FIELD(struct am_email, body, "body", CONF_STR, CONF_HIDDEN, NULL)
};
static const struct conf_type email_type = CONF_TYPE("config.plain", struct am_email, email_fields,
                                                     &email_defaults, am_check_email);

static const struct am_webhook webhook_defaults = { .base.send_resolved = true };
static const struct conf_field webhook_fields[] = {
    FIELD(am_webhook, base.send_resolved, "send_resolved", CONF_BOOL, NULL),
    FIELD(am_webhook, base.http, "http_config", CONF_PTR, &conf_http_type),
    SECRET(am_webhook, url),
    TEXT_OF(am_webhook, url_file),
    COUNT(am_webhook, max_alerts),
    FIELD(am_webhook, timeout_ms, "timeout", CONF_DURATION, NULL),
    FIELD(am_webhook, payload, "payload", CONF_NODE, NULL)
};
static const struct conf_type webhook_type = CONF_TYPE(
    "config.plain", struct am_webhook, webhook_fields, &webhook_defaults, am_check_webhook);

static const struct conf_field pagerduty_link_fields[] = { TEXT_OF(am_pagerduty_link, href),
                                                           TEXT_OF(am_pagerduty_link, text) };
static const struct conf_type pagerduty_link_type = CONF_TYPE(
    "config.plain", struct am_pagerduty_link, pagerduty_link_fields, NULL, NULL);

static const struct conf_field pagerduty_image_fields[] = { TEXT_OF(am_pagerduty_image, src),
                                                            TEXT_OF(am_pagerduty_image, alt),
                                                            TEXT_OF(am_pagerduty_image, href) };
static const struct conf_type pagerduty_image_type = CONF_TYPE(
    "config.plain", struct am_pagerduty_image, pagerduty_image_fields, NULL, NULL);

static const struct am_pagerduty pagerduty_defaults = {
    .base.send_resolved = true,
    .description = TEXT("{{ template \"pagerduty.default.description\" .}}"),
    .client = TEXT("{{ template \"pagerduty.default.client\" . }}"),
    .client_url = TEXT("{{ template \"pagerduty.default.clientURL\" . }}")
};
static const struct conf_field pagerduty_fields[] = {
    FIELD(am_pagerduty, base.send_resolved, "send_resolved", CONF_BOOL, NULL),
    FIELD(am_pagerduty, base.http, "http_config", CONF_PTR, &conf_http_type),
    SECRET(am_pagerduty, service_key),
    TEXT_OF(am_pagerduty, service_key_file),
    SECRET(am_pagerduty, routing_key),
    TEXT_OF(am_pagerduty, routing_key_file),
    TEXT_OF(am_pagerduty, url),
    TEXT_OF(am_pagerduty, client),
    TEXT_OF(am_pagerduty, client_url),
    TEXT_OF(am_pagerduty, description),
    FIELD(am_pagerduty, details, "details", CONF_NODE, NULL),
    FIELD(am_pagerduty, images, "images", CONF_LIST, &pagerduty_image_type),
    FIELD(am_pagerduty, links, "links", CONF_LIST, &pagerduty_link_type),
    TEXT_OF(am_pagerduty, source),
    TEXT_OF(am_pagerduty, severity),
    TEXT_OF(am_pagerduty, class),
    TEXT_OF(am_pagerduty, component),
    TEXT_OF(am_pagerduty, group),
    FIELD(am_pagerduty, timeout_ms, "timeout", CONF_DURATION, NULL)
};
static const struct conf_type pagerduty_type = CONF_TYPE(
    "config.plain", struct am_pagerduty, pagerduty_fields, &pagerduty_defaults, am_check_pagerduty);

static const struct conf_field responder_fields[] = { TEXT_OF(am_opsgenie_responder, id),
                                                      TEXT_OF(am_opsgenie_responder, name),
                                                      TEXT_OF(am_opsgenie_responder, username),
                                                      TEXT_OF(am_opsgenie_responder, type) };
static const struct conf_type responder_type = CONF_TYPE(
    "config.plain", struct am_opsgenie_responder, responder_fields, NULL, NULL);

static const struct am_opsgenie opsgenie_defaults = {
    .base.send_resolved = true,
    .message = TEXT("{{ template \"opsgenie.default.message\" . }}"),
    .description = TEXT("{{ template \"opsgenie.default.description\" . }}"),
    .source = TEXT("{{ template \"opsgenie.default.source\" . }}")
};
static const struct conf_field opsgenie_fields[] = {
    FIELD(am_opsgenie, base.send_resolved, "send_resolved", CONF_BOOL, NULL),
    FIELD(am_opsgenie, base.http, "http_config", CONF_PTR, &conf_http_type),
    SECRET(am_opsgenie, api_key),
    TEXT_OF(am_opsgenie, api_key_file),
    TEXT_OF(am_opsgenie, api_url),
    TEXT_OF(am_opsgenie, message),
    TEXT_OF(am_opsgenie, description),
    TEXT_OF(am_opsgenie, source),
    MAP(am_opsgenie, details),
    TEXT_OF(am_opsgenie, entity),
    FIELD(am_opsgenie, responders, "responders", CONF_LIST, &responder_type),
    TEXT_OF(am_opsgenie, actions),
    TEXT_OF(am_opsgenie, tags),
    TEXT_OF(am_opsgenie, note),
    TEXT_OF(am_opsgenie, priority),
    FLAG(am_opsgenie, update_alerts)
};
static const struct conf_type opsgenie_type = CONF_TYPE(
    "config.plain", struct am_opsgenie, opsgenie_fields, &opsgenie_defaults, am_check_opsgenie);

static const struct am_wechat wechat_defaults = {
    .message = TEXT("{{ template \"wechat.default.message\" . }}"),
    .to_user = TEXT("{{ template \"wechat.default.to_user\" . }}"),
    .to_party = TEXT("{{ template \"wechat.default.to_party\" . }}"),
    .to_tag = TEXT("{{ template \"wechat.default.to_tag\" . }}"),
    .agent_id = TEXT("{{ template \"wechat.default.agent_id\" . }}")
};
static const struct conf_field wechat_fields[] = {
    FIELD(am_wechat, base.send_resolved, "send_resolved", CONF_BOOL, NULL),
    FIELD(am_wechat, base.http, "http_config", CONF_PTR, &conf_http_type),
    SECRET(am_wechat, api_secret),
    TEXT_OF(am_wechat, api_secret_file),
    TEXT_OF(am_wechat, corp_id),
    TEXT_OF(am_wechat, message),
    TEXT_OF(am_wechat, api_url),
    TEXT_OF(am_wechat, to_user),
    TEXT_OF(am_wechat, to_party),
    TEXT_OF(am_wechat, to_tag),
    TEXT_OF(am_wechat, agent_id),
    TEXT_OF(am_wechat, message_type)
};
static const struct conf_type wechat_type = CONF_TYPE(
    "config.plain", struct am_wechat, wechat_fields, &wechat_defaults, am_check_wechat);

static const struct am_pushover pushover_defaults = {
    .base.send_resolved = true,
    .title = TEXT("{{ template \"pushover.default.title\" . }}"),
    .message = TEXT("{{ template \"pushover.default.message\" . }}"),
    .url = TEXT("{{ template \"pushover.default.url\" . }}"),
    .priority = TEXT("{{ if eq .Status \"firing\" }}2{{ else }}0{{ end }}"),
    .retry_ms = 60000,
    .expire_ms = 3600000
};
static const struct conf_field pushover_fields[] = {
    FIELD(am_pushover, base.send_resolved, "send_resolved", CONF_BOOL, NULL),
    FIELD(am_pushover, base.http, "http_config", CONF_PTR, &conf_http_type),
    SECRET(am_pushover, user_key),
    TEXT_OF(am_pushover, user_key_file),
    SECRET(am_pushover, token),
    TEXT_OF(am_pushover, token_file),
    TEXT_OF(am_pushover, title),
    TEXT_OF(am_pushover, message),
    TEXT_OF(am_pushover, url),
    TEXT_OF(am_pushover, url_title),
    TEXT_OF(am_pushover, device),
    TEXT_OF(am_pushover, sound),
    TEXT_OF(am_pushover, priority),
    FIELD(am_pushover, retry_ms, "retry", CONF_DURATION, NULL),
    FIELD(am_pushover, expire_ms, "expire", CONF_DURATION, NULL),
    FIELD(am_pushover, ttl_ms, "ttl", CONF_DURATION, NULL),
    FLAG(am_pushover, html),
    FLAG(am_pushover, monospace)
};
static const struct conf_type pushover_type = CONF_TYPE(
    "config.plain", struct am_pushover, pushover_fields, &pushover_defaults, am_check_pushover);

static const struct am_victorops victorops_defaults = {
    .base.send_resolved = true,
    .message_type = TEXT("CRITICAL"),
    .state_message = TEXT("{{ template \"victorops.default.state_message\" . }}"),
    .entity_display_name = TEXT("{{ template \"victorops.default.entity_display_name\" . }}"),
    .monitoring_tool = TEXT("{{ template \"victorops.default.monitoring_tool\" . }}")
};
static const struct conf_field victorops_fields[] = {
    FIELD(am_victorops, base.send_resolved, "send_resolved", CONF_BOOL, NULL),
    FIELD(am_victorops, base.http, "http_config", CONF_PTR, &conf_http_type),
    SECRET(am_victorops, api_key),
    TEXT_OF(am_victorops, api_key_file),
    TEXT_OF(am_victorops, api_url),
    TEXT_OF(am_victorops, routing_key),
    TEXT_OF(am_victorops, message_type),
    TEXT_OF(am_victorops, state_message),
    TEXT_OF(am_victorops, entity_display_name),
    TEXT_OF(am_victorops, monitoring_tool),
    MAP(am_victorops, custom_fields)
};
static const struct conf_type victorops_type = CONF_TYPE(
    "config.plain", struct am_victorops, victorops_fields, &victorops_defaults, am_check_victorops);

static const struct conf_field sigv4_fields[] = { TEXT_OF(am_sigv4, region),
                                                  TEXT_OF(am_sigv4, access_key),
                                                  SECRET(am_sigv4, secret_key),
                                                  TEXT_OF(am_sigv4, profile),
                                                  TEXT_OF(am_sigv4, role_arn),
                                                  TEXT_OF(am_sigv4, external_id),
                                                  FLAG(am_sigv4, use_fips_sts_endpoint) };
static const struct conf_type sigv4_type = CONF_TYPE("config.plain", struct am_sigv4, sigv4_fields,
                                                     NULL, am_check_sigv4);

static const struct am_sns sns_defaults = {
    .base.send_resolved = true,
    .subject = TEXT("{{ template \"sns.default.subject\" . }}"),
    .message = TEXT("{{ template \"sns.default.message\" . }}")
};
static const struct conf_field sns_fields[] = {
    FIELD(am_sns, base.send_resolved, "send_resolved", CONF_BOOL, NULL),
    FIELD(am_sns, base.http, "http_config", CONF_PTR, &conf_http_type),
    TEXT_OF(am_sns, api_url),
    FIELD(am_sns, sigv4, "sigv4", CONF_STRUCT, &sigv4_type),
    TEXT_OF(am_sns, topic_arn),
    TEXT_OF(am_sns, phone_number),
    TEXT_OF(am_sns, target_arn),
    TEXT_OF(am_sns, subject),
    TEXT_OF(am_sns, message),
    MAP(am_sns, attributes),
    FLAG(am_sns, use_aws_http_client)
};
static const struct conf_type sns_type = CONF_TYPE("config.plain", struct am_sns, sns_fields,
                                                   &sns_defaults, am_check_sns);

static const struct am_telegram telegram_defaults = {
    .base.send_resolved = true,
    .message = TEXT("{{ template \"telegram.default.message\" . }}"),
    .parse_mode = TEXT("HTML")
};
static const struct conf_field telegram_fields[] = {
    FIELD(am_telegram, base.send_resolved, "send_resolved", CONF_BOOL, NULL),
    FIELD(am_telegram, base.http, "http_config", CONF_PTR, &conf_http_type),
    TEXT_OF(am_telegram, api_url),
    SECRET(am_telegram, bot_token),
    TEXT_OF(am_telegram, bot_token_file),
    NUMBER(am_telegram, chat_id),
    TEXT_OF(am_telegram, chat_id_file),
    NUMBER(am_telegram, message_thread_id),
    TEXT_OF(am_telegram, message),
    FLAG(am_telegram, disable_notifications),
    TEXT_OF(am_telegram, parse_mode)
};
static const struct conf_type telegram_type = CONF_TYPE(
    "config.plain", struct am_telegram, telegram_fields, &telegram_defaults, am_check_telegram);

static const struct am_discord discord_defaults = {
    .base.send_resolved = true,
    .title = TEXT("{{ template \"discord.default.title\" . }}"),
    .message = TEXT("{{ template \"discord.default.message\" . }}")
};
static const struct conf_field discord_fields[] = {
    FIELD(am_discord, base.send_resolved, "send_resolved", CONF_BOOL, NULL),
    FIELD(am_discord, base.http, "http_config", CONF_PTR, &conf_http_type),
    SECRET(am_discord, webhook_url),
    TEXT_OF(am_discord, webhook_url_file),
    TEXT_OF(am_discord, content),
    TEXT_OF(am_discord, title),
    TEXT_OF(am_discord, message),
    TEXT_OF(am_discord, username),
    TEXT_OF(am_discord, avatar_url)
};
static const struct conf_type discord_type = CONF_TYPE(
    "config.plain", struct am_discord, discord_fields, &discord_defaults, am_check_discord);

static const struct am_msteams msteams_defaults = {
    .base.send_resolved = true,
    .title = TEXT("{{ template \"msteams.default.title\" . }}"),
    .summary = TEXT("{{ template \"msteams.default.summary\" . }}"),
    .text = TEXT("{{ template \"msteams.default.text\" . }}")
};
static const struct conf_field msteams_fields[] = {
    FIELD(am_msteams, base.send_resolved, "send_resolved", CONF_BOOL, NULL),
    FIELD(am_msteams, base.http, "http_config", CONF_PTR, &conf_http_type),
    SECRET(am_msteams, webhook_url),
    TEXT_OF(am_msteams, webhook_url_file),
    TEXT_OF(am_msteams, title),
    TEXT_OF(am_msteams, summary),
    TEXT_OF(am_msteams, text)
};
static const struct conf_type msteams_type = CONF_TYPE(
    "config.plain", struct am_msteams, msteams_fields, &msteams_defaults, am_check_msteams);

static const struct am_msteams msteamsv2_defaults = {
    .base.send_resolved = true,
    .title = TEXT("{{ template \"msteamsv2.default.title\" . }}"),
    .text = TEXT("{{ template \"msteamsv2.default.text\" . }}")
};
static const struct conf_field msteamsv2_fields[] = {
    FIELD(am_msteams, base.send_resolved, "send_resolved", CONF_BOOL, NULL),
    FIELD(am_msteams, base.http, "http_config", CONF_PTR, &conf_http_type),
    SECRET(am_msteams, webhook_url),
    TEXT_OF(am_msteams, webhook_url_file),
    TEXT_OF(am_msteams, title),
    TEXT_OF(am_msteams, text)
};
static const struct conf_type msteamsv2_type = CONF_TYPE(
    "config.plain", struct am_msteams, msteamsv2_fields, &msteamsv2_defaults, am_check_msteams);

static const struct am_webex webex_defaults = {
    .base.send_resolved = true, .message = TEXT("{{ template \"webex.default.message\" . }}")
};
static const struct conf_field webex_fields[] = {
    FIELD(am_webex, base.send_resolved, "send_resolved", CONF_BOOL, NULL),
    FIELD(am_webex, base.http, "http_config", CONF_PTR, &conf_http_type),
    TEXT_OF(am_webex, api_url), TEXT_OF(am_webex, message), TEXT_OF(am_webex, room_id)
};
static const struct conf_type webex_type = CONF_TYPE("config.plain", struct am_webex, webex_fields,
                                                     &webex_defaults, am_check_webex);

static const struct am_incidentio incidentio_defaults = { .base.send_resolved = true };
static const struct conf_field incidentio_fields[] = {
    FIELD(am_incidentio, base.send_resolved, "send_resolved", CONF_BOOL, NULL),
    FIELD(am_incidentio, base.http, "http_config", CONF_PTR, &conf_http_type),
    TEXT_OF(am_incidentio, url),
    TEXT_OF(am_incidentio, url_file),
    SECRET(am_incidentio, alert_source_token),
    TEXT_OF(am_incidentio, alert_source_token_file),
    COUNT(am_incidentio, max_alerts),
    FIELD(am_incidentio, timeout_ms, "timeout", CONF_DURATION, NULL)
};
static const struct conf_type incidentio_type = CONF_TYPE("config.plain", struct am_incidentio,
                                                          incidentio_fields, &incidentio_defaults,
                                                          am_check_incidentio);

static const struct conf_field jira_field_fields[] = { TEXT_OF(am_jira_field, template),
                                                       FIELD(am_jira_field, enable_update,
                                                             "enable_update", CONF_TRI, NULL) };
const struct conf_type am_jira_field_type = CONF_TYPE("config.plain", struct am_jira_field,
                                                      jira_field_fields, NULL, NULL);

static const struct am_jira jira_defaults = { .base.send_resolved = true,
                                              .api_type = TEXT("auto"),
                                              .priority = TEXT(
                                                  "{{ template \"jira.default.priority\" . }}") };
static const struct conf_field jira_fields[] = {
    FIELD(am_jira, base.send_resolved, "send_resolved", CONF_BOOL, NULL),
    FIELD(am_jira, base.http, "http_config", CONF_PTR, &conf_http_type),
    TEXT_OF(am_jira, api_url),
    TEXT_OF(am_jira, api_type),
    TEXT_OF(am_jira, project),
    FIELD(am_jira, summary_node, "summary", CONF_NODE, NULL),
    FIELD(am_jira, description_node, "description", CONF_NODE, NULL),
    TEXTS(am_jira, labels),
    TEXT_OF(am_jira, priority),
    TEXT_OF(am_jira, issue_type),
    TEXT_OF(am_jira, reopen_transition),
    TEXT_OF(am_jira, resolve_transition),
    TEXT_OF(am_jira, wont_fix_resolution),
    FIELD(am_jira, reopen_duration_ms, "reopen_duration", CONF_DURATION, NULL),
    FIELD(am_jira, fields, "fields", CONF_NODE, NULL)
};
static const struct conf_type jira_type = CONF_TYPE("config.plain", struct am_jira, jira_fields,
                                                    &jira_defaults, am_check_jira);

static const struct conf_field rocketchat_action_fields[] = {
    TEXT_OF(am_rocketchat_action, type),
    TEXT_OF(am_rocketchat_action, text),
    TEXT_OF(am_rocketchat_action, url),
    TEXT_OF(am_rocketchat_action, image_url),
    FLAG(am_rocketchat_action, is_webview),
    TEXT_OF(am_rocketchat_action, webview_height_ratio),
    TEXT_OF(am_rocketchat_action, msg),
    FLAG(am_rocketchat_action, msg_in_chat_window),
    TEXT_OF(am_rocketchat_action, msg_processing_type)
};
static const struct conf_type rocketchat_action_type = CONF_TYPE(
    "config.plain", struct am_rocketchat_action, rocketchat_action_fields, NULL, NULL);

static const struct conf_field rocketchat_field_fields[] = {
    TEXT_OF(am_field, title), TEXT_OF(am_field, value),
    FIELD(am_field, is_short, "short", CONF_TRI, NULL)
};
static const struct conf_type rocketchat_field_type = CONF_TYPE(
    "config.plain", struct am_field, rocketchat_field_fields, NULL, NULL);

static const struct am_rocketchat rocketchat_defaults = {
    .color = TEXT("{{ if eq .Status \"firing\" }}red{{ else }}green{{ end }}"),
    .emoji = TEXT("{{ template \"rocketchat.default.emoji\" . }}"),
    .icon_url = TEXT("{{ template \"rocketchat.default.iconurl\" . }}"),
    .text = TEXT("{{ template \"rocketchat.default.text\" . }}"),
    .title = TEXT("{{ template \"rocketchat.default.title\" . }}"),
    .title_link = TEXT("{{ template \"rocketchat.default.titlelink\" . }}")
};
static const struct conf_field rocketchat_fields[] = {
    FIELD(am_rocketchat, base.send_resolved, "send_resolved", CONF_BOOL, NULL),
    FIELD(am_rocketchat, base.http, "http_config", CONF_PTR, &conf_http_type),
    TEXT_OF(am_rocketchat, api_url),
    SECRET(am_rocketchat, token_id),
    TEXT_OF(am_rocketchat, token_id_file),
    SECRET(am_rocketchat, token),
    TEXT_OF(am_rocketchat, token_file),
    TEXT_OF(am_rocketchat, channel),
    TEXT_OF(am_rocketchat, color),
    TEXT_OF(am_rocketchat, title),
    TEXT_OF(am_rocketchat, title_link),
    TEXT_OF(am_rocketchat, text),
    FIELD(am_rocketchat, fields, "fields", CONF_LIST, &rocketchat_field_type),
    FLAG(am_rocketchat, short_fields),
    TEXT_OF(am_rocketchat, emoji),
    TEXT_OF(am_rocketchat, icon_url),
    TEXT_OF(am_rocketchat, image_url),
    TEXT_OF(am_rocketchat, thumb_url),
    FLAG(am_rocketchat, link_names),
    FIELD(am_rocketchat, actions, "actions", CONF_LIST, &rocketchat_action_type)
};
static const struct conf_type rocketchat_type = CONF_TYPE("config.plain", struct am_rocketchat,
                                                          rocketchat_fields, &rocketchat_defaults,
                                                          am_check_rocketchat);

static const struct conf_field mattermost_field_fields[] = {
    TEXT_OF(am_field, title), TEXT_OF(am_field, value),
    FIELD(am_field, is_short, "short", CONF_TRI, NULL)
};
static const struct conf_type mattermost_field_type = CONF_TYPE(
    "config.plain", struct am_field, mattermost_field_fields, NULL, am_check_mattermost_field);

static const struct conf_field mattermost_attachment_fields[] = {
    TEXT_OF(am_mattermost_attachment, fallback),
    TEXT_OF(am_mattermost_attachment, color),
    TEXT_OF(am_mattermost_attachment, pretext),
    TEXT_OF(am_mattermost_attachment, text),
    TEXT_OF(am_mattermost_attachment, author_name),
    TEXT_OF(am_mattermost_attachment, author_link),
    TEXT_OF(am_mattermost_attachment, author_icon),
    TEXT_OF(am_mattermost_attachment, title),
    TEXT_OF(am_mattermost_attachment, title_link),
    FIELD(am_mattermost_attachment, fields, "fields", CONF_LIST, &mattermost_field_type),
    TEXT_OF(am_mattermost_attachment, thumb_url),
    TEXT_OF(am_mattermost_attachment, footer),
    TEXT_OF(am_mattermost_attachment, footer_icon),
    TEXT_OF(am_mattermost_attachment, image_url)
};
static const struct conf_type mattermost_attachment_type = CONF_TYPE(
    "config.plain", struct am_mattermost_attachment, mattermost_attachment_fields, NULL, NULL);

static const struct conf_field mattermost_props_fields[] = { TEXT_OF(am_mattermost_props, card) };
static const struct conf_type mattermost_props_type = CONF_TYPE(
    "config.plain", struct am_mattermost_props, mattermost_props_fields, NULL, NULL);

static const struct conf_field mattermost_priority_fields[] = {
    TEXT_OF(am_mattermost_priority, priority), FLAG(am_mattermost_priority, requested_ack),
    FLAG(am_mattermost_priority, persistent_notifications)
};
static const struct conf_type mattermost_priority_type = CONF_TYPE(
    "config.plain", struct am_mattermost_priority, mattermost_priority_fields, NULL, NULL);

static const struct am_mattermost mattermost_defaults = {
    .base.send_resolved = true,
    .username = TEXT("{{ template \"mattermost.default.username\" . }}"),
    .main.color = TEXT("{{ template \"mattermost.default.color\" . }}"),
    .main.text = TEXT("{{ template \"mattermost.default.text\" . }}"),
    .main.title = TEXT("{{ template \"mattermost.default.title\" . }}"),
    .main.title_link = TEXT("{{ template \"mattermost.default.titlelink\" . }}"),
    .main.fallback = TEXT("{{ template \"mattermost.default.fallback\" . }}")
};
static const struct conf_field mattermost_fields[] = {
    FIELD(am_mattermost, base.send_resolved, "send_resolved", CONF_BOOL, NULL),
    FIELD(am_mattermost, base.http, "http_config", CONF_PTR, &conf_http_type),
    SECRET(am_mattermost, webhook_url),
    TEXT_OF(am_mattermost, webhook_url_file),
    TEXT_OF(am_mattermost, channel),
    TEXT_OF(am_mattermost, username),
    FIELD(am_mattermost, main.fallback, "fallback", CONF_STR, NULL),
    FIELD(am_mattermost, main.color, "color", CONF_STR, NULL),
    FIELD(am_mattermost, main.pretext, "pretext", CONF_STR, NULL),
    FIELD(am_mattermost, main.text, "text", CONF_STR, NULL),
    FIELD(am_mattermost, main.author_name, "author_name", CONF_STR, NULL),
    FIELD(am_mattermost, main.author_link, "author_link", CONF_STR, NULL),
    FIELD(am_mattermost, main.author_icon, "author_icon", CONF_STR, NULL),
    FIELD(am_mattermost, main.title, "title", CONF_STR, NULL),
    FIELD(am_mattermost, main.title_link, "title_link", CONF_STR, NULL),
    FIELD(am_mattermost, main.fields, "fields", CONF_LIST, &mattermost_field_type),
    FIELD(am_mattermost, main.thumb_url, "thumb_url", CONF_STR, NULL),
    FIELD(am_mattermost, main.footer, "footer", CONF_STR, NULL),
    FIELD(am_mattermost, main.footer_icon, "footer_icon", CONF_STR, NULL),
    FIELD(am_mattermost, main.image_url, "image_url", CONF_STR, NULL),
    TEXT_OF(am_mattermost, icon_url),
    TEXT_OF(am_mattermost, icon_emoji),
    FIELD(am_mattermost, attachments, "attachments", CONF_LIST, &mattermost_attachment_type),
    TEXT_OF(am_mattermost, type),
    FIELD(am_mattermost, props, "props", CONF_PTR, &mattermost_props_type),
    FIELD(am_mattermost, priority, "priority", CONF_PTR, &mattermost_priority_type)
};
static const struct conf_type mattermost_type = CONF_TYPE("config.plain", struct am_mattermost,
                                                          mattermost_fields, &mattermost_defaults,
                                                          am_check_mattermost);

static const struct conf_field receiver_fields[] = {
    CONF_FIELD(struct am_receiver, name, "name", CONF_STR, 0, NULL),
    CONF_FIELD(struct am_receiver, labels, "labels", CONF_MAP, CONF_OMIT, NULL),
    CONF_FIELD(struct am_receiver, config[AM_DISCORD], "discord_configs", CONF_LIST,
               CONF_OMIT | CONF_NULL_ITEM, &discord_type),
    CONF_FIELD(struct am_receiver, config[AM_EMAIL], "email_configs", CONF_LIST,
               CONF_OMIT | CONF_NULL_ITEM, &email_type),
    CONF_FIELD(struct am_receiver, config[AM_INCIDENTIO], "incidentio_configs", CONF_LIST,
               CONF_OMIT | CONF_NULL_ITEM, &incidentio_type),
    CONF_FIELD(struct am_receiver, config[AM_PAGERDUTY], "pagerduty_configs", CONF_LIST,
               CONF_OMIT | CONF_NULL_ITEM, &pagerduty_type),
    CONF_FIELD(struct am_receiver, config[AM_SLACK], "slack_configs", CONF_LIST,
               CONF_OMIT | CONF_NULL_ITEM, &slack_type),
    CONF_FIELD(struct am_receiver, config[AM_WEBHOOK], "webhook_configs", CONF_LIST,
               CONF_OMIT | CONF_NULL_ITEM, &webhook_type),
    CONF_FIELD(struct am_receiver, config[AM_OPSGENIE], "opsgenie_configs", CONF_LIST,
               CONF_OMIT | CONF_NULL_ITEM, &opsgenie_type),
    CONF_FIELD(struct am_receiver, config[AM_WECHAT], "wechat_configs", CONF_LIST,
               CONF_OMIT | CONF_NULL_ITEM, &wechat_type),
    CONF_FIELD(struct am_receiver, config[AM_PUSHOVER], "pushover_configs", CONF_LIST,
               CONF_OMIT | CONF_NULL_ITEM, &pushover_type),
    CONF_FIELD(struct am_receiver, config[AM_VICTOROPS], "victorops_configs", CONF_LIST,
               CONF_OMIT | CONF_NULL_ITEM, &victorops_type),
    CONF_FIELD(struct am_receiver, config[AM_SNS], "sns_configs", CONF_LIST,
               CONF_OMIT | CONF_NULL_ITEM, &sns_type),
    CONF_FIELD(struct am_receiver, config[AM_TELEGRAM], "telegram_configs", CONF_LIST,
               CONF_OMIT | CONF_NULL_ITEM, &telegram_type),
    CONF_FIELD(struct am_receiver, config[AM_WEBEX], "webex_configs", CONF_LIST,
               CONF_OMIT | CONF_NULL_ITEM, &webex_type),
    CONF_FIELD(struct am_receiver, config[AM_MSTEAMS], "msteams_configs", CONF_LIST,
               CONF_OMIT | CONF_NULL_ITEM, &msteams_type),
    CONF_FIELD(struct am_receiver, config[AM_MSTEAMSV2], "msteamsv2_configs", CONF_LIST,
               CONF_OMIT | CONF_NULL_ITEM, &msteamsv2_type),
    CONF_FIELD(struct am_receiver, config[AM_JIRA], "jira_configs", CONF_LIST,
               CONF_OMIT | CONF_NULL_ITEM, &jira_type),
    CONF_FIELD(struct am_receiver, config[AM_ROCKETCHAT], "rocketchat_configs", CONF_LIST,
               CONF_OMIT | CONF_NULL_ITEM, &rocketchat_type),
    CONF_FIELD(struct am_receiver, config[AM_MATTERMOST], "mattermost_configs", CONF_LIST,
               CONF_OMIT | CONF_NULL_ITEM, &mattermost_type)
};
const struct conf_type am_receiver_type = CONF_TYPE("config.plain", struct am_receiver,
                                                    receiver_fields, NULL, am_check_receiver);

const char *am_kind_name(enum am_kind k)
{
    static const char *const names[AM_KINDS] = {
        [AM_DISCORD] = "discord",
        [AM_EMAIL] = "email",
        [AM_INCIDENTIO] = "incidentio",
        [AM_PAGERDUTY] = "pagerduty",
        [AM_SLACK] = "slack",
        [AM_WEBHOOK] = "webhook",
        [AM_OPSGENIE] = "opsgenie",
        [AM_WECHAT] = "wechat",
        [AM_PUSHOVER] = "pushover",
        [AM_VICTOROPS] = "victorops",
        [AM_SNS] = "sns",
        [AM_TELEGRAM] = "telegram",
        [AM_WEBEX] = "webex",
        [AM_MSTEAMS] = "msteams",
        [AM_MSTEAMSV2] = "msteamsv2",
        [AM_JIRA] = "jira",
        [AM_ROCKETCHAT] = "rocketchat",
        [AM_MATTERMOST] = "mattermost",
    };
    return names[k];
}
