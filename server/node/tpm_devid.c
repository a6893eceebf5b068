/* SPDX-License-Identifier: Apache-2.0 */
/* tpm_devid: the machine has a TPM with an endorsement certificate of its maker, and in that TPM a
 * DevID key with a certificate of the operator's. In one chain: the endorsement key opens a
 * credential only if the attestation key is in its TPM; that key, which signs nothing but what a
 * TPM says, certifies that the DevID key is there too; and the DevID key signs a nonce. */
#include "spiffe/tpm_devid.h"

#include "base/mem.h"
#include "base/rand.h"
#include "base/secret.h"
#include "crypto/cert_file.h"
#include "crypto/digest.h"
#include "crypto/name.h"
#include "node/say_cert.h"

#include <string.h>

#define NAME     "tpm_devid"
#define CAS_MAX  256
#define RESIDENT (WRIT_TPM_FIXED_TPM | WRIT_TPM_FIXED_PARENT | WRIT_TPM_SENSITIVE_ORIGIN)

struct tpm_devid {
	struct writ_node_attestor base;
	struct writ_anchors *devid_cas, *ek_cas;
};

struct attempt {
	struct writ_tpm_request request;
	struct writ_tpm_public devid, ek, ak;
	uint8_t nonce[WRIT_TPM_DEVID_NONCE], secret[WRIT_TPM_SECRET_LEN];
};

static const struct tpm_devid *self(const struct writ_node_exchange *x)
{
	return (const struct tpm_devid *)x->by;
}

static void close_attestor(struct writ_node_attestor *base)
{
	struct tpm_devid *a = writ_container(base, struct tpm_devid, base);
	writ_anchors_unref(a->devid_cas);
	writ_anchors_unref(a->ek_cas);
}

static writ_rc load_cas(
	const char *key, const char *path, struct writ_anchors **ret, struct writ_err *err)
{
	struct writ_cert *cas[CAS_MAX];
	size_t n = 0;
	writ_rc rc = writ_certs_read(key, path, cas, CAS_MAX, &n, err);
	if (rc == WRIT_OK)
		rc = writ_anchors_new(cas, n, ret, err);
	writ_certs_unref(cas, n);
	return rc;
}

static writ_rc open_attestor(struct writ_node_attestor *base, struct writ_err *err)
{
	struct tpm_devid *a = writ_container(base, struct tpm_devid, base);
	const struct writ_server_tpm_devid *cfg = &base->cfg->nodes.tpm_devid;
	writ_rc rc = load_cas("devid_ca_path", cfg->devid_ca_path, &a->devid_cas, err);
	return rc == WRIT_OK
		? load_cas("endorsement_ca_path", cfg->endorsement_ca_path, &a->ek_cas, err)
		: rc;
}

/* --- the payload: forms, and one encryption --- */

static writ_rc read_key(const char *what, const struct writ_buf *tpmt, uint32_t wanted,
	uint32_t unwanted, struct writ_tpm_public *ret, struct writ_err *err)
{
	writ_rc rc = writ_tpm_public_parse(writ_buf_str(tpmt), ret, err);
	if (rc != WRIT_OK)
		return writ_wrap(err, WRIT_EINVAL, "%s", what);
	if ((ret->attributes & wanted) != wanted || (ret->attributes & unwanted))
		return writ_fail(err, WRIT_EDENIED,
			"%s: a key of these attributes (0x%08x) proves nothing", what,
			ret->attributes);
	return WRIT_OK;
}

static writ_rc same_key(const char *what, const struct writ_cert *cert,
	const struct writ_tpm_public *pub, struct writ_err *err)
{
	struct writ_pubkey key;
	writ_rc rc = writ_cert_pubkey(cert, &key, err);
	if (rc == WRIT_OK && !writ_pubkey_eq(&key, &pub->key))
		rc = writ_fail(err, WRIT_EDENIED, "its key is not the one in the TPM");
	return rc == WRIT_OK ? rc : writ_wrap(err, rc, "%s", what);
}

static writ_rc check_time(
	const char *what, const struct writ_cert *c, int64_t now, struct writ_err *err)
{
	char when[32];
	int64_t from = writ_cert_not_before(c), to = writ_cert_not_after(c);
	if (now >= from && now <= to)
		return WRIT_OK;
	return writ_fail(err, WRIT_EEXPIRED, "%s: %s %s", what,
		now < from ? "it is valid from" : "it expired at",
		writ_format_time(now < from ? from : to, when, sizeof(when)));
}

static writ_rc check_keys(struct attempt *t, struct writ_err *err)
{
	static const char devid[] = "DevID key", ek[] = "endorsement key", ak[] = "attestation key";
	const struct writ_tpm_request *q = &t->request;
	writ_rc rc = read_key(devid, &q->devid_pub, RESIDENT | WRIT_TPM_SIGN, 0, &t->devid, err);
	if (rc == WRIT_OK)
		rc = read_key(ek, &q->ek_pub, RESIDENT | WRIT_TPM_RESTRICTED | WRIT_TPM_DECRYPT,
			WRIT_TPM_SIGN, &t->ek, err);
	if (rc == WRIT_OK)
		rc = read_key(ak, &q->ak_pub, RESIDENT | WRIT_TPM_RESTRICTED | WRIT_TPM_SIGN,
			WRIT_TPM_DECRYPT, &t->ak, err);
	if (rc == WRIT_OK)
		rc = same_key("DevID certificate", q->devid[0], &t->devid, err);
	if (rc == WRIT_OK)
		rc = same_key("endorsement certificate", q->ek_cert, &t->ek, err);
	return rc;
}

