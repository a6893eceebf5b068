/* SPDX-License-Identifier: Apache-2.0 */
/* Keys and signatures: between the wire and OpenSSL. */
#include "crypto/ssh_impl.h"

#include "base/mem.h"
#include "crypto/digest.h"
#include "crypto/key.h"
#include "crypto/ossl.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <stdio.h>
#include <string.h>

#define CERT(type) type "-cert-v01@openssh.com"
#define KEY_MAX    (16 * 1024)
#define NUMBER_MAX 512 /* bytes of a number */
#define ED25519    32

static const struct writ__ssh_kind kinds[] = {
	{ "ssh-rsa", CERT("ssh-rsa"), 2, EVP_PKEY_RSA, NULL, NULL, 0 },
	{ "ecdsa-sha2-nistp256", CERT("ecdsa-sha2-nistp256"), 2, EVP_PKEY_EC, "P-256", "nistp256",
		65 },
	{ "ecdsa-sha2-nistp384", CERT("ecdsa-sha2-nistp384"), 2, EVP_PKEY_EC, "P-384", "nistp384",
		97 },
	{ "ecdsa-sha2-nistp521", CERT("ecdsa-sha2-nistp521"), 2, EVP_PKEY_EC, "P-521", "nistp521",
		133 },
	{ "ssh-ed25519", CERT("ssh-ed25519"), 1, EVP_PKEY_ED25519, NULL, NULL, 0 },
};

static const EVP_MD *no_md(void)
{
	return NULL;
}

/* What a key of a kind may sign as. */
static const struct algorithm {
	const char *format;
	const char *type; /* of the key */
	const EVP_MD *(*md)(void);
	bool is_sha1;
} algorithms[] = {
	/* The first one of a type is what we sign as. */
	{ "rsa-sha2-256", "ssh-rsa", writ_md_sha256, false },
	{ "rsa-sha2-512", "ssh-rsa", writ_md_sha512, false },
	{ "ssh-rsa", "ssh-rsa", writ_md_sha1, true },
	{ "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256", writ_md_sha256, false },
	{ "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp384", writ_md_sha384, false },
	{ "ecdsa-sha2-nistp521", "ecdsa-sha2-nistp521", writ_md_sha512, false },
	{ "ssh-ed25519", "ssh-ed25519", no_md, false },
};

static void pctx_freep(EVP_PKEY_CTX **c)
{
	EVP_PKEY_CTX_free(*c);
}

static void bld_freep(OSSL_PARAM_BLD **b)
{
	OSSL_PARAM_BLD_free(*b);
}

static void bn_freep(BIGNUM **b)
{
	BN_clear_free(*b);
}

const struct writ__ssh_kind *writ__ssh_kind(struct writ_str type)
{
	for (size_t i = 0; i < WRIT_COUNT(kinds); i++)
		if (writ_str_eq(type, writ_cstr(kinds[i].type)))
			return &kinds[i];
	return NULL;
}

const struct writ__ssh_kind *writ__ssh_kind_of_cert(struct writ_str cert_type)
{
	for (size_t i = 0; i < WRIT_COUNT(kinds); i++)
		if (writ_str_eq(cert_type, writ_cstr(kinds[i].cert_type)))
			return &kinds[i];
	return NULL;
}

/* --- keys --- */

struct parts { /* of a key, as OpenSSL names them; d empty: the public half */
	struct writ_str n, e, point, d;
};

static bool push_bn(OSSL_PARAM_BLD *b, const char *name, struct writ_str v, BIGNUM **keep)
{
	if (!v.n || v.n > NUMBER_MAX)
		return false;
	*keep = BN_secure_new();
	return *keep && BN_bin2bn((const uint8_t *)v.p, (int)v.n, *keep) &&
		OSSL_PARAM_BLD_push_BN(b, name, *keep) == 1;
}

static EVP_PKEY *from_params(const char *name, bool is_private, OSSL_PARAM_BLD *b)
{
	WRIT_AUTO(pctx_freep) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, name, NULL);
	OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(b);
	EVP_PKEY *pkey = NULL;
	if (!ctx || !params || EVP_PKEY_fromdata_init(ctx) != 1 ||
		EVP_PKEY_fromdata(ctx, &pkey, is_private ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY,
			params) != 1)
		pkey = NULL;
	OSSL_PARAM_free(params);
	return pkey;
}

