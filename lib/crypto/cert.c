/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/cert.h"

#include "base/mem.h"
#include "crypto/digest.h"
#include "crypto/name.h"
#include "crypto/ossl.h"
#include "crypto/tbs.h"

#include <openssl/err.h>
#include <string.h>

#define HEX_MAX                                                                                    \
	64 /* key identifiers are 20 or 32 bytes; longer ones are cut in their text form           \
	    */

/* The DER and where its parts stand. OpenSSL's object costs 10 kB and 100 us, so it is made when a
 * caller asks for it; most certificates are only carried. */
struct writ_cert {
	int refs;
	struct writ_str der; /* owned */
	struct writ_tbs tbs; /* borrows from der */
	X509 *x509;          /* atomic, set once */
	char *subject;       /* atomic, set once */
	char serial_dec[64];
	char serial_hex[48];
	char ski[2 * HEX_MAX + 1];
	char aki[2 * HEX_MAX + 1];
};

static void print_hex(struct writ_der v, char *out)
{
	writ_hex(v.p, v.n < HEX_MAX ? v.n : HEX_MAX, out);
}

/* The outer shell: tbs, algorithm, signature; the inner algorithm must be the same bytes. */
static writ_rc read_shell(struct writ_str der, struct writ_tbs *tbs, struct writ_err *err)
{
	struct writ_der all = writ_der(der.p, der.n), at, whole, alg, sig;
	if (!writ_der_get(&all, WRIT_DER_SEQ, &at))
		return writ_fail(err, WRIT_EINVAL, "not DER");
	if (all.n)
		return writ_fail(err, WRIT_EINVAL, "%zu bytes follow it", all.n);
	if (!writ_der_is(&at, WRIT_DER_SEQ) || !writ_der_any(&at, NULL, NULL, &whole) ||
		!writ_der_is(&at, WRIT_DER_SEQ) || !writ_der_any(&at, NULL, NULL, &alg) ||
		!writ_der_get_bits(&at, &sig) || at.n)
		return writ_fail(err, WRIT_EINVAL, "not the three parts of a certificate");
	writ_rc rc = writ_tbs_parse(whole.p, whole.n, tbs, err);
	if (rc == WRIT_OK && tbs->seen && tbs->version != 3)
		rc = writ_fail(err, WRIT_EINVAL, "version %u with extensions", tbs->version);
	if (rc == WRIT_OK && tbs->duplicate)
		rc = writ_fail(err, WRIT_EINVAL, "an extension stands there twice");
	if (rc == WRIT_OK && !writ_der_eq(alg, tbs->sigalg))
		rc = writ_fail(err, WRIT_EINVAL, "two different signature algorithms");
	return rc;
}

static writ_rc cert_new(
	const void *der, size_t n, X509 *x509, struct writ_cert **ret, struct writ_err *err)
{
	if (!n || n > WRIT_CERT_MAX)
		return writ_fail(err, WRIT_EINVAL, "certificate: %zu bytes, 1 to %d are taken", n,
			WRIT_CERT_MAX);
	WRIT_AUTO(writ_cert_unrefp) struct writ_cert *c = writ_alloc(sizeof(*c));
	c->refs = 1;
	c->der = writ_strn(writ_memdup(der, n), n);
	writ_rc rc = read_shell(c->der, &c->tbs, err);
	if (rc != WRIT_OK)
		return writ_wrap(err, rc, "certificate");
	writ_serial_dec(c->tbs.serial, c->serial_dec);
	print_hex(c->tbs.serial.n > 1 && !c->tbs.serial.p[0]
			? writ_der(c->tbs.serial.p + 1, c->tbs.serial.n - 1)
			: c->tbs.serial,
		c->serial_hex);
	print_hex(c->tbs.ski, c->ski);
	print_hex(c->tbs.aki, c->aki);
	if (x509) {
		X509_up_ref(x509);
		c->x509 = x509;
	}
	*ret = writ_steal(c);
	return WRIT_OK;
}

writ_rc writ_cert_parse(const void *der, size_t n, struct writ_cert **ret, struct writ_err *err)
{
	return cert_new(der, n, NULL, ret, err);
}

writ_rc writ_cert_from_x509(struct x509_st *x, struct writ_cert **ret, struct writ_err *err)
{
	uint8_t *der = NULL;
	ERR_clear_error();
	int n = i2d_X509(x, &der);
	if (n <= 0)
		return writ_fail_ossl(err, WRIT_ECRYPTO, "encode a certificate");
	writ_rc rc = cert_new(der, (size_t)n, x, ret, err);
	OPENSSL_free(der);
	return rc;
}

