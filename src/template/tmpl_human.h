/*
 * tmpl_human.h - functions that both tables have: numbers for people, text, regular expressions.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "template/tmpl.h"

// A number of any kind, or text of one, as a float. False: the call has failed.
MUST_CHECK bool tmpl_to_float(struct tmpl_call *c, const struct tmpl_value *v, double *out);
// Seconds since 1970 as a time; false: *why says why not. NaN and Inf: *why is NULL.
MUST_CHECK bool tmpl_float_to_time(struct arena *a, double v, struct tmpl_instant *out,
                                   struct str *why);
// Words begin with a capital; lower: and go on in small letters.
void tmpl_title(struct buf *b, struct str s, bool lower);

#define TMPL_FN(name) \
    bool name(struct tmpl_call *c, const struct tmpl_value *arg, size_t n, struct tmpl_value *out)
TMPL_FN(tmpl_fn_humanize);
TMPL_FN(tmpl_fn_humanize1024);
TMPL_FN(tmpl_fn_humanize_duration);
TMPL_FN(tmpl_fn_humanize_percentage);
TMPL_FN(tmpl_fn_humanize_timestamp);
TMPL_FN(tmpl_fn_to_upper);
TMPL_FN(tmpl_fn_to_lower);
TMPL_FN(tmpl_fn_title);       // the rest of words as it is
TMPL_FN(tmpl_fn_title_lower); // in small letters
TMPL_FN(tmpl_fn_match);
TMPL_FN(tmpl_fn_replace); // reReplaceAll
TMPL_FN(tmpl_fn_safe_html);
TMPL_FN(tmpl_fn_query_escape);
