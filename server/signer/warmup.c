/* SPDX-License-Identifier: Apache-2.0 */
#include "signer/warmup.h"

#include "base/clock.h"
#include "base/mem.h"
#include "crypto/issue.h"
#include "signer/slot.h"

#define TD     "warmup.invalid"
#define CA_S   600
#define LEAF_S 60 /* far less: seconds may pass between the two on a slow machine */

static writ_rc issue(struct writ_issue *q, struct writ_cert **ret, struct writ_err *err)
{
	WRIT_AUTO(writ_buf_done) struct writ_buf der = WRIT_BUF(WRIT_CERT_MAX);
	writ_serial_new(q->serial);
	q->trust_domain = TD;
	q->not_before = writ_wall_s();
	q->not_after = q->not_before + (q->profile == WRIT_PROFILE_LEAF ? LEAF_S : CA_S);
	writ_rc rc = writ_issue(q, &der, err);
	return rc ? rc : writ_cert_parse(der.p, der.n, ret, err);
}

static writ_rc make_ca(enum writ_key_type type, struct writ_slot *s, struct writ_err *err)
{
	struct writ_pubkey pub;
	s->state = WRIT_SLOT_ACTIVE;
	writ_rc rc = writ_key_generate(type, &s->key, err);
	if (!rc)
		rc = writ_pubkey_of_key(s->key, &pub, err);
	if (rc)
		return rc;
	struct writ_issue q = { .profile = WRIT_PROFILE_CA,
		.spiffe_id = "spiffe://" TD,
		.subject = { "US", "warm-up", NULL },
		.key = &pub,
		.issuer_key = s->key };
	rc = issue(&q, &s->cert, err);
	if (rc)
		return rc;
	s->roots[s->n_roots++] = writ_cert_ref(s->cert);
	return writ_slot_seal(s, err);
}

static writ_rc try_leaf(const struct writ_slot *ca, struct writ_err *err)
{
	struct writ_pubkey pub;
	WRIT_AUTO(writ_cert_unrefp) struct writ_cert *leaf = NULL;
	writ_rc rc = writ_pubkey_of_key(ca->key, &pub, err);
	if (rc)
		return rc;
	WRIT_AUTO(writ_key_unrefp) struct writ_key *key = NULL;
	rc = writ_key_generate(writ_key_type_of(ca->key), &key, err);
	if (!rc)
		rc = writ_pubkey_of_key(key, &pub, err);
	struct writ_issue q = { .profile = WRIT_PROFILE_LEAF,
		.spiffe_id = "spiffe://" TD "/leaf",
		.subject = { "US", "SPIRE", NULL },
		.key = &pub,
		.issuer = ca->cert,
		.issuer_key = ca->key };
	if (!rc)
		rc = issue(&q, &leaf, err);
	if (!rc)
		rc = writ_cert_pubkey(leaf, &pub, err);
	return rc ? rc
		  : writ_chain_verify(ca->self, &leaf, 1, WRIT_PURPOSE_ANY, writ_wall_s(), err);
}

static writ_rc try_type(enum writ_key_type type, struct writ_err *err)
{
	WRIT_AUTO(writ_slot_done) struct writ_slot ca = { 0 }, again = { 0 };
	WRIT_AUTO(writ_buf_wipe) struct writ_buf text = WRIT_BUF(64 * 1024);
	writ_rc rc = make_ca(type, &ca, err);
	if (!rc)
		rc = try_leaf(&ca, err);
	if (!rc)
		rc = writ_slot_print(&ca, &text, err);
	return rc ? rc : writ_slot_parse(writ_buf_str(&text), &again, err);
}

writ_rc writ_signer_warm_up(struct writ_err *err)
{
	char text[32];
	(void)writ_format_time(writ_wall_s(), text, sizeof(text));
	static const enum writ_key_type types[] = { WRIT_KEY_P256, WRIT_KEY_P384 };
	writ_rc rc = WRIT_OK;
	for (size_t i = 0; i < WRIT_COUNT(types) && !rc; i++)
		rc = try_type(types[i], err);
	return rc ? writ_wrap(err, rc, "self-test") : WRIT_OK;
}
