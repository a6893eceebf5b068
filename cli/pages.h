/* SPDX-License-Identifier: Apache-2.0 */
/* pages: all pages of a list that the server gives piece by piece, printed as they come or as one
 * JSON value. */
#ifndef WRIT_CLI_PAGES_H
#define WRIT_CLI_PAGES_H

#include "session.h"

struct writ_pages {
	const char *method;
	ProtobufCMessage *request;
	char **page_token; /* the request's field */
	const ProtobufCMessageDescriptor *response;
	const char *name; /* of the list, in JSON */
	/* What a response holds: *n messages, and the token of the next page ("": none). */
	ProtobufCMessage *const *(*items)(const ProtobufCMessage *response, size_t *n);
	const char *(*next)(const ProtobufCMessage *response);
	void (*print)(const ProtobufCMessage *item);
};

/* *total: how many there were; what is said of it is the caller's business (not with s->json). */
WRIT_MUST writ_rc writ_pages_print(
	struct writ_session *s, const struct writ_pages *p, size_t *total, struct writ_err *err);

#endif
