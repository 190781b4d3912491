// web_config_test.c - the web config file: what is read, what is refused and where.
// SPDX-License-Identifier: Apache-2.0
#include "net/web_config.h"

#include <stdio.h>

#include "base/file.h"
#include "test.h"

// bcrypt of "test", cost 4.
#define HASH_TEST "$2b$04$abcdefghijklmnopqrstuuoD8yw7MmybLKVooaTGGZAt3HXugv2.a"

static const char *write_file(struct arena *a, const char *dir, const char *text)
{
    const char *path = arena_cstr(a, arena_printf(a, "%s/web.yml", dir));
    struct err e = { 0 };

    CHECK_OK(file_replace(path, str_c(text), &e), &e);
    return path;
}

TEST(web_config_accepts)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(web_config_put) struct web_config *w = NULL, *empty = NULL;
    const char *dir = file_temp_dir(&a);
    struct err e = { 0 };

    const char *path = write_file(
        &a, dir,
        "http_server_config:\n  http2: false\n  headers:\n"
        "    X-Frame-Options: deny\n    Strict-Transport-Security: max-age=1\n"
        "basic_auth_users:\n  alice: " HASH_TEST "\n  'bob:x': " HASH_TEST "\n");
    CHECK_OK(web_config_load(&w, path, &e), &e);
    CHECK(w->header_count == 2 && w->user_count == 2 && !w->tls);
    CHECK_STR(w->headers[0].name, STR("X-Frame-Options"));
    CHECK_STR(w->headers[1].value, STR("max-age=1"));
    CHECK_STR(w->users[1].name, STR("bob:x"));
    CHECK_OK(web_config_load(&empty, write_file(&a, dir, "# nothing\n"), &e), &e);
    CHECK(!empty->tls && !empty->user_count);
    CHECK_OK(file_remove_tree(dir, &e), &e);
}

TEST(web_config_refuses)
{
    static const struct {
        const char *text, *err;
    } cases[] = {
        { "basic_auth_user: {}\n",
          "web.yml: 1:1: field basic_auth_user not found in the web config" },
        { "a: [\n", "web.yml: yaml: line" },
        { "- a\n", "1:1: expected a mapping" },
        { "basic_auth_users:\n  alice: secret\n",
          "2:10: basic_auth_users: expected a bcrypt hash" },
        { "http_server_config:\n  headers:\n    X-Mine: a\n",
          "3:5: HTTP header \"X-Mine\" can not be configured" },
        { "http_server_config:\n  headers:\n    X-Frame-Options: some\n",
          "3:22: invalid value for X-Frame-Options" },
        { "http_server_config:\n  http2: maybe\n", "2:10: expected true or false" },
        { "http_server_config:\n  http3: true\n",
          "2:3: field http3 not found in http_server_config" },
        { "tls_server_config:\n  cert_file: a\n", "missing one of key or key_file" },
        { "tls_server_config:\n  key_file: a\n", "missing one of cert or cert_file" },
        { "tls_server_config:\n  min_version: TLS12\n",
          "missing one of cert or cert_file and key or key_file" },
        { "tls_server_config:\n  cert_file: a\n  key_file: b\n", "/a does not exist" },
        { "tls_server_config:\n  cert_fil: a\n",
          "2:3: field cert_fil not found in tls_server_config" },
        { "tls_server_config:\n  min_version: TLS14\n", "2:16: unknown TLS version: TLS14" },
        { "tls_server_config:\n  client_auth_type: Maybe\n", "2:21: Invalid ClientAuth: Maybe" },
        { "tls_server_config:\n  cipher_suites: [TLS_NONE]\n", "2:19: unknown cipher: TLS_NONE" },
        { "tls_server_config:\n  curve_preferences: [P1]\n", "2:23: unknown curve: P1" },
        { "tls_server_config:\n  cert_file: a\n  key_file: b\n  client_ca_file: c\n",
          "Client CA's have been configured without" },
        { "tls_server_config:\n  cert: x\n  cert_file: a\n  key_file: b\n",
          "cert and cert_file are both given" },
        { "tls_server_config:\n  cert: x\n  key: y\n",
          "failed to find any PEM data in certificate input" },
    };
    OWNED(arena_fini) struct arena a = { 0 };
    const char *dir = file_temp_dir(&a);
    struct err e = { 0 };

    FOR_CASES (t, cases) {
        struct web_config *w = NULL;
        struct err why = { 0 };

        CHECK(!web_config_load(&w, write_file(&a, dir, t->text), &why));
        CHECK_F(strcasestr(why.text, t->err) && !w, "%s: %s", t->text, why.text);
    }
    CHECK_OK(file_remove_tree(dir, &e), &e);
}

