// prometheus_sd.c - rules of the discoveries that are recognised but not done yet: what upstream refuses, is refused.
// SPDX-License-Identifier: Apache-2.0
#include "config/prometheus_priv.h"

static bool has(const struct yaml_node *n, const char *key)
{
    return !yaml_is_null(yaml_get(n, str_c(key)));
}

static struct str text_of(const struct yaml_node *n, const char *key)
{
    const struct yaml_node *v = yaml_get(n, str_c(key));

    return v && v->kind == YAML_SCALAR ? v->text : STR_NONE;
}

// The rules on authentication that every discovery over HTTP shares.
static bool auth_check(const struct yaml_node *n, struct err *e)
{
    bool bearer = has(n, "bearer_token") || has(n, "bearer_token_file");
    bool basic = has(n, "basic_auth"), oauth2 = has(n, "oauth2"), auth = has(n, "authorization");

    if (has(n, "bearer_token") && has(n, "bearer_token_file"))
        return conf_fail(e, n,
                         "at most one of bearer_token & bearer_token_file must be configured");
    if ((basic || oauth2) && bearer)
        return conf_fail(
            e, n,
            "at most one of basic_auth, oauth2, bearer_token & bearer_token_file must be "
            "configured");
    if (auth && bearer)
        return conf_fail(e, n,
                         "authorization is not compatible with bearer_token & bearer_token_file");
    if (basic + oauth2 + auth > 1)
        return conf_fail(e, n,
                         "at most one of basic_auth, oauth2 & authorization must be configured");
    return true;
}

struct requirement {
    const char *sd, *key, *text; // the text upstream gives when the key is absent
};

static const struct requirement requirements[] = {
    { "azure", "subscription_id", "azure SD configuration requires a subscription_id" },
    { "dockerswarm", "host", "host missing" },
    { "dockerswarm", "role", "role missing (one of: tasks, services, nodes)" },
    { "eureka", "server", "eureka_sd: empty or null eureka server" },
    { "gce", "project", "GCE SD configuration requires a project" },
    { "gce", "zone", "GCE SD configuration requires a zone" },
    { "hetzner", "role", "role missing (one of: robot, hcloud)" },
    { "ionos", "datacenter_id", "datacenter id can't be empty" },
    { "kubernetes", "role",
      "role missing (one of: pod, service, endpoints, endpointslice, node, ingress)" },
    { "kuma", "server", "kuma SD server must not be empty" },
    { "marathon", "servers", "marathon_sd: must contain at least one Marathon server" },
    { "nerve", "servers", "nerve SD config must contain at least one Zookeeper server" },
    { "nerve", "paths", "nerve SD config must contain at least one path" },
    { "openstack", "role", "role missing (one of: instance, hypervisor, loadbalancer)" },
    { "openstack", "region", "openstack SD configuration requires a region" },
    { "ovhcloud", "endpoint", "endpoint can not be empty" },
    { "ovhcloud", "application_key", "application key can not be empty" },
    { "ovhcloud", "application_secret", "application secret can not be empty" },
    { "ovhcloud", "consumer_key", "consumer key can not be empty" },
    { "puppetdb", "url", "URL is missing" },
    { "puppetdb", "query", "query missing" },
    { "scaleway", "role", "role missing (one of: instance, baremetal)" },
    { "scaleway", "project_id", "project_id is mandatory" },
    { "scaleway", "access_key", "access_key is mandatory" },
    { "serverset", "servers", "serverset SD config must contain at least one Zookeeper server" },
    { "serverset", "paths", "serverset SD config must contain at least one path" },
    { "stackit", "project", "stackit SD configuration requires a project" },
    { "triton", "account", "triton SD configuration requires an account" },
    { "triton", "dns_suffix", "triton SD configuration requires a dns_suffix" },
    { "triton", "endpoint", "triton SD configuration requires an endpoint" },
    { "uyuni", "server", "Uyuni SD configuration requires server host" },
    { "uyuni", "username", "Uyuni SD configuration requires a username" },
    { "uyuni", "password", "Uyuni SD configuration requires a password" },
};

struct choice {
    const char *sd, *key;
    const char *words[12];
    const char *text; // one %.*s: the value
};

