/*
 * relabel.h - relabelling rules: replace keep drop keepequal dropequal hashmod labelmap labeldrop
 * labelkeep lowercase uppercase; one implementation for every place that relabels.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/regex.h"
#include "model/labels.h"

enum relabel_action {
    RELABEL_REPLACE,
    RELABEL_KEEP,
    RELABEL_DROP,
    RELABEL_KEEPEQUAL,
    RELABEL_DROPEQUAL,
    RELABEL_HASHMOD,
    RELABEL_LABELMAP,
    RELABEL_LABELDROP,
    RELABEL_LABELKEEP,
    RELABEL_LOWERCASE,
    RELABEL_UPPERCASE,
};

#define RELABEL_SEPARATOR   STR(";")
#define RELABEL_REGEX       STR("(.*)")
#define RELABEL_REPLACEMENT STR("$1")

// Whoever makes a rule fills in the defaults: RELABEL_SEPARATOR and so on are not implied.
struct relabel_rule {
    const struct str *source_labels;
    size_t source_count;
    struct str separator;
    const struct regex *re; // anchored; NULL: RELABEL_REGEX, and cheaper
    uint64_t modulus;
    struct str target_label, replacement;
    enum relabel_action action;
    bool legacy_names; // metric_name_validation_scheme: legacy
};

// The action of a name in any case; false, and *out as it was, for any other.
bool relabel_action_of(struct str name, enum relabel_action *out);
// The lower-case name: a constant.
const char *relabel_action_name(enum relabel_action a);
// What upstream's Validate says of a rule that cannot work: ERR_INVALID.
MUST_CHECK bool relabel_rule_check(const struct relabel_rule *r, struct err *e);
/*
 * Applies the rules in order to b. False: the target or series is dropped. Names and values that
 * are set are bytes of a, of the rules or of what was in b. labelmap sees the labels as they
 * were before it, in the order of their names. Names made by labelmap are not checked: they may
 * be empty.
 */
bool relabel_apply(const struct relabel_rule *rules, size_t n, struct labels_builder *b,
                   struct arena *a);
