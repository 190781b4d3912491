/*
 * fault.h - failures on order, so that tests reach every error path.
 *
 *   fault_at("rowlog.write", 3)            the third pass from now fails with EIO
 *   VIGIE_FAULT=rowlog.write:3:kill        the same from outside: SIGKILL at that point
 *   fault_delay("rowlog.write", 200)       each pass takes 200 ms: a slow disk; VIGIE_FAULT=…:200:delay
 *
 * Off (one relaxed load per pass) unless a fault is set.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/base.h"

enum fault_action { FAULT_EIO, FAULT_ENOSPC, FAULT_KILL };
void fault_at(const char *name, unsigned nth); // FAULT_EIO
// The nth pass of the named point from now (1: the next) fails as `action` says, once. At most 64
// points at a time, names of at most 47 bytes, which are copied. Thread-safe, as all of these.
void fault_set(const char *name, unsigned nth, enum fault_action action);
void fault_delay(const char *name, unsigned delay_ms); // of each pass, besides a failure; 0: none
// Ends all faults and delays, and forgets the counts of passes.
void fault_clear(void);
void fault_from_env(void); // reads VIGIE_FAULT; called by app/
// Passes the point: true = fail now, with errno set. A kill does not return.
bool fault_hit(const char *name);
uint64_t fault_passes(const char *name); // how often the point was passed while any fault was set
