/* SPDX-License-Identifier: Apache-2.0 */
/* The machine is the one whose TPM holds the DevID key: agent/node/tpm.h does what the TPM has to,
 * from the payload on, so that it is the same attestation key that answers the challenge. */
#include "spiffe/tpm_devid.h"

#include "base/fs.h"
#include "base/mem.h"
#include "crypto/cert_file.h"
#include "node/prover.h"
#include "node/tpm.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct tpm_devid {
	struct writ_prover base;
	struct writ_tpm *tpm; /* between payload and stop */
};

static struct tpm_devid *self(struct writ_prover *p)
{
	return writ_container(p, struct tpm_devid, base);
}

static writ_rc check(const struct writ_agent_config *cfg, struct writ_err *err)
{
	if (!writ_tpm_is_built())
		return writ_fail(err, WRIT_EUNSUP,
			"this writ-agent is built without the TPM Software Stack: install "
			"libtss2-dev and build it anew, or attest in another way");
	if (cfg->nodes.tpm_devid.tpm_tcti && cfg->nodes.tpm_devid.tpm_device_path)
		return writ_fail(
			err, WRIT_EINVAL, "both tpm_device_path and tpm_tcti are set: remove one");
	/* Its libraries print to standard error, between our lines, what we get as an error too. */
	return setenv("TSS2_LOG", "all+NONE", 0) == 0 ? WRIT_OK
						      : writ_fail(err, WRIT_EIO, "set TSS2_LOG");
}

static void stop(struct writ_prover *p)
{
	writ_tpm_close(writ_steal(self(p)->tpm));
}

static writ_rc read_file(
	const char *key, const char *path, struct writ_buf *out, struct writ_err *err)
{
	writ_rc rc = writ_fs_read(path, out, err);
	return rc == WRIT_OK ? rc : writ_wrap(err, rc, "%s", key);
}

/* The one with a resource manager first: it is shared with others. */
static char *find_tcti(const struct writ_agent_tpm_devid *cfg)
{
	if (cfg->tpm_tcti)
		return writ_strdup(cfg->tpm_tcti);
	const char *path = cfg->tpm_device_path;
	if (!path)
		path = access("/dev/tpmrm0", F_OK) == 0 ? "/dev/tpmrm0" : "/dev/tpm0";
	return writ_asprintf("device:%s", path);
}

static writ_rc open_tpm(struct tpm_devid *t, struct writ_err *err)
{
	const struct writ_agent_tpm_devid *cfg = &t->base.cfg->nodes.tpm_devid;
	WRIT_AUTO(writ_buf_wipe) struct writ_buf private = WRIT_BUF(WRIT_TPM_KEY_FILE_MAX);
	WRIT_AUTO(writ_buf_done) struct writ_buf public = WRIT_BUF(WRIT_TPM_KEY_FILE_MAX);
	writ_rc rc = read_file("devid_priv_path", cfg->devid_priv_path, &private, err);
	if (rc == WRIT_OK)
		rc = read_file("devid_pub_path", cfg->devid_pub_path, &public, err);
	if (rc != WRIT_OK)
		return rc;
	WRIT_AUTO(writ_freep) char *tcti = find_tcti(cfg);
	const struct writ_tpm_config c = { .tcti = tcti,
		.owner_password = cfg->owner_hierarchy_password,
		.endorsement_password = cfg->endorsement_hierarchy_password,
		.devid_password = cfg->devid_password,
		.devid_public = writ_buf_str(&public),
		.devid_private = writ_buf_str(&private) };
	return writ_tpm_open(&c, &t->tpm, err);
}

static writ_rc fill(struct tpm_devid *t, struct writ_tpm_request *q, struct writ_err *err)
{
	struct writ_tpm_statement s = { .devid_pub = q->devid_pub,
		.ek_cert = WRIT_BUF(WRIT_CERT_MAX),
		.ek_pub = q->ek_pub,
		.ak_pub = q->ak_pub,
		.attest = q->attest,
		.signature = q->signature };
	writ_rc rc = writ_tpm_state(t->tpm, &s, err);
	q->devid_pub = s.devid_pub;
	q->ek_pub = s.ek_pub;
	q->ak_pub = s.ak_pub;
	q->attest = s.attest;
	q->signature = s.signature;
	if (rc == WRIT_OK)
		rc = writ_cert_parse(s.ek_cert.p, s.ek_cert.n, &q->ek_cert, err);
	writ_buf_done(&s.ek_cert);
	return rc;
}

static writ_rc payload(struct writ_prover *p, struct writ_buf *out, struct writ_err *err)
{
	struct tpm_devid *t = self(p);
	struct writ_tpm_request q;
	writ_tpm_request_init(&q);
	writ_rc rc = writ_certs_read("devid_cert_path", p->cfg->nodes.tpm_devid.devid_cert_path,
		q.devid, WRIT_TPM_DEVID_CERTS_MAX, &q.n_devid, err);
	if (rc == WRIT_OK)
		rc = open_tpm(t, err);
	if (rc == WRIT_OK)
		rc = fill(t, &q, err);
	if (rc == WRIT_OK)
		writ_tpm_request_print(&q, out);
	writ_tpm_request_done(&q);
	return rc;
}

static writ_rc solve(struct tpm_devid *t, const struct writ_tpm_challenge *c,
	struct writ_tpm_answer *a, struct writ_err *err)
{
	WRIT_AUTO(writ_buf_done) struct writ_buf sig = WRIT_BUF(sizeof(a->signature));
	WRIT_AUTO(writ_buf_wipe) struct writ_buf secret = WRIT_BUF(sizeof(a->secret));
	writ_rc rc = writ_tpm_sign(t->tpm, writ_strn(c->nonce, sizeof(c->nonce)), &sig, err);
	if (rc == WRIT_OK)
		rc = writ_tpm_activate(t->tpm, writ_buf_str(&c->credential),
			writ_buf_str(&c->encrypted), &secret, err);
	if (rc == WRIT_OK && secret.n != sizeof(a->secret))
		rc = writ_fail(err, WRIT_EPROTO, "the server's secret has %zu bytes, not %zu",
			secret.n, sizeof(a->secret));
	if (rc != WRIT_OK)
		return rc;
	memcpy(a->signature, sig.p, sig.n);
	a->n_signature = sig.n;
	memcpy(a->secret, secret.p, secret.n);
	return WRIT_OK;
}

static writ_rc answer(struct writ_prover *p, struct writ_str challenge, struct writ_buf *out,
	struct writ_err *err)
{
	struct tpm_devid *t = self(p);
	struct writ_tpm_challenge c;
	struct writ_tpm_answer a;
	writ_tpm_challenge_init(&c);
	writ_rc rc = writ_tpm_challenge_parse(challenge, &c, err);
	if (rc != WRIT_OK)
		(void)writ_wrap(err, WRIT_EPROTO, "the server's challenge");
	if (rc == WRIT_OK)
		rc = solve(t, &c, &a, err);
	if (rc == WRIT_OK)
		writ_tpm_answer_print(&a, out);
	writ_tpm_challenge_done(&c);
	/* Here, where it may take its time; stop runs on the loop. */
	writ_tpm_close(writ_steal(t->tpm));
	return rc;
}

const struct writ_prover_vt writ_prover_tpm_devid = {
	.name = "tpm_devid",
	.is_on = offsetof(struct writ_agent_config, nodes.tpm_devid.is_on),
	.size = sizeof(struct tpm_devid),
	.check = check,
	.payload = payload,
	.answer = answer,
	.stop = stop,
};
