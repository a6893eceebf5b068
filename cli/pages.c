/* SPDX-License-Identifier: Apache-2.0 */
#include "pages.h"

#include "base/mem.h"
#include "print.h"
#include "rpc/rpc.h"

#include <jansson.h>

static void take(struct writ_session *s, const struct writ_pages *p, const ProtobufCMessage *m,
	json_t *all, size_t *total)
{
	size_t n = 0;
	ProtobufCMessage *const *items = p->items(m, &n);
	for (size_t i = 0; i < n; i++) {
		if (s->json)
			json_array_append_new(all, writ_pb_to_json(items[i]));
		else
			p->print(items[i]);
	}
	*total += n;
}

writ_rc writ_pages_print(
	struct writ_session *s, const struct writ_pages *p, size_t *total, struct writ_err *err)
{
	WRIT_AUTO(writ_freep) char *token = NULL;
	json_t *all = json_array();
	writ_rc rc;
	*total = 0;
	do {
		ProtobufCMessage *m = NULL;
		rc = writ_session_call(s, p->method, p->request, p->response, &m, err);
		if (rc != WRIT_OK)
			break;
		take(s, p, m, all, total);
		writ_free(token);
		token = writ_strdup(p->next(m));
		*p->page_token = token;
		writ_pb_free(m);
	} while (token[0]);
	if (rc == WRIT_OK && s->json)
		writ_print_json_value(json_pack("{s:O,s:s}", p->name, all, "next_page_token", ""));
	json_decref(all);
	return rc;
}
