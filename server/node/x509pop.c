/* SPDX-License-Identifier: Apache-2.0 */
/* The node proves possession of the key of a certificate that an operator's CA issued for it, or
 * (mode spiffe) of an SVID of this trust domain. */
#include "spiffe/x509pop.h"

#include "base/mem.h"
#include "base/rand.h"
#include "config/path_template.h"
#include "crypto/cert_file.h"
#include "crypto/name.h"
#include "node/say_cert.h"
#include "spiffe/id.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#define CAS_MAX       256
#define SAN_SELECTORS 32 /* x509pop:// names of a certificate that count */
#define RSA_BITS_OVER 64 /* a SubjectPublicKeyInfo is not much longer than its modulus */

struct x509pop {
	struct writ_node_attestor base;
	struct writ_anchors *cas; /* NULL in mode spiffe */
};

struct attempt {
	struct writ_cert *certs[WRIT_X509POP_CERTS_MAX];
	size_t n;
	struct writ_x509pop_challenge challenge;
};

static const struct x509pop *self(const struct writ_node_exchange *x)
{
	return (const struct x509pop *)x->by;
}

static const struct writ_server_x509pop *config_of(const struct writ_node_exchange *x)
{
	return &x->by->cfg->nodes.x509pop;
}

/* --- the CAs --- */

static writ_rc load_cas(
	const struct writ_server_x509pop *cfg, struct writ_anchors **ret, struct writ_err *err)
{
	struct writ_cert *cas[CAS_MAX];
	size_t n = 0;
	writ_rc rc = WRIT_OK;
	if (cfg->ca_bundle_path)
		rc = writ_certs_read("CAs in", cfg->ca_bundle_path, cas, CAS_MAX, &n, err);
	for (size_t i = 0; rc == WRIT_OK && i < cfg->ca_bundle_paths.n; i++)
		rc = writ_certs_read(
			"CAs in", cfg->ca_bundle_paths.items[i], cas, CAS_MAX, &n, err);
	if (rc == WRIT_OK)
		rc = writ_anchors_new(cas, n, ret, err);
	writ_certs_unref(cas, n);
	return rc;
}

static writ_rc open_attestor(struct writ_node_attestor *base, struct writ_err *err)
{
	struct x509pop *a = writ_container(base, struct x509pop, base);
	const struct writ_server_x509pop *cfg = &base->cfg->nodes.x509pop;
	return cfg->mode == WRIT_X509POP_EXTERNAL_PKI ? load_cas(cfg, &a->cas, err) : WRIT_OK;
}

static void close_attestor(struct writ_node_attestor *base)
{
	writ_anchors_unref(writ_container(base, struct x509pop, base)->cas);
}

/* --- the payload: nothing is computed yet --- */

static writ_rc check_time(const struct writ_cert *c, int64_t now, struct writ_err *err)
{
	char when[32];
	if (now < writ_cert_not_before(c))
		return writ_fail(err, WRIT_EEXPIRED, "the certificate is valid from %s on",
			writ_format_time(writ_cert_not_before(c), when, sizeof(when)));
	if (now > writ_cert_not_after(c))
		return writ_fail(err, WRIT_EEXPIRED, "the certificate expired at %s",
			writ_format_time(writ_cert_not_after(c), when, sizeof(when)));
	return WRIT_OK;
}

static writ_rc check_leaf(
	const struct writ_server_x509pop *cfg, struct attempt *t, int64_t now, struct writ_err *err)
{
	const struct writ_cert *leaf = t->certs[0];
	size_t most = (size_t)cfg->max_rsa_key_size / 8 + RSA_BITS_OVER;
	if (writ_cert_spki(leaf).n > most)
		return writ_fail(err, WRIT_EINVAL, "leaf certificate key size too large");
	if (!(writ_cert_key_usage(leaf) & WRIT_KU_DIGITAL_SIGNATURE))
		return writ_fail(err, WRIT_EDENIED,
			"the certificate is not intended for digital signature use");
	writ_rc rc = check_time(leaf, now, err);
	if (rc == WRIT_OK)
		rc = writ_pop_kind(writ_cert_spki(leaf), &t->challenge.is_rsa, err);
	return rc;
}

