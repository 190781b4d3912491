/*
 * tmpl_html.c - what actions print, escaped for its place in a page, as Go's html/template does.
 *
 * Unlike there, places are followed while the page is written and not before: the text that a
 * template gives is read as it goes out, and a value is escaped for where that text has led to.
 * Comments of the page are left out, as there. Source: Go 1.26, html/template.
 */
// SPDX-License-Identifier: Apache-2.0
#include "template/tmpl_priv.h"

enum place {
    IN_TEXT,
    IN_TAG_NAME,
    IN_TAG,       // between attributes
    IN_NAME,      // of an attribute
    BEHIND_NAME,  // before =
    BEFORE_VALUE, // behind =
    IN_VALUE,     // of an attribute; delimiter says how it ends
    IN_COMMENT,   // <!-- -->
    IN_RAW,       // script, style, textarea, title: up to the closing tag
};
enum use { USE_PLAIN, USE_URL, USE_SCRIPT, USE_STYLE };
enum url_part { URL_START, URL_PATH, URL_QUERY };

struct tmpl_html {
    enum place place;
    enum use use;           // of the value or of what is raw
    enum url_part part;     // of an address in a value
    char delimiter;         // of a value: " or ' or 0
    char tag[16], name[32]; // in small letters, cut
    size_t tag_n, name_n;
    bool closing; // the tag begins with </
};

struct tmpl_html *tmpl_html_new(struct arena *a)
{
    return arena_new(a, struct tmpl_html);
}

/* ---- following the page ---- */

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
}

static void add_lower(char *v, size_t *n, size_t max, char c)
{
    if (*n < max)
        v[(*n)++] = c >= 'A' && c <= 'Z' ? (char)(c | 32) : c;
}

static enum use use_of_name(const struct tmpl_html *h)
{
    static const char *const urls[] = { "action",   "archive",  "background", "cite",    "classid",
                                        "codebase", "data",     "formaction", "href",    "icon",
                                        "longdesc", "manifest", "poster",     "profile", "usemap" };
    struct str name = str_of(h->name, h->name_n);

    if (str_starts(name, STR("data-")))
        name = str_sub(name, 5, name.n);
    size_t colon = str_find_char(name, ':');
    if (colon != STR_NPOS && str_starts(name, STR("xmlns")))
        return USE_URL;
    if (colon != STR_NPOS)
        name = str_sub(name, colon + 1, name.n);
    if (str_eq(name, STR("style")))
        return USE_STYLE;
    if (str_starts(name, STR("on")))
        return USE_SCRIPT;
    for (size_t i = 0; i < ARRAY_LEN(urls); i++)
        if (str_eq_c(name, urls[i]))
            return USE_URL;
    return str_find(name, STR("src")) != STR_NPOS || str_find(name, STR("uri")) != STR_NPOS ||
                   str_find(name, STR("url")) != STR_NPOS
               ? USE_URL
               : USE_PLAIN;
}

// Behind the > of a tag.
static void end_tag(struct tmpl_html *h)
{
    struct str tag = str_of(h->tag, h->tag_n);
    bool script = str_eq(tag, STR("script")), style = str_eq(tag, STR("style"));

    h->place = IN_TEXT;
    if (h->closing)
        return;
    if (script || style || str_eq(tag, STR("textarea")) || str_eq(tag, STR("title"))) {
        h->place = IN_RAW;
        h->use = script ? USE_SCRIPT : style ? USE_STYLE : USE_PLAIN;
    }
}

static void begin_value(struct tmpl_html *h, char delimiter)
{
    h->place = IN_VALUE;
    h->delimiter = delimiter;
    h->use = use_of_name(h);
    h->part = URL_START;
}

static void step_tag(struct tmpl_html *h, char c)
{
    if (c == '>') {
        end_tag(h);
    } else if (is_space(c) || c == '/') {
        h->place = h->place == IN_NAME ? BEHIND_NAME : IN_TAG;
    } else if (c == '=') {
        h->place = BEFORE_VALUE;
    } else {
        if (h->place != IN_NAME)
            h->name_n = 0;
        h->place = IN_NAME;
        add_lower(h->name, &h->name_n, sizeof h->name, c);
    }
}