static writ_rc add_cert(const void *der, size_t n, struct writ_cert **ret, size_t max,
	size_t *count, struct writ_err *err)
{
	if (*count == max)
		return writ_fail(err, WRIT_ELIMIT, "more than %zu certificates", max);
	writ_rc rc = writ_cert_parse(der, n, &ret[*count], err);
	if (rc == WRIT_OK)
		++*count;
	else
		writ_wrap(err, rc, "number %zu", *count + 1);
	return rc;
}

writ_rc writ_certs_parse(const void *der, size_t n, struct writ_cert **ret, size_t max,
	size_t *count, struct writ_err *err)
{
	struct writ_der at = writ_der(der, n), whole;
	size_t got = 0;
	writ_rc rc = WRIT_OK;
	while (rc == WRIT_OK && at.n) {
		if (!writ_der_is(&at, WRIT_DER_SEQ) || !writ_der_any(&at, NULL, NULL, &whole))
			rc = writ_fail(
				err, WRIT_EINVAL, "certificate number %zu: not DER", got + 1);
		else
			rc = add_cert(whole.p, whole.n, ret, max, &got, err);
	}
	if (rc == WRIT_OK && !got)
		rc = writ_fail(err, WRIT_EINVAL, "no certificate");
	if (rc == WRIT_OK)
		*count = got;
	else
		writ_certs_unref(ret, got);
	return rc;
}

writ_rc writ_certs_parse_pem(struct writ_str text, struct writ_cert **ret, size_t max,
	size_t *count, struct writ_err *err)
{
	WRIT_AUTO(writ_buf_done) struct writ_buf der = WRIT_BUF(WRIT_CERT_MAX);
	char label[32];
	size_t got = 0;
	writ_rc rc;
	while ((rc = writ_pem_next(&text, label, &der, err)) == WRIT_OK) {
		if (strcmp(label, "CERTIFICATE") != 0)
			continue;
		rc = add_cert(der.p, der.n, ret, max, &got, err);
		if (rc != WRIT_OK)
			break;
	}
	if (rc == WRIT_ENOENT)
		rc = got ? WRIT_OK
			 : writ_fail(err, WRIT_EINVAL, "no CERTIFICATE block in the PEM text");
	if (rc == WRIT_OK)
		*count = got;
	else
		writ_certs_unref(ret, got);
	return rc;
}

struct writ_cert *writ_cert_ref(struct writ_cert *c)
{
	if (c)
		__atomic_add_fetch(&c->refs, 1, __ATOMIC_RELAXED);
	return c;
}

void writ_cert_unref(struct writ_cert *c)
{
	if (!c || __atomic_sub_fetch(&c->refs, 1, __ATOMIC_ACQ_REL))
		return;
	X509_free(c->x509);
	writ_free(c->subject);
	writ_free((void *)(uintptr_t)c->der.p);
	writ_free(c);
}

void writ_cert_unrefp(struct writ_cert **c)
{
	writ_cert_unref(*c);
}

void writ_certs_unref(struct writ_cert **c, size_t n)
{
	for (size_t i = 0; i < n; i++)
		writ_cert_unref(writ_steal(c[i]));
}

struct writ_str writ_cert_der(const struct writ_cert *c)
{
	return c->der;
}

int64_t writ_cert_not_before(const struct writ_cert *c)
{
	return c->tbs.not_before;
}

int64_t writ_cert_not_after(const struct writ_cert *c)
{
	return c->tbs.not_after;
}

const char *writ_cert_serial_dec(const struct writ_cert *c)
{
	return c->serial_dec;
}

const char *writ_cert_serial_hex(const struct writ_cert *c)
{
	return c->serial_hex;
}

static struct writ_str nth_name(const struct writ_cert *c, uint8_t wanted, size_t i)
{
	struct writ_der at = c->tbs.san, name;
	uint8_t tag;
	while (writ_san_next(&at, &tag, &name)) {
		if (tag == wanted && i-- == 0)
			return writ_strn(name.p, name.n);
	}
	return writ_strn(NULL, 0);
}

size_t writ_cert_uri_count(const struct writ_cert *c)
{
	return c->tbs.n_uris;
}

struct writ_str writ_cert_uri(const struct writ_cert *c, size_t i)
{
	return nth_name(c, WRIT_SAN_URI, i);
}

size_t writ_cert_dns_count(const struct writ_cert *c)
{
	return c->tbs.n_dns;
}

struct writ_str writ_cert_dns(const struct writ_cert *c, size_t i)
{
	return nth_name(c, WRIT_SAN_DNS, i);
}

bool writ_cert_has_ip(const struct writ_cert *c, const void *ip, size_t n)
{
	struct writ_der at = c->tbs.san, name;
	uint8_t tag;
	while (writ_san_next(&at, &tag, &name)) {
		if (tag == WRIT_SAN_IP && writ_der_eq(name, writ_der(ip, n)))
			return true;
	}
	return false;
}

bool writ_cert_is_ca(const struct writ_cert *c)
{
	return c->tbs.ca;
}

