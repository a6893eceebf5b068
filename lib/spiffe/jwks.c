/* SPDX-License-Identifier: Apache-2.0 */
/* The half of bundle.h about SPIFFE bundle documents (SPIFFE_Trust_Domain_and_Bundle.md 4; JWK: RFC
 * 7517, 7518). */
#include "spiffe/bundle.h"

#include "base/mem.h"
#include "crypto/der.h"
#include "crypto/digest.h"

#include <inttypes.h>
#include <jansson.h>
#include <string.h>

#define KEYS_MAX 4096

static void json_freep(json_t **j)
{
	json_decref(*j);
}

/* The curves' OIDs; a coordinate has a fixed width. */
static const struct curve {
	const char *crv;
	struct writ_der oid;
	size_t width;
} curves[] = {
	{ "P-256", WRIT_DER_LIT("\x2a\x86\x48\xce\x3d\x03\x01\x07"), 32 },
	{ "P-384", WRIT_DER_LIT("\x2b\x81\x04\x00\x22"), 48 },
	{ "P-521", WRIT_DER_LIT("\x2b\x81\x04\x00\x23"), 66 },
};

/* A public key as a JWK names it: two numbers, borrowed from a certificate. */
struct jwk {
	const struct curve *curve; /* NULL: RSA */
	struct writ_der a, b;      /* x, y or n, e */
};

static bool read_ec(struct writ_der params, struct writ_der point, struct jwk *ret)
{
	for (size_t i = 0; i < WRIT_COUNT(curves); i++) {
		const struct curve *c = &curves[i];
		if (!writ_der_eq(params, c->oid))
			continue;
		if (point.n != 1 + 2 * c->width || point.p[0] != 4)
			return false;
		*ret = (struct jwk){ c, writ_der(point.p + 1, c->width),
			writ_der(point.p + 1 + c->width, c->width) };
		return true;
	}
	return false;
}

static struct writ_der without_sign(struct writ_der v)
{
	return v.n > 1 && !v.p[0] ? writ_der(v.p + 1, v.n - 1) : v;
}

static bool read_key(const struct writ_cert *c, struct jwk *ret)
{
	static const struct writ_der ec = WRIT_DER_LIT("\x2a\x86\x48\xce\x3d\x02\x01");
	static const struct writ_der rsa = WRIT_DER_LIT("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01");
	struct writ_str spki = writ_cert_spki(c);
	struct writ_der all = writ_der(spki.p, spki.n), at, alg, oid, bits, params, seq;
	if (!writ_der_get(&all, WRIT_DER_SEQ, &at) || !writ_der_get(&at, WRIT_DER_SEQ, &alg) ||
		!writ_der_get_bits(&at, &bits) || !writ_der_get(&alg, WRIT_DER_OID, &oid))
		return false;
	if (writ_der_eq(oid, ec))
		return writ_der_get(&alg, WRIT_DER_OID, &params) && read_ec(params, bits, ret);
	if (!writ_der_eq(oid, rsa) || !writ_der_get(&bits, WRIT_DER_SEQ, &seq) ||
		!writ_der_get(&seq, WRIT_DER_INT, &ret->a) ||
		!writ_der_get(&seq, WRIT_DER_INT, &ret->b))
		return false;
	ret->curve = NULL;
	ret->a = without_sign(ret->a);
	ret->b = without_sign(ret->b);
	return true;
}

static const char *text_of(const json_t *entry, const char *name)
{
	return json_string_value(json_object_get(entry, name));
}

static bool is_number(const json_t *entry, const char *name, struct writ_der wanted)
{
	WRIT_AUTO(writ_buf_done) struct writ_buf b = WRIT_BUF(WRIT_SPKI_MAX);
	const char *text = text_of(entry, name);
	return text && writ_base64url_decode(writ_cstr(text), &b, NULL) == WRIT_OK &&
		writ_der_eq(writ_der(b.p, b.n), wanted);
}

