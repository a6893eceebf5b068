/* SPDX-License-Identifier: Apache-2.0 */
#include "api/audit.h"

#include "base/mem.h"

#include <stdio.h>
#include <string.h>

#define KV_MAX 24

struct record {
	struct writ_kv kv[KV_MAX];
	size_t n;
};

static void add(struct record *r, struct writ_kv kv)
{
	if (r->n < KV_MAX)
		r->kv[r->n++] = kv;
}

static const char *caller_kind(const struct writ_api_call *a)
{
	static const struct {
		unsigned who;
		const char *name;
	} names[] = { { WRIT_WHO_ADMIN, "admin" }, { WRIT_WHO_AGENT, "agent" },
		{ WRIT_WHO_DOWNSTREAM, "downstream" } };
	if (a->local)
		return "local";
	for (size_t i = 0; i < WRIT_COUNT(names); i++)
		if (a->as == names[i].who)
			return names[i].name;
	return *a->spiffe_id ? "unprivileged" : "anonymous";
}

/* Who, from where, by which method. */
static void add_caller(struct record *r, const struct writ_call *c)
{
	const struct writ_api_call *a = writ_api_call(c);
	const struct writ_peer *p = writ_call_peer(c);
	add(r, WRIT_KV("caller", caller_kind(a)));
	if (p->kind == WRIT_PEER_UNIX) {
		add(r, WRIT_KV("caller_uid", p->uid));
		add(r, WRIT_KV("caller_pid", p->pid));
	}
	if (*a->spiffe_id) {
		add(r, WRIT_KV("caller_id", a->spiffe_id));
		add(r, WRIT_KV("caller_serial", a->serial));
	}
	add(r, WRIT_KV("address", (const char *)p->addr));
	add(r, WRIT_KV("method", writ_call_method(c)->path));
}

writ_rc writ_audit_issued(
	struct writ_call *c, const struct writ_audit_svid *s, struct writ_err *err)
{
	static const char *const purposes[WRIT_FOR_KINDS] = { "workload", "agent", "mint" };
	const struct writ_api *api = writ_api_call(c)->api;
	struct writ_cert *cert;
	struct record r = { .n = 0 };
	writ_rc rc = writ_cert_parse(s->cert.p, s->cert.n, &cert, err);
	if (rc != WRIT_OK)
		return rc;
	add_caller(&r, c);
	add(&r, WRIT_KV("for", purposes[s->purpose]));
	add(&r, WRIT_KV("spiffe_id", s->spiffe_id));
	if (s->entry_id.n)
		add(&r, WRIT_KV("entry_id", s->entry_id));
	add(&r, WRIT_KV("serial", writ_cert_serial_dec(cert)));
	add(&r, WRIT_KV("not_after", writ_cert_not_after(cert)));
	add(&r, WRIT_KV("authority", writ_cert_aki_hex(cert)));
	rc = writ_audit_write(api->audit, "svid.issue", r.kv, r.n, err);
	writ_cert_unref(cert);
	if (rc == WRIT_OK)
		writ_metric_add(&api->metrics->issued[s->purpose], 1);
	else
		WRIT_LOG_LIMITED(ERROR, "audit.failed", WRIT_KV("error", (const char *)err->msg),
			WRIT_KV("consequence", "certificates are refused"));
	return rc;
}

static const char *event_of(const struct writ_call *c, enum writ_call_result result)
{
	const struct writ_api_call *a = writ_api_call(c);
	unsigned who = writ_call_method(c)->who;
	if (result == WRIT_CALL_REFUSED)
		return "call.refuse";
	if (strstr(writ_call_method(c)->path, "/AttestAgent"))
		return "agent.attest";
	if ((a->as & (WRIT_WHO_LOCAL | WRIT_WHO_ADMIN)) &&
		(result != WRIT_CALL_OK || !(who & WRIT_WHO_QUIET)))
		return "admin.call";
	return NULL;
}

static enum writ_call_result result_of(const struct writ_call *c, int status)
{
	enum { OK, CANCELLED, DENIED = 7, EXHAUSTED = 8, UNAUTHENTICATED = 16 };
	if (status == OK)
		return WRIT_CALL_OK;
	return !writ_api_call(c)->as || status == DENIED || status == EXHAUSTED ||
			status == UNAUTHENTICATED
		? WRIT_CALL_REFUSED
		: WRIT_CALL_FAILED;
}

static bool may_record(const struct writ_call *c, enum writ_call_result result, int64_t *lost)
{
	static struct writ_log_limit limit;
	const struct writ_api_call *a = writ_api_call(c);
	*lost = 0;
	/* Strangers must not fill the disk. */
	return result != WRIT_CALL_REFUSED || a->local || *a->spiffe_id ||
		writ_log_pass(&limit, lost);
}

void writ_api_after(struct writ_call *c, int status, const char *message, int64_t took_us)
{
	struct writ_api_call *a = writ_api_call(c);
	if (!a)
		return; /* it ended before anything was known of it */
	enum writ_call_result result = result_of(c, status);
	const char *event = event_of(c, result);
	struct record r = { .n = 0 };
	struct writ_err err;
	int64_t lost;
	writ_metric_add(&a->api->metrics->calls[result], 1);
	if (event && may_record(c, result, &lost)) {
		add_caller(&r, c);
		add(&r, WRIT_KV("result", writ_grpc_status_name(status)));
		add(&r, WRIT_KV("code", status));
		if (*message)
			add(&r, WRIT_KV("message", message));
		if (a->reason)
			add(&r, WRIT_KV("reason", a->reason));
		for (size_t i = 0; i < a->n_notes; i++)
			add(&r, a->notes[i]);
		add(&r, WRIT_KV("took_us", took_us));
		add(&r, writ_kv_suppressed(lost));
		if (writ_audit_write(a->api->audit, event, r.kv, r.n, &err) != WRIT_OK)
			WRIT_LOG_LIMITED(ERROR, "audit.failed",
				WRIT_KV("error", (const char *)err.msg), WRIT_KV("event", event));
	}
	writ_api_call_done(c);
}
