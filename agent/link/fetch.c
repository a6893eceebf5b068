/* SPDX-License-Identifier: Apache-2.0 */
#include "link/fetch.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "crypto/csr.h"
#include "link/convert.h"
#include "rpc/rpc.h"

#include "spire/api/server/svid/v1/svid.pb-c.h"

#define PATH        "/spire.api.server.svid.v1.SVID/BatchNewX509SVID"
#define DEADLINE_MS 20000
#define CSR_ROOM    2048

typedef Spire__Api__Server__Svid__V1__NewX509SVIDParams params;
typedef Spire__Api__Server__Svid__V1__BatchNewX509SVIDResponse response;
typedef Spire__Api__Server__Svid__V1__BatchNewX509SVIDResponse__Result result;

struct writ_fetch {
	struct writ_fetch_config cfg;
	char *td;
	struct writ_channel *channel;
	unsigned flights;
	bool kick_posted;
	struct writ_task kick;
	struct writ_fetch_stats stats;
};

/* One SVID on its way. Owned by its flight. */
struct item {
	struct writ_entry *entry;
	char *spiffe_id, *id; /* copies: the job must not look at the entry */
	struct writ_key *key;
	struct writ_buf csr;
	struct writ_secret pkcs8;
	struct writ_buf chain;
	int64_t not_before, not_after;
	bool ok;
	struct writ_err err;
};

struct flight {
	struct writ_fetch *f;
	struct writ_job job;
	ProtobufCMessage *answer;
	bool failed_later;
	size_t n;
	struct item items[];
};

struct writ_fetch *writ_fetch_new(const struct writ_fetch_config *cfg)
{
	struct writ_fetch *f = writ_alloc(sizeof(*f));
	f->cfg = *cfg;
	f->td = writ_strndup(cfg->td.p, cfg->td.n);
	return f;
}

void writ_fetch_free(struct writ_fetch *f)
{
	writ_free(f->td);
	writ_free(f);
}

bool writ_fetch_is_idle(const struct writ_fetch *f)
{
	return !f->flights && !f->kick_posted;
}

struct writ_fetch_stats writ_fetch_stats(const struct writ_fetch *f)
{
	return f->stats;
}

static void land(struct flight *fl)
{
	struct writ_fetch *f = fl->f;
	for (size_t i = 0; i < fl->n; i++) {
		struct item *it = &fl->items[i];
		if (it->ok) {
			const struct writ_fetched got = { .key = it->pkcs8.p,
				.key_len = it->pkcs8.n,
				.chain = it->chain.p,
				.chain_len = it->chain.n,
				.not_before = it->not_before,
				.not_after = it->not_after };
			f->stats.fetched++;
			writ_cache_fetched(f->cfg.cache, it->entry, &got);
		} else {
			if (it->err.rc != WRIT_OK) {
				f->stats.refused++;
				WRIT_LOG_LIMITED(WARN, "svid.failed", WRIT_KV("entry", it->id),
					WRIT_KV("spiffe_id", it->spiffe_id),
					WRIT_KV("error", it->err.msg));
			}
			writ_cache_failed(
				f->cfg.cache, it->entry, fl->failed_later || it->err.rc != WRIT_OK);
		}
		writ_key_unref(it->key);
		writ_secret_done(&it->pkcs8);
		writ_buf_done(&it->csr);
		writ_buf_done(&it->chain);
		writ_free(it->spiffe_id);
		writ_free(it->id);
	}
	writ_pb_free(fl->answer);
	writ_free(fl);
	f->flights--;
	if (f->channel)
		writ_fetch_kick(f);
	if (writ_fetch_is_idle(f))
		f->cfg.idle(f->cfg.arg);
}

/* --- the answer, in a job: certificates are parsed and matched with their keys --- */

static writ_rc take(struct item *it, const result *r, struct writ_str td, struct writ_err *err)
{
	WRIT_AUTO(writ_svid_unrefp) struct writ_svid *s = NULL;
	if (!r->status || r->status->code)
		return writ_fail(err, WRIT_EUNAVAIL, "the server refuses it: %s",
			r->status ? r->status->message : "without a word");
	writ_rc rc = writ_svid_from_message(r->svid, td, it->key, &s, err);
	if (rc != WRIT_OK)
		return rc;
	if (!writ_str_eq(writ_cstr(s->spiffe_id), writ_cstr(it->spiffe_id)))
		return writ_fail(err, WRIT_EPROTO, "the certificate is for %s", s->spiffe_id);
	if (writ_svid_not_after(s) <= writ_wall_s())
		return writ_fail(
			err, WRIT_EEXPIRED, "the certificate is over already: compare the clocks");
	for (size_t i = 0; i < s->n_chain; i++)
		writ_buf_add_str(&it->chain, writ_cert_der(s->chain[i]));
	rc = writ_buf_check(&it->chain, "certificate chain", err);
	if (rc == WRIT_OK)
		rc = writ_key_to_pkcs8(it->key, &it->pkcs8, err);
	it->not_before = writ_svid_not_before(s);
	it->not_after = writ_svid_not_after(s);
	return rc;
}

