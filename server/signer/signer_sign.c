/* SPDX-License-Identifier: Apache-2.0 */
/* The half of signer.h that signs X509-SVIDs. */
#include "base/clock.h"
#include "base/mem.h"
#include "signer/signer_impl.h"
#include "spiffe/id.h"

#include <string.h>

#define ID_MAX      255 /* of an entry */
#define SUBJECT_MAX 1024
/* Every so many leaves one is parsed and verified after signing, and the first of each process; but
 * no more than some a second, since one costs as much as signing ten. */
#define SAMPLE             64
#define SAMPLES_PER_SECOND 16

typedef Writ__Signer__V1__SignItem sign_item;
typedef Writ__Signer__V1__SignResult sign_result;

static writ_rc check_item(
	const struct writ_signer *s, const sign_item *i, int64_t now, struct writ_err *err)
{
	struct writ_id id;
	writ_rc rc = writ_id_parse_leaf(writ_cstr(i->spiffe_id), &id, err);
	if (rc)
		return rc;
	if (!writ_str_eq(id.td, writ_cstr(s->config.trust_domain)))
		return writ_fail(err, WRIT_EDENIED, "'%s' is not in the trust domain %s",
			i->spiffe_id, s->config.trust_domain);
	if (i->n_dns > WRIT_DNS_MAX)
		return writ_fail(err, WRIT_ELIMIT, "%zu DNS names, at most %d are allowed",
			i->n_dns, WRIT_DNS_MAX);
	if (i->subject.len > SUBJECT_MAX)
		return writ_fail(err, WRIT_ELIMIT, "a subject of %zu bytes, at most %d are allowed",
			i->subject.len, SUBJECT_MAX);
	if (strlen(i->entry_id) > ID_MAX || strlen(i->agent_id) > WRIT_ID_MAX)
		return writ_fail(err, WRIT_ELIMIT, "entry or agent: the name is too long");
	return writ_signer_times_ok(i->not_before, i->not_after, now, err);
}

/* Cuts to the issuer's life. */
static writ_rc cut(
	const struct writ_slot *ca, struct writ_issue *q, int64_t now, struct writ_err *err)
{
	int64_t end = writ_cert_not_after(ca->cert) - 1;
	int64_t begin = writ_cert_not_before(ca->cert);
	q->not_after = q->not_after < end ? q->not_after : end;
	q->not_before = q->not_before > begin ? q->not_before : begin;
	if (q->not_after <= now)
		return writ_fail(err, WRIT_EPRECOND, "CA %s has expired", ca->authority);
	return WRIT_OK;
}

static void record(struct writ_signer *s, const struct writ_slot *ca, const sign_item *i,
	const struct writ_issue *q)
{
	const struct writ_record_line l = { .serial = q->serial,
		.spiffe_id = i->spiffe_id,
		.entry_id = i->entry_id,
		.agent_id = i->agent_id,
		.authority = ca->authority,
		.key_sha256 = q->key->sha256,
		.not_before = q->not_before,
		.not_after = q->not_after };
	writ_record_add(s->config.record, &l);
}

static writ_rc sample(struct writ_signer *s, const struct writ_slot *ca, const struct writ_issue *q,
	struct writ_str der, int64_t now, struct writ_err *err)
{
	if (s->issued++ % SAMPLE != 0)
		return WRIT_OK;
	if (now != s->sampled_at)
		s->samples = 0;
	s->sampled_at = now;
	if (s->samples++ >= SAMPLES_PER_SECOND)
		return WRIT_OK;
	WRIT_AUTO(writ_cert_unrefp) struct writ_cert *c = NULL;
	return writ_signer_recheck(der, ca->self, q->key, q->spiffe_id, now, &c, err);
}