static writ_rc begin(struct writ_node_exchange *x, struct writ_str payload, struct writ_err *err)
{
	const struct writ_server_x509pop *cfg = config_of(x);
	struct attempt *t = writ_alloc(sizeof(*t));
	x->state = t;
	writ_rc rc = writ_x509pop_parse(
		payload, (size_t)cfg->max_intermediates + 1, t->certs, &t->n, err);
	if (rc == WRIT_OK)
		rc = check_leaf(cfg, t, x->now, err);
	if (rc != WRIT_OK)
		return rc;
	writ_rand(t->challenge.nonce, sizeof(t->challenge.nonce));
	writ_x509pop_challenge_print(&t->challenge, &x->challenge);
	return WRIT_OK;
}

static void end(struct writ_node_exchange *x)
{
	struct attempt *t = x->state;
	writ_certs_unref(t->certs, t->n);
	writ_free(t);
}

/* --- the answer --- */

static writ_rc check_address(
	const struct writ_node_exchange *x, const struct writ_cert *leaf, struct writ_err *err)
{
	static const uint8_t mapped[12] = { [10] = 0xff, 0xff };
	uint8_t ip[16];
	bool is4 = inet_pton(AF_INET, x->address, ip) == 1;
	bool is6 = !is4 && inet_pton(AF_INET6, x->address, ip) == 1;
	bool is_mapped = is6 && memcmp(ip, mapped, sizeof(mapped)) == 0;
	bool has = (is4 && writ_cert_has_ip(leaf, ip, 4)) ||
		(is_mapped && writ_cert_has_ip(leaf, ip + sizeof(mapped), 4)) ||
		(is6 && writ_cert_has_ip(leaf, ip, 16));
	return has ? WRIT_OK
		   : writ_fail(err, WRIT_EDENIED,
			     "client IP %s does not match any certificate IP SAN", x->address);
}

/* What the leaf's names x509pop://TD/KEY/VALUE say, as fields of the template. */
struct sans {
	char *names[SAN_SELECTORS]; /* "URISanSelectors.KEY", owned */
	struct writ_str values[SAN_SELECTORS];
	size_t n;
};

static void sans_done(struct sans *s)
{
	for (size_t i = 0; i < s->n; i++)
		writ_free(s->names[i]);
}

static void read_sans(
	const struct writ_node_exchange *x, const struct writ_cert *leaf, struct sans *s)
{
	WRIT_AUTO(writ_freep)
	char *prefix = writ_asprintf("x509pop://" WRIT_FMT "/", WRIT_ARG(x->td));
	for (size_t i = 0; i < writ_cert_uri_count(leaf) && s->n < SAN_SELECTORS; i++) {
		struct writ_str uri = writ_cert_uri(leaf, i), key;
		if (!writ_str_starts(uri, writ_cstr(prefix)) || !writ_is_utf8(uri.p, uri.n) ||
			memchr(uri.p, '\0', uri.n))
			continue;
		uri.p += strlen(prefix);
		uri.n -= strlen(prefix);
		if (writ_str_cut(&uri, '/', &key) && key.n && uri.n) {
			s->names[s->n] = writ_asprintf("URISanSelectors." WRIT_FMT, WRIT_ARG(key));
			s->values[s->n++] = uri;
		}
	}
}

/* Mode spiffe: the path of the SVID behind the prefix. */
static writ_rc svid_path(const struct writ_node_exchange *x, const struct writ_cert *leaf,
	struct writ_str *ret, struct writ_err *err)
{
	const struct writ_server_x509pop *cfg = config_of(x);
	struct writ_str prefix = writ_cstr(cfg->spiffe_prefix);
	struct writ_id id;
	if (cfg->mode != WRIT_X509POP_SPIFFE)
		return WRIT_OK;
	if (writ_cert_uri_count(leaf) != 1 ||
		writ_id_parse_leaf(writ_cert_uri(leaf, 0), &id, err) != WRIT_OK)
		return writ_fail(err, WRIT_EDENIED, "the certificate is not an X509-SVID");
	if (!writ_str_eq(id.td, x->td) || !writ_str_starts(id.path, prefix))
		return writ_fail(err, WRIT_EDENIED,
			"the SVID's path does not start with the prefix '%s'", cfg->spiffe_prefix);
	*ret = (struct writ_str){ id.path.p + prefix.n, id.path.n - prefix.n };
	return WRIT_OK;
}

