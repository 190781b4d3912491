/*
 * test_rules_eval.c - the rules' evaluation over samples in memory.
 */
// SPDX-License-Identifier: Apache-2.0
#include "app/test_rules_priv.h"

bool live_query(struct live *l, struct str text, int64_t t_ms, struct query_result *out,
                struct str *error)
{
    struct query_request r = { .text = text, .start_ms = t_ms };
    struct budget b = { .what = "query" };
    struct err e = { 0 };

    if (query_run(&l->engine, &r, memory_source_view(l->memory), &b, l->scratch, out, &e))
        return true;
    *error = arena_str(l->scratch, out->error.n ? out->error : str_c(e.text));
    return false;
}

static bool append_memory(void *ctx, struct eval_row *v, size_t n, uint8_t *status,
                          struct err *e UNUSED)
{
    for (size_t i = 0; i < n; i++) {
        struct memory_sample s = { .t_ms = v[i].t_ms, .value = v[i].value, .hist = v[i].hist };
        memory_source_add(ctx, v[i].labels, &s, 1);
        status[i] = APPEND_OK;
    }
    return true;
}

void live_init(struct live *l, struct str external_url, struct labels external_labels)
{
    l->env = (struct eval_env){ .engine = &l->engine,
                                .source = memory_source_view(l->memory),
                                .append = append_memory,
                                .append_ctx = l->memory,
                                .external_url = external_url,
                                .external_labels = external_labels,
                                .quiet = true };
}