static const struct choice choices[] = {
    { "azure",
      "authentication_method",
      { "OAuth", "ManagedIdentity", "SDK", "WorkloadIdentity" },
      "unknown authentication_type \"%.*s\". Supported types are \"OAuth\", \"ManagedIdentity\", "
      "\"SDK\" or \"WorkloadIdentity\"" },
    { "dockerswarm",
      "role",
      { "tasks", "services", "nodes" },
      "invalid role %.*s, expected tasks, services, or nodes" },
    { "hetzner", "role", { "robot", "hcloud" }, "unknown role \"%.*s\"" },
    { "kubernetes",
      "role",
      { "pod", "service", "endpoints", "endpointslice", "node", "ingress" },
      "unknown Kubernetes SD role \"%.*s\"" },
    { "oci",
      "auth",
      { "api_key", "instance_principal" },
      "oci_sd: unknown auth method \"%.*s\", expected \"api_key\" or \"instance_principal\"" },
    { "oci",
      "authentication_method",
      { "api_key", "instance_principal" },
      "oci_sd: unknown auth method \"%.*s\", expected \"api_key\" or \"instance_principal\"" },
    { "openstack",
      "role",
      { "instance", "hypervisor", "loadbalancer" },
      "unknown OpenStack SD role \"%.*s\"" },
    { "openstack",
      "availability",
      { "public", "internal", "admin" },
      "unknown availability %.*s, must be one of admin, internal or public" },
    { "ovhcloud", "service", { "vps", "dedicated_server" }, "unknown service: %.*s" },
    { "scaleway", "role", { "instance", "baremetal" }, "unknown role \"%.*s\"" },
    { "triton",
      "role",
      { "container", "cn" },
      "triton SD configuration requires role to be 'container' or 'cn'" },
};

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-security"
static bool choice_check(struct str sd, const struct yaml_node *n, struct err *e)
{
    for (size_t i = 0; i < ARRAY_LEN(choices); i++) {
        const struct choice *c = &choices[i];
        struct str value = text_of(n, c->key);
        bool known = false;
        if (!str_eq_c(sd, c->sd) || !value.n)
            continue;
        for (size_t k = 0; k < ARRAY_LEN(c->words) && c->words[k]; k++)
            known |= str_eq_c(value, c->words[k]);
        if (!known)
            return conf_fail(e, yaml_get(n, str_c(c->key)), c->text, STRF(value));
    }
    return true;
}
#pragma GCC diagnostic pop

/* ---- kubernetes ---- */

static const struct {
    const char *role, *selectors;
} selector_roles[] = {
    { "pod", "pod, node" },
    { "service", "service" },
    { "endpointslice", "pod, service, endpointslice" },
    { "endpoints", "pod, service, endpoints" },
    { "node", "node" },
    { "ingress", "ingress" },
};

static bool list_has(struct str list, struct str word)
{
    while (list.n) {
        struct str one = str_trim(str_cut(&list, ','));
        if (str_eq(one, word))
            return true;
    }
    return false;
}

static bool selector_text_check(const struct yaml_node *selector, const char *key, struct err *e)
{
    struct str text = text_of(selector, key), rest = text;

    while (rest.n) {
        struct str one = str_trim(str_cut(&rest, ','));
        bool plain = str_find_char(one, '=') != STR_NPOS || strcmp(key, "label") == 0;
        if (one.n && !plain)
            return conf_fail(e, selector, "invalid selector: '%.*s'; can't understand '%.*s'",
                             STRF(text), STRF(one));
    }
    return true;
}

static bool selectors_check(const struct yaml_node *n, struct err *e)
{
    const struct yaml_node *list = yaml_get(n, STR("selectors"));
    struct str role = text_of(n, "role"), allowed = STR_NONE;

    for (size_t i = 0; i < ARRAY_LEN(selector_roles); i++)
        if (str_eq_c(role, selector_roles[i].role))
            allowed = str_c(selector_roles[i].selectors);
    for (size_t i = 0; list && list->kind == YAML_SEQUENCE && i < list->n; i++) {
        struct str one = text_of(list->items[i], "role");
        for (size_t k = 0; k < i; k++)
            if (str_eq(one, text_of(list->items[k], "role")))
                return conf_fail(e, list->items[i], "duplicated selector role: %.*s", STRF(one));
        if (!list_has(allowed, one))
            return conf_fail(e, list->items[i], "%.*s role supports only %.*s selectors",
                             STRF(role), STRF(allowed));
        if (!selector_text_check(list->items[i], "field", e) ||
            !selector_text_check(list->items[i], "label", e))
            return false;
    }
    return true;
}