static writ_rc name(struct writ_node_exchange *x, const struct writ_cert *leaf,
	const struct sans *sans, struct writ_err *err)
{
	char print[WRIT_CERT_PRINT];
	struct writ_str path = { NULL, 0 };
	writ_rc rc = svid_path(x, leaf, &path, err);
	if (rc != WRIT_OK)
		return rc;
	writ_cert_print(leaf, print);
	struct writ_path_value v[9 + SAN_SELECTORS] = {
		{ "PluginName", WRIT_STR("x509pop"), false },
		{ "Fingerprint", writ_cstr(print), false },
		{ "SerialNumber", writ_cstr(writ_cert_serial_dec(leaf)), false },
		{ "SerialNumberHex", writ_cstr(writ_cert_serial_hex(leaf)), false },
		{ "TrustDomain", x->td, false },
		{ "SVIDPathTrimmed", path, true },
		{ "Subject.CommonName", writ_cert_subject_attr(leaf, WRIT_ATTR_CN), false },
		{ "Subject.SerialNumber", writ_cert_subject_attr(leaf, WRIT_ATTR_SERIAL), false },
		{ "Issuer.CommonName", writ_cert_issuer_attr(leaf, WRIT_ATTR_CN), false },
	};
	for (size_t i = 0; i < sans->n; i++)
		v[9 + i] = (struct writ_path_value){ sans->names[i], sans->values[i], true };
	return writ_path_template_fill(
		writ_cstr(config_of(x)->agent_path_template), v, 9 + sans->n, &x->path, err);
}

static void select_all(struct writ_node_exchange *x, struct writ_cert *const *path, size_t n,
	const struct sans *sans)
{
	writ_node_select_cn(x, "subject", writ_cert_subject_attr(path[0], WRIT_ATTR_CN));
	writ_node_select_cas(x, path, n);
	writ_node_select(x, "serialnumber:%s", writ_cert_serial_hex(path[0]));
	for (size_t i = 0; i < sans->n; i++)
		writ_node_select(x, "san:%s:" WRIT_FMT,
			sans->names[i] + sizeof("URISanSelectors.") - 1, WRIT_ARG(sans->values[i]));
}

/* The key's holder is who talks to us: now the chain is worth its signatures. */
static writ_rc judge(struct writ_node_exchange *x, const struct attempt *t, struct writ_err *err)
{
	const struct x509pop *a = self(x);
	const struct writ_anchors *cas = a->cas ? a->cas : x->own;
	struct writ_cert *path[WRIT_PATH_MAX];
	struct sans sans = { .n = 0 };
	size_t n = 0;
	writ_rc rc = writ_chain_find(cas, t->certs, t->n, x->now, path, &n, err);
	if (rc != WRIT_OK)
		return writ_wrap(err, rc, "certificate verification failed");
	if (config_of(x)->verify_client_ip)
		rc = check_address(x, t->certs[0], err);
	read_sans(x, t->certs[0], &sans);
	if (rc == WRIT_OK)
		rc = name(x, t->certs[0], &sans, err);
	if (rc == WRIT_OK)
		select_all(x, path, n, &sans);
	x->can_reattest = true;
	sans_done(&sans);
	writ_certs_unref(path, n);
	return rc;
}

static writ_rc respond(struct writ_node_exchange *x, struct writ_str answer, struct writ_err *err)
{
	const struct attempt *t = x->state;
	struct writ_x509pop_answer got;
	uint8_t message[WRIT_SHA256_LEN];
	writ_rc rc = writ_x509pop_answer_parse(answer, &got, err);
	if (rc != WRIT_OK)
		return rc;
	writ_pop_message(t->challenge.nonce, got.nonce, message);
	rc = writ_pop_verify(writ_cert_spki(t->certs[0]), message, &got.sig, err);
	if (rc != WRIT_OK)
		return writ_wrap(err, rc, "challenge response verification failed");
	return judge(x, t, err);
}

const struct writ_node_attestor_vt writ_node_x509pop = {
	.name = "x509pop",
	.payload_max = WRIT_X509POP_PAYLOAD_MAX,
	.answer_max = WRIT_X509POP_ANSWER_MAX,
	.is_on = offsetof(struct writ_server_config, nodes.x509pop.is_on),
	.size = sizeof(struct x509pop),
	.open = open_attestor,
	.close = close_attestor,
	.begin = begin,
	.respond = respond,
	.end = end,
};
