/*
 * blackbox.h - blackbox.yml: modules that say how a target is probed.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/regex.h"
#include "config/http_config.h"

enum blackbox_prober {
    BLACKBOX_HTTP,
    BLACKBOX_TCP,
    BLACKBOX_DNS,
    BLACKBOX_ICMP,
    BLACKBOX_GRPC,
    BLACKBOX_UNIX,
    BLACKBOX_WEBSOCKET,
};

// Patterns as written, and compiled by the check. The file owns them.
struct blackbox_patterns {
    struct regex **v;
    size_t n;
};

struct blackbox_header_match {
    struct str header, regexp;
    bool allow_missing;
    struct regex *re; // made by the check
};

struct blackbox_ip { // inlined by most probers
    struct str preferred_ip_protocol;
    bool ip_protocol_fallback;
};

struct blackbox_http {
    struct conf_strs valid_status_codes, valid_http_versions;
    struct blackbox_ip ip;
    bool skip_resolve_phase_with_proxy, fail_if_ssl, fail_if_not_ssl, enable_http3;
    enum conf_tri no_follow_redirects; // the old name of follow_redirects
    struct str method;
    struct conf_map headers;
    struct conf_strs fail_if_body_matches_regexp, fail_if_body_not_matches_regexp;
    struct str fail_if_body_json_matches_cel, fail_if_body_json_not_matches_cel;
    struct conf_list fail_if_header_matches, fail_if_header_not_matches; // blackbox_header_match
    struct str body, body_file;
    struct conf_http http;
    struct str compression;
    uint64_t body_size_limit; // bytes; 0: none
    // made by the check
    struct blackbox_patterns body_matches, body_not_matches;
    int64_t *status;
    size_t status_count;
};

struct blackbox_label {
    struct str name, value;
};

struct blackbox_step { // of query_response
    struct str expect, expect_bytes, send;
    struct conf_list labels; // blackbox_label
    bool starttls;
    struct regex *re; // of expect
};

struct blackbox_tcp { // also of unix, without addresses
    struct blackbox_ip ip;
    struct str source_ip_address;
    struct conf_list query_response; // blackbox_step
    bool tls;
    struct conf_tls tls_config;
};

struct blackbox_icmp {
    struct blackbox_ip ip;
    struct str source_ip_address;
    int64_t payload_size, ttl;
    bool dont_fragment;
};

struct blackbox_rrs { // what records must and must not be
    struct conf_strs fail_if_matches_regexp, fail_if_all_match_regexp, fail_if_not_matches_regexp,
        fail_if_none_matches_regexp;
    struct blackbox_patterns matches, all_match, not_matches, none_matches;
};

struct blackbox_dns {
    struct blackbox_ip ip;
    bool dns_over_tls;
    struct conf_tls tls_config;
    struct str source_ip_address, transport_protocol, query_class, query_name, query_type;
    bool recursion_desired;
    struct conf_strs valid_rcodes;
    struct blackbox_rrs validate_answer, validate_authority, validate_additional;
    // made by the check
    uint16_t class, type;
};

struct blackbox_grpc {
    struct str service;
    bool tls;
    struct conf_tls tls_config;
    struct blackbox_ip ip;
    struct conf_multimap metadata;
};

struct blackbox_websocket {
    struct conf_http *http_config;
    struct conf_multimap headers;
    struct conf_list query_response; // blackbox_step
    struct blackbox_ip ip;
};

struct blackbox_module {
    struct str name; // the key
    struct str prober_name;
    enum blackbox_prober prober;
    int64_t timeout_ms; // 0: the scrape's
    struct blackbox_http http;
    struct blackbox_tcp tcp, unix_socket;
    struct blackbox_icmp icmp;
    struct blackbox_dns dns;
    struct blackbox_grpc grpc;
    struct blackbox_websocket websocket;
};

struct blackbox_config; // immutable; reference counted; thread-safe

// Reads and checks the file; path NULL: the one built in. Errors name file, line and column.
MUST_CHECK bool blackbox_config_load(struct blackbox_config **out, const char *path, struct err *e);
MUST_CHECK bool blackbox_config_parse(struct blackbox_config **out, struct str text, struct err *e);
struct blackbox_config *blackbox_config_get(struct blackbox_config *c);
void blackbox_config_put(struct blackbox_config *c); // NULL is fine
OWN_DEFINE(struct blackbox_config *, blackbox_config_put)

size_t blackbox_config_count(const struct blackbox_config *c);
const struct blackbox_module *blackbox_config_at(const struct blackbox_config *c, size_t i);
// NULL: there is no such module.
const struct blackbox_module *blackbox_config_find(const struct blackbox_config *c,
                                                   struct str name);
// The whole file as it is in force, secrets masked; or one module.
void blackbox_config_print(struct buf *b, const struct blackbox_config *c);
void blackbox_module_print(struct buf *b, const struct blackbox_module *m);

// A number of the DNS tables (A, AAAA … IN, CH …, NOERROR …); false: unknown.
bool blackbox_dns_type(struct str name, uint16_t *out);
bool blackbox_dns_class(struct str name, uint16_t *out);
bool blackbox_dns_rcode(struct str name, int *out);
const char *blackbox_dns_type_name(uint16_t type); // NULL: unknown
const char *blackbox_dns_rcode_name(int rcode);
