/* SPDX-License-Identifier: Apache-2.0 */
#include "node/attestor.h"

#include "base/mem.h"
#include "registry/validate.h"
#include "spiffe/id.h"

#include <stdio.h>

#define VALUE_MAX 1024 /* bytes of a selector's value that is printed */

static const struct writ_node_attestor_vt *const all[] = { &writ_node_x509pop, &writ_node_sshpop,
	&writ_node_http_challenge, &writ_node_k8s_psat, &writ_node_tpm_devid };

static void close_one(struct writ_node_attestor *a)
{
	if (a->vt->close)
		a->vt->close(a);
	writ_free(a);
}

static writ_rc open_one(const struct writ_node_attestor_vt *vt,
	const struct writ_server_config *cfg, struct writ_node_attestor **ret, struct writ_err *err)
{
	struct writ_node_attestor *a = writ_alloc(vt->size);
	*a = (struct writ_node_attestor){ .vt = vt, .cfg = cfg };
	writ_rc rc = vt->open ? vt->open(a, err) : WRIT_OK;
	if (rc != WRIT_OK) {
		close_one(a);
		return writ_wrap(err, rc, "NodeAttestor \"%s\"", vt->name);
	}
	*ret = a;
	return WRIT_OK;
}

writ_rc writ_node_attestors_open(
	const struct writ_server_config *cfg, struct writ_node_attestors *ret, struct writ_err *err)
{
	struct writ_node_attestors a = { .n = 0 };
	for (size_t i = 0; i < WRIT_COUNT(all); i++) {
		if (!*(const bool *)((const char *)cfg + all[i]->is_on))
			continue;
		writ_rc rc = open_one(all[i], cfg, &a.list[a.n], err);
		if (rc != WRIT_OK) {
			writ_node_attestors_close(&a);
			return rc;
		}
		a.n++;
	}
	*ret = a;
	return WRIT_OK;
}

void writ_node_attestors_close(struct writ_node_attestors *a)
{
	for (size_t i = 0; i < a->n; i++)
		close_one(a->list[i]);
	a->n = 0;
}

struct writ_node_attestor *writ_node_attestors_find(
	const struct writ_node_attestors *a, struct writ_str name)
{
	for (size_t i = 0; i < a->n; i++)
		if (writ_str_eq(name, writ_cstr(a->list[i]->vt->name)))
			return a->list[i];
	return NULL;
}

void writ_node_exchange_init(struct writ_node_exchange *x, const struct writ_node_attestor *by)
{
	*x = (struct writ_node_exchange){ .by = by,
		.challenge = WRIT_BUF(WRIT_NODE_CHALLENGE_MAX),
		.path = WRIT_BUF(WRIT_NODE_PATH_MAX),
		.selectors = WRIT_BUF(WRIT_ROW_BYTES_MAX) };
}

void writ_node_exchange_done(struct writ_node_exchange *x)
{
	if (x->state)
		x->by->vt->end(x);
	x->state = NULL;
	writ_anchors_unref(writ_steal(x->own));
	writ_buf_done(&x->challenge);
	writ_buf_done(&x->path);
	writ_buf_done(&x->selectors);
}

void writ_node_select(struct writ_node_exchange *x, const char *fmt, ...)
{
	char text[VALUE_MAX];
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	/* One that was cut would be another selector. */
	if (n > 0 && (size_t)n < sizeof(text))
		writ_pack_add(&x->selectors, writ_strn(text, (size_t)n));
}

void writ_node_asked(struct writ_node_exchange *x, writ_rc rc, const struct writ_err *err)
{
	x->asked(x, rc, err);
}

writ_rc writ_node_exchange_id(
	const struct writ_node_exchange *x, struct writ_buf *ret, struct writ_err *err)
{
	struct writ_id id;
	struct writ_str path = writ_buf_str(&x->path);
	if (x->path.failed || path.n < 2 || path.p[0] != '/')
		return writ_fail(err, WRIT_EINVAL,
			"the agent's path is empty or longer than %d bytes", WRIT_NODE_PATH_MAX);
	writ_buf_add_cstr(ret, "spiffe://");
	writ_buf_add_str(ret, x->td);
	writ_buf_add_cstr(ret, "/spire/agent");
	writ_buf_add_str(ret, path);
	writ_rc rc = writ_buf_check(ret, "the agent's ID", err);
	if (rc == WRIT_OK && writ_id_parse_leaf(writ_buf_str(ret), &id, err) != WRIT_OK)
		rc = WRIT_EINVAL;
	return rc == WRIT_OK ? rc : writ_wrap(err, WRIT_EINVAL, "the agent's ID");
}

writ_rc writ_node_exchange_selectors(
	const struct writ_node_exchange *x, struct writ_buf *ret, struct writ_err *err)
{
	struct writ_selector list[WRIT_SELECTORS_MAX];
	struct writ_str rest = writ_buf_str(&x->selectors), value;
	size_t n = 0;
	while (writ_pack_next(&rest, &value)) {
		if (n == WRIT_COUNT(list))
			return writ_fail(err, WRIT_EINVAL, "more than %d selectors", (int)n);
		list[n++] = (struct writ_selector){ writ_cstr(x->by->vt->name), value };
	}
	return writ_selectors_pack(list, n, ret, err);
}
