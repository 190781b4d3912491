/*
 * web_config.h - the web config file of the exporter toolkit: TLS, extra headers, basic auth.
 *
 * As upstream, a change of the file, of a certificate or of a key takes effect without a reload:
 * web_access_refresh() looks whether one of them changed. What was good stays when the new is not.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/arena.h"
#include "base/base.h"
#include "net/http.h"

struct http_tls;

struct web_user {
    struct str name, hash; // bcrypt ($2a$, $2b$, $2y$) or another of crypt(5)
};

struct web_config { // immutable; reference counted
    const struct http_header *headers;
    size_t header_count;
    const struct web_user *users;
    size_t user_count;
    struct http_tls *tls; // NULL: plain
};

/*
 * Reads and checks the file and everything it names. Errors name file, line and column.
 * ERR_INVALID: unknown key, wrong value, certificate that does not fit its key.
 */
MUST_CHECK bool web_config_load(struct web_config **out, const char *path, struct err *e);
// One more reference; returns w. Thread-safe.
struct web_config *web_config_get(struct web_config *w);
void web_config_put(struct web_config *w); // NULL is fine
OWN_DEFINE(struct web_config *, web_config_put);

/* ---- in force: the present config, and who may come in ---- */

struct web_access; // thread-safe
// Loads the file and puts it in force; the caller owns *out: web_access_close(). Errors as
// web_config_load().
MUST_CHECK bool web_access_open(struct web_access **out, const char *path, struct err *e);
// Frees it; configs taken from it live on. NULL is fine.
void web_access_close(struct web_access *a);
OWN_DEFINE(struct web_access *, web_access_close);
// Loads the files again if one has changed; costs a few stat(2) otherwise.
void web_access_refresh(struct web_access *a);
struct web_config *web_access_config(struct web_access *a); // web_config_put() it

enum web_verdict { WEB_ALLOWED, WEB_DENIED, WEB_UNKNOWN };

/*
 * What is known about these credentials (the value of Authorization) without hashing: UNKNOWN
 * means that web_access_verify() must be asked on a thread that may take 100 ms. *user: in the
 * arena when allowed. Without users in the file everybody is allowed.
 */
enum web_verdict web_access_check(struct web_access *a, struct arena *arena,
                                  struct str authorization, struct str *user);
// Hashes, remembers and answers ALLOWED or DENIED.
enum web_verdict web_access_verify(struct web_access *a, struct arena *arena,
                                   struct str authorization, struct str *user);
