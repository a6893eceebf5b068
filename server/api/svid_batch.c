/* SPDX-License-Identifier: Apache-2.0 */
/* SVID: BatchNewX509SVID. CSRs are checked on the pool, in chunks; what is good goes to the signer
 * together; each item has its own status, in the order of the request. */
#include "api/audit.h"
#include "api/authorize.h"
#include "api/convert.h"
#include "api/issue.h"
#include "api/methods.h"
#include "base/clock.h"
#include "base/mem.h"
#include "spire/api/server/svid/v1/svid.pb-c.h"

#include <string.h>

#define CHUNK     25
#define ITEMS_MAX 2000

#define S(name) Spire__Api__Server__Svid__V1__##name

struct batch;

struct item {
	struct batch *batch;
	struct writ_entry *entry; /* a reference; NULL: no SVID for this item */
	struct writ_str csr;
	struct writ_err err; /* rc WRIT_OK: all is well so far */
	struct writ_pubkey key;
	struct writ_ca_item sign;
	Spire__Api__Types__X509SVID *svid;
};

struct chunk {
	struct writ_job job;
	struct batch *batch;
	size_t from, to;
};

struct batch {
	struct writ_call *call;
	struct item *items;
	size_t n, waiting; /* for chunks, then for signatures */
	int64_t began_us;
};

static bool still_allowed(struct writ_call *c)
{
	const struct writ_api_call *a = writ_api_call(c);
	return writ_authorize(
		       a->api, writ_call_method(c)->who, a->local, writ_call_peer(c), writ_wall_s())
		       .as != 0;
}

static void finish(struct batch *b)
{
	struct writ_call *c = b->call;
	bool allowed = still_allowed(c); /* the agent may have been banned meanwhile */
	for (size_t i = 0; i < b->n; i++)
		writ_entry_unref(b->items[i].entry);
	if (!allowed) {
		writ_api_call(c)->reason = "the agent lost its right while it waited";
		writ_api_fail(c, WRIT_EDENIED, "authorization denied for method %s",
			writ_call_method(c)->path);
		return;
	}
	S(BatchNewX509SVIDResponse) *m = writ_api_new(
		c, &spire__api__server__svid__v1__batch_new_x509_svidresponse__descriptor);
	m->results = writ_api_alloc(c, b->n * sizeof(*m->results));
	for (size_t i = 0; i < b->n; i++) {
		const struct item *it = &b->items[i];
		S(BatchNewX509SVIDResponse__Result) *x = writ_api_new(c,
			&spire__api__server__svid__v1__batch_new_x509_svidresponse__result__descriptor);
		x->status = writ_to_status(c, it->err.rc, NULL, it->err.msg);
		x->svid = it->err.rc == WRIT_OK ? it->svid : NULL;
		m->results[m->n_results++] = x;
	}
	writ_api_reply(c, &m->base);
}

static void keep(struct item *it, const struct writ_ca_issued *out)
{
	struct writ_call *c = it->batch->call;
	struct writ_str id = writ_entry_get(it->entry, WRIT_ENTRY_SPIFFE_ID);
	const struct writ_audit_svid record = { .purpose = WRIT_FOR_WORKLOAD,
		.spiffe_id = id,
		.entry_id = writ_entry_get(it->entry, WRIT_ENTRY_ID),
		.cert = out->cert };
	it->err.rc = writ_audit_issued(c, &record, &it->err);
	if (it->err.rc == WRIT_OK)
		it->svid = writ_to_svid(c, id, out->cert, out->not_after, out->issuer);
}

static void signature_done(struct batch *b)
{
	struct writ_server_metrics *m = writ_api_call(b->call)->api->metrics;
	if (--b->waiting)
		return;
	writ_metric_observe_us(&m->sign, writ_mono_us() - b->began_us);
	finish(b);
}

static void signed_or_not(struct writ_ca_item *i, writ_rc rc, const struct writ_ca_issued *out,
	const struct writ_err *err)
{
	struct item *it = writ_container(i, struct item, sign);
	if (rc == WRIT_OK) {
		keep(it, out);
	} else {
		it->err = *err;
		WRIT_LOG_LIMITED(ERROR, "svid.sign", WRIT_KV("error", (const char *)err->msg),
			WRIT_KV("spiffe_id", it->sign.spiffe_id));
	}
	signature_done(it->batch);
}

static const char **dns_of(struct writ_call *c, const struct writ_entry *e, size_t *n)
{
	struct writ_str pack = writ_entry_get(e, WRIT_ENTRY_DNS_NAMES), name;
	size_t count = 0;
	*n = 0;
	if (!pack.n || !writ_pack_valid(pack, &count))
		return NULL;
	const char **list = writ_api_alloc(c, count * sizeof(*list));
	while (*n < count && writ_pack_next(&pack, &name))
		list[(*n)++] = writ_api_dup(c, name);
	return list;
}

