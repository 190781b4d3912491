// blackbox_http_judge.c - what an answer of HTTP must be, and its metrics.
// SPDX-License-Identifier: Apache-2.0
#include "export/blackbox_http_priv.h"

static bool status_is_valid(struct http_probe *h)
{
    int status = h->head.status;

    for (size_t i = 0; i < h->m->status_count; i++)
        if (h->m->status[i] == status)
            return true;
    if (!h->m->status_count && status >= 200 && status < 300)
        return true;
    probe_error(h->p,
                h->m->status_count ? "Invalid HTTP response status code"
                                   : "Invalid HTTP response status code, wanted 2xx",
                KV_I64("status_code", status));
    return false;
}

// want: the header must match; otherwise it must not.
static bool header_passes(struct http_probe *h, const struct blackbox_header_match *m, bool want)
{
    const struct http_head *head = &h->head;
    bool seen = false;

    for (size_t i = 0; i < head->header_count; i++) {
        if (!str_eq_nocase(head->headers[i].name, m->header))
            continue;
        seen = true;
        if (regex_match(m->re, head->headers[i].value)) {
            if (want)
                return true;
            probe_error(h->p, "Header matched regular expression", KV_STR("header", m->header),
                        KV_STR("regexp", m->regexp), KV_STR("value", head->headers[i].value));
            return false;
        }
    }
    if (!seen && m->allow_missing)
        return true;
    if (!seen)
        probe_error(h->p, "Missing required header", KV_STR("header", m->header));
    else if (want)
        probe_error(h->p, "Header did not match regular expression", KV_STR("header", m->header),
                    KV_STR("regexp", m->regexp));
    return seen && !want;
}

static bool headers_pass(struct http_probe *h)
{
    for (size_t i = 0; i < h->m->fail_if_header_matches.n; i++)
        if (!header_passes(h, h->m->fail_if_header_matches.v[i], false))
            return false;
    for (size_t i = 0; i < h->m->fail_if_header_not_matches.n; i++)
        if (!header_passes(h, h->m->fail_if_header_not_matches.v[i], true))
            return false;
    return true;
}

static bool body_passes(struct http_probe *h)
{
    struct str body = buf_view(&h->raw);

    for (size_t i = 0; i < h->m->body_matches.n; i++) {
        if (regex_match(h->m->body_matches.v[i], body)) {
            probe_error(h->p, "Body matched regular expression",
                        KV_STR("regexp", regex_pattern(h->m->body_matches.v[i])));
            return false;
        }
    }
    for (size_t i = 0; i < h->m->body_not_matches.n; i++) {
        if (!regex_match(h->m->body_not_matches.v[i], body)) {
            probe_error(h->p, "Body did not match regular expression",
                        KV_STR("regexp", regex_pattern(h->m->body_not_matches.v[i])));
            return false;
        }
    }
    return true;
}

static bool version_is_valid(struct http_probe *h)
{
    const struct conf_strs *v = &h->m->valid_http_versions;
    struct str have = h->head.minor ? STR("HTTP/1.1") : STR("HTTP/1.0");

    for (size_t i = 0; i < v->n; i++)
        if (str_eq(v->v[i], have))
            return true;
    if (v->n)
        probe_error(h->p, "Invalid HTTP version number", KV_STR("version", have));
    return !v->n;
}

bool http_probe_judge(struct http_probe *h)
{
    bool ok = status_is_valid(h);

    if (ok && !headers_pass(h))
        ok = !(h->failed_regex = true);
    if (h->m->body_size_limit && h->raw.n > h->m->body_size_limit) {
        probe_error(h->p, "Failed to read HTTP response body",
                    KV("err", "http: request body too large"));
        h->raw.n = h->m->body_size_limit;
        ok = false;
    }
    if (ok && !body_passes(h))
        ok = !(h->failed_regex = true);
    ok = ok && !h->body_failed;
    ok = version_is_valid(h) && ok;
    if (h->has_peer && h->m->fail_if_ssl) {
        probe_error(h->p, "Final request was over SSL");
        ok = false;
    }
    if (!h->has_peer && h->m->fail_if_not_ssl && ok) {
        probe_error(h->p, "Final request was not over SSL");
        ok = false;
    }
    return ok;
}

/* ---- metrics ---- */

// "Sun, 06 Nov 1994 08:49:37 GMT"; false: something else.
static bool http_date(struct str s, double *out)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    uint64_t day, year, hour, minute, second;
    int month = 0;

    if (s.n != 29 || !str_ends(s, STR(" GMT")) || !str_to_u64(str_sub(s, 5, 7), &day) ||
        !str_to_u64(str_sub(s, 12, 16), &year) || !str_to_u64(str_sub(s, 17, 19), &hour) ||
        !str_to_u64(str_sub(s, 20, 22), &minute) || !str_to_u64(str_sub(s, 23, 25), &second))
        return false;
    while (month < 12 && memcmp(months + 3 * month, s.p + 8, 3) != 0)
        month++;
    if (month == 12 || day < 1 || day > 31)
        return false;
    *out = (double)(civil_days((int64_t)year, month + 1, (int)day) * 86400) +
           (double)(hour * 3600 + minute * 60 + second);
    return true;
}

static void add_phases(struct http_probe *h)
{
    static const char *const names[] = { "resolve", "connect", "tls", "processing", "transfer" };

    for (size_t i = 0; i < HTTP_PHASES; i++)
        probe_add(h->p, "probe_http_duration_seconds",
                  "Duration of http request by phase, summed over all redirects", h->phase[i],
                  "phase", str_c(names[i]));
}

void http_probe_add(struct http_probe *h)
{
    struct probe *p = h->p;
    double modified;

    add_phases(h);
    PROBE_GAUGE(p, "probe_http_content_length", "Length of http content response",
                h->content_length);
    PROBE_GAUGE(p, "probe_http_uncompressed_body_length", "Length of uncompressed response body",
                (double)h->raw.n);
    PROBE_GAUGE(p, "probe_http_redirects", "The number of redirects", h->redirects);
    PROBE_GAUGE(p, "probe_http_ssl", "Indicates if SSL was used for the final redirect",
                h->has_peer);
    PROBE_GAUGE(p, "probe_http_status_code", "Response HTTP status code",
                h->answered ? h->head.status : 0);
    PROBE_GAUGE(p, "probe_http_version", "Returns the version of HTTP of the probe response",
                !h->answered    ? 0
                : h->head.minor ? 1.1
                                : 1.0);
    PROBE_GAUGE(p, "probe_failed_due_to_regex", "Indicates if probe failed due to regex",
                h->failed_regex);
    if (h->m->fail_if_body_json_matches_cel.n || h->m->fail_if_body_json_not_matches_cel.n)
        PROBE_GAUGE(p, "probe_failed_due_to_cel",
                    "Indicates if probe failed due to CEL expression not matching", h->failed_cel);
    if (h->answered &&
        http_date(http_header_find(h->head.headers, h->head.header_count, STR("Last-Modified")),
                  &modified))
        PROBE_GAUGE(p, "probe_http_last_modified_timestamp_seconds",
                    "Returns the Last-Modified HTTP response header in unixtime", modified);
    if (h->has_peer)
        probe_add_tls(p, &h->peer, PROBE_TLS_CHAIN | PROBE_TLS_CIPHER);
}
