/*
 * ui.h - the web pages: static files embedded in the program, the same on every port.
 *
 * The pages have no private way into the server: they call the public APIs. Every page
 * address answers with index.html; files below /assets/ carry a hash in their name and
 * may be kept for ever. Without files (built without Node) a short page says so.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "net/http.h"

struct ui_asset {     // made by the build from ui/dist
    const char *path; // "assets/index-1a2b.js", "index.html"
    const char *bytes;
    size_t n;
};
extern const struct ui_asset ui_assets[];
extern const size_t ui_asset_count;

struct ui_face_options {
    struct str prefix; // "/" or "/prom"
    bool agent;
};
struct ui_face;
MUST_CHECK bool ui_face_new(struct ui_face **out, const struct ui_face_options *o, struct err *e);
void ui_face_free(struct ui_face *f); // after the server was closed
OWN_DEFINE(struct ui_face *, ui_face_free)
void ui_face_routes(struct ui_face *f, struct http_server *s);