/* Do the members describe the certificate's key? */
static bool describes(const json_t *entry, const struct writ_cert *c)
{
	struct jwk k;
	const char *kty = text_of(entry, "kty"), *crv = text_of(entry, "crv");
	if (!kty || !read_key(c, &k))
		return false;
	if (k.curve)
		return !strcmp(kty, "EC") && crv && !strcmp(crv, k.curve->crv) &&
			is_number(entry, "x", k.a) && is_number(entry, "y", k.b);
	return !strcmp(kty, "RSA") && is_number(entry, "n", k.a) && is_number(entry, "e", k.b);
}

static bool has_private_part(const json_t *entry)
{
	static const char *const names[] = { "d", "p", "q", "dp", "dq", "qi", "oth", "k" };
	for (size_t i = 0; i < WRIT_COUNT(names); i++) {
		if (json_object_get(entry, names[i]))
			return true;
	}
	return false;
}

/* The CA certificate of one entry, NULL when the entry is to be passed over: other uses and
 * whatever cannot be used say nothing about the rest of the document. */
static struct writ_cert *read_entry(const json_t *entry)
{
	WRIT_AUTO(writ_buf_done) struct writ_buf der = WRIT_BUF(WRIT_CERT_MAX);
	struct writ_cert *c = NULL;
	const char *use = text_of(entry, "use");
	const json_t *x5c = json_object_get(entry, "x5c");
	const json_t *first = json_array_get(x5c, 0);
	if (!use || strcmp(use, "x509-svid") != 0 || has_private_part(entry) ||
		!json_is_string(first))
		return NULL;
	struct writ_str text = writ_strn(json_string_value(first), json_string_length(first));
	if (writ_base64_decode(text, &der, NULL) != WRIT_OK ||
		writ_cert_parse(der.p, der.n, &c, NULL) != WRIT_OK)
		return NULL;
	if (writ_cert_is_ca(c) && describes(entry, c))
		return c;
	writ_cert_unref(c);
	return NULL;
}

/* A member that is a non-negative integer, or absent (then *ret stays). */
static writ_rc read_uint(
	const json_t *doc, const char *name, uint64_t max, uint64_t *ret, struct writ_err *err)
{
	const double two64 = 18446744073709551616.0;
	const json_t *v = json_object_get(doc, name);
	double d = json_is_real(v) ? json_real_value(v) : -1;
	uint64_t got = 0;
	if (!v)
		return WRIT_OK;
	if (json_is_integer(v) && json_integer_value(v) >= 0)
		got = (uint64_t)json_integer_value(v);
	else if (d >= two64 / 2 && d <= two64)
		got = d >= two64 ? UINT64_MAX : (uint64_t)d;
	else if (d >= 0 && d < two64 / 2 && (double)(uint64_t)d == d)
		got = (uint64_t)d;
	else
		return writ_fail(err, WRIT_EINVAL, "%s is not a whole number from 0 on", name);
	if (got > max)
		return writ_fail(err, WRIT_EINVAL, "%s is larger than %" PRIu64, name, max);
	*ret = got;
	return WRIT_OK;
}

/* jansson's integers are signed 64-bit ones; a document with a larger number (a sequence may be) is
 * read with all numbers as doubles. Sequences beyond 2^63 are then only near to what was written,
 * which is enough to be newer. */
static json_t *load(struct writ_str json, bool *wide, json_error_t *why)
{
	json_t *doc = json_loadb(json.p, json.n, JSON_REJECT_DUPLICATES, why);
	*wide = !doc && json_error_code(why) == json_error_numeric_overflow;
	return *wide
		? json_loadb(json.p, json.n, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, why)
		: doc;
}

static bool is_fraction(const json_t *doc, const char *name)
{
	return json_is_real(json_object_get(doc, name));
}

