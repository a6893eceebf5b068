/* SPDX-License-Identifier: Apache-2.0 */
/* Proof of possession of the machine's SSH host key, by its certificate. */
#include "spiffe/sshpop.h"

#include "base/fs.h"
#include "base/mem.h"
#include "base/rand.h"
#include "node/files.h"
#include "node/prover.h"

#define FILE_MAX (64 * 1024)

struct sshpop {
	struct writ_prover base;
	struct writ_ssh_key *key; /* between payload and stop, as is wire */
	struct writ_buf wire;     /* the certificate */
	struct writ_ssh_cert cert;
};

static struct sshpop *self(struct writ_prover *p)
{
	return writ_container(p, struct sshpop, base);
}

static void stop(struct writ_prover *p)
{
	struct sshpop *s = self(p);
	writ_ssh_key_free(writ_steal(s->key));
	writ_buf_done(&s->wire);
}

static writ_rc read_cert(struct sshpop *s, const char *path, struct writ_err *err)
{
	WRIT_AUTO(writ_buf_done) struct writ_buf text = WRIT_BUF(FILE_MAX);
	writ_rc rc = writ_fs_read(path, &text, err);
	if (rc == WRIT_OK)
		rc = writ_ssh_read_line(writ_buf_str(&text), &s->wire, err);
	if (rc == WRIT_OK)
		rc = writ_ssh_cert_parse(writ_buf_str(&s->wire), &s->cert, err);
	return rc == WRIT_OK ? rc : writ_wrap(err, rc, "host_cert_path '%s'", path);
}

static writ_rc read_key(struct sshpop *s, const char *path, struct writ_err *err)
{
	WRIT_AUTO(writ_buf_wipe) struct writ_buf text = WRIT_BUF(FILE_MAX);
	writ_rc rc = writ_node_read_key(path, &text, err);
	if (rc == WRIT_OK)
		rc = writ_ssh_key_parse(writ_buf_str(&text), &s->key, err);
	return rc == WRIT_OK ? rc : writ_wrap(err, rc, "host_key_path '%s'", path);
}

static writ_rc payload(struct writ_prover *p, struct writ_buf *out, struct writ_err *err)
{
	struct sshpop *s = self(p);
	const struct writ_agent_sshpop *cfg = &p->cfg->nodes.sshpop;
	s->wire = WRIT_BUF(WRIT_SSH_CERT_MAX);
	writ_rc rc = read_cert(s, cfg->host_cert_path, err);
	if (rc == WRIT_OK)
		rc = read_key(s, cfg->host_key_path, err);
	if (rc == WRIT_OK)
		writ_sshpop_print(writ_buf_str(&s->wire), out);
	return rc;
}

static writ_rc answer(struct writ_prover *p, struct writ_str challenge, struct writ_buf *out,
	struct writ_err *err)
{
	const struct sshpop *s = self(p);
	uint8_t nonce[WRIT_POP_NONCE], message[WRIT_SHA256_LEN];
	struct writ_sshpop_answer a;
	writ_rc rc = writ_sshpop_challenge_parse(challenge, nonce, err);
	if (rc != WRIT_OK)
		return writ_wrap(err, WRIT_EPROTO, "the server's challenge");
	writ_rand(a.nonce, sizeof(a.nonce));
	writ_pop_message(nonce, a.nonce, message);
	rc = writ_ssh_sign(s->key, message, sizeof(message), &a.sig, err);
	if (rc == WRIT_OK &&
		writ_ssh_verify(&s->cert, message, sizeof(message), &a.sig, NULL) != WRIT_OK)
		rc = writ_fail(err, WRIT_EINVAL,
			"host_cert_path and host_key_path do not belong together");
	if (rc == WRIT_OK)
		writ_sshpop_answer_print(&a, out);
	return rc;
}

const struct writ_prover_vt writ_prover_sshpop = {
	.name = "sshpop",
	.is_on = offsetof(struct writ_agent_config, nodes.sshpop.is_on),
	.size = sizeof(struct sshpop),
	.payload = payload,
	.answer = answer,
	.stop = stop,
};
