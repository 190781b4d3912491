/*
 * prometheus_priv.h - what the files of config/prometheus share: tables and their checks.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "config/prometheus.h"

// Discoveries that are recognised only, in order of their keys (after dns, file, http).
// clang-format off
#define CONF_SD_OTHERS(X)                                                                          \
    X(aws)                                                                                         \
    X(azure)                                                                                       \
    X(consul)                                                                                      \
    X(digitalocean)                                                                                \
    X(docker)                                                                                      \
    X(dockerswarm) X(ec2) X(ecs) X(elasticache) X(eureka) X(gce) X(hetzner) X(ionos) X(kubernetes) \
        X(kuma) X(lightsail) X(linode) X(marathon) X(msk) X(nerve) X(nomad) X(oci) X(openstack)    \
            X(outscale) X(ovhcloud) X(puppetdb) X(rds) X(scaleway) X(serverset) X(stackit)         \
                X(triton) X(uyuni) X(vultr)
// clang-format on

struct conf_sd_read {
    struct conf_sd sd;
#define CONF_SD_MEMBER(name) const struct yaml_node *name;
    CONF_SD_OTHERS(CONF_SD_MEMBER)
#undef CONF_SD_MEMBER
};
struct conf_scrape_read {
    struct conf_scrape s; // first: a struct conf_scrape * points at all of it
    struct conf_sd_read sd;
};
struct conf_alertmanager_read {
    struct conf_alertmanager a; // first
    struct conf_sd_read sd;
};
struct conf_list_only {
    struct conf_list list;
};

extern const struct conf_type conf_prometheus_type, conf_scrape_type, conf_scrape_file_type,
    conf_relabel_type, conf_target_group_type, conf_tsdb_type;

conf_check_fn conf_relabel_check, conf_file_sd_check, conf_http_sd_check, conf_dns_sd_check,
    conf_sd_check, conf_scrape_check, conf_global_check, conf_alertmanager_check,
    conf_alerting_check, conf_queue_check, conf_remote_write_check, conf_remote_read_check,
    conf_retention_check, conf_chunk_check, conf_tsdb_check, conf_tracing_check, conf_otlp_check;

// Rules of one recognised-only discovery: node is one item of its list.
MUST_CHECK bool conf_other_sd_check(struct str key, const struct yaml_node *node, struct err *e);
// The rules that need the global block: upstream's Validate.
MUST_CHECK bool conf_scrape_validate(struct prom_config *c, struct conf_scrape *s, struct err *e);
MUST_CHECK bool conf_relabel_rules(struct prom_config *c, const struct conf_list *list,
                                   struct str scheme, struct relabel_rule **out, struct err *e);
// Targets must be host:port, not URLs.
MUST_CHECK bool conf_targets_check(const struct conf_sd *sd, struct err *e);
struct regex *conf_regex(struct conf_reader *r, struct str pattern, struct err *e);
