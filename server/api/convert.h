/* SPDX-License-Identifier: Apache-2.0 */
/* convert: between the API's messages and the registry's rows. What is built goes with the call;
 * what is read borrows from the message or goes with the call. */
#ifndef WRIT_API_CONVERT_H
#define WRIT_API_CONVERT_H

#include "api/api.h"
#include "api/mask.h"
#include "spiffe/bundle.h"

struct Spire__Api__Types__SPIFFEID;
struct Spire__Api__Types__Entry;
struct Spire__Api__Types__Agent;
struct Spire__Api__Types__Bundle;
struct Spire__Api__Types__Status;
struct Spire__Api__Types__SelectorMatch;
struct Spire__Api__Types__Selector;
struct Spire__Api__Types__X509SVID;

/* The fields of an entry that SPIRE's agents ask for, and no more: what an agent has to know. */
#define WRIT_AGENT_ENTRY_BITS                                                                      \
	(1u << 1 | 1u << 2 | 1u << 4 | 1u << 6 | 1u << 7 | 1u << 8 | 1u << 11 | 1u << 12 |         \
		1u << 14 | 1u << 15 | 1u << 16)

struct Spire__Api__Types__SPIFFEID *writ_to_id(struct writ_call *c, struct writ_str uri);
/* A checked ID in our trust domain, as text. NULL message: "request must specify SPIFFE ID". */
WRIT_MUST writ_rc writ_from_id(struct writ_call *c, const struct Spire__Api__Types__SPIFFEID *id,
	struct writ_str *ret, struct writ_err *err);

struct Spire__Api__Types__Entry *writ_to_entry(
	struct writ_call *c, const struct writ_entry *e, uint32_t bits);
/* What bits name of e becomes a request; a mistake becomes its problem. */
void writ_from_entry(struct writ_call *c, const struct Spire__Api__Types__Entry *e, uint32_t bits,
	struct writ_entry_request *ret);
/* How much memory the message of e takes, about. */
size_t writ_entry_cost(const struct writ_entry *e);

struct Spire__Api__Types__Agent *writ_to_agent(
	struct writ_call *c, const struct writ_node *n, uint32_t bits);
struct Spire__Api__Types__Bundle *writ_to_bundle(
	struct writ_call *c, const struct writ_bundle *b, uint32_t bits);
struct Spire__Api__Types__X509SVID *writ_to_svid(struct writ_call *c, struct writ_str uri,
	struct writ_str leaf, int64_t not_after, const struct writ_authority *issuer);
/* code of rc; message "OK", "what: text" or text (what NULL). */
struct Spire__Api__Types__Status *writ_to_status(
	struct writ_call *c, writ_rc rc, const char *what, const char *text);

/* A pack of selectors. */
WRIT_MUST writ_rc writ_from_selectors(struct writ_call *c,
	struct Spire__Api__Types__Selector *const *list, size_t n, struct writ_str *ret,
	struct writ_err *err);
/* NULL message: no filter. */
WRIT_MUST writ_rc writ_from_selector_match(struct writ_call *c,
	const struct Spire__Api__Types__SelectorMatch *m, struct writ_match_filter *ret,
	struct writ_err *err);
int32_t writ_to_count(size_t n); /* as many as the message can say */
/* page_size of a request: at most WRIT_PAGE_MAX; 0 stays. */
WRIT_MUST writ_rc writ_from_page_size(int32_t n, size_t *ret, struct writ_err *err);

#endif
