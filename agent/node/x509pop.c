/* SPDX-License-Identifier: Apache-2.0 */
/* Proof of possession of the key of a certificate that the machine has from elsewhere. */
#include "spiffe/x509pop.h"

#include "base/mem.h"
#include "base/rand.h"
#include "crypto/cert_file.h"
#include "node/files.h"
#include "node/prover.h"

#define FILE_MAX (256 * 1024)

struct x509pop {
	struct writ_prover base;
	struct writ_key *key; /* between payload and stop */
};

static struct x509pop *self(struct writ_prover *p)
{
	return writ_container(p, struct x509pop, base);
}

static void stop(struct writ_prover *p)
{
	writ_key_unref(writ_steal(self(p)->key));
}

static writ_rc read_key(const char *path, struct writ_key **ret, struct writ_err *err)
{
	WRIT_AUTO(writ_buf_wipe) struct writ_buf text = WRIT_BUF(FILE_MAX);
	writ_rc rc = writ_node_read_key(path, &text, err);
	if (rc == WRIT_OK)
		rc = writ_key_from_pem_rsa(writ_buf_str(&text), ret, err);
	return rc == WRIT_OK ? rc : writ_wrap(err, rc, "private_key_path '%s'", path);
}

static writ_rc match(const struct writ_cert *leaf, const struct writ_key *key, struct writ_err *err)
{
	struct writ_pubkey a, b;
	writ_rc rc = writ_cert_pubkey(leaf, &a, err);
	if (rc == WRIT_OK)
		rc = writ_pubkey_of_key(key, &b, err);
	if (rc == WRIT_OK && !writ_pubkey_eq(&a, &b))
		rc = writ_fail(err, WRIT_EINVAL,
			"certificate_path and private_key_path do not belong together: the first "
			"certificate of the file has to be that of the key");
	return rc;
}

static writ_rc payload(struct writ_prover *p, struct writ_buf *out, struct writ_err *err)
{
	struct x509pop *x = self(p);
	const struct writ_agent_x509pop *cfg = &p->cfg->nodes.x509pop;
	struct writ_cert *certs[WRIT_X509POP_CERTS_MAX];
	size_t n = 0;
	writ_rc rc = writ_certs_read(
		"certificate_path", cfg->certificate_path, certs, WRIT_X509POP_CERTS_MAX, &n, err);
	if (rc == WRIT_OK && cfg->intermediates_path)
		rc = writ_certs_read("intermediates_path", cfg->intermediates_path, certs,
			WRIT_X509POP_CERTS_MAX, &n, err);
	if (rc == WRIT_OK)
		rc = read_key(cfg->private_key_path, &x->key, err);
	if (rc == WRIT_OK)
		rc = match(certs[0], x->key, err);
	if (rc == WRIT_OK)
		rc = writ_x509pop_print(certs, n, out, err);
	writ_certs_unref(certs, n);
	return rc;
}

static writ_rc answer(struct writ_prover *p, struct writ_str challenge, struct writ_buf *out,
	struct writ_err *err)
{
	const struct x509pop *x = self(p);
	struct writ_x509pop_challenge c;
	struct writ_x509pop_answer a;
	uint8_t message[WRIT_SHA256_LEN];
	writ_rc rc = writ_x509pop_challenge_parse(challenge, &c, err);
	if (rc != WRIT_OK)
		return writ_wrap(err, WRIT_EPROTO, "the server's challenge");
	if (c.is_rsa != writ_pop_is_rsa(writ_key_type_of(x->key)))
		return writ_fail(err, WRIT_EPROTO, "the server's challenge is for another key");
	writ_rand(a.nonce, sizeof(a.nonce));
	writ_pop_message(c.nonce, a.nonce, message);
	rc = writ_pop_sign(x->key, message, &a.sig, err);
	if (rc == WRIT_OK)
		writ_x509pop_answer_print(&a, out);
	return rc;
}

const struct writ_prover_vt writ_prover_x509pop = {
	.name = "x509pop",
	.is_on = offsetof(struct writ_agent_config, nodes.x509pop.is_on),
	.size = sizeof(struct x509pop),
	.payload = payload,
	.answer = answer,
	.stop = stop,
};