writ_rc writ_bundle_parse_jwks(
	struct writ_str td, struct writ_str json, struct writ_bundle **ret, struct writ_err *err)
{
	struct writ_cert *cas[WRIT_BUNDLE_CAS_MAX];
	size_t n = 0;
	uint64_t sequence = 0, hint = 0;
	json_error_t why;
	bool wide;
	if (json.n > WRIT_BUNDLE_BYTES_MAX)
		return writ_fail(err, WRIT_ELIMIT,
			"bundle document: %zu bytes, at most %d are taken", json.n,
			WRIT_BUNDLE_BYTES_MAX);
	WRIT_AUTO(json_freep) json_t *doc = load(json, &wide, &why);
	if (!doc)
		return writ_fail(err, WRIT_EINVAL, "bundle document: line %d, column %d: %s",
			why.line, why.column, why.text);
	const json_t *keys = json_object_get(doc, "keys");
	if (!json_is_array(keys))
		return writ_fail(err, WRIT_EINVAL, "bundle document: no array \"keys\" in it");
	if (json_array_size(keys) > KEYS_MAX)
		return writ_fail(err, WRIT_ELIMIT,
			"bundle document: %zu keys, at most %d are taken", json_array_size(keys),
			KEYS_MAX);
	if (!wide &&
		(is_fraction(doc, "spiffe_sequence") || is_fraction(doc, "spiffe_refresh_hint")))
		return writ_fail(err, WRIT_EINVAL,
			"bundle document: spiffe_sequence or spiffe_refresh_hint is not a whole "
			"number");
	writ_rc rc = read_uint(doc, "spiffe_sequence", UINT64_MAX, &sequence, err);
	if (rc == WRIT_OK)
		rc = read_uint(doc, "spiffe_refresh_hint", INT32_MAX, &hint, err);
	for (size_t i = 0; rc == WRIT_OK && i < json_array_size(keys); i++) {
		struct writ_cert *c = read_entry(json_array_get(keys, i));
		if (c && n == WRIT_COUNT(cas)) {
			writ_cert_unref(c);
			rc = writ_fail(err, WRIT_ELIMIT, "more than %zu certificates", n);
		} else if (c) {
			cas[n++] = c;
		}
	}
	if (rc == WRIT_OK)
		rc = writ_bundle_new(td, cas, NULL, n, sequence, (int64_t)hint, ret, err);
	writ_certs_unref(cas, n);
	return rc == WRIT_OK ? rc : writ_wrap(err, rc, "bundle document");
}

static void add_number(struct writ_buf *out, const char *name, struct writ_der v)
{
	writ_buf_addf(out, ",\"%s\":\"", name);
	writ_base64url_add(out, v.p, v.n);
	writ_buf_add_byte(out, '"');
}

writ_rc writ_bundle_print_jwks(
	const struct writ_bundle *b, struct writ_buf *out, struct writ_err *err)
{
	writ_buf_add_cstr(out, "{\"keys\":[");
	for (size_t i = 0; i < b->n; i++) {
		struct writ_str der = writ_cert_der(b->cas[i]);
		struct jwk k;
		if (!read_key(b->cas[i], &k))
			return writ_fail(err, WRIT_EUNSUP,
				"trust bundle of '%s': certificate %zu (%s) has a key that no JWK "
				"can say "
				"(EC P-256, P-384, P-521 and RSA can be)",
				b->td, i + 1, writ_cert_subject(b->cas[i]));
		writ_buf_addf(out, "%s{\"use\":\"x509-svid\",\"kty\":\"%s\"", i ? "," : "",
			k.curve ? "EC" : "RSA");
		if (k.curve)
			writ_buf_addf(out, ",\"crv\":\"%s\"", k.curve->crv);
		add_number(out, k.curve ? "x" : "n", k.a);
		add_number(out, k.curve ? "y" : "e", k.b);
		writ_buf_add_cstr(out, ",\"x5c\":[\"");
		writ_base64_add(out, der.p, der.n);
		writ_buf_add_cstr(out, "\"]}");
	}
	writ_buf_addf(out, "],\"spiffe_sequence\":%" PRIu64, b->sequence);
	if (b->refresh_hint_s > 0)
		writ_buf_addf(out, ",\"spiffe_refresh_hint\":%" PRId64, b->refresh_hint_s);
	writ_buf_add_byte(out, '}');
	return writ_buf_check(out, "bundle document", err);
}
