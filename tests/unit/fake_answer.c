/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_agent.h"

#include "check.h"
#include "forge.h"

#include "base/clock.h"
#include "base/mem.h"

#define LIFE_S 300

void fake_ca_init(struct fake_ca *ca, const char *name, const char *td, const char *uri)
{
	fake_ca_init_until(ca, name, td, uri, 86400);
}

void fake_ca_init_until(
	struct fake_ca *ca, const char *name, const char *td, const char *uri, int64_t until_s)
{
	*ca = (struct fake_ca){
		.name = name, .td = td, .uri = uri, .key = forge_key(WRIT_KEY_P256)
	};
	struct forge f = forge_ca(name, ca->key);
	f.san[0].tag = FORGE_URI;
	f.san[0].p = uri;
	f.not_before = writ_wall_s() - 3600;
	f.not_after = writ_wall_s() + until_s;
	ca->cert = forge_cert(&f);
	assert_non_null(ca->cert);
}

void fake_ca_done(struct fake_ca *ca)
{
	writ_key_unref(ca->key);
	writ_cert_unref(ca->cert);
}

static void make_svid(struct fake_svid *s, const char *issuer, struct writ_key *issuer_key,
	const char *id, int64_t from_s, int64_t until_s)
{
	struct forge f = forge_leaf(id, s->key, issuer, issuer_key);
	f.not_before = writ_wall_s() + from_s;
	f.not_after = writ_wall_s() + until_s;
	s->cert = forge_cert(&f);
	assert_non_null(s->cert);
}

void fake_svid_init(struct fake_svid *s, const struct fake_ca *ca, const char *id, int64_t from_s,
	int64_t until_s)
{
	s->key = forge_key(WRIT_KEY_P256);
	make_svid(s, ca->name, ca->key, id, from_s, until_s);
}

void fake_svid_self_made(struct fake_svid *s, const char *id)
{
	s->key = forge_key(WRIT_KEY_P256);
	make_svid(s, "leaf", s->key, id, -10, LIFE_S);
}

void fake_svid_done(struct fake_svid *s)
{
	writ_key_unref(s->key);
	writ_cert_unref(s->cert);
}

void fake_bytes(ProtobufCBinaryData *b, const void *p, size_t n)
{
	writ_free(b->data);
	*b = (ProtobufCBinaryData){ n, writ_memdup(p, n) };
}

void fake_text(char **s, const char *text)
{
	if (*s != protobuf_c_empty_string)
		writ_free(*s);
	*s = writ_strdup(text);
}

X509SVIDResponse *fake_answer_new(void)
{
	X509SVIDResponse *a = writ_alloc(sizeof(*a));
	x509_svidresponse__init(a);
	return a;
}

X509SVID *fake_answer_add_svid(X509SVIDResponse *a, const struct fake_ca *ca,
	const struct fake_svid *s, const char *id, const char *hint)
{
	struct writ_err err;
	WRIT_AUTO(writ_secret_done) struct writ_secret key = { 0 };
	X509SVID *m = writ_alloc(sizeof(*m));
	x509_svid__init(m);
	assert_ok(writ_key_to_pkcs8(s->key, &key, &err), err);
	struct writ_str cert = writ_cert_der(s->cert), bundle = writ_cert_der(ca->cert);
	fake_text(&m->spiffe_id, id);
	fake_text(&m->hint, hint);
	fake_bytes(&m->x509_svid, cert.p, cert.n);
	fake_bytes(&m->x509_svid_key, key.p, key.n);
	fake_bytes(&m->bundle, bundle.p, bundle.n);
	a->svids = writ_realloc(a->svids, (a->n_svids + 1) * sizeof(X509SVID *));
	a->svids[a->n_svids++] = m;
	return m;
}

X509SVID *fake_answer_add(
	X509SVIDResponse *a, const struct fake_ca *ca, const char *id, const char *hint)
{
	struct fake_svid s;
	fake_svid_init(&s, ca, id, -10, LIFE_S);
	X509SVID *m = fake_answer_add_svid(a, ca, &s, id, hint);
	fake_svid_done(&s);
	return m;
}

void fake_answer_federate(X509SVIDResponse *a, const char *key, const struct fake_ca *ca)
{
	X509SVIDResponse__FederatedBundlesEntry *f = writ_alloc(sizeof(*f));
	x509_svidresponse__federated_bundles_entry__init(f);
	struct writ_str der = writ_cert_der(ca->cert);
	fake_text(&f->key, key);
	fake_bytes(&f->value, der.p, der.n);
	a->federated_bundles =
		writ_realloc(a->federated_bundles, (a->n_federated_bundles + 1) * sizeof(void *));
	a->federated_bundles[a->n_federated_bundles++] = f;
}

void fake_answer_add_crl(X509SVIDResponse *a)
{
	a->crl = writ_realloc(a->crl, (a->n_crl + 1) * sizeof(*a->crl));
	a->crl[a->n_crl] = (ProtobufCBinaryData){ 0, NULL };
	fake_bytes(&a->crl[a->n_crl++], "\x30\x00", 2);
}

static void text_free(char *s)
{
	if (s != protobuf_c_empty_string)
		writ_free(s);
}

void fake_answer_free(X509SVIDResponse *a)
{
	if (!a)
		return;
	for (size_t i = 0; i < a->n_svids; i++) {
		X509SVID *m = a->svids[i];
		text_free(m->spiffe_id);
		text_free(m->hint);
		writ_free(m->x509_svid.data);
		writ_free(m->x509_svid_key.data);
		writ_free(m->bundle.data);
		writ_free(m);
	}
	for (size_t i = 0; i < a->n_federated_bundles; i++) {
		text_free(a->federated_bundles[i]->key);
		writ_free(a->federated_bundles[i]->value.data);
		writ_free(a->federated_bundles[i]);
	}
	for (size_t i = 0; i < a->n_crl; i++)
		writ_free(a->crl[i].data);
	writ_free(a->svids);
	writ_free(a->federated_bundles);
	writ_free(a->crl);
	writ_free(a);
}
