/* SPDX-License-Identifier: Apache-2.0 */
/* The TPM session: templates of the TCG EK Credential Profile 2.0 and of SPIRE's agents, so that
 * both find the same keys. */
#include "node/tpm_impl.h"

#include "base/mem.h"
#include "base/secret.h"

#include <string.h>
#include <tss2/tss2_mu.h>
#include <tss2/tss2_rc.h>
#include <tss2/tss2_tctildr.h>

#define STORAGE                                                                                    \
	(TPMA_OBJECT_DECRYPT | TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_FIXEDTPM |                     \
		TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_SENSITIVEDATAORIGIN)
#define SIGNER                                                                                     \
	(TPMA_OBJECT_SIGN_ENCRYPT | TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_FIXEDTPM |                \
		TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_SENSITIVEDATAORIGIN |                        \
		TPMA_OBJECT_USERWITHAUTH)
#define AES_128_CFB                                                                                \
	{                                                                                          \
		.algorithm = TPM2_ALG_AES, .keyBits.aes = 128, .mode.aes = TPM2_ALG_CFB            \
	}

/* PolicySecret(TPM_RH_ENDORSEMENT): EK Credential Profile 2.1.5.3. */
#define EK_POLICY                                                                                  \
	{                                                                                          \
		0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xb3, 0xf8, 0x1a, 0x90, 0xcc, 0x8d, 0x46,      \
			0xa5, 0xd7, 0x24, 0xfd, 0x52, 0xd7, 0x6e, 0x06, 0x52, 0x0b, 0x64, 0xf2,    \
			0xa1, 0xda, 0x1b, 0x33, 0x14, 0x69, 0xaa                                   \
	}

static const TPM2B_PUBLIC ek_template = { .publicArea = {
						  .type = TPM2_ALG_RSA,
						  .nameAlg = TPM2_ALG_SHA256,
						  .objectAttributes =
							  STORAGE | TPMA_OBJECT_ADMINWITHPOLICY,
						  .authPolicy = { .size = 32, .buffer = EK_POLICY },
						  .parameters.rsaDetail = { .symmetric =
										    AES_128_CFB,
							  .scheme.scheme = TPM2_ALG_NULL,
							  .keyBits = 2048 },
						  .unique.rsa.size = 256, /* zeros */
					  } };
static const TPM2B_PUBLIC
	srk_rsa_template = { .publicArea = {
				     .type = TPM2_ALG_RSA,
				     .nameAlg = TPM2_ALG_SHA256,
				     .objectAttributes =
					     STORAGE | TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_NODA,
				     .parameters.rsaDetail = { .symmetric = AES_128_CFB,
					     .scheme.scheme = TPM2_ALG_NULL,
					     .keyBits = 2048 },
			     } };
static const TPM2B_PUBLIC
	srk_ecc_template = { .publicArea = {
				     .type = TPM2_ALG_ECC,
				     .nameAlg = TPM2_ALG_SHA256,
				     .objectAttributes =
					     STORAGE | TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_NODA,
				     .parameters.eccDetail = { .symmetric = AES_128_CFB,
					     .scheme.scheme = TPM2_ALG_NULL,
					     .curveID = TPM2_ECC_NIST_P256,
					     .kdf.scheme = TPM2_ALG_NULL },
			     } };
static const TPM2B_PUBLIC ak_template = { .publicArea = {
						  .type = TPM2_ALG_RSA,
						  .nameAlg = TPM2_ALG_SHA256,
						  .objectAttributes = SIGNER,
						  .parameters.rsaDetail = { .symmetric.algorithm =
										    TPM2_ALG_NULL,
							  .scheme = { .scheme = TPM2_ALG_RSASSA,
								  .details.rsassa.hashAlg =
									  TPM2_ALG_SHA256 },
							  .keyBits = 2048 },
					  } };

bool writ_tpm_is_built(void)
{
	return true;
}

writ_rc writ__tpm_fail(struct writ_err *err, TSS2_RC rc, const char *doing)
{
	bool later = (rc & 0xffff) == TPM2_RC_RETRY || (rc & 0xffff) == TPM2_RC_LOCKOUT;
	return writ_fail(
		err, later ? WRIT_EUNAVAIL : WRIT_EIO, "TPM: %s: %s", doing, Tss2_RC_Decode(rc));
}