bool writ_cert_has_basic_constraints(const struct writ_cert *c)
{
	return c->tbs.seen & 1U << WRIT_EXT_BC;
}

bool writ_cert_self_signed(const struct writ_cert *c)
{
	bool same_key = !c->tbs.aki.n || !c->tbs.ski.n || writ_der_eq(c->tbs.aki, c->tbs.ski);
	return writ_der_eq(c->tbs.issuer, c->tbs.subject) && same_key;
}

unsigned writ_cert_key_usage(const struct writ_cert *c)
{
	static const struct {
		unsigned in, out;
	} bits[] = {
		{ WRIT_TBS_KU_DIGITAL_SIGNATURE, WRIT_KU_DIGITAL_SIGNATURE },
		{ WRIT_TBS_KU_KEY_CERT_SIGN, WRIT_KU_KEY_CERT_SIGN },
		{ WRIT_TBS_KU_CRL_SIGN, WRIT_KU_CRL_SIGN },
	};
	unsigned ret = c->tbs.seen & 1U << WRIT_EXT_KU ? WRIT_KU_PRESENT : 0;
	for (size_t i = 0; i < WRIT_COUNT(bits); i++)
		ret |= c->tbs.key_usage & bits[i].in ? bits[i].out : 0;
	return ret;
}

unsigned writ_cert_ext_key_usage(const struct writ_cert *c)
{
	unsigned ret = c->tbs.seen & 1U << WRIT_EXT_EKU ? WRIT_EKU_PRESENT : 0;
	ret |= c->tbs.ext_key_usage & WRIT_TBS_EKU_SERVER ? WRIT_EKU_SERVER : 0;
	ret |= c->tbs.ext_key_usage & WRIT_TBS_EKU_CLIENT ? WRIT_EKU_CLIENT : 0;
	return ret;
}

writ_rc writ_cert_pubkey(const struct writ_cert *c, struct writ_pubkey *ret, struct writ_err *err)
{
	return writ_pubkey_from_spki(c->tbs.spki.p, c->tbs.spki.n, ret, err);
}

struct writ_str writ_cert_spki(const struct writ_cert *c)
{
	return writ_strn(c->tbs.spki.p, c->tbs.spki.n);
}

struct writ_str writ_cert_subject_der(const struct writ_cert *c)
{
	return writ_strn(c->tbs.subject.p, c->tbs.subject.n);
}

struct writ_str writ_cert_subject_attr(const struct writ_cert *c, uint8_t type)
{
	return writ_name_attr(c->tbs.subject, type);
}

struct writ_str writ_cert_issuer_attr(const struct writ_cert *c, uint8_t type)
{
	return writ_name_attr(c->tbs.issuer, type);
}

struct writ_str writ_cert_ski(const struct writ_cert *c)
{
	return writ_strn(c->tbs.ski.p, c->tbs.ski.n);
}

const char *writ_cert_ski_hex(const struct writ_cert *c)
{
	return c->ski;
}

const char *writ_cert_aki_hex(const struct writ_cert *c)
{
	return c->aki;
}

static char *print_subject(struct writ_der name)
{
	const uint8_t *p = name.p;
	char *text = NULL, *ret = NULL;
	X509_NAME *n = d2i_X509_NAME(NULL, &p, (long)name.n);
	BIO *bio = n ? BIO_new(BIO_s_mem()) : NULL;
	if (bio && X509_NAME_print_ex(bio, n, 0, XN_FLAG_RFC2253) >= 0) {
		long len = BIO_get_mem_data(bio, &text);
		ret = writ_strndup(text, len > 0 ? (size_t)len : 0);
	}
	BIO_free(bio);
	X509_NAME_free(n);
	ERR_clear_error();
	return ret ? ret : writ_strdup("");
}

/* Lazy parts: several threads may make one at the same time; the first to store it wins. */
#define WRITABLE(c) ((struct writ_cert *)(uintptr_t)(c))

const char *writ_cert_subject(const struct writ_cert *c)
{
	char *have = __atomic_load_n(&c->subject, __ATOMIC_ACQUIRE);
	if (have)
		return have;
	char *made = print_subject(c->tbs.subject);
	if (__atomic_compare_exchange_n(
		    &WRITABLE(c)->subject, &have, made, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		return made;
	writ_free(made);
	return have;
}

struct x509_st *writ_cert_x509(const struct writ_cert *c)
{
	X509 *have = __atomic_load_n(&c->x509, __ATOMIC_ACQUIRE);
	if (have)
		return have;
	const uint8_t *p = (const uint8_t *)c->der.p;
	X509 *made = d2i_X509(NULL, &p, (long)c->der.n);
	if (!made)
		return NULL;
	if (__atomic_compare_exchange_n(
		    &WRITABLE(c)->x509, &have, made, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		return made;
	X509_free(made);
	return have;
}
