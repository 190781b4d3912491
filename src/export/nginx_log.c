// nginx_log.c - see nginx_log_priv.h.
// SPDX-License-Identifier: Apache-2.0
#include "export/nginx_log_priv.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/mem.h"

static const char combined[] =
    "$remote_addr - $remote_user [$time_local] \"$request\" $status $body_bytes_sent "
    "\"$http_referer\" \"$http_user_agent\"";
static const double bounds[] = { 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10 };

enum field { OTHER, REQUEST, METHOD, STATUS, BYTES, REQUEST_TIME, UPSTREAM_TIME };

struct piece {         // of the format: a variable and the text behind it
    enum field field;  // of the variable
    struct str before; // literal in front of the variable
};

struct times {
    double sum, count, bucket[ARRAY_LEN(bounds)]; // not cumulative
};

struct series {
    struct str method, status;
    double count, bytes;
    struct times request, upstream;
};

struct nginx_log {
    struct arena a;
    const char *path;
    VEC(struct piece) piece;
    struct str end; // literal behind the last variable
    int fd;         // −1: not open
    ino_t inode;
    struct buf in; // the beginning of a line that is not whole yet
    VEC(struct series) series;
    double bad_lines;
};

/* ---- the format ---- */

static enum field field_of(struct str name)
{
    static const struct {
        const char *name;
        enum field field;
    } known[] = { { "request", REQUEST },
                  { "request_method", METHOD },
                  { "status", STATUS },
                  { "body_bytes_sent", BYTES },
                  { "bytes_sent", BYTES },
                  { "request_time", REQUEST_TIME },
                  { "upstream_response_time", UPSTREAM_TIME } };

    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (str_eq_c(name, known[i].name))
            return known[i].field;
    return OTHER;
}

static bool is_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static bool parse_format(struct nginx_log *l, struct str f, struct err *e)
{
    bool has_status = false;
    size_t from = 0;

    for (size_t i = 0; i < f.n;) {
        if (f.p[i] != '$') {
            i++;
            continue;
        }
        struct piece p = { .before = str_sub(f, from, i) };
        size_t name = i + 1;
        bool brace = name < f.n && f.p[name] == '{';
        for (i = name + brace; i < f.n && is_name(f.p[i]); i++)
            ;
        p.field = field_of(str_sub(f, name + brace, i));
        i += brace && i < f.n;
        if (l->piece.n && !p.before.n)
            return err_set(e, ERR_INVALID,
                           "log format: two variables without anything between them");
        has_status = has_status || p.field == STATUS;
        *vec_push_in(&l->a, &l->piece) = p;
        from = i;
    }
    l->end = str_sub(f, from, f.n);
    return has_status || err_set(e, ERR_INVALID, "log format: $status is missing");
}

/* ---- lines ---- */

static struct series *series_of(struct nginx_log *l, struct str method, struct str status)
{
    for (size_t i = 0; i < l->series.n; i++)
        if (str_eq(l->series.v[i].status, status) && str_eq(l->series.v[i].method, method))
            return &l->series.v[i];
    if (l->series.n == NGINX_LOG_SERIES_MAX)
        return NULL;
    struct series *s = vec_push_in(&l->a, &l->series);
    s->method = arena_str(&l->a, method);
    s->status = arena_str(&l->a, status);
    return s;
}

static void observe(struct times *t, struct str text)
{
    double v;
    size_t i = 0;

    if (!num_parse_double(text, &v) || !(v >= 0))
        return;
    t->sum += v;
    t->count++;
    while (i < ARRAY_LEN(bounds) && v > bounds[i])
        i++;
    if (i < ARRAY_LEN(bounds))
        t->bucket[i]++;
}

// Methods of the registry and no others: what clients send must not become labels.
static struct str method_of(struct str request)
{
    static const char *const known[] = { "GET",     "POST",  "HEAD",    "PUT",   "DELETE",
                                         "OPTIONS", "PATCH", "CONNECT", "TRACE", "PROPFIND" };
    struct str word = str_cut(&request, ' ');

    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (str_eq_c(word, known[i]))
            return str_c(known[i]);
    return STR("other");
}

// Cuts the line along the format. False: it is not of this format.
static bool split(const struct nginx_log *l, struct str line, struct str *value)
{
    for (size_t i = 0; i < l->piece.n; i++) {
        struct str before = l->piece.v[i].before;
        struct str after = i + 1 < l->piece.n ? l->piece.v[i + 1].before : l->end;
        if (!str_starts(line, before))
            return false;
        line = str_sub(line, before.n, line.n);
        size_t at = after.n ? str_find(line, after) : line.n;
        if (at == STR_NPOS)
            return false;
        enum field f = l->piece.v[i].field;
        if (f != OTHER)
            value[f] = str_sub(line, 0, at);
        line = str_sub(line, at, line.n);
    }
    return true;
}

void nginx_log_line(struct nginx_log *l, struct str line)
{
    struct str value[UPSTREAM_TIME + 1] = { 0 };
    uint64_t status;
    double bytes;

    if (!split(l, line, value) || !str_to_u64(value[STATUS], &status) || status > 999) {
        l->bad_lines++;
        return;
    }
    struct str method = value[METHOD].n ? value[METHOD] : value[REQUEST];
    struct series *s = series_of(l, method_of(method), value[STATUS]);
    if (!s)
        return;
    s->count++;
    if (num_parse_double(value[BYTES], &bytes))
        s->bytes += bytes;
    observe(&s->request, value[REQUEST_TIME]);
    observe(&s->upstream, value[UPSTREAM_TIME]);
}