void writ__tpm_flush(struct writ_tpm *t, ESYS_TR *handle)
{
	if (t->esys && *handle != ESYS_TR_NONE)
		(void)Esys_FlushContext(t->esys, *handle);
	*handle = ESYS_TR_NONE;
}

void writ_tpm_close(struct writ_tpm *t)
{
	if (!t)
		return;
	writ__tpm_flush(t, &t->devid);
	writ__tpm_flush(t, &t->ak);
	writ__tpm_flush(t, &t->ek);
	Esys_Finalize(&t->esys);
	Tss2_TctiLdr_Finalize(&t->tcti);
	writ_free(t);
}

static writ_rc set_auth(struct writ_tpm *t, ESYS_TR handle, const char *password, const char *key,
	struct writ_err *err)
{
	TPM2B_AUTH auth = { .size = 0 };
	struct writ_str s = writ_cstr(password);
	if (s.n > sizeof(auth.buffer))
		return writ_fail(
			err, WRIT_EINVAL, "%s is longer than %zu bytes", key, sizeof(auth.buffer));
	auth.size = (UINT16)s.n;
	if (s.n)
		memcpy(auth.buffer, s.p, s.n);
	TSS2_RC rc = Esys_TR_SetAuth(t->esys, handle, &auth);
	writ_wipe(&auth, sizeof(auth));
	return rc == TSS2_RC_SUCCESS ? WRIT_OK : writ__tpm_fail(err, rc, "set a password");
}

static writ_rc make_primary(struct writ_tpm *t, ESYS_TR hierarchy, const TPM2B_PUBLIC *template,
	ESYS_TR *handle, TPM2B_PUBLIC *pub, const char *doing, struct writ_err *err)
{
	const TPM2B_SENSITIVE_CREATE sensitive = { .size = 0 };
	const TPM2B_DATA outside = { .size = 0 };
	const TPML_PCR_SELECTION pcrs = { .count = 0 };
	TPM2B_PUBLIC *made = NULL;
	TSS2_RC rc =
		Esys_CreatePrimary(t->esys, hierarchy, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE,
			&sensitive, template, &outside, &pcrs, handle, &made, NULL, NULL, NULL);
	if (rc != TSS2_RC_SUCCESS)
		return writ__tpm_fail(err, rc, doing);
	if (pub)
		*pub = *made;
	Esys_Free(made);
	return WRIT_OK;
}

/* A file has the size in front that tpm2-tools write, or not, as SPIRE's tools do. */
static struct writ_str without_size(struct writ_str s)
{
	const uint8_t *p = (const uint8_t *)s.p;
	if (s.n > 2 && (size_t)(p[0] << 8 | p[1]) == s.n - 2)
		return writ_strn(s.p + 2, s.n - 2);
	return s;
}

static writ_rc load_devid(
	struct writ_tpm *t, const struct writ_tpm_config *cfg, ESYS_TR srk, struct writ_err *err)
{
	struct writ_str private = without_size(cfg->devid_private);
	TPM2B_PRIVATE in = { .size = (UINT16) private.n };
	if (private.n > sizeof(in.buffer))
		return writ_fail(err, WRIT_EINVAL, "devid_priv_path: too long for a TPM's key");
	memcpy(in.buffer, private.p, private.n);
	TSS2_RC rc = Esys_Load(t->esys, srk, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &in,
		&t->devid_pub, &t->devid);
	return rc == TSS2_RC_SUCCESS
		? set_auth(t, t->devid, cfg->devid_password, "devid_password", err)
		: writ__tpm_fail(err, rc,
			  "load the DevID key (is it of this TPM, below the default storage root "
			  "key?)");
}

static writ_rc parse_devid(
	struct writ_tpm *t, const struct writ_tpm_config *cfg, struct writ_err *err)
{
	struct writ_str text = without_size(cfg->devid_public);
	size_t at = 0;
	TSS2_RC rc = Tss2_MU_TPMT_PUBLIC_Unmarshal(
		(const uint8_t *)text.p, text.n, &at, &t->devid_pub.publicArea);
	const TPMT_PUBLIC *p = &t->devid_pub.publicArea;
	if (rc != TSS2_RC_SUCCESS || at != text.n ||
		(p->type != TPM2_ALG_RSA && p->type != TPM2_ALG_ECC))
		return writ_fail(err, WRIT_EINVAL,
			"devid_pub_path: no public part of an RSA or ECC key of a TPM");
	return WRIT_OK;
}

