/*
 * blackbox_priv.h - one probe, as its prober sees it.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/log.h"
#include "config/blackbox.h"
#include "export/blackbox.h"
#include "export/dial.h"
#include "export/export_priv.h"
#include "net/http_client.h"
#include "net/tls_peer.h"

struct probe {
    const struct blackbox_module *module;
    struct str target, hostname;
    struct dialer *dialer;
    struct http_tls *usual_tls; // of modules without tls_config: the system's certificates
    struct arena *a;
    struct export_set set;
    struct buf log;
    int64_t deadline_mono_ns;
};

/*
 * A prober: adds its metrics to p->set and says whether the target is well. What it finds goes to
 * the log of the probe.
 */
typedef bool (*probe_fn)(struct probe *p);
bool probe_http(struct probe *p);
bool probe_tcp(struct probe *p);
bool probe_unix(struct probe *p);
bool probe_dns(struct probe *p);
bool probe_icmp(struct probe *p);
bool probe_grpc(struct probe *p);
bool probe_websocket(struct probe *p);

/* ---- metrics ---- */

#define PROBE_GAUGE(p, name, help, value) \
    export_add(&(p)->set, &(struct export_desc){ (name), (help), EXPO_GAUGE }, (value), NULL, 0)
// One gauge with one label.
void probe_add(struct probe *p, const char *name, const char *help, double v, const char *label,
               struct str value);
enum { PROBE_TLS_CHAIN = 1, PROBE_TLS_CIPHER = 2 };
// probe_ssl_earliest_cert_expiry and its relatives, with more of them by bits.
void probe_add_tls(struct probe *p, const struct tls_peer *peer, unsigned more);

/* ---- its log ---- */

void probe_log_write(struct probe *p, const char *level, const char *text, const struct log_kv *kv,
                     size_t n);
#define PROBE_LOG_(p, level, text, ...)                                                         \
    probe_log_write(p, level, text, (const struct log_kv[]){ __VA_ARGS__ __VA_OPT__(, ){ 0 } }, \
                    sizeof((const struct log_kv[]){ __VA_ARGS__ __VA_OPT__(, ){ 0 } }) /        \
                            sizeof(struct log_kv) -                                             \
                        1)
#define probe_info(p, text, ...)  PROBE_LOG_(p, "info", text __VA_OPT__(, ) __VA_ARGS__)
#define probe_error(p, text, ...) PROBE_LOG_(p, "error", text __VA_OPT__(, ) __VA_ARGS__)

/* ---- addresses and TLS ---- */

/*
 * Chooses the address of a host by the module's wishes, adds probe_ip_protocol and its relatives,
 * and tells how long it took. False: logged.
 */
bool probe_choose(struct probe *p, const struct blackbox_ip *ip, struct str host,
                  struct dial_address *out, double *seconds);
// The same without metrics, for where a redirect leads.
bool probe_resolve(struct probe *p, const struct blackbox_ip *ip, struct str host,
                   struct dial_address *out, struct err *e);
// host:port, [v6]:port; false: there is no port.
bool probe_split(struct str target, struct str *host, int *port);
// Parses source_ip_address; *out NULL when empty. False: logged.
bool probe_source(struct probe *p, struct str text, struct dial_address *room,
                  const struct dial_address **out);
// TLS settings of a section. False: logged. The caller owns *out.
bool probe_tls_new(struct probe *p, const struct conf_tls *t, struct http_tls **out);
// The secret or its file's content.
bool probe_secret(struct probe *p, struct str text, struct str file, struct str *out,
                  struct err *e);

double probe_seconds_since(int64_t begin_mono_ns);

/*
 * The dialogue of tcp and unix: sends and expects line by line; may begin TLS. Adds
 * probe_failed_due_to_regex and the like. d is connected.
 */
bool probe_dialogue(struct probe *p, struct dial *d, const struct blackbox_tcp *m,
                    struct str tls_name);
