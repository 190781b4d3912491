// expo_write_priv.h - the border between the text and the protobuf writer. See expo_write.h.
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "codec/expo_write.h"

// Begins a delimited MetricFamily from w->family; w->mark is where its body begins.
void expo_write_proto_family(struct expo_writer *w);
// Appends one Metric to the open family.
void expo_write_proto_metric(struct expo_writer *w, const struct expo_metric *m);
// Ends the open family: its length is known and written now.
void expo_write_proto_close(struct expo_writer *w);
