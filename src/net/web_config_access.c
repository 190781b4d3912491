/*
 * web_config_access.c - the web config in force: noticing changed files, checking passwords.
 *
 * A password hash costs 60 ms at bcrypt's usual cost, so verdicts are remembered: by a digest of
 * user, stored hash and password, with a key of this process, never by the password itself.
 */
// SPDX-License-Identifier: Apache-2.0
#include "net/web_config_priv.h"

#include <crypt.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rand.h"
#include "base/thread.h"
#include "codec/base64.h"

enum {
    VERDICTS_MAX = 128,
    DIGEST_SIZE = 32,
    FILES_MAX = 8,
    CREDENTIALS_MAX = 4096, // bytes of an Authorization value
};

// For users that do not exist: hashed all the same, so that time does not tell who does.
#define NOBODY_HASH "$2y$10$abcdefghijklmnopqrstuu5Fn7hWjC0V2LkqW6bM1o1w0nEkP9yG2"

struct stamp {
    int64_t mtime_ns;
    uint64_t inode;
    int64_t size;
};

struct verdict {
    uint8_t digest[DIGEST_SIZE];
    bool allowed;
};

struct web_access {
    struct mutex mu;
    char *path;
    struct web_config *config;             // under mu
    struct stamp stamps[FILES_MAX];        // under mu; of the config's files
    struct verdict verdicts[VERDICTS_MAX]; // under mu; a ring
    size_t verdict_count, verdict_next;    // under mu
    uint8_t key[DIGEST_SIZE];
};

static struct web_config_counted *counted(struct web_config *w)
{
    return CONTAINER_OF(w, struct web_config_counted, pub);
}

/* ---- changes ---- */

static struct stamp stamp_of(const char *path)
{
    struct stat st;

    if (stat(path, &st) < 0)
        return (struct stamp){ 0 };
    return (struct stamp){ (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec, st.st_ino,
                           st.st_size };
}

// Compares and remembers.
static bool stamps_changed_locked(struct web_access *a)
{
    const struct web_config_counted *w = counted(a->config);
    bool changed = false;

    for (size_t i = 0; i < w->files.n && i < FILES_MAX; i++) {
        struct stamp now = stamp_of(w->files.v[i]);

        changed |= now.mtime_ns != a->stamps[i].mtime_ns || now.inode != a->stamps[i].inode ||
                   now.size != a->stamps[i].size;
        a->stamps[i] = now;
    }
    return changed;
}

bool web_access_open(struct web_access **out, const char *path, struct err *e)
{
    OWNED(web_config_put) struct web_config *w = NULL;

    if (!web_config_load(&w, path, e))
        return false;
    struct web_access *a = xcalloc(1, sizeof *a);
    mutex_init(&a->mu, "web access", RANK_CACHE);
    a->path = xstrdup_str(str_c(path));
    a->config = TAKE(w);
    rand_bytes(a->key, sizeof a->key);
    stamps_changed_locked(a);
    *out = a;
    return true;
}

void web_access_close(struct web_access *a)
{
    if (!a)
        return;
    web_config_put(a->config);
    xfree(a->path);
    OPENSSL_cleanse(a->key, sizeof a->key);
    mutex_fini(&a->mu);
    xfree(a);
}

void web_access_refresh(struct web_access *a)
{
    struct web_config *fresh = NULL;
    struct err e;

    LOCKED(&a->mu); // over small reads: whoever comes meanwhile wants the new one too
    if (!stamps_changed_locked(a))
        return;
    if (!web_config_load(&fresh, a->path, &e)) {
        log_error("web", "changed web config is not valid, the old one stays", KV_ERR(&e));
        return;
    }
    // A listener does not turn from plain to TLS or back while it is open.
    if (!fresh->tls != !a->config->tls) {
        log_error("web", "TLS cannot be turned on or off without a restart");
        web_config_put(fresh);
        return;
    }
    web_config_put(a->config);
    a->config = fresh;
    stamps_changed_locked(a);
    log_info("web", "web config loaded again", KV("path", a->path));
}

struct web_config *web_access_config(struct web_access *a)
{
    LOCKED(&a->mu);

