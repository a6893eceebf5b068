/* SPDX-License-Identifier: Apache-2.0 */
/* SVID: MintX509SVID, for operators: the only method that takes names from a CSR. */
#include "api/audit.h"
#include "api/convert.h"
#include "api/issue.h"
#include "api/methods.h"
#include "base/clock.h"
#include "base/mem.h"
#include "spiffe/id.h"
#include "spire/api/server/svid/v1/svid.pb-c.h"

#include <string.h>

#define TTL_MAX_S 86400

#define S(name) Spire__Api__Server__Svid__V1__##name

struct mint {
	struct writ_call *call;
	struct writ_job job;
	struct writ_str der;
	struct writ_csr csr;
	struct writ_err err;
	struct writ_ca_item sign;
	int64_t began_us;
};

static void reply(struct mint *w, const struct writ_ca_issued *out)
{
	struct writ_call *c = w->call;
	struct writ_str id = writ_cstr(w->csr.uris[0]);
	const struct writ_audit_svid record = {
		.purpose = WRIT_FOR_MINT, .spiffe_id = id, .cert = out->cert
	};
	S(MintX509SVIDResponse) m = SPIRE__API__SERVER__SVID__V1__MINT_X509_SVIDRESPONSE__INIT;
	if (writ_audit_issued(c, &record, &w->err) != WRIT_OK) {
		writ_call_fail(c, &w->err);
		return;
	}
	writ_api_note(c, "spiffe_id", writ_cstr(writ_api_dup(c, id)));
	m.svid = writ_to_svid(c, id, out->cert, out->not_after, out->issuer);
	writ_api_reply(c, &m.base);
}

static void signed_or_not(struct writ_ca_item *i, writ_rc rc, const struct writ_ca_issued *out,
	const struct writ_err *err)
{
	struct mint *w = writ_container(i, struct mint, sign);
	struct writ_server_metrics *m = writ_api_call(w->call)->api->metrics;
	writ_metric_observe_us(&m->sign, writ_mono_us() - w->began_us);
	if (rc == WRIT_OK)
		reply(w, out);
	else
		writ_api_fail(w->call, rc, "failed to sign X509-SVID: %s", err->msg);
	writ_csr_done(&w->csr);
}

static writ_rc check_id(
	const struct writ_api *api, const struct writ_csr *csr, struct writ_err *err)
{
	struct writ_id id;
	if (csr->n_uris == 0)
		return writ_fail(err, WRIT_EINVAL, "CSR URI SAN is required");
	if (csr->n_uris > 1)
		return writ_fail(err, WRIT_EINVAL, "only one URI SAN is expected");
	if (writ_id_parse_leaf(writ_cstr(csr->uris[0]), &id, err) != WRIT_OK)
		return writ_wrap(err, WRIT_EINVAL, "CSR URI SAN is invalid");
	if (!writ_str_eq(id.td, api->td))
		return writ_fail(err, WRIT_EINVAL,
			"CSR URI SAN is invalid: \"" WRIT_FMT
			"\" is not a member of trust domain \"" WRIT_FMT "\"",
			WRIT_ARG(id.uri), WRIT_ARG(api->td));
	if (writ_id_is_reserved(&id))
		return writ_fail(err, WRIT_EINVAL,
			"CSR URI SAN is invalid: \"" WRIT_FMT
			"\" is not a workload: its path is in the reserved namespace",
			WRIT_ARG(id.uri));
	return WRIT_OK;
}

/* "*.example.org" stands for "www.example.org" too: both at once say less than they seem to. */
static bool shadows(const char *wildcard, const char *name)
{
	const char *dot = strchr(name, '.');
	return strncmp(wildcard, "*.", 2) == 0 && strcmp(wildcard, name) != 0 && dot &&
		strcmp(wildcard + 1, dot) == 0;
}

static writ_rc check_dns(const struct writ_csr *csr, struct writ_err *err)
{
	for (size_t i = 0; i < csr->n_dns; i++) {
		if (writ_dns_name_check(writ_cstr(csr->dns[i]), err) != WRIT_OK)
			return writ_wrap(err, WRIT_EINVAL, "CSR DNS name is not valid");
		for (size_t k = 0; k < csr->n_dns; k++)
			if (shadows(csr->dns[i], csr->dns[k]))
				return writ_fail(err, WRIT_EINVAL,
					"CSR DNS name contains a wildcard that covers another "
					"one: %s and %s",
					csr->dns[i], csr->dns[k]);
	}
	return WRIT_OK;
}

static writ_rc sign(struct mint *w, struct writ_err *err)
{
	const struct writ_api *api = writ_api_call(w->call)->api;
	const S(MintX509SVIDRequest) *q = (const void *)writ_call_request(w->call);
	int64_t ttl = q->ttl ? q->ttl : api->config->default_x509_svid_ttl_ms / 1000;
	writ_rc rc = check_id(api, &w->csr, err);
	if (rc == WRIT_OK)
		rc = check_dns(&w->csr, err);
	if (rc == WRIT_OK)
		rc = writ_key_is_no_ca(api->ca, &w->csr.key, err);
	if (rc != WRIT_OK)
		return rc;
	w->began_us = writ_mono_us();
	w->sign = (struct writ_ca_item){ .spiffe_id = w->csr.uris[0],
		.key = &w->csr.key,
		.ttl_s = ttl > TTL_MAX_S ? TTL_MAX_S : ttl,
		.dns = (const char *const *)w->csr.dns,
		.n_dns = w->csr.n_dns,
		.subject = writ_strn(w->csr.subject, w->csr.subject_len),
		.done = signed_or_not };
	return writ_ca_sign(api->ca, &w->sign, err);
}

static void parsed(struct writ_job *j)
{
	struct mint *w = writ_container(j, struct mint, job);
	writ_rc rc = w->err.rc;
	if (rc == WRIT_OK)
		rc = sign(w, &w->err);
	if (rc == WRIT_OK)
		return;
	writ_csr_done(&w->csr);
	writ_call_fail(w->call, &w->err);
}

static void parse(struct writ_job *j)
{
	struct mint *w = writ_container(j, struct mint, job);
	w->err.rc = writ_csr_parse(w->der.p, w->der.n, &w->csr, &w->err);
}

void writ_h_svid_mint_x509(struct writ_call *c)
{
	const S(MintX509SVIDRequest) *q = (const void *)writ_call_request(c);
	if (!q->csr.len) {
		writ_api_fail(c, WRIT_EINVAL, "missing CSR");
		return;
	}
	if (q->ttl < 0) {
		writ_api_fail(c, WRIT_EINVAL, "ttl is %d seconds: it cannot be negative", q->ttl);
		return;
	}
	struct mint *w = writ_api_alloc(c, sizeof(*w));
	w->call = c;
	w->der = writ_strn(q->csr.data, q->csr.len);
	w->job = (struct writ_job){ .work = parse, .done = parsed };
	writ_job_run(writ_api_call(c)->api->loop, &w->job);
}