static EVP_PKEY *make_rsa(const struct parts *p)
{
	WRIT_AUTO(bld_freep) OSSL_PARAM_BLD *b = OSSL_PARAM_BLD_new();
	WRIT_AUTO(bn_freep) BIGNUM *n = NULL;
	WRIT_AUTO(bn_freep) BIGNUM *e = NULL;
	WRIT_AUTO(bn_freep) BIGNUM *d = NULL;
	bool ok = b && push_bn(b, OSSL_PKEY_PARAM_RSA_N, p->n, &n) &&
		push_bn(b, OSSL_PKEY_PARAM_RSA_E, p->e, &e) &&
		(!p->d.n || push_bn(b, OSSL_PKEY_PARAM_RSA_D, p->d, &d));
	return ok ? from_params("RSA", p->d.n > 0, b) : NULL;
}

static EVP_PKEY *make_ec(const struct writ__ssh_kind *k, const struct parts *p)
{
	WRIT_AUTO(bld_freep) OSSL_PARAM_BLD *b = OSSL_PARAM_BLD_new();
	WRIT_AUTO(bn_freep) BIGNUM *d = NULL;
	bool ok = b && p->point.n == k->point && *p->point.p == 4 &&
		OSSL_PARAM_BLD_push_utf8_string(b, OSSL_PKEY_PARAM_GROUP_NAME, k->group, 0) == 1 &&
		OSSL_PARAM_BLD_push_octet_string(
			b, OSSL_PKEY_PARAM_PUB_KEY, p->point.p, p->point.n) == 1 &&
		(!p->d.n || push_bn(b, OSSL_PKEY_PARAM_PRIV_KEY, p->d, &d));
	return ok ? from_params("EC", p->d.n > 0, b) : NULL;
}

static EVP_PKEY *make(const struct writ__ssh_kind *k, const struct parts *p)
{
	if (k->id == EVP_PKEY_RSA)
		return make_rsa(p);
	if (k->id == EVP_PKEY_EC)
		return make_ec(k, p);
	if (p->d.n)
		return p->d.n == 2 * ED25519 ? EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL,
						       (const uint8_t *)p->d.p, ED25519)
					     : NULL;
	return p->point.n == ED25519 ? EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL,
					       (const uint8_t *)p->point.p, ED25519)
				     : NULL;
}

/* The fields of a public key. In a private key's file RSA has n before e. */
static bool read_public(
	const struct writ__ssh_kind *k, struct writ_str *at, bool n_first, struct parts *ret)
{
	struct writ_str curve;
	if (k->id == EVP_PKEY_RSA)
		return n_first ? writ__ssh_mpint(at, &ret->n) && writ__ssh_mpint(at, &ret->e)
			       : writ__ssh_mpint(at, &ret->e) && writ__ssh_mpint(at, &ret->n);
	if (k->id == EVP_PKEY_EC)
		return writ__ssh_string(at, &curve) && writ_str_eq(curve, writ_cstr(k->curve)) &&
			writ__ssh_string(at, &ret->point);
	return writ__ssh_string(at, &ret->point);
}

static writ_rc check(const struct writ__ssh_kind *k, const EVP_PKEY *pkey, struct writ_err *err)
{
	if (!pkey)
		return writ_fail_ossl(err, WRIT_EINVAL, "not a key of type %s", k->type);
	return k->id == EVP_PKEY_RSA ? writ_rsa_check(pkey, err) : WRIT_OK;
}

writ_rc writ__ssh_load(const struct writ__ssh_kind *k, struct writ_str fields, EVP_PKEY **ret,
	struct writ_err *err)
{
	struct parts p = { .d = { NULL, 0 } };
	ERR_clear_error();
	if (!read_public(k, &fields, false, &p) || fields.n)
		return writ_fail(err, WRIT_EINVAL, "a malformed key of type %s", k->type);
	WRIT_AUTO(writ_evp_pkey_freep) EVP_PKEY *pkey = make(k, &p);
	writ_rc rc = check(k, pkey, err);
	if (rc == WRIT_OK)
		*ret = writ_steal(pkey);
	ERR_clear_error();
	return rc;
}

/* --- signatures --- */

static const struct algorithm *find(const char *type, struct writ_str format)
{
	for (size_t i = 0; i < WRIT_COUNT(algorithms); i++)
		if (strcmp(algorithms[i].type, type) == 0 &&
			(!format.p || writ_str_eq(format, writ_cstr(algorithms[i].format))))
			return &algorithms[i];
	return NULL;
}