static writ_rc make_ak(struct writ_tpm *t, ESYS_TR srk, struct writ_err *err)
{
	const TPM2B_SENSITIVE_CREATE sensitive = { .size = 0 };
	const TPM2B_DATA outside = { .size = 0 };
	const TPML_PCR_SELECTION pcrs = { .count = 0 };
	TPM2B_PRIVATE *private = NULL;
	TPM2B_PUBLIC *public = NULL;
	TSS2_RC rc = Esys_Create(t->esys, srk, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE,
		&sensitive, &ak_template, &outside, &pcrs, &private, &public, NULL, NULL, NULL);
	if (rc == TSS2_RC_SUCCESS) {
		t->ak_pub = *public;
		rc = Esys_Load(t->esys, srk, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, private,
			public, &t->ak);
	}
	Esys_Free(private);
	Esys_Free(public);
	return rc == TSS2_RC_SUCCESS ? WRIT_OK : writ__tpm_fail(err, rc, "make an attestation key");
}

/* Small TPMs have room for three keys at once: the storage root keys come and go. */
static writ_rc load_keys(
	struct writ_tpm *t, const struct writ_tpm_config *cfg, struct writ_err *err)
{
	static const char doing[] = "make the storage root key";
	bool ecc = t->devid_pub.publicArea.type == TPM2_ALG_ECC;
	ESYS_TR srk = ESYS_TR_NONE;
	writ_rc rc = make_primary(t, ESYS_TR_RH_OWNER, ecc ? &srk_ecc_template : &srk_rsa_template,
		&srk, NULL, doing, err);
	if (rc == WRIT_OK)
		rc = load_devid(t, cfg, srk, err);
	if (rc == WRIT_OK && ecc) {
		writ__tpm_flush(t, &srk);
		rc = make_primary(t, ESYS_TR_RH_OWNER, &srk_rsa_template, &srk, NULL, doing, err);
	}
	if (rc == WRIT_OK)
		rc = make_ak(t, srk, err);
	writ__tpm_flush(t, &srk);
	if (rc == WRIT_OK)
		rc = make_primary(t, ESYS_TR_RH_ENDORSEMENT, &ek_template, &t->ek, &t->ek_pub,
			"make the endorsement key", err);
	return rc;
}

static writ_rc connect(struct writ_tpm *t, const struct writ_tpm_config *cfg, struct writ_err *err)
{
	TSS2_RC rc = Tss2_TctiLdr_Initialize(cfg->tcti, &t->tcti);
	if (rc != TSS2_RC_SUCCESS)
		return writ_fail(
			err, WRIT_EUNAVAIL, "TPM: open '%s': %s", cfg->tcti, Tss2_RC_Decode(rc));
	rc = Esys_Initialize(&t->esys, t->tcti, NULL);
	if (rc != TSS2_RC_SUCCESS)
		return writ__tpm_fail(err, rc, "start a session");
	writ_rc ok =
		set_auth(t, ESYS_TR_RH_OWNER, cfg->owner_password, "owner_hierarchy_password", err);
	return ok == WRIT_OK ? set_auth(t, ESYS_TR_RH_ENDORSEMENT, cfg->endorsement_password,
				       "endorsement_hierarchy_password", err)
			     : ok;
}

writ_rc writ_tpm_open(
	const struct writ_tpm_config *cfg, struct writ_tpm **ret, struct writ_err *err)
{
	struct writ_tpm *t = writ_alloc(sizeof(*t));
	t->devid = t->ak = t->ek = ESYS_TR_NONE;
	writ_rc rc = parse_devid(t, cfg, err);
	if (rc == WRIT_OK)
		rc = connect(t, cfg, err);
	if (rc == WRIT_OK)
		rc = load_keys(t, cfg, err);
	if (rc != WRIT_OK) {
		writ_tpm_close(t);
		return rc;
	}
	*ret = t;
	return WRIT_OK;
}