    return web_config_get(a->config);
}

/* ---- credentials ---- */

struct credentials {
    struct buf plain; // user:password
    struct str user, password;
};

static void credentials_fini(struct credentials *c)
{
    if (c->plain.p)
        OPENSSL_cleanse(c->plain.p, c->plain.cap);
    buf_fini(&c->plain);
}
OWN_DEFINE_FINI(struct credentials, credentials_fini);

static bool decode(struct str authorization, struct credentials *c)
{
    struct str scheme = str_sub(authorization, 0, 6);

    if (authorization.n > CREDENTIALS_MAX || !str_eq_nocase(scheme, STR("Basic ")) ||
        !base64_decode(str_sub(authorization, 6, authorization.n), &c->plain))
        return false;
    struct str text = buf_view(&c->plain);
    size_t colon = str_find_char(text, ':');
    if (colon == STR_NPOS)
        return false;
    c->user = str_sub(text, 0, colon);
    c->password = str_sub(text, colon + 1, text.n);
    return true;
}

static struct str hash_of_user(const struct web_config *w, struct str user)
{
    for (size_t i = 0; i < w->user_count; i++)
        if (str_eq(w->users[i].name, user))
            return w->users[i].hash;
    return STR_NONE;
}

static void digest_of(const struct web_access *a, const struct credentials *c, struct str hash,
                      uint8_t out[DIGEST_SIZE])
{
    struct str parts[] = { { (const char *)a->key, sizeof a->key }, c->user, hash, c->password };
    EVP_MD_CTX *md = EVP_MD_CTX_new();

    EVP_DigestInit_ex(md, EVP_sha256(), NULL);
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        EVP_DigestUpdate(md, &parts[i].n, sizeof parts[i].n);
        EVP_DigestUpdate(md, parts[i].p, parts[i].n);
    }
    EVP_DigestFinal_ex(md, out, NULL);
    EVP_MD_CTX_free(md);
}

static enum web_verdict remembered(struct web_access *a, const uint8_t digest[DIGEST_SIZE])
{
    LOCKED(&a->mu);

    for (size_t i = 0; i < a->verdict_count; i++)
        if (CRYPTO_memcmp(a->verdicts[i].digest, digest, DIGEST_SIZE) == 0)
            return a->verdicts[i].allowed ? WEB_ALLOWED : WEB_DENIED;
    return WEB_UNKNOWN;
}

static void remember(struct web_access *a, const uint8_t digest[DIGEST_SIZE], bool allowed)
{
    LOCKED(&a->mu);
    struct verdict *v = &a->verdicts[a->verdict_next];

    a->verdict_next = (a->verdict_next + 1) % VERDICTS_MAX;
    a->verdict_count = MIN(a->verdict_count + 1, (size_t)VERDICTS_MAX);
    memcpy(v->digest, digest, DIGEST_SIZE);
    v->allowed = allowed;
}

static bool password_matches(struct str password, struct str hash)
{
    struct crypt_data *d = xcalloc(1, sizeof *d);
    char *pw = xstrdup_str(password), *want = xstrdup_str(hash.p ? hash : STR(NOBODY_HASH));
    const char *got = crypt_r(pw, want, d);
    bool same = got && strlen(got) == strlen(want) && CRYPTO_memcmp(got, want, strlen(want)) == 0;
    // A NUL inside would cut what is compared.
    bool whole = str_find_char(password, '\0') == STR_NPOS;

    OPENSSL_cleanse(pw, password.n);
    OPENSSL_cleanse(d, sizeof *d);
    xfree(pw);
    xfree(want);
    xfree(d);
    return same && whole && hash.p;
}

// hashing: also when nothing is remembered.
static enum web_verdict ask(struct web_access *a, struct arena *arena, struct str authorization,
                            struct str *user, bool hashing)
{
    OWNED(web_config_put) struct web_config *w = web_access_config(a);
    OWNED(credentials_fini) struct credentials c = { 0 };
    uint8_t digest[DIGEST_SIZE];

    *user = STR_NONE;
    if (!w->user_count)
        return WEB_ALLOWED;
    if (!decode(authorization, &c))
        return WEB_DENIED;
    struct str hash = hash_of_user(w, c.user);
    digest_of(a, &c, hash, digest);
    enum web_verdict v = remembered(a, digest);
    if (v == WEB_UNKNOWN && hashing) {
        v = password_matches(c.password, hash) ? WEB_ALLOWED : WEB_DENIED;
        remember(a, digest, v == WEB_ALLOWED);
    }
    if (v == WEB_ALLOWED)
        *user = arena_str(arena, c.user);
    return v;
}

enum web_verdict web_access_check(struct web_access *a, struct arena *arena,
                                  struct str authorization, struct str *user)
{
    return ask(a, arena, authorization, user, false);
}

enum web_verdict web_access_verify(struct web_access *a, struct arena *arena,
                                   struct str authorization, struct str *user)
{
    return ask(a, arena, authorization, user, true);
}
