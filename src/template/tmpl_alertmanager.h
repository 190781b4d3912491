/*
 * tmpl_alertmanager.h - templates of notifications: Alertmanager's functions and the data they see.
 *
 * Source: the documentation of Alertmanager 0.34.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "model/labels.h"
#include "template/tmpl.h"

struct tmpl_note_alert {
    bool resolved;
    struct labels labels, annotations;
    int64_t starts_ns, ends_ns; // 0: not known, Go's zero time
    struct str generator_url, fingerprint;
};

struct tmpl_note { // what .Receiver and so on are
    struct str receiver, status, reason, external_url;
    const struct tmpl_note_alert *alerts;
    size_t alert_count;
    struct labels group_labels, common_labels, common_annotations;
    struct labels route_labels; // values are templates, too: routeLabels "name" expands them
};

extern const struct tmpl_function tmpl_alertmanager_functions[];
extern const size_t tmpl_alertmanager_function_count;
// For gotemplate_set.has_function: these and the builtins.
bool tmpl_alertmanager_has_function(void *ctx, struct str name);

// The data of a notification, *template.Data: to be given to a template, or to tmpl_json().
struct tmpl_value tmpl_of_note(struct arena *a, const struct tmpl_note *n);

/*
 * Expands a text of a receiver, which may call templates of `base` (NULL: none). html: escaped for
 * its place in a page. now_ms: what `now` says. *out lives in the arena; *error: the whole message.
 */
struct tmpl_note_run {
    const struct gotemplate_set *base;
    struct tmpl_value data;     // of tmpl_of_note(), or anything
    struct labels route_labels; // of routeLabels
    int64_t now_ms;
    bool html;
    struct budget *budget; // NULL: none
};
MUST_CHECK bool tmpl_note_expand(const struct tmpl_note_run *r, struct str text, struct arena *a,
                                 struct str *out, struct str *error, struct err *e);
