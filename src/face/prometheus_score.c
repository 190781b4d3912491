/*
 * prometheus_score.c - subsequence, Jaro-Winkler and substring scores.
 *
 * The numbers equal upstream's (util/strutil, web/api/v1/search_filters.go of Prometheus 3.15),
 * since clients sort and cut by them: sums are made in the same order.
 */
// SPDX-License-Identifier: Apache-2.0
#include "face/prometheus_score.h"

#include "base/buf.h"
#include "base/rune.h"

enum { SCORE_TEXT_MAX = 4096 }; // bytes: longer texts are judged with less care, so in less time

struct runes {
    uint32_t *v;
    size_t n;
};

static struct runes runes_of(struct arena *a, struct str s)
{
    struct runes r = { arena_array(a, s.n + 1, uint32_t), 0 };

    for (size_t i = 0; i < s.n;)
        i += rune_decode(str_sub(s, i, s.n), &r.v[r.n++]);
    return r;
}

static size_t rune_count(struct str s)
{
    size_t n = 0;
    uint32_t unused;

    for (size_t i = 0; i < s.n; n++)
        i += rune_decode(str_sub(s, i, s.n), &unused);
    return n;
}

/* ---- subsequence ---- */

// Steps over the text: runs of matching characters add their square, gaps cost their share of it.
static bool match_from(struct runes pattern, struct runes text, size_t start, double *out)
{
    double share = 1.0 / (double)text.n, score = 0;
    size_t matched = 0, i = start, behind = 0; // behind: the first character after the last run

    while (matched < pattern.n) {
        while (i < text.n && text.v[i] != pattern.v[matched])
            i++;
        if (i == text.n)
            return false;
        size_t from = i;
        while (i < text.n && matched < pattern.n && text.v[i] == pattern.v[matched]) {
            matched++;
            i++;
        }
        if (from > behind)
            score -= (double)(from - behind) * share;
        score += (double)((i - from) * (i - from));
        behind = i;
    }
    if (text.n > behind)
        score -= (double)(text.n - behind) * share * 0.5;
    *out = score;
    return true;
}

double score_subsequence(struct str pattern, struct str text, struct arena *scratch)
{
    double best = -1, score;

    if (!pattern.n || str_eq(pattern, text))
        return 1;
    if (pattern.n > text.n)
        return 0;
    struct runes p = runes_of(scratch, pattern), t = runes_of(scratch, text);
    for (size_t i = 0; i + p.n <= t.n && (best < 0 || t.n <= SCORE_TEXT_MAX); i++) {
        if (t.v[i] != p.v[0])
            continue;
        if (!match_from(p, t, i, &score)) // then no later start can succeed
            break;
        best = MAX(best, score);
    }
    // Below 1 even when rounded: only the text itself is a perfect match.
    return best < 0 ? 0 : best / (double)(p.n * p.n) * 0.999;
}

/* ---- Jaro-Winkler ---- */

struct jaro {
    struct runes a, b; // a is the shorter
    bool *in_a, *in_b; // matched characters
    size_t matches;
};

static void jaro_match(struct jaro *j)
{
    size_t reach = j->b.n / 2 > 1 ? j->b.n / 2 - 1 : 0;

    for (size_t i = 0; i < j->a.n; i++) {
        size_t end = MIN(i + reach + 1, j->b.n);
        for (size_t k = i > reach ? i - reach : 0; k < end; k++) {
            if (j->in_b[k] || j->a.v[i] != j->b.v[k])
                continue;
            j->in_a[i] = j->in_b[k] = true;
            j->matches++;
            break;
        }
    }
}

static double jaro_transpositions(const struct jaro *j)
{
    double n = 0;

    for (size_t i = 0, k = 0; i < j->a.n; i++) {
        if (!j->in_a[i])
            continue;
        while (!j->in_b[k])
            k++;
        n += j->a.v[i] != j->b.v[k++];
    }
    return n;
}

double score_jaro_winkler(struct str a, struct str b, struct arena *scratch)
{
    if (str_eq(a, b))
        return 1;
    if (!a.n || !b.n || a.n > SCORE_TEXT_MAX || b.n > SCORE_TEXT_MAX)
        return 0;
    struct jaro j = { .a = runes_of(scratch, a), .b = runes_of(scratch, b) };
    if (j.a.n > j.b.n) {
        struct runes longer = j.a;
        j.a = j.b;
        j.b = longer;
    }
    j.in_a = arena_array(scratch, j.a.n, bool);
    j.in_b = arena_array(scratch, j.b.n, bool);
    jaro_match(&j);
    if (!j.matches)
        return 0;
    double m = (double)j.matches, t = jaro_transpositions(&j);
    double jaro = (m * (1.0 / (double)j.a.n) + m * (1.0 / (double)j.b.n) + (m - t * 0.5) / m) / 3.0;
    size_t prefix = 0;
    while (prefix < MIN(j.a.n, (size_t)4) && j.a.v[prefix] == j.b.v[prefix])
        prefix++;
    return jaro + (double)prefix * 0.1 * (1.0 - jaro);
}

/* ---- filters ---- */

double score_substring(struct str needle, struct str text)
{
    size_t at = str_find(text, needle);

    if (at == STR_NPOS)
        return -1;
    if (at == 0)
        return 1;
    double last = (double)rune_count(text) - (double)rune_count(needle);
    if (last <= 0)
        return 1;
    return 1.0 - 0.9 * (double)rune_count(str_sub(text, 0, at)) / last;
}

static bool term_accepts(const struct score_filter *f, struct str term, struct str name,
                         struct arena *scratch, double *score)
{
    double threshold = (double)f->threshold / 100.0;

    if (f->algorithm == SCORE_SUBSEQUENCE) {
        *score = str_starts(name, term) ? 1 : score_subsequence(term, name, scratch);
        return *score > 0 && *score >= threshold;
    }
    *score = score_substring(term, name);
    if (*score >= 0)
        return true;
    if (!f->threshold)
        return false;
    *score = score_jaro_winkler(term, name, scratch);
    return *score >= threshold;
}

static struct str folded(struct arena *a, struct str s)
{
    OWNED(buf_fini) struct buf b = { 0 };

    buf_lower(&b, s);
    return arena_str(a, buf_view(&b));
}

bool score_accepts(const struct score_filter *f, struct str name, struct arena *scratch,
                   double *score)
{
    bool any = false, accepted = false;
    double best = 0, one;

    if (f->ignore_case)
        name = folded(scratch, name);
    for (size_t i = 0; i < f->term_count && best < 1; i++) {
        struct str term = f->terms[i];
        if (!term.n)
            continue;
        any = true;
        if (f->ignore_case)
            term = folded(scratch, term);
        if (!term_accepts(f, term, name, scratch, &one))
            continue;
        accepted = true;
        best = MAX(best, one);
    }
    *score = any ? best : 1;
    return accepted || !any;
}
