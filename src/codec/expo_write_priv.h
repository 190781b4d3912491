// expo_write_priv.h - the border between the text and the protobuf writer. See expo_write.h.
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "codec/expo_write.h"

void expo_write_proto_family(struct expo_writer *w);
void expo_write_proto_metric(struct expo_writer *w, const struct expo_metric *m);
void expo_write_proto_close(struct expo_writer *w);