static void sign(struct item *it)
{
	struct writ_call *c = it->batch->call;
	const struct writ_api_call *a = writ_api_call(c);
	const struct writ_entry_meta *m = &it->entry->meta;
	it->sign = (struct writ_ca_item){
		.spiffe_id = writ_entry_get(it->entry, WRIT_ENTRY_SPIFFE_ID).p,
		.key = &it->key,
		.ttl_s = m->x509_ttl_s ? m->x509_ttl_s
				       : a->api->config->default_x509_svid_ttl_ms / 1000,
		.entry_id = writ_entry_get(it->entry, WRIT_ENTRY_ID).p,
		.agent_id = a->spiffe_id,
		.done = signed_or_not,
	};
	it->sign.dns = dns_of(c, it->entry, &it->sign.n_dns);
	it->err.rc = writ_key_is_no_ca(a->api->ca, &it->key, &it->err);
	if (it->err.rc == WRIT_OK)
		it->err.rc = writ_ca_sign(a->api->ca, &it->sign, &it->err);
	if (it->err.rc == WRIT_OK)
		it->batch->waiting++;
}

static void sign_all(struct batch *b)
{
	b->began_us = writ_mono_us();
	b->waiting = 1; /* ourselves */
	for (size_t i = 0; i < b->n && still_allowed(b->call); i += CHUNK)
		for (size_t k = i; k < b->n && k < i + CHUNK; k++)
			if (b->items[k].err.rc == WRIT_OK)
				sign(&b->items[k]);
	if (--b->waiting == 0)
		finish(b);
}

static void check_chunk(struct writ_job *j)
{
	struct chunk *k = writ_container(j, struct chunk, job);
	for (size_t i = k->from; i < k->to; i++) {
		struct item *it = &k->batch->items[i];
		if (it->err.rc == WRIT_OK)
			it->err.rc = writ_csr_key(it->csr.p, it->csr.n, &it->key, &it->err);
	}
}

static void chunk_done(struct writ_job *j)
{
	struct batch *b = writ_container(j, struct chunk, job)->batch;
	if (--b->waiting == 0)
		sign_all(b);
}

static void read_item(struct batch *b, struct item *it, const S(NewX509SVIDParams) * p)
{
	const struct writ_api_call *a = writ_api_call(b->call);
	it->batch = b;
	it->csr = writ_strn(p->csr.data, p->csr.len);
	if (!*p->entry_id) {
		(void)writ_fail(&it->err, WRIT_EINVAL, "missing entry ID");
		return;
	}
	if (!p->csr.len) {
		(void)writ_fail(&it->err, WRIT_EINVAL, "missing CSR");
		return;
	}
	struct writ_entry *e = writ_registry_authorized_entry(
		a->api->registry, writ_cstr(a->spiffe_id), writ_cstr(p->entry_id));
	if (!e || (e->meta.expires_at && e->meta.expires_at <= writ_wall_s()))
		(void)writ_fail(&it->err, WRIT_ENOENT, "entry not found or not authorized");
	else
		it->entry = writ_entry_ref(e);
}

void writ_h_svid_batch_new_x509(struct writ_call *c)
{
	const S(BatchNewX509SVIDRequest) *q = (const void *)writ_call_request(c);
	if (q->n_params == 0 || q->n_params > ITEMS_MAX) {
		if (q->n_params)
			writ_api_fail(c, WRIT_ELIMIT, "%zu SVIDs at once, at most %d are allowed",
				q->n_params, ITEMS_MAX);
		else
			writ_api_fail(c, WRIT_EINVAL, "missing parameters");
		return;
	}
	struct batch *b = writ_api_alloc(c, sizeof(*b));
	b->call = c;
	b->n = q->n_params;
	b->items = writ_api_alloc(c, b->n * sizeof(*b->items));
	for (size_t i = 0; i < b->n; i++)
		read_item(b, &b->items[i], q->params[i]);
	b->waiting = (b->n + CHUNK - 1) / CHUNK;
	struct chunk *chunks = writ_api_alloc(c, b->waiting * sizeof(*chunks));
	for (size_t i = 0, k = 0; i < b->n; i += CHUNK, k++) {
		chunks[k] = (struct chunk){ .batch = b,
			.from = i,
			.to = i + CHUNK < b->n ? i + CHUNK : b->n,
			.job = { .work = check_chunk, .done = chunk_done } };
		writ_job_run(writ_api_call(c)->api->loop, &chunks[k].job);
	}
}
