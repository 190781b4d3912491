/*
 * query_command.h - `query`: asks a running server over its HTTP API and prints what it answers.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "app/tools_cli.h"
#include "app/tools_http.h"
#include "codec/json.h"

struct query_session {
    struct tools_http http;
    struct str server;
    const struct http_header *headers;
    size_t header_count;
    bool json;        // print JSON
    struct str error; // of the last question, whole: struct err may be too short
};

// The commands; the options are those of promtool. `promtool query …` and `vigie query …` differ
// in where the server's address stands: an argument or a flag of the name "server".
// Evaluates now or at --time.
int query_command_instant(const struct cli *c);
// Evaluates from --start to --end.
int query_command_range(const struct cli *c);
// Lists series that match.
int query_command_series(const struct cli *c);
// Lists values of a label.
int query_command_labels(const struct cli *c);
// Counts the buckets in use of histograms that match.
int query_command_analyze(const struct cli *c);

// Opens the session of the command at hand; false: said why.
bool query_session_open(struct query_session *s, const struct cli *c);
// Ends the session; what its arena held is gone.
void query_session_close(struct query_session *s);
OWN_DEFINE_FINI(struct query_session, query_session_close)
/*
 * Posts a form ("query=up&time=1") to an API path, or gets it with `get`; *data is the answer's
 * "data". Errors as the client library words them: "bad_data: …".
 */
MUST_CHECK bool query_session_ask(struct query_session *s, const char *path, struct str form,
                                  bool get, struct json_value **data, struct err *e);

// A Unix time with fraction or RFC 3339. ERR_INVALID: cannot parse "x" to a valid timestamp.
MUST_CHECK bool query_time_parse(struct str s, int64_t *out_ns, struct err *e);
// "name{a="b"}" of a JSON object of labels, as the client library prints it.
void query_print_metric(struct buf *b, const struct json_value *metric);
// {resultType, result} of a query, or the lists of series and of label values.
void query_print_result(const struct query_session *s, struct json_value *data);
// A list of label sets, one per line.
void query_print_series(const struct query_session *s, const struct json_value *list);
// A list of texts, one per line.
void query_print_values(const struct query_session *s, const struct json_value *list);
