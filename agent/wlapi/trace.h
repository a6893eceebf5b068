/* SPDX-License-Identifier: Apache-2.0 */
/* trace: the number that a refused caller is given and an operator finds in the log. 26 characters:
 * milliseconds since the epoch and 80 random bits in Crockford's base 32 (a ULID). */
#ifndef WRIT_AGENT_TRACE_H
#define WRIT_AGENT_TRACE_H

#define WRIT_TRACE_LEN 26

void writ_trace_new(char out[WRIT_TRACE_LEN + 1]);

#endif