static bool kubernetes_check(const struct yaml_node *n, struct err *e)
{
    static const char *const http_keys[] = { "basic_auth", "authorization", "oauth2",
                                             "tls_config", "bearer_token",  "bearer_token_file",
                                             "proxy_url" };
    const struct yaml_node *ns = yaml_get(n, STR("namespaces"));
    bool own = false;

    for (size_t i = 0; ns && ns->kind == YAML_MAPPING && i < ns->n; i++) {
        struct str key = ns->pairs[i].key->text;
        if (!str_eq(key, STR("names")) && !str_eq(key, STR("own_namespace")))
            return err_at(
                e, ns->pairs[i].key->pos, ERR_INVALID,
                "yaml: unmarshal errors:\n  line %u: field %.*s not found in type kubernetes.plain",
                ns->pairs[i].key->pos.line, STRF(key));
    }
    yaml_to_bool(yaml_get(ns, STR("own_namespace")), &own);
    if (has(n, "api_server") && has(n, "kubeconfig_file"))
        return conf_fail(e, n, "cannot use 'kubeconfig_file' and 'api_server' simultaneously");
    for (size_t i = 0; i < ARRAY_LEN(http_keys); i++) {
        if (has(n, "kubeconfig_file") && has(n, http_keys[i]))
            return conf_fail(
                e, n,
                "cannot use a custom HTTP client configuration together with 'kubeconfig_file'");
        if (!has(n, "api_server") && !has(n, "kubeconfig_file") && has(n, http_keys[i]))
            return conf_fail(e, n,
                             "to use custom HTTP client configuration please provide the "
                             "'api_server' URL explicitly");
    }
    if (own && has(n, "api_server"))
        return conf_fail(e, n,
                         "cannot use 'api_server' and 'namespaces.own_namespace' simultaneously");
    if (own && has(n, "kubeconfig_file"))
        return conf_fail(
            e, n, "cannot use 'kubeconfig_file' and 'namespaces.own_namespace' simultaneously");
    return selectors_check(n, e);
}

/* ---- others with rules of their own ---- */

static bool azure_check(const struct yaml_node *n, struct err *e)
{
    struct str method = text_of(n, "authentication_method");

    if (method.n && !str_eq(method, STR("OAuth")))
        return true;
    if (!has(n, "tenant_id"))
        return conf_fail(e, n, "azure SD configuration requires a tenant_id");
    if (!has(n, "client_id"))
        return conf_fail(e, n, "azure SD configuration requires a client_id");
    if (!has(n, "client_secret"))
        return conf_fail(e, n, "azure SD configuration requires a client_secret");
    return true;
}

static bool marathon_check(const struct yaml_node *n, struct err *e)
{
    const struct yaml_node *servers = yaml_get(n, STR("servers"));
    bool token = has(n, "auth_token") || has(n, "auth_token_file");

    if (servers && servers->kind == YAML_SEQUENCE && !servers->n)
        return conf_fail(e, n, "marathon_sd: must contain at least one Marathon server");
    if (has(n, "auth_token") && has(n, "auth_token_file"))
        return conf_fail(
            e, n, "marathon_sd: at most one of auth_token & auth_token_file must be configured");
    if (token && has(n, "basic_auth"))
        return conf_fail(e, n,
                         "marathon_sd: at most one of basic_auth, auth_token & auth_token_file "
                         "must be configured");
    if (token && (has(n, "bearer_token") || has(n, "bearer_token_file")))
        return conf_fail(e, n,
                         "marathon_sd: at most one of bearer_token, bearer_token_file, auth_token "
                         "& auth_token_file must be configured");
    if (token && has(n, "authorization"))
        return conf_fail(e, n,
                         "marathon_sd: at most one of auth_token, auth_token_file & authorization "
                         "must be configured");
    return true;
}

static bool url_check(const struct yaml_node *n, const char *key, const char *text, struct err *e)
{
    struct str url = text_of(n, key);
    size_t at = str_find(url, STR("://"));

    if (!url.n)
        return true;
    if (at == STR_NPOS || at == 0 || at + 3 == url.n)
        return conf_fail(e, yaml_get(n, str_c(key)), "%s", text);
    return true;
}

static bool secrets_check(const struct yaml_node *n, struct err *e)
{
    if (has(n, "secret_key") && has(n, "secret_key_file"))
        return conf_fail(e, n, "at most one of secret_key & secret_key_file must be configured");
    return true;
}

static bool special_check(struct str sd, const struct yaml_node *n, struct err *e)
{
    if (str_eq(sd, STR("kubernetes")))
        return kubernetes_check(n, e);
    if (str_eq(sd, STR("azure")))
        return azure_check(n, e);
    if (str_eq(sd, STR("marathon")))
        return marathon_check(n, e);
    if (str_eq(sd, STR("eureka")))
        return url_check(n, "server", "invalid eureka server URL", e);
    if (str_eq(sd, STR("stackit")))
        return url_check(n, "endpoint", "invalid endpoint", e);
    if (str_eq(sd, STR("scaleway")) || str_eq(sd, STR("outscale")))
        return secrets_check(n, e);
    return true;
}

bool conf_other_sd_check(struct str key, const struct yaml_node *n, struct err *e)
{
    struct str sd = str_sub(key, 0, key.n - strlen("_sd_configs"));

    if (n->kind != YAML_MAPPING && n->kind != YAML_NULL)
        return conf_fail(e, n, "%.*s: expected a mapping, got %s", STRF(key), yaml_kind_name(n));
    if (!auth_check(n, e) || !choice_check(sd, n, e) || !special_check(sd, n, e))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(requirements); i++) {
        const struct requirement *r = &requirements[i];
        if (r->text && str_eq_c(sd, r->sd) && !has(n, r->key))
            return conf_fail(e, n, "%s", r->text);
    }
    return true;
}