static writ_rc challenge(struct attempt *t, struct writ_buf *out, struct writ_err *err)
{
	struct writ_tpm_challenge c;
	writ_tpm_challenge_init(&c);
	writ_rand(t->nonce, sizeof(t->nonce));
	writ_rand(t->secret, sizeof(t->secret));
	memcpy(c.nonce, t->nonce, sizeof(c.nonce));
	writ_rc rc = writ_tpm_credential_make(
		&t->ek, t->ak.name, t->secret, &c.credential, &c.encrypted, err);
	if (rc == WRIT_OK)
		writ_tpm_challenge_print(&c, out);
	writ_tpm_challenge_done(&c);
	return rc;
}

static writ_rc begin(struct writ_node_exchange *x, struct writ_str payload, struct writ_err *err)
{
	struct attempt *t = writ_alloc(sizeof(*t));
	x->state = t;
	writ_tpm_request_init(&t->request);
	writ_rc rc = writ_tpm_request_parse(payload, &t->request, err);
	if (rc == WRIT_OK)
		rc = check_time("DevID certificate", t->request.devid[0], x->now, err);
	if (rc == WRIT_OK)
		rc = check_keys(t, err);
	return rc == WRIT_OK ? challenge(t, &x->challenge, err) : rc;
}

static void end(struct writ_node_exchange *x)
{
	struct attempt *t = x->state;
	writ_tpm_request_done(&t->request);
	writ_wipe(t->secret, sizeof(t->secret));
	writ_free(t);
}

/* --- the answer --- */

static writ_rc find_path(const char *what, const struct writ_anchors *cas,
	struct writ_cert *const *chain, size_t n, int64_t now, struct writ_cert **path,
	size_t *n_path, struct writ_err *err)
{
	writ_rc rc = writ_chain_find(cas, chain, n, now, path, n_path, err);
	return rc == WRIT_OK ? rc : writ_wrap(err, rc, "%s", what);
}

static writ_rc prove(const struct writ_node_exchange *x, const struct attempt *t,
	const struct writ_tpm_answer *a, struct writ_cert **path, size_t *n_path,
	struct writ_err *err)
{
	const struct writ_tpm_request *q = &t->request;
	struct writ_cert *ek_path[WRIT_PATH_MAX];
	size_t n_ek = 0;
	if (!writ_ct_eq(a->secret, t->secret, sizeof(t->secret)))
		return writ_fail(err, WRIT_EDENIED,
			"credential activation failed: the attestation key is not in the TPM of "
			"the endorsement key");
	if (writ_tpm_signature_check(&t->devid, t->nonce, sizeof(t->nonce), a->signature,
		    a->n_signature, err) != WRIT_OK)
		return writ_fail(err, WRIT_EDENIED,
			"devID challenge verification failed: the nonce is not signed by the DevID "
			"key");
	writ_rc rc = find_path("cannot verify EK signature", self(x)->ek_cas, &q->ek_cert, 1,
		x->now, ek_path, &n_ek, err);
	writ_certs_unref(ek_path, n_ek);
	if (rc == WRIT_OK)
		rc = writ_tpm_certify_check(&t->ak, &t->devid, writ_buf_str(&q->attest),
			writ_buf_str(&q->signature), err);
	if (rc != WRIT_OK)
		return rc;
	return find_path("unable to verify DevID signature", self(x)->devid_cas, q->devid,
		q->n_devid, x->now, path, n_path, err);
}

static void know(struct writ_node_exchange *x, struct writ_cert *const *path, size_t n)
{
	char print[WRIT_CERT_PRINT];
	writ_node_select_cn(x, "subject", writ_cert_subject_attr(path[0], WRIT_ATTR_CN));
	writ_node_select_cn(x, "issuer", writ_cert_issuer_attr(path[0], WRIT_ATTR_CN));
	writ_node_select_cas(x, path, n);
	writ_cert_print(path[0], print);
	writ_buf_addf(&x->path, "/" NAME "/%s", print);
	x->can_reattest = true;
}

static writ_rc respond(struct writ_node_exchange *x, struct writ_str answer, struct writ_err *err)
{
	const struct attempt *t = x->state;
	struct writ_tpm_answer a;
	struct writ_cert *path[WRIT_PATH_MAX];
	size_t n = 0;
	writ_rc rc = writ_tpm_answer_parse(answer, &a, err);
	if (rc == WRIT_OK)
		rc = prove(x, t, &a, path, &n, err);
	if (rc == WRIT_OK)
		know(x, path, n);
	writ_certs_unref(path, n);
	return rc;
}

const struct writ_node_attestor_vt writ_node_tpm_devid = {
	.name = NAME,
	.payload_max = WRIT_TPM_DEVID_PAYLOAD_MAX,
	.answer_max = WRIT_TPM_DEVID_ANSWER_MAX,
	.is_on = offsetof(struct writ_server_config, nodes.tpm_devid.is_on),
	.size = sizeof(struct tpm_devid),
	.open = open_attestor,
	.close = close_attestor,
	.begin = begin,
	.respond = respond,
	.end = end,
};