static void step_value(struct tmpl_html *h, char c)
{
    if (h->delimiter ? c == h->delimiter : is_space(c) || c == '>') {
        h->place = IN_TAG;
        if (c == '>')
            end_tag(h);
    } else if (h->use == USE_URL) {
        if (c == '?' || c == '#')
            h->part = URL_QUERY;
        else if (h->part == URL_START && !is_space(c))
            h->part = URL_PATH;
    }
}

static void step(struct tmpl_html *h, char c)
{
    switch (h->place) {
    case IN_TAG_NAME:
        if (c == '/' && !h->tag_n)
            h->closing = true;
        else if (c == '>')
            end_tag(h);
        else if (is_space(c) || c == '/')
            h->place = IN_TAG;
        else
            add_lower(h->tag, &h->tag_n, sizeof h->tag, c);
        return;
    case IN_TAG:
    case IN_NAME:
    case BEHIND_NAME:
        step_tag(h, c);
        return;
    case BEFORE_VALUE:
        if (c == '>') {
            end_tag(h);
        } else if (!is_space(c)) {
            begin_value(h, c == '"' || c == '\'' ? c : 0);
            if (!h->delimiter)
                step_value(h, c);
        }
        return;
    default: // IN_VALUE
        step_value(h, c);
    }
}

// Up to what ends raw text: </ and the name of its tag.
static size_t raw_end(const struct tmpl_html *h, struct str s)
{
    for (size_t i = 0; i + 2 + h->tag_n <= s.n; i++)
        if (s.p[i] == '<' && s.p[i + 1] == '/' &&
            str_eq_nocase(str_sub(s, i + 2, i + 2 + h->tag_n), str_of(h->tag, h->tag_n)))
            return i;
    return s.n;
}

static size_t take_text(struct tmpl_html *h, struct buf *out, struct str s)
{
    size_t open = str_find_char(s, '<');

    if (open == STR_NPOS) {
        buf_str(out, s);
        return s.n;
    }
    buf_str(out, str_sub(s, 0, open));
    s = str_sub(s, open, s.n);
    if (str_starts(s, STR("<!--"))) {
        h->place = IN_COMMENT;
        return open + 4;
    }
    char next = s.n > 1 ? s.p[1] : 0;
    buf_char(out, '<');
    if ((next | 32) >= 'a' && (next | 32) <= 'z') {
        h->closing = false;
        h->place = IN_TAG_NAME;
        h->tag_n = 0;
    } else if (next == '/') {
        h->closing = false;
        h->place = IN_TAG_NAME;
        h->tag_n = 0;
    }
    return open + 1;
}

void tmpl_html_text(struct tmpl_html *h, struct buf *out, struct str s)
{
    while (s.n) {
        size_t n = 1;
        if (h->place == IN_TEXT) {
            n = take_text(h, out, s);
        } else if (h->place == IN_COMMENT) {
            size_t end = str_find(s, STR("-->"));
            n = end == STR_NPOS ? s.n : end + 3;
            h->place = end == STR_NPOS ? IN_COMMENT : IN_TEXT;
        } else if (h->place == IN_RAW) {
            n = raw_end(h, s);
            buf_str(out, str_sub(s, 0, n));
            if (n < s.n)
                h->place = IN_TEXT;
        } else {
            buf_char(out, s.p[0]);
            step(h, s.p[0]);
        }
        s = str_sub(s, n, s.n);
    }
}

/* ---- values ---- */

// no_space: also what would end a value without quotes. keep: entities stay as they are.
static void put_escaped(struct buf *b, struct str s, bool no_space, bool keep)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (!c)
            buf_lit(b, "\xef\xbf\xbd");
        else if (c == '&' && !keep)
            buf_lit(b, "&amp;");
        else if (c == '<')
            buf_lit(b, "&lt;");
        else if (c == '>')
            buf_lit(b, "&gt;");
        else if (c == '"' || c == '\'' || c == '+' ||
                 (no_space && ((c >= '\t' && c <= '\r') || c == ' ' || c == '=' || c == '`')))
            buf_printf(b, "&#%d;", c);
        else
            buf_char(b, c);
    }
}