/* Appends the certificate to s->certs and its line to the record. */
static writ_rc sign_one(struct writ_signer *s, const struct writ_slot *ca, const sign_item *i,
	int64_t now, int64_t *not_after, struct writ_err *err)
{
	struct writ_pubkey key;
	writ_rc rc = check_item(s, i, now, err);
	if (!rc)
		rc = writ_pubkey_from_spki(i->spki.data, i->spki.len, &key, err);
	if (rc)
		return rc;
	struct writ_issue q = { .profile = WRIT_PROFILE_LEAF,
		.trust_domain = s->config.trust_domain,
		.spiffe_id = i->spiffe_id,
		.subject = { "US", "SPIRE", i->n_dns ? i->dns[0] : NULL },
		.subject_der = i->subject.len ? i->subject.data : NULL,
		.subject_der_len = i->subject.len,
		.dns = (const char *const *)i->dns,
		.n_dns = i->n_dns,
		.key = &key,
		.not_before = i->not_before,
		.not_after = i->not_after,
		.now = now,
		.issuer = ca->cert,
		.issuer_key = ca->key };
	rc = cut(ca, &q, now, err);
	writ_serial_new(q.serial);
	size_t before = s->certs.n;
	if (!rc)
		rc = writ_issue(&q, &s->certs, err);
	if (!rc)
		rc = sample(
			s, ca, &q, writ_strn(s->certs.p + before, s->certs.n - before), now, err);
	if (rc) {
		s->certs.n = before;
		return rc;
	}
	record(s, ca, i, &q);
	*not_after = q.not_after;
	return WRIT_OK;
}

/* Fills one result; the certificate's place is noted as an offset, because the buffer may still
 * move. */
static writ_rc sign_into(struct writ_signer *s, const struct writ_slot *ca, const sign_item *i,
	int64_t now, sign_result *r, struct writ_err *err)
{
	struct writ_err why = { 0 };
	size_t before = s->certs.n;
	writ__signer__v1__sign_result__init(r);
	writ_rc rc = sign_one(s, ca, i, now, &r->not_after, &why);
	r->rc = (int32_t)rc;
	if (!rc) {
		r->cert.len = s->certs.n - before;
		return WRIT_OK;
	}
	size_t n = strlen(why.msg) + 1;
	r->error = writ_arena_alloc(&s->arena, n);
	if (!r->error)
		return writ_fail(err, WRIT_ELIMIT, "answer: out of room");
	memcpy(r->error, why.msg, n);
	return WRIT_OK;
}

static writ_rc check_batch(const Writ__Signer__V1__Sign *q, struct writ_err *err)
{
	if (q->n_items == 0 || q->n_items > WRIT_SIGNER_BATCH_MAX)
		return writ_fail(err, WRIT_EINVAL, "%zu items, 1 to %d are allowed", q->n_items,
			WRIT_SIGNER_BATCH_MAX);
	return WRIT_OK;
}

writ_rc writ_signer_sign(struct writ_signer *s, const writ_signer_request *request,
	writ_signer_reply *reply, struct writ_err *err)
{
	const Writ__Signer__V1__Sign *q = request->sign;
	const struct writ_slot *ca = writ_signer_active(s);
	int64_t now = writ_wall_s();
	writ_rc rc = check_batch(q, err);
	if (rc)
		return rc;
	sign_result *all = writ_arena_alloc(&s->arena, q->n_items * sizeof(*all));
	reply->results = writ_arena_alloc(&s->arena, q->n_items * sizeof(*reply->results));
	if (!all || !reply->results)
		return writ_fail(err, WRIT_ELIMIT, "answer: out of room");
	writ_record_drop(s->config.record);
	for (size_t i = 0; i < q->n_items && !rc; i++) {
		reply->results[i] = &all[i];
		rc = sign_into(s, ca, q->items[i], now, &all[i], err);
	}
	if (rc)
		return rc;
	/* From here on the certificates exist: on record first, then out. */
	if (s->certs.n)
		rc = writ_record_commit(s->config.record, err);
	for (size_t i = 0, at = 0; i < q->n_items && !rc; at += all[i++].cert.len)
		all[i].cert.data = all[i].cert.len ? s->certs.p + at : NULL;
	reply->n_results = rc ? 0 : q->n_items;
	return rc;
}