writ_rc writ__ssh_verify(const struct writ__ssh_kind *k, struct writ_str fields, const void *p,
	size_t n, struct writ_str format, struct writ_str sig, bool sha1, struct writ_err *err)
{
	uint8_t der[WRIT_ECDSA_DER_MAX];
	const struct algorithm *a = find(k->type, format);
	if (!a || (a->is_sha1 && !sha1))
		return writ_fail(err, WRIT_ECRYPTO, "%s, and the key is of type %s",
			a ? "it is made with SHA-1" : "it is of a form that is not taken", k->type);
	if (k->id == EVP_PKEY_EC) {
		struct writ_str r, s;
		bool ok = writ__ssh_mpint(&sig, &r) && writ__ssh_mpint(&sig, &s) && !sig.n;
		size_t len = ok ? writ_ecdsa_join(r, s, der) : 0;
		sig = writ_strn(der, len);
	}
	WRIT_AUTO(writ_evp_pkey_freep) EVP_PKEY *pkey = NULL;
	writ_rc rc = writ__ssh_load(k, fields, &pkey, err);
	if (rc != WRIT_OK)
		return rc;
	WRIT_AUTO(writ_evp_md_ctx_freep) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	if (!ctx || EVP_DigestVerifyInit(ctx, NULL, a->md(), NULL, pkey) != 1)
		return writ_fail_ossl(err, WRIT_ECRYPTO, "check a signature");
	int got = sig.n ? EVP_DigestVerify(ctx, (const uint8_t *)sig.p, sig.n, p, n) : 0;
	ERR_clear_error();
	return got == 1 ? WRIT_OK : writ_fail(err, WRIT_ECRYPTO, "it is not by that key");
}

/* --- private keys --- */

struct writ_ssh_key {
	const struct writ__ssh_kind *kind;
	EVP_PKEY *pkey;
};

void writ_ssh_key_free(struct writ_ssh_key *k)
{
	if (!k)
		return;
	EVP_PKEY_free(k->pkey);
	writ_free(k);
}

void writ_ssh_key_freep(struct writ_ssh_key **k)
{
	writ_ssh_key_free(*k);
}

static struct writ_ssh_key *wrap(const struct writ__ssh_kind *kind, EVP_PKEY *pkey)
{
	struct writ_ssh_key *k = writ_alloc(sizeof(*k));
	k->kind = kind;
	k->pkey = pkey;
	return k;
}

/* What stands unencrypted in an openssh-key-v1 file. */
static writ_rc read_private(struct writ_str at, struct writ_ssh_key **ret, struct writ_err *err)
{
	struct writ_str type;
	struct parts p = { .d = { NULL, 0 } };
	uint32_t check1, check2;
	const struct writ__ssh_kind *k = NULL;
	bool ok = writ__ssh_u32(&at, &check1) && writ__ssh_u32(&at, &check2) && check1 == check2 &&
		writ__ssh_string(&at, &type) && (k = writ__ssh_kind(type)) != NULL &&
		read_public(k, &at, true, &p);
	/* RSA: three more numbers follow, from which OpenSSL could only compute faster. */
	ok = ok &&
		(k->id == EVP_PKEY_ED25519 ? writ__ssh_string(&at, &p.d)
					   : writ__ssh_mpint(&at, &p.d));
	if (!ok || !p.d.n)
		return writ_fail(err, WRIT_EINVAL,
			"a malformed private key, or not one of RSA, ECDSA or Ed25519");
	WRIT_AUTO(writ_evp_pkey_freep) EVP_PKEY *pkey = make(k, &p);
	writ_rc rc = check(k, pkey, err);
	if (rc == WRIT_OK)
		*ret = wrap(k, writ_steal(pkey));
	ERR_clear_error();
	return rc;
}

static writ_rc read_openssh(struct writ_str at, struct writ_ssh_key **ret, struct writ_err *err)
{
	static const char magic[] = "openssh-key-v1"; /* with its NUL */
	struct writ_str cipher, kdf, options, public, private;
	uint32_t n;
	if (!writ_str_starts(at, writ_strn(magic, sizeof(magic))))
		return writ_fail(err, WRIT_EINVAL, "not an openssh-key-v1 file");
	at.p += sizeof(magic);
	at.n -= sizeof(magic);
	if (!writ__ssh_string(&at, &cipher) || !writ__ssh_string(&at, &kdf) ||
		!writ__ssh_string(&at, &options) || !writ__ssh_u32(&at, &n) || n != 1 ||
		!writ__ssh_string(&at, &public) || !writ__ssh_string(&at, &private))
		return writ_fail(err, WRIT_EINVAL, "a malformed openssh-key-v1 file");
	if (!writ_str_eq(cipher, WRIT_STR("none")))
		return writ_fail(err, WRIT_EUNSUP,
			"the private key has a passphrase; take it off with: ssh-keygen -p -N ''");
	return read_private(private, ret, err);
}