// Without the tags: what of HTML may stand in a value.
static struct str strip_tags(struct buf *b, struct str s)
{
    bool inside = false;

    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '<')
            inside = true;
        if (!inside)
            buf_char(b, s.p[i]);
        if (s.p[i] == '>')
            inside = false;
    }
    return buf_view(b);
}

static bool is_safe_url(struct str s)
{
    size_t colon = str_find_char(s, ':');
    size_t slash = str_find_char(s, '/');

    if (colon == STR_NPOS || slash < colon)
        return true;
    struct str scheme = str_sub(s, 0, colon);
    return str_eq_nocase(scheme, STR("http")) || str_eq_nocase(scheme, STR("https")) ||
           str_eq_nocase(scheme, STR("mailto"));
}

static bool is_hex(struct str s, size_t i)
{
    return i < s.n &&
           ((s.p[i] >= '0' && s.p[i] <= '9') || ((s.p[i] | 32) >= 'a' && (s.p[i] | 32) <= 'f'));
}

// normal: what has a meaning in addresses stays; else only what has none.
static void put_url(struct buf *b, struct str s, bool normal)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        bool plain = (c | 32u) - 'a' < 26u || c - 48u < 10u || (c && strchr("-._~", c));
        bool reserved = c && strchr("!#$&*+,/:;=?@[]", c);
        if (plain || (normal && (reserved || (c == '%' && is_hex(s, i + 1) && is_hex(s, i + 2)))))
            buf_char(b, (char)c);
        else
            buf_printf(b, "%%%02x", c);
    }
}

static void put_script(struct buf *b, const struct tmpl_value *v)
{
    OWNED(buf_fini) struct buf json = { 0 };
    const char *why;

    if (!v->type)
        buf_lit(b, "null");
    else if (tmpl_json(&json, v, &why))
        buf_str(b, buf_view(&json));
    else
        buf_lit(b, "null");
}

// A value in a style or in the place of a name: letters, digits and the like, or nothing of it.
static void put_filtered(struct buf *b, struct str s, const char *others)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (!((c | 32u) - 'a' < 26u || c - 48u < 10u || (c && strchr(others, c)))) {
            buf_lit(b, "ZgotmplZ");
            return;
        }
    }
    buf_str(b, s);
}

static void put_in_value(struct tmpl_html *h, struct buf *out, const struct tmpl_value *v,
                         struct str s)
{
    OWNED(buf_fini) struct buf b = { 0 };
    bool html = v->type == &tmpl_html, url = v->type && strcmp(v->type->name, "template.URL") == 0;

    switch (h->use) {
    case USE_URL:
        if (h->part == URL_START && !url && !is_safe_url(s))
            buf_lit(&b, "#ZgotmplZ");
        else
            put_url(&b, s, h->part != URL_QUERY || url);
        s = buf_view(&b);
        break;
    case USE_SCRIPT:
        put_script(&b, v);
        s = buf_view(&b);
        break;
    case USE_STYLE:
        put_filtered(&b, s, " #%.,-_/");
        s = buf_view(&b);
        break;
    case USE_PLAIN:
        if (html)
            s = strip_tags(&b, s);
    }
    put_escaped(out, s, !h->delimiter, html && h->use == USE_PLAIN);
}

void tmpl_html_value(struct tmpl_html *h, struct buf *out, const struct tmpl_value *v,
                     struct str printed)
{
    struct str s = v->type ? printed : STR_NONE;

    if (h->place == BEFORE_VALUE)
        begin_value(h, 0);
    switch (h->place) {
    case IN_TEXT:
        if (v->type == &tmpl_html)
            buf_str(out, s);
        else
            put_escaped(out, s, false, false);
        return;
    case IN_RAW:
        if (h->use == USE_SCRIPT)
            put_script(out, v);
        else if (h->use == USE_STYLE)
            put_filtered(out, s, " #%.,-_/");
        else
            put_escaped(out, s, false, v->type == &tmpl_html);
        return;
    case IN_VALUE:
        put_in_value(h, out, v, s);
        return;
    case IN_COMMENT:
        return;
    default:
        put_filtered(out, s, "");
    }
}
