/*
 * prompb_priv.h - what the files of the prompb module share.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "model/prompb.h"

// "malformed <message>" at an offset of the body; p points into it.
bool prompb_malformed(struct str body, const void *p, const char *message, struct err *e);
// A Label message. p stays where the error is.
bool prompb_label(struct str message, struct label *out, const uint8_t **bad);
