/* SPDX-License-Identifier: Apache-2.0 */
/* The half of signer.h that makes, activates and drops CAs. */
#include "base/clock.h"
#include "base/mem.h"
#include "signer/signer_impl.h"
#include "signer/upstream.h"

#include <string.h>

#define NAME_MAX_BYTES 64 /* RFC 5280 appendix A: ub-organization-name, ub-common-name */

writ_rc writ_signer_times_ok(
	int64_t not_before, int64_t not_after, int64_t now, struct writ_err *err)
{
	if (not_before > now || not_before < now - WRIT_SIGNER_BACKDATE_S)
		return writ_fail(err, WRIT_EINVAL,
			"not_before is %lld, %d s before now (%lld) to now are allowed",
			(long long)not_before, WRIT_SIGNER_BACKDATE_S, (long long)now);
	if (not_after <= now)
		return writ_fail(err, WRIT_EINVAL, "not_after is %lld, now is %lld",
			(long long)not_after, (long long)now);
	return WRIT_OK;
}

writ_rc writ_signer_recheck(struct writ_str der, const struct writ_anchors *issuer,
	const struct writ_pubkey *key, const char *uri, int64_t now, struct writ_cert **ret,
	struct writ_err *err)
{
	WRIT_AUTO(writ_cert_unrefp) struct writ_cert *c = NULL;
	WRIT_AUTO(writ_freep) struct writ_pubkey *seen = writ_alloc(sizeof(*seen));
	writ_rc rc = writ_cert_parse(der.p, der.n, &c, err);
	if (!rc)
		rc = writ_cert_pubkey(c, seen, err);
	if (!rc && issuer)
		rc = writ_chain_verify(issuer, &c, 1, WRIT_PURPOSE_ANY, now, err);
	if (!rc &&
		(!writ_pubkey_eq(seen, key) || writ_cert_uri_count(c) != 1 ||
			!writ_str_eq(writ_cert_uri(c, 0), writ_cstr(uri))))
		rc = writ_fail(err, WRIT_EINTERNAL, "it does not say what was asked for");
	if (rc)
		return writ_wrap(err, WRIT_EINTERNAL, "the certificate just signed does not hold");
	*ret = writ_steal(c);
	return WRIT_OK;
}

static writ_rc check_name(const char *what, const char *value, struct writ_err *err)
{
	size_t n = strlen(value);
	bool ok = n <= NAME_MAX_BYTES && writ_is_utf8(value, n);
	for (size_t i = 0; i < n; i++)
		ok = ok && (unsigned char)value[i] >= ' ' && value[i] != 0x7f;
	return ok ? WRIT_OK
		  : writ_fail(err, WRIT_EINVAL, "%s: at most %d bytes of printable UTF-8", what,
			    NAME_MAX_BYTES);
}

static writ_rc check_prepare(const struct writ_signer *s, const Writ__Signer__V1__PrepareCa *p,
	int64_t now, struct writ_err *err)
{
	if (s->n == WRIT_SIGNER_SLOTS_MAX && !*p->renew_authority_id)
		return writ_fail(err, WRIT_EPRECOND, "%d CAs are there already; drop one",
			WRIT_SIGNER_SLOTS_MAX);
	if (strcmp(p->trust_domain, s->config.trust_domain) != 0)
		return writ_fail(err, WRIT_EDENIED, "this signer serves the trust domain %s only",
			s->config.trust_domain);
	if (p->key_type < WRIT_KEY_P256 || p->key_type > WRIT_KEY_RSA4096)
		return writ_fail(err, WRIT_EINVAL, "key type %d is not known", p->key_type);
	if (*p->country && strlen(p->country) != 2)
		return writ_fail(err, WRIT_EINVAL, "country: two letters");
	writ_rc rc = writ_signer_times_ok(p->not_before, p->not_after, now, err);
	if (!rc)
		rc = check_name("country", p->country, err);
	if (!rc)
		rc = check_name("organization", p->organization, err);
	return rc ? rc : check_name("common_name", p->common_name, err);
}