static enum web_verdict ask(struct web_access *w, struct arena *a, const char *authorization,
                            bool hash, struct str *user)
{
    return hash ? web_access_verify(w, a, str_c(authorization), user)
                : web_access_check(w, a, str_c(authorization), user);
}

TEST(web_access_remembers_verdicts)
{
    static const struct {
        const char *authorization;
        enum web_verdict first, hashed;
    } cases[] = {
        { "Basic YWxpY2U6dGVzdA==", WEB_UNKNOWN, WEB_ALLOWED }, // alice:test
        { "basic YWxpY2U6dGVzdA==", WEB_ALLOWED, WEB_ALLOWED }, // known by now
        { "Basic YWxpY2U6VGVzdA==", WEB_UNKNOWN, WEB_DENIED },  // alice:Test
        { "Basic bm9ib2R5OnRlc3Q=", WEB_UNKNOWN, WEB_DENIED },  // nobody:test
        { "Basic YWxpY2U6dGVzdAAx", WEB_UNKNOWN, WEB_DENIED },  // alice:test\0 1
        { "", WEB_DENIED, WEB_DENIED },
        { "Bearer x", WEB_DENIED, WEB_DENIED },
        { "Basic !!!", WEB_DENIED, WEB_DENIED },
        { "Basic YWxpY2U=", WEB_DENIED, WEB_DENIED }, // no colon
    };
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(web_access_close) struct web_access *w = NULL;
    const char *dir = file_temp_dir(&a);
    struct err e = { 0 };
    struct str user;

    CHECK_OK(
        web_access_open(&w, write_file(&a, dir, "basic_auth_users:\n  alice: " HASH_TEST "\n"), &e),
        &e);
    FOR_CASES (t, cases) {
        CHECK_F(ask(w, &a, t->authorization, false, &user) == t->first, "%s", t->authorization);
        CHECK_F(ask(w, &a, t->authorization, true, &user) == t->hashed, "%s", t->authorization);
        CHECK_F(ask(w, &a, t->authorization, false, &user) == t->hashed, "%s", t->authorization);
        CHECK_STR(user, t->hashed == WEB_ALLOWED ? STR("alice") : STR(""));
    }
    CHECK_OK(file_remove_tree(dir, &e), &e);
}

TEST(web_access_follows_the_file)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(web_access_close) struct web_access *w = NULL;
    const char *dir = file_temp_dir(&a), *ok = "Basic YWxpY2U6dGVzdA==";
    struct err e = { 0 };
    struct str user;

    CHECK_OK(
        web_access_open(&w, write_file(&a, dir, "basic_auth_users:\n  alice: " HASH_TEST "\n"), &e),
        &e);
    CHECK(ask(w, &a, ok, true, &user) == WEB_ALLOWED);
    write_file(&a, dir, "basic_auth_users:\n  eve: " HASH_TEST "\n");
    web_access_refresh(w);
    CHECK(ask(w, &a, ok, true, &user) == WEB_DENIED);
    write_file(&a, dir, "nonsense: 1\n"); // the last good one stays
    web_access_refresh(w);
    CHECK(ask(w, &a, "Basic ZXZlOnRlc3Q=", true, &user) == WEB_ALLOWED);
    write_file(&a, dir, "");
    web_access_refresh(w);
    CHECK(ask(w, &a, "", true, &user) == WEB_ALLOWED);
    CHECK_OK(file_remove_tree(dir, &e), &e);
}
