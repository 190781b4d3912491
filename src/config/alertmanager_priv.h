/*
 * alertmanager_priv.h - what the files of config/alertmanager share.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "config/alertmanager.h"

conf_check_fn am_check_discord, am_check_email, am_check_incidentio, am_check_jira,
    am_check_mattermost, am_check_mattermost_field, am_check_msteams, am_check_opsgenie,
    am_check_pagerduty, am_check_pushover, am_check_receiver, am_check_rocketchat, am_check_sigv4,
    am_check_slack, am_check_slack_action, am_check_slack_confirm, am_check_slack_field,
    am_check_sns, am_check_telegram, am_check_victorops, am_check_webex, am_check_webhook,
    am_check_wechat;

extern const struct conf_type am_receiver_type, am_jira_field_type;

// http or https with a host; empty is fine.
MUST_CHECK bool am_check_url(struct str url, const struct yaml_node *node, struct err *e);
// host:port; empty is fine.
MUST_CHECK bool am_check_host_port(struct str s, const struct yaml_node *node, struct err *e);
// Gives integrations what the global section says, and checks that nothing is missing.
MUST_CHECK bool am_inherit(struct am_config *c, struct err *e);
