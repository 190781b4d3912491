/*
 * alertmanager.h - alertmanager.yml: the document as structs, read, checked, defaults filled in.
 *
 * No behaviour: notify/ routes and sends by it. Everything lives in the configuration's arena.
 * What the original refuses although its meaning is clear (`subject` and `body` of an e-mail) is
 * taken as meant, with a warning; strict readers may refuse documents with warnings.
 * Source: Alertmanager 0.34, config/ and notify/<integration>/config.go.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "config/http_config.h"
#include "config/time_interval.h"
#include "model/matcher_text.h"

/* ---- receivers ---- */

enum am_kind {
    AM_DISCORD,
    AM_EMAIL,
    AM_INCIDENTIO,
    AM_PAGERDUTY,
    AM_SLACK,
    AM_WEBHOOK,
    AM_OPSGENIE,
    AM_WECHAT,
    AM_PUSHOVER,
    AM_VICTOROPS,
    AM_SNS,
    AM_TELEGRAM,
    AM_WEBEX,
    AM_MSTEAMS,
    AM_MSTEAMSV2,
    AM_JIRA,
    AM_ROCKETCHAT,
    AM_MATTERMOST,
    AM_KINDS,
};
const char *am_kind_name(enum am_kind k); // "email": labels of metrics, keys without "_configs"

// What every integration begins with. Texts below are templates unless their name says otherwise.
struct am_base {
    bool send_resolved;
    struct conf_http *http; // never NULL after loading, but for e-mail
};

struct am_email {
    struct am_base base;
    struct str to, from, hello, smarthost; // smarthost: host:port
    struct str auth_username, auth_password, auth_password_file, auth_secret, auth_secret_file,
        auth_identity;
    struct conf_map headers; // names in canonical form
    struct str html, text;
    struct str subject, body; // taken as headers.Subject and text
    enum conf_tri require_tls, force_implicit_tls;
    struct conf_tls *tls;
    struct am_email_threading {
        bool enabled;
        struct str thread_by_date;
    } threading;
};

struct am_slack_confirm {
    struct str text, title, ok_text, dismiss_text;
};
struct am_slack_action {
    struct str type, text, url, style, name, value;
    struct am_slack_confirm *confirm;
};
struct am_field { // of Slack, Mattermost, Rocket.Chat
    struct str title, value;
    enum conf_tri is_short;
};
struct am_slack {
    struct am_base base;
    struct str api_url, api_url_file, app_token, app_token_file, app_url;
    struct str channel, username, color, title, title_link, pretext, text, message_text, footer,
        fallback, callback_id, icon_emoji, icon_url, image_url, thumb_url;
    struct conf_list fields, actions; // struct am_field, struct am_slack_action
    struct conf_strs mrkdwn_in;
    bool short_fields, link_names, update_message;
    int64_t timeout_ms;
};

struct am_webhook {
    struct am_base base;
    struct str url, url_file;
    uint64_t max_alerts;
    int64_t timeout_ms;
    const struct yaml_node *payload; // of templates; NULL: the usual document
};

struct am_pagerduty_link {
    struct str href, text;
};
struct am_pagerduty_image {
    struct str src, alt, href;
};
struct am_pagerduty {
    struct am_base base;
    struct str service_key, service_key_file, routing_key, routing_key_file, url;
    struct str client, client_url, description, source, severity, class, component, group;
    const struct yaml_node *details; // besides firing, resolved, num_firing, num_resolved
    struct conf_list images, links;
    int64_t timeout_ms;
};

struct am_opsgenie_responder {
    struct str id, name, username, type;
};
struct am_opsgenie {
    struct am_base base;
    struct str api_key, api_key_file, api_url;
    struct str message, description, source, entity, actions, tags, note, priority;
    struct conf_map details;
    struct conf_list responders;
    bool update_alerts;
};

struct am_wechat {
    struct am_base base;
    struct str api_secret, api_secret_file, corp_id, api_url;
    struct str message, to_user, to_party, to_tag, agent_id, message_type;
};

struct am_pushover {
    struct am_base base;
    struct str user_key, user_key_file, token, token_file;
    struct str title, message, url, url_title, device, sound, priority;
    int64_t retry_ms, expire_ms, ttl_ms;
    bool html, monospace;
};

struct am_victorops {
    struct am_base base;
    struct str api_key, api_key_file, api_url;
    struct str routing_key, message_type, state_message, entity_display_name, monitoring_tool;
    struct conf_map custom_fields;
};

struct am_sns {
    struct am_base base;
    struct str api_url, topic_arn, phone_number, target_arn, subject, message;
    struct am_sigv4 {
        struct str region, access_key, secret_key, profile, role_arn, external_id;
        bool use_fips_sts_endpoint;
    } sigv4;
    struct conf_map attributes;
    bool use_aws_http_client;
};

struct am_telegram {
    struct am_base base;
    struct str api_url, bot_token, bot_token_file, chat_id_file, message, parse_mode;
    int64_t chat_id, message_thread_id;
    bool disable_notifications;
};

struct am_discord {
    struct am_base base;
    struct str webhook_url, webhook_url_file, content, title, message, username, avatar_url;
};

struct am_msteams { // both versions; summary: of the first only
    struct am_base base;
    struct str webhook_url, webhook_url_file, title, summary, text;
};

struct am_webex {
    struct am_base base;
    struct str api_url, message, room_id;
};

struct am_incidentio {
    struct am_base base;
    struct str url, url_file, alert_source_token, alert_source_token_file;
    uint64_t max_alerts;
    int64_t timeout_ms;
};

