/* SPDX-License-Identifier: Apache-2.0 */
#include "api/issue.h"

#include "api/audit.h"
#include "api/convert.h"
#include "base/clock.h"
#include "base/mem.h"

#include <string.h>

static void check_work(struct writ_job *j)
{
	struct writ_csr_work *w = writ_container(j, struct writ_csr_work, job);
	w->rc = writ_csr_key(w->der, w->n, &w->key, &w->err);
}

static void check_done(struct writ_job *j)
{
	struct writ_csr_work *w = writ_container(j, struct writ_csr_work, job);
	w->done(w);
}

void writ_csr_check(struct writ_loop *loop, struct writ_csr_work *w)
{
	w->job = (struct writ_job){ .work = check_work, .done = check_done };
	writ_job_run(loop, &w->job);
}

writ_rc writ_key_is_no_ca(
	const struct writ_ca *ca, const struct writ_pubkey *key, struct writ_err *err)
{
	const struct writ_authority *list;
	char ski[2 * sizeof(key->ski) + 1];
	writ_hex(key->ski, sizeof(key->ski), ski);
	size_t n = writ_ca_authorities(ca, &list);
	for (size_t i = 0; i < n; i++)
		if (strcmp(list[i].id, ski) == 0)
			return writ_fail(err, WRIT_EINVAL,
				"malformed CSR: the key is that of a certificate authority");
	return WRIT_OK;
}

static writ_rc keep(
	struct writ_agent_svid *s, const struct writ_ca_issued *out, struct writ_err *err)
{
	struct writ_cert *cert;
	writ_rc rc = writ_cert_parse(out->cert.p, out->cert.n, &cert, err);
	if (rc != WRIT_OK)
		return rc;
	s->serial = writ_cstr(writ_api_dup(s->call, writ_cstr(writ_cert_serial_dec(cert))));
	writ_cert_unref(cert);
	s->not_after = out->not_after;
	s->svid = writ_to_svid(s->call, s->agent_id, out->cert, out->not_after, out->issuer);
	const struct writ_audit_svid record = {
		.purpose = WRIT_FOR_AGENT, .spiffe_id = s->agent_id, .cert = out->cert
	};
	return writ_audit_issued(s->call, &record, err);
}

static void signed_or_not(struct writ_ca_item *i, writ_rc rc, const struct writ_ca_issued *out,
	const struct writ_err *err)
{
	struct writ_agent_svid *s = writ_container(i, struct writ_agent_svid, item);
	struct writ_server_metrics *m = writ_api_call(s->call)->api->metrics;
	struct writ_err local;
	writ_metric_observe_us(&m->sign, writ_mono_us() - s->began_us);
	if (rc == WRIT_OK) {
		rc = keep(s, out, &local);
		err = &local;
	}
	if (rc != WRIT_OK)
		WRIT_LOG_LIMITED(ERROR, "agent.sign", WRIT_KV("agent", s->agent_id),
			WRIT_KV("error", (const char *)err->msg));
	s->done(s, rc, err);
}

void writ_agent_svid_sign(struct writ_agent_svid *s, const struct writ_pubkey *key)
{
	const struct writ_api *api = writ_api_call(s->call)->api;
	struct writ_err err;
	s->began_us = writ_mono_us();
	s->item = (struct writ_ca_item){ .spiffe_id = s->agent_id.p,
		.key = key,
		.ttl_s = api->config->agent_ttl_ms / 1000,
		.agent_id = s->agent_id.p,
		.done = signed_or_not };
	writ_rc rc = writ_key_is_no_ca(api->ca, key, &err);
	if (rc == WRIT_OK)
		rc = writ_ca_sign(api->ca, &s->item, &err);
	if (rc != WRIT_OK)
		s->done(s, rc, &err);
}
