/*
 * zone.h - time zones of the system's database: what clocks on the wall show.
 *
 * Reads TZif files (RFC 8536), with the rule at their end for times behind the last change. A zone is immutable
 * and lives in the arena it was loaded into; any thread may use it.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/arena.h"

struct zone;

/*
 * "Europe/Paris", "UTC" or "", "Local" (this machine's: $TZ, else /etc/localtime). ERR_NOT_FOUND in
 * Go's words ("unknown time zone Mars/Base"); ERR_CORRUPT: not a zone file.
 */
MUST_CHECK bool zone_load(struct arena *a, struct str name, const struct zone **out, struct err *e);
// From the bytes of a TZif file; both are copied.
MUST_CHECK bool zone_parse(struct arena *a, struct str name, struct str bytes,
                           const struct zone **out, struct err *e);

struct str zone_name(const struct zone *z); // as asked for; "UTC" for ""
// Seconds east of UTC at that time. *abbreviation: NULL, or receives "CET"; lives as the zone.
int32_t zone_offset(const struct zone *z, int64_t unix_s, struct str *abbreviation);