struct am_jira_field {
    struct str template;
    enum conf_tri enable_update;
};
struct am_jira {
    struct am_base base;
    struct str api_url, api_type, project, priority, issue_type, reopen_transition,
        resolve_transition, wont_fix_resolution;
    const struct yaml_node *summary_node, *description_node; // text, or a mapping
    struct am_jira_field summary, description;
    struct conf_strs labels;
    int64_t reopen_duration_ms;
    const struct yaml_node *fields;
};

struct am_rocketchat_action {
    struct str type, text, url, image_url, webview_height_ratio, msg, msg_processing_type;
    bool is_webview, msg_in_chat_window;
};
struct am_rocketchat {
    struct am_base base;
    struct str api_url, token_id, token_id_file, token, token_file;
    struct str channel, color, title, title_link, text, emoji, icon_url, image_url, thumb_url;
    struct conf_list fields, actions;
    bool short_fields, link_names;
};

struct am_mattermost_attachment {
    struct str fallback, color, pretext, text, author_name, author_link, author_icon, title,
        title_link, thumb_url, footer, footer_icon, image_url;
    struct conf_list fields;
};
struct am_mattermost {
    struct am_base base;
    struct str webhook_url, webhook_url_file, channel, username, icon_url, icon_emoji, type;
    struct am_mattermost_attachment main; // the attachment made of the texts here
    struct conf_list attachments;
    struct am_mattermost_props {
        struct str card;
    } * props;
    struct am_mattermost_priority {
        struct str priority;
        bool requested_ack, persistent_notifications;
    } * priority;
};

struct am_receiver {
    struct str name;
    struct conf_map labels;            // "name" is among them
    struct conf_list config[AM_KINDS]; // pointers to the structs above, all beginning with am_base
};

/* ---- routes ---- */

struct am_route {
    struct str receiver;
    struct conf_strs group_by_text;
    struct conf_map match, match_re, labels; // labels: templates
    struct conf_strs matchers_text, mute_time_intervals, active_time_intervals;
    bool is_continue;
    struct conf_list routes; // struct am_route
    const struct yaml_node *group_wait_node, *group_interval_node, *repeat_interval_node;
    // Effective, with what is inherited.
    struct str *group_by;
    size_t group_by_n;
    bool group_by_all;
    int64_t group_wait_ms, group_interval_ms, repeat_interval_ms;
    struct matcher_list matchers; // match, match_re and matchers together, sorted by name
    struct conf_map all_labels;   // with those of the routes above
    const struct am_route *parent;
    unsigned index;         // in the order of a walk through the tree
    unsigned child;         // its place among its parent's routes
    struct am_receiver *to; // of receiver
    struct str key, id;     // {}/{team="a"}, and with the place among its siblings: {}/{team="a"}/0
    struct pos pos;
};

struct am_inhibit {
    struct str name;
    struct conf_map source_match, source_match_re, target_match, target_match_re;
    struct conf_strs source_text, target_text, equal;
    struct matcher_list source, target; // all of a side together, sorted by name
};

struct am_interval {
    struct str name;
    struct conf_list intervals; // struct conf_time_interval
};

struct am_global {
    int64_t resolve_timeout_ms;
    struct conf_http *http;
    struct str jira_api_url;
    struct str smtp_from, smtp_hello, smtp_smarthost, smtp_auth_username, smtp_auth_password,
        smtp_auth_password_file, smtp_auth_secret, smtp_auth_secret_file, smtp_auth_identity;
    bool smtp_require_tls;
    enum conf_tri smtp_force_implicit_tls;
    struct conf_tls *smtp_tls;
    struct str slack_api_url, slack_api_url_file, slack_app_token, slack_app_token_file,
        slack_app_url;
    struct str pagerduty_url, opsgenie_api_url, opsgenie_api_key, opsgenie_api_key_file;
    struct str wechat_api_url, wechat_api_secret, wechat_api_secret_file, wechat_api_corp_id;
    struct str victorops_api_url, victorops_api_key, victorops_api_key_file;
    struct str telegram_api_url, telegram_bot_token, telegram_bot_token_file, webex_api_url;
    struct str rocketchat_api_url, rocketchat_token, rocketchat_token_file, rocketchat_token_id,
        rocketchat_token_id_file;
    struct str mattermost_webhook_url, mattermost_webhook_url_file;
};

struct am_doc {
    struct am_global *global;
    struct am_route *route;
    struct conf_list inhibit_rules, receivers; // struct am_inhibit, struct am_receiver
    struct conf_strs templates;                // file patterns, resolved against the folder
    struct conf_list mute_time_intervals, time_intervals;
    const struct yaml_node *tracing, *event_recorder; // recognised, without effect: a warning
};

struct am_config { // immutable once loaded, shared by reference
    _Atomic unsigned refs;
    struct arena arena;
    struct str path, dir, text; // text: as it was read, for the API
    struct am_doc doc;
    struct am_route **routes; // all of them, by index; the root is first
    size_t route_count;
    struct conf_problem *problems, *warnings;
    size_t problem_count, warning_count;
    VEC(const struct regex *) regexes; // of all matchers
};

/*
 * Reads and checks a file. *out is also set on failure where problems are worth showing (then
 * am_config_put it). *e: upstream's text, with position.
 */
MUST_CHECK bool am_config_load(const char *path, struct am_config **out, struct err *e);
// From memory: path is for messages and relative paths.
MUST_CHECK bool am_config_parse(struct str text, const char *path, struct am_config **out,
                                struct err *e);
struct am_config *am_config_get(struct am_config *c);
void am_config_put(struct am_config *c);
OWN_DEFINE(struct am_config *, am_config_put)

struct am_receiver *am_receiver_find(const struct am_config *c, struct str name); // NULL: none
const struct am_interval *am_interval_find(const struct am_config *c, struct str name);