/* ---- following ---- */

static bool open_file(struct nginx_log *l, bool at_end)
{
    struct stat st;

    l->fd = open(l->path, O_RDONLY | O_CLOEXEC);
    if (l->fd < 0)
        return false;
    l->inode = fstat(l->fd, &st) == 0 ? st.st_ino : 0;
    if (at_end)
        lseek(l->fd, 0, SEEK_END);
    return true;
}

static void take_lines(struct nginx_log *l)
{
    struct str rest = buf_view(&l->in);

    for (;;) {
        size_t nl = str_find_char(rest, '\n');
        if (nl == STR_NPOS)
            break;
        nginx_log_line(l, str_sub(rest, 0, nl));
        rest = str_sub(rest, nl + 1, rest.n);
    }
    if (rest.n > 1 << 20) { // no line is as long as that
        l->bad_lines++;
        rest.n = 0;
    }
    if (rest.n)
        memmove(l->in.p, rest.p, rest.n);
    l->in.n = rest.n;
}

static size_t read_rest(struct nginx_log *l, size_t most)
{
    size_t done = 0;

    while (l->fd >= 0 && done < most) {
        ssize_t n = read(l->fd, buf_room(&l->in, 256 << 10), 256 << 10);
        if (n <= 0)
            break;
        l->in.n += (size_t)n;
        done += (size_t)n;
        take_lines(l);
    }
    return done;
}

void nginx_log_read(struct nginx_log *l)
{
    struct stat st;
    bool was_open = l->fd >= 0;
    size_t done = read_rest(l, NGINX_LOG_READ_MAX);

    if (stat(l->path, &st) != 0)
        return;
    off_t at = was_open ? lseek(l->fd, 0, SEEK_CUR) : 0;
    if (was_open && st.st_ino == l->inode && st.st_size >= at)
        return;
    if (was_open && st.st_ino == l->inode) { // cut short in place
        lseek(l->fd, 0, SEEK_SET);
    } else {
        file_close(l->fd);
        if (!open_file(l, false))
            return;
    }
    l->in.n = 0;
    read_rest(l, NGINX_LOG_READ_MAX - MIN(done, (size_t)NGINX_LOG_READ_MAX));
}

bool nginx_log_open(struct nginx_log **out, const char *path, const char *format, struct err *e)
{
    OWNED(nginx_log_close) struct nginx_log *l = xcalloc(1, sizeof *l);

    l->fd = -1;
    l->path = arena_cstr(&l->a, str_c(path));
    if (!parse_format(l, arena_str(&l->a, str_c(format ? format : combined)), e))
        return false;
    (void)open_file(l, true); // it may come later
    *out = TAKE(l);
    return true;
}

void nginx_log_close(struct nginx_log *l)
{
    if (!l)
        return;
    file_close(l->fd);
    buf_fini(&l->in);
    arena_fini(&l->a);
    xfree(l);
}

/* ---- metrics ---- */

static void add_times(struct export_set *set, const char *name, const char *help,
                      const struct times *t, const struct expo_label *l, size_t n)
{
    struct expo_bucket *b = arena_array(set->a, ARRAY_LEN(bounds), struct expo_bucket);
    struct expo_label *own = arena_copy(set->a, l, n * sizeof *l);
    double sum = 0;

    if (t->count == 0)
        return;
    for (size_t i = 0; i < ARRAY_LEN(bounds); i++) {
        sum += t->bucket[i];
        b[i] = (struct expo_bucket){ .upper = bounds[i], .count = sum };
    }
    export_add_metric(
        set,
        &(struct expo_family){ .name = str_c(name), .help = str_c(help), .type = EXPO_HISTOGRAM },
        &(struct expo_metric){ .label = own,
                               .labels = n,
                               .value = t->sum,
                               .count = t->count,
                               .bucket = b,
                               .buckets = ARRAY_LEN(bounds) });
}

void nginx_log_add(const struct nginx_log *l, struct export_set *set,
                   const struct expo_label *labels, size_t n)
{
    static const struct export_desc count = { "nginx_http_response_count_total",
                                              "Amount of processed HTTP requests", EXPO_COUNTER };
    static const struct export_desc bytes = { "nginx_http_response_size_bytes",
                                              "Total amount of transferred bytes", EXPO_COUNTER };
    static const struct export_desc bad = { "nginx_parse_errors_total",
                                            "Total number of log file lines that could not be "
                                            "parsed",
                                            EXPO_COUNTER };
    struct expo_label *own = arena_array(set->a, n + 2, struct expo_label);

    if (n)
        memcpy(own, labels, n * sizeof *labels);
    for (size_t i = 0; i < l->series.n; i++) {
        const struct series *s = &l->series.v[i];
        own[n] = (struct expo_label){ STR("method"), arena_str(set->a, s->method) };
        own[n + 1] = (struct expo_label){ STR("status"), arena_str(set->a, s->status) };
        export_add(set, &count, s->count, own, n + 2);
        export_add(set, &bytes, s->bytes, own, n + 2);
        add_times(set, "nginx_http_response_time_seconds",
                  "Time needed by NGINX to handle requests", &s->request, own, n + 2);
        add_times(set, "nginx_http_upstream_time_seconds",
                  "Time needed by upstream servers to handle requests", &s->upstream, own, n + 2);
    }
    export_add(set, &bad, l->bad_lines, own, n);
}