/* What stands above the new CA: cuts its life and gives it a chain and roots. */
static writ_rc put_below(const struct writ_upstream *u, struct writ_issue *q,
	struct writ_slot *slot, struct writ_err *err)
{
	for (size_t i = 0; u->bundled && i < u->n_chain; i++)
		slot->chain[slot->n_chain++] = writ_cert_ref(u->chain[i]);
	for (size_t i = 0; i < u->n_roots; i++)
		slot->roots[slot->n_roots++] = writ_cert_ref(u->roots[i]);
	q->issuer = u->chain[0];
	q->issuer_key = u->key;
	for (size_t i = 0; i < u->n_chain; i++) {
		int64_t end = writ_cert_not_after(u->chain[i]) - 1;
		int64_t begin = writ_cert_not_before(u->chain[i]);
		q->not_after = q->not_after < end ? q->not_after : end;
		q->not_before = q->not_before > begin ? q->not_before : begin;
	}
	if (q->not_after <= q->not_before)
		return writ_fail(err, WRIT_EEXPIRED, "the upstream CA '%s' ends: renew it",
			writ_cert_subject(u->chain[0]));
	return WRIT_OK;
}

static writ_rc record_ca(struct writ_signer *s, const struct writ_issue *q,
	const struct writ_slot *slot, struct writ_err *err)
{
	const struct writ_record_line l = { .serial = q->serial,
		.spiffe_id = q->spiffe_id,
		.entry_id = "",
		.agent_id = "",
		.authority = q->issuer ? writ_cert_ski_hex(q->issuer) : slot->authority,
		.key_sha256 = q->key->sha256,
		.not_before = q->not_before,
		.not_after = q->not_after,
		.ca = true };
	writ_record_drop(s->config.record);
	writ_record_add(s->config.record, &l);
	return writ_record_commit(s->config.record, err);
}

static void unref_anchors(struct writ_anchors **a)
{
	writ_anchors_unref(*a);
}

/* Signs and looks at the result with the eyes of a peer. */
static writ_rc issue_ca(struct writ_signer *s, struct writ_issue *q, struct writ_slot *slot,
	int64_t now, struct writ_err *err)
{
	WRIT_AUTO(writ_buf_done) struct writ_buf der = WRIT_BUF(WRIT_CERT_MAX);
	WRIT_AUTO(unref_anchors) struct writ_anchors *above = NULL;
	writ_serial_new(q->serial);
	writ_rc rc = writ_issue(q, &der, err);
	if (!rc && q->issuer)
		rc = writ_anchors_new(&q->issuer, 1, &above, err);
	if (!rc)
		rc = writ_signer_recheck(
			writ_buf_str(&der), above, q->key, q->spiffe_id, now, &slot->cert, err);
	if (rc)
		return rc;
	if (!q->issuer)
		slot->roots[slot->n_roots++] = writ_cert_ref(slot->cert);
	rc = writ_slot_seal(slot, err);
	if (!rc && !q->issuer)
		rc = writ_chain_verify(slot->self, &slot->cert, 1, WRIT_PURPOSE_ANY, now, err);
	return rc ? rc : record_ca(s, q, slot, err);
}

/* before: the certificate that the new one takes the place of; NULL: none. It keeps that one's
 * name, because whoever has the old one as an anchor finds it by name and key (docs/adr/0009). */
static writ_rc make_ca(struct writ_signer *s, const Writ__Signer__V1__PrepareCa *p,
	const struct writ_cert *before, struct writ_slot *slot, int64_t now, struct writ_err *err)
{
	struct writ_str name = { .p = NULL };
	if (before)
		name = writ_cert_subject_der(before);
	struct writ_pubkey pub;
	writ_rc rc = slot->key ? WRIT_OK
			       : s->config.keys->vt->generate(s->config.keys,
					 (enum writ_key_type)p->key_type, &slot->key, err);
	if (!rc)
		rc = writ_pubkey_of_key(slot->key, &pub, err);
	if (rc)
		return rc;
	WRIT_AUTO(writ_freep) char *id = writ_asprintf("spiffe://%s", s->config.trust_domain);
	struct writ_issue q = { .profile = WRIT_PROFILE_CA,
		.trust_domain = s->config.trust_domain,
		.spiffe_id = id,
		.subject = { p->country, p->organization, p->common_name },
		.subject_der = (const uint8_t *)name.p,
		.subject_der_len = name.n,
		.key = &pub,
		.not_before = p->not_before,
		.not_after = p->not_after,
		.now = now,
		.issuer_key = slot->key };
	if (s->config.upstream)
		rc = put_below(s->config.upstream, &q, slot, err);
	if (!rc)
		rc = issue_ca(s, &q, slot, now, err);
	return rc ? rc : s->config.keys->vt->save(s->config.keys, slot, err);
}