static void take_work(struct writ_job *j)
{
	struct flight *fl = writ_container(j, struct flight, job);
	const response *m = (const void *)fl->answer;
	for (size_t i = 0; i < fl->n; i++)
		fl->items[i].ok = take(&fl->items[i], m->results[i], writ_cstr(fl->f->td),
					  &fl->items[i].err) == WRIT_OK;
}

static void take_done(struct writ_job *j)
{
	land(writ_container(j, struct flight, job));
}

/* --- the call --- */

static void on_answer(void *arg, struct writ_rpc *r, const ProtobufCMessage *m)
{
	struct flight *fl = arg;
	if (((const response *)(const void *)m)->n_results == fl->n)
		fl->answer = writ_rpc_take(r);
}

static void on_ended(void *arg, struct writ_rpc *r, const struct writ_rpc_status *s)
{
	struct flight *fl = arg;
	(void)r;
	if (s->rc == WRIT_OK && fl->answer) {
		fl->job.work = take_work;
		fl->job.done = take_done;
		writ_job_run(fl->f->cfg.loop, &fl->job);
		return;
	}
	/* The connection is gone: at once on the next one. Anything else: after a while. */
	fl->failed_later = fl->f->channel != NULL;
	if (s->rc != WRIT_OK)
		fl->f->cfg.failed(fl->f->cfg.arg, s);
	land(fl);
}

static void send(struct flight *fl)
{
	Spire__Api__Server__Svid__V1__BatchNewX509SVIDRequest req =
		SPIRE__API__SERVER__SVID__V1__BATCH_NEW_X509_SVIDREQUEST__INIT;
	params rows[WRIT_FETCH_BATCH], *refs[WRIT_FETCH_BATCH];
	for (size_t i = 0; i < fl->n; i++) {
		params one = SPIRE__API__SERVER__SVID__V1__NEW_X509_SVIDPARAMS__INIT;
		one.entry_id = fl->items[i].id;
		one.csr = (ProtobufCBinaryData){ fl->items[i].csr.n, fl->items[i].csr.p };
		rows[i] = one;
		refs[i] = &rows[i];
	}
	req.n_params = fl->n;
	req.params = refs;
	const struct writ_rpc_request call = {
		.path = PATH,
		.message = &req.base,
		.out = &spire__api__server__svid__v1__batch_new_x509_svidresponse__descriptor,
		.deadline_ms = DEADLINE_MS,
		.message_in = on_answer,
		.ended = on_ended,
		.arg = fl,
	};
	(void)writ_rpc_start(fl->f->channel, &call);
}

/* --- keys and requests, in a job --- */

static writ_rc make(struct item *it, enum writ_key_type type, struct writ_err *err)
{
	writ_rc rc = writ_key_generate(type, &it->key, err);
	if (rc == WRIT_OK)
		rc = writ_csr_build(it->key, it->spiffe_id, NULL, 0, &it->csr, err);
	return rc;
}

static void make_work(struct writ_job *j)
{
	struct flight *fl = writ_container(j, struct flight, job);
	for (size_t i = 0; i < fl->n; i++)
		(void)!make(&fl->items[i], fl->f->cfg.key_type, &fl->items[i].err);
}

static void make_done(struct writ_job *j)
{
	struct flight *fl = writ_container(j, struct flight, job);
	bool bad = false;
	for (size_t i = 0; i < fl->n; i++)
		bad = bad || fl->items[i].err.rc != WRIT_OK;
	if (bad || !fl->f->channel) {
		fl->failed_later = bad;
		land(fl);
		return;
	}
	send(fl);
}

static void start(struct writ_fetch *f, struct writ_entry *const *entries, size_t n)
{
	struct flight *fl = writ_alloc(sizeof(*fl) + n * sizeof(struct item));
	fl->f = f;
	fl->n = n;
	for (size_t i = 0; i < n; i++) {
		fl->items[i].entry = entries[i];
		fl->items[i].id = writ_strdup(entries[i]->id);
		fl->items[i].spiffe_id = writ_strdup(entries[i]->spiffe_id);
		fl->items[i].csr = WRIT_BUF(CSR_ROOM + WRIT_ID_MAX);
		fl->items[i].chain = WRIT_BUF(WRIT_CHAIN_MAX * WRIT_CERT_MAX);
	}
	f->flights++;
	fl->job.work = make_work;
	fl->job.done = make_done;
	writ_job_run(f->cfg.loop, &fl->job);
}

static void on_kick(struct writ_task *t)
{
	struct writ_fetch *f = writ_container(t, struct writ_fetch, kick);
	struct writ_entry *entries[WRIT_FETCH_BATCH];
	f->kick_posted = false;
	while (f->channel && f->flights < WRIT_FETCH_FLIGHTS) {
		size_t n = writ_cache_next(f->cfg.cache, entries, WRIT_FETCH_BATCH);
		if (!n)
			break;
		start(f, entries, n);
	}
	if (writ_fetch_is_idle(f))
		f->cfg.idle(f->cfg.arg);
}

void writ_fetch_kick(struct writ_fetch *f)
{
	if (f->kick_posted || !f->channel)
		return;
	f->kick_posted = true;
	f->kick.run = on_kick;
	writ_loop_post(f->cfg.loop, &f->kick);
}

void writ_fetch_set_channel(struct writ_fetch *f, struct writ_channel *c)
{
	f->channel = c;
	writ_fetch_kick(f);
}
