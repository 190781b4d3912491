/*
 * base64.h - RFC 4648 base64, standard and URL alphabet.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/buf.h"

void buf_base64(struct buf *b, struct str bytes); // standard alphabet with padding
// Either alphabet, padding optional, white space skipped. False: not base64; nothing is appended then.
bool base64_decode(struct str text, struct buf *out);