static writ_rc find(
	struct writ_signer *s, const char *authority, struct writ_slot **ret, struct writ_err *err)
{
	for (size_t i = 0; i < s->n; i++) {
		if (strcmp(s->slots[i].authority, authority) != 0)
			continue;
		*ret = &s->slots[i];
		return WRIT_OK;
	}
	return writ_fail(err, WRIT_ENOENT, "no CA '%.40s'", authority);
}

/* The slot to fill: a free one, or that of a CA which has ended and is to be certified again with
 * the key it has. */
static writ_rc choose_slot(struct writ_signer *s, const char *renew, int64_t now,
	struct writ_slot *fresh, struct writ_slot **ret, struct writ_err *err)
{
	if (!*renew) {
		*ret = &s->slots[s->n];
		return WRIT_OK;
	}
	writ_rc rc = find(s, renew, ret, err);
	if (rc)
		return rc;
	if (writ_cert_not_after((*ret)->cert) > now)
		return writ_fail(err, WRIT_EPRECOND, "CA %s has not ended", (*ret)->authority);
	fresh->key = writ_key_ref((*ret)->key);
	fresh->state = (*ret)->state == WRIT_SLOT_ACTIVE ? WRIT_SLOT_ACTIVE : WRIT_SLOT_PREPARED;
	fresh->activated = fresh->state == WRIT_SLOT_ACTIVE ? (*ret)->activated : 0;
	return WRIT_OK;
}

writ_rc writ_signer_prepare(struct writ_signer *s, const writ_signer_request *q,
	writ_signer_reply *r, struct writ_err *err)
{
	(void)r;
	int64_t now = writ_wall_s();
	struct writ_slot *place = NULL;
	writ_rc rc = check_prepare(s, q->prepare_ca, now, err);
	if (rc)
		return rc;
	WRIT_AUTO(writ_slot_done) struct writ_slot slot = { .state = WRIT_SLOT_PREPARED };
	rc = choose_slot(s, q->prepare_ca->renew_authority_id, now, &slot, &place, err);
	if (!rc)
		rc = make_ca(s, q->prepare_ca,
			*q->prepare_ca->renew_authority_id ? place->cert : NULL, &slot, now, err);
	if (rc)
		return rc;
	if (place == &s->slots[s->n])
		s->n++;
	else
		writ_slot_done(place);
	*place = slot;
	slot = (struct writ_slot){ 0 };
	return WRIT_OK;
}

writ_rc writ_signer_activate(struct writ_signer *s, const writ_signer_request *q,
	writ_signer_reply *r, struct writ_err *err)
{
	(void)r;
	struct writ_slot *slot = NULL, *before = writ_signer_active(s);
	writ_rc rc = find(s, q->activate_ca->authority_id, &slot, err);
	if (rc || slot == before)
		return rc;
	if (slot->state != WRIT_SLOT_PREPARED)
		return writ_fail(err, WRIT_EPRECOND, "CA %s is an old one", slot->authority);
	int64_t now = writ_wall_s();
	if (writ_cert_not_after(slot->cert) <= now)
		return writ_fail(err, WRIT_EEXPIRED, "CA %s has expired", slot->authority);
	slot->state = WRIT_SLOT_ACTIVE;
	/* Later than the one before even when the clock went back. */
	slot->activated = before && before->activated >= now ? before->activated + 1 : now;
	rc = s->config.keys->vt->save(s->config.keys, slot, err);
	if (rc) {
		slot->state = WRIT_SLOT_PREPARED;
		slot->activated = 0;
		return rc;
	}
	if (!before)
		return WRIT_OK;
	before->state = WRIT_SLOT_OLD;
	/* If this fails the change holds all the same: of two that are kept as active the newer one
	 * counts. */
	return s->config.keys->vt->save(s->config.keys, before, err);
}

writ_rc writ_signer_drop(struct writ_signer *s, const writ_signer_request *q, writ_signer_reply *r,
	struct writ_err *err)
{
	(void)r;
	struct writ_slot *slot = NULL;
	writ_rc rc = find(s, q->drop_ca->authority_id, &slot, err);
	if (rc)
		return rc;
	if (slot->state == WRIT_SLOT_ACTIVE)
		return writ_fail(err, WRIT_EPRECOND, "CA %s is the active one", slot->authority);
	rc = s->config.keys->vt->forget(s->config.keys, slot->authority, err);
	if (rc)
		return rc;
	writ_slot_done(slot);
	size_t at = (size_t)(slot - s->slots);
	memmove(slot, slot + 1, (s->n - at - 1) * sizeof(*slot));
	memset(&s->slots[--s->n], 0, sizeof(*slot));
	return WRIT_OK;
}
