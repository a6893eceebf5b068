/* SPDX-License-Identifier: Apache-2.0 */
/* convert: between what an operator types and the types of SPIRE's API. Results live in static or
 * call-scoped memory as said. */
#ifndef WRIT_CLI_CONVERT_H
#define WRIT_CLI_CONVERT_H

#include "base/str.h"

#include "spire/api/types/entry.pb-c.h"
#include "spire/api/types/selector.pb-c.h"
#include "spire/api/types/spiffeid.pb-c.h"

/* A SPIFFE ID as the API has it. Owned fields; writ_api_id_done. flag: the flag it came from, for
 * the error. */
WRIT_MUST writ_rc writ_api_id(
	const char *text, const char *flag, Spire__Api__Types__SPIFFEID *ret, struct writ_err *err);
void writ_api_id_done(Spire__Api__Types__SPIFFEID *id);
/* "spiffe://td/path", escaped for a terminal, in a static ring of 8. "(none)" for NULL. */
const char *writ_api_id_text(const Spire__Api__Types__SPIFFEID *id);
/* "type:value" into its two halves; owned fields. */
WRIT_MUST writ_rc writ_api_selector(
	const char *text, Spire__Api__Types__Selector *ret, struct writ_err *err);
void writ_api_selector_done(Spire__Api__Types__Selector *s);

#endif
