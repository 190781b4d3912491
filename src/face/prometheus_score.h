/*
 * prometheus_score.h - how well a name fits what was typed: the scores of Prometheus's search API.
 *
 * Scores run from 0 (no match) to 1. Characters are code points. Cost: at most
 * terms × length² per name up to 4096 bytes; longer ones get the score of the first match.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/arena.h"
#include "base/base.h"

enum score_algorithm { SCORE_SUBSEQUENCE, SCORE_JARO_WINKLER };

struct score_filter {
    const struct str *terms; // empty ones are skipped; none left: everything fits with 1
    size_t term_count;
    enum score_algorithm algorithm;
    unsigned threshold; // 0–100, of the fuzzy part
    bool ignore_case;
};

// False: the name does not fit. *score: of the best term. scratch: grows by a few times the name.
bool score_accepts(const struct score_filter *f, struct str name, struct arena *scratch,
                   double *score);
// Greedy match of the characters of pattern in order: long runs are rewarded, gaps punished.
double score_subsequence(struct str pattern, struct str text, struct arena *scratch);
double score_jaro_winkler(struct str a, struct str b, struct arena *scratch);
// 1 at the start, less the later it stands; negative: not inside.
double score_substring(struct str needle, struct str text);