static writ_rc read_other(struct writ_str text, struct writ_ssh_key **ret, struct writ_err *err)
{
	WRIT_AUTO(writ_key_unrefp) struct writ_key *key = NULL;
	writ_rc rc = writ_key_from_pem_rsa(text, &key, err);
	if (rc != WRIT_OK)
		return rc;
	EVP_PKEY *pkey = writ_key_evp(key);
	const char *type = EVP_PKEY_get_base_id(pkey) == EVP_PKEY_RSA ? "ssh-rsa"
		: EVP_PKEY_get_bits(pkey) == 256                      ? "ecdsa-sha2-nistp256"
								      : "ecdsa-sha2-nistp384";
	if (EVP_PKEY_up_ref(pkey) != 1)
		return writ_fail_ossl(err, WRIT_ECRYPTO, "take a key");
	*ret = wrap(writ__ssh_kind(writ_cstr(type)), pkey);
	return WRIT_OK;
}

writ_rc writ_ssh_key_parse(struct writ_str text, struct writ_ssh_key **ret, struct writ_err *err)
{
	WRIT_AUTO(writ_buf_wipe) struct writ_buf raw = WRIT_BUF(KEY_MAX);
	struct writ_str rest = text;
	char label[32];
	writ_rc rc;
	ERR_clear_error();
	while ((rc = writ_pem_next(&rest, label, &raw, err)) == WRIT_OK)
		if (strcmp(label, "OPENSSH PRIVATE KEY") == 0)
			return read_openssh(writ_buf_str(&raw), ret, err);
	return rc == WRIT_ENOENT ? read_other(text, ret, err) : rc;
}

static void put_mpint(struct writ_buf *out, const uint8_t *p, size_t n)
{
	uint8_t number[WRIT_ECDSA_NUMBER_MAX + 1] = { 0 };
	bool sign = n && p[0] & 0x80;
	memcpy(number + sign, p, n);
	writ__ssh_put(out, number, n + sign);
}

static bool put_ecdsa(const uint8_t *der, size_t n, struct writ_buf *out)
{
	uint8_t r[WRIT_ECDSA_NUMBER_MAX], s[WRIT_ECDSA_NUMBER_MAX];
	size_t n_r = 0, n_s = 0;
	if (!writ_ecdsa_split(der, n, r, &n_r, s, &n_s))
		return false;
	put_mpint(out, r, n_r);
	put_mpint(out, s, n_s);
	return true;
}

writ_rc writ_ssh_sign(const struct writ_ssh_key *k, const void *p, size_t n,
	struct writ_ssh_sig *ret, struct writ_err *err)
{
	const struct algorithm *a = find(k->kind->type, (struct writ_str){ NULL, 0 });
	struct writ_ssh_sig out;
	uint8_t sig[WRIT_SIG_MAX];
	size_t len = sizeof(sig);
	ERR_clear_error();
	WRIT_AUTO(writ_evp_md_ctx_freep) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	if (!ctx || EVP_DigestSignInit(ctx, NULL, a->md(), NULL, k->pkey) != 1 ||
		EVP_DigestSign(ctx, sig, &len, p, n) != 1)
		return writ_fail_ossl(err, WRIT_ECRYPTO, "sign with an SSH key");
	WRIT_AUTO(writ_buf_done) struct writ_buf blob = WRIT_BUF(sizeof(out.blob));
	if (k->kind->id != EVP_PKEY_EC)
		writ_buf_add(&blob, sig, len);
	else if (!put_ecdsa(sig, len, &blob))
		return writ_fail_ossl(err, WRIT_ECRYPTO, "take a signature apart");
	writ_rc rc = writ_buf_check(&blob, "SSH signature", err);
	if (rc != WRIT_OK)
		return rc;
	snprintf(out.format, sizeof(out.format), "%s", a->format);
	memcpy(out.blob, blob.p, blob.n);
	out.n = blob.n;
	*ret = out;
	return WRIT_OK;
}
