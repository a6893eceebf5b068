/* SPDX-License-Identifier: Apache-2.0 */
/* The node proves possession of its SSH host key, whose certificate an operator's SSH CA signed. */
#include "spiffe/sshpop.h"

#include "base/fs.h"
#include "base/mem.h"
#include "base/rand.h"
#include "conf/diag.h"
#include "config/path_template.h"
#include "node/attestor.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define CAS_MAX     64
#define CA_MAX      2048 /* bytes of a public key */
#define CA_FILE_MAX (256 * 1024)
#define HOST_MAX    255

struct sshpop {
	struct writ_node_attestor base;
	struct writ_str cas[CAS_MAX]; /* wire forms, owned */
	size_t n;
};

struct attempt {
	struct writ_buf wire;
	struct writ_ssh_cert cert; /* borrows from wire */
	uint8_t nonce[WRIT_POP_NONCE];
};

static const struct sshpop *self(const struct writ_node_exchange *x)
{
	return (const struct sshpop *)x->by;
}

/* --- the CAs --- */

static void close_attestor(struct writ_node_attestor *base)
{
	struct sshpop *a = writ_container(base, struct sshpop, base);
	for (size_t i = 0; i < a->n; i++)
		writ_free((void *)(uintptr_t)a->cas[i].p);
}

static writ_rc add_ca(struct sshpop *a, struct writ_str line, struct writ_err *err)
{
	WRIT_AUTO(writ_buf_done) struct writ_buf wire = WRIT_BUF(CA_MAX);
	writ_rc rc = a->n < CAS_MAX
		? writ_ssh_read_line(line, &wire, err)
		: writ_fail(err, WRIT_ELIMIT, "more than %d authorities", CAS_MAX);
	if (rc == WRIT_OK)
		rc = writ_ssh_key_check(writ_buf_str(&wire), err);
	if (rc != WRIT_OK)
		return writ_wrap(err, rc, "cert_authorities: %s", writ_conf_quote(line).text);
	a->cas[a->n++] = writ_strn(writ_memdup(wire.p, wire.n), wire.n);
	return WRIT_OK;
}

static writ_rc add_file(struct sshpop *a, const char *path, struct writ_err *err)
{
	WRIT_AUTO(writ_buf_done) struct writ_buf text = WRIT_BUF(CA_FILE_MAX);
	writ_rc rc = writ_fs_read(path, &text, err);
	struct writ_str rest = writ_buf_str(&text), line;
	while (rc == WRIT_OK && rest.n) {
		(void)writ_str_cut(&rest, '\n', &line);
		line = writ_str_trim(line);
		if (line.n && *line.p != '#')
			rc = add_ca(a, line, err);
	}
	return rc == WRIT_OK ? rc : writ_wrap(err, rc, "cert_authorities_path '%s'", path);
}

static writ_rc open_attestor(struct writ_node_attestor *base, struct writ_err *err)
{
	struct sshpop *a = writ_container(base, struct sshpop, base);
	const struct writ_server_sshpop *c = &base->cfg->nodes.sshpop;
	writ_rc rc = WRIT_OK;
	for (size_t i = 0; rc == WRIT_OK && i < c->cert_authorities.n; i++)
		rc = add_ca(a, writ_cstr(c->cert_authorities.items[i]), err);
	if (rc == WRIT_OK && c->cert_authorities_path)
		rc = add_file(a, c->cert_authorities_path, err);
	if (rc == WRIT_OK && !a->n)
		rc = writ_fail(err, WRIT_EINVAL, "there is no authority in cert_authorities_path");
	return rc;
}

/* --- the payload: nothing is computed yet --- */

static writ_rc begin(struct writ_node_exchange *x, struct writ_str payload, struct writ_err *err)
{
	const struct sshpop *a = self(x);
	struct attempt *t = writ_alloc(sizeof(*t));
	x->state = t;
	t->wire = WRIT_BUF(WRIT_SSH_CERT_MAX);
	writ_rc rc = writ_sshpop_parse(payload, &t->wire, err);
	if (rc == WRIT_OK)
		rc = writ_ssh_cert_parse(writ_buf_str(&t->wire), &t->cert, err);
	if (rc == WRIT_OK)
		rc = writ_ssh_cert_check(&t->cert, a->cas, a->n, x->now, err);
	if (rc != WRIT_OK)
		return rc;
	writ_rand(t->nonce, sizeof(t->nonce));
	writ_sshpop_challenge_print(t->nonce, &x->challenge);
	return WRIT_OK;
}

static void end(struct writ_node_exchange *x)
{
	struct attempt *t = x->state;
	writ_buf_done(&t->wire);
	writ_free(t);
}

/* --- the answer --- */

/* The host's name without the domain that all of them are in. */
static writ_rc host_name(const struct writ_server_sshpop *cfg, struct writ_str fqdn,
	struct writ_str *ret, struct writ_err *err)
{
	WRIT_AUTO(writ_freep) char *suffix = NULL;
	struct writ_str s = fqdn;
	if (cfg->canonical_domain) {
		suffix = writ_asprintf(".%s", cfg->canonical_domain);
		if (!writ_str_ends(s, writ_cstr(suffix)))
			return writ_fail(err, WRIT_EDENIED,
				"cert principal is not in domain \"%s\"", suffix);
		s.n -= strlen(suffix);
	}
	if (!s.n || s.n > HOST_MAX)
		return writ_fail(err, WRIT_EDENIED, "the host's name is empty or too long");
	*ret = s;
	return WRIT_OK;
}

static writ_rc name(
	struct writ_node_exchange *x, const struct writ_ssh_cert *c, struct writ_err *err)
{
	const struct writ_server_sshpop *cfg = &x->by->cfg->nodes.sshpop;
	WRIT_AUTO(writ_buf_done) struct writ_buf print = WRIT_BUF(64);
	uint8_t sha256[WRIT_SHA256_LEN];
	char serial[24];
	struct writ_str host;
	writ_rc rc = host_name(cfg, c->host, &host, err);
	if (rc != WRIT_OK)
		return rc;
	writ_sha256(c->wire.p, c->wire.n, sha256);
	writ_base64url_add(&print, sha256, sizeof(sha256));
	snprintf(serial, sizeof(serial), "%" PRIu64, c->serial);
	const struct writ_path_value v[] = {
		{ "PluginName", WRIT_STR("sshpop"), false },
		{ "Fingerprint", writ_buf_str(&print), false },
		{ "Hostname", host, false },
		{ "KeyId", c->key_id, false },
		{ "Serial", writ_cstr(serial), false },
	};
	return writ_path_template_fill(
		writ_cstr(cfg->agent_path_template), v, WRIT_COUNT(v), &x->path, err);
}

static writ_rc respond(struct writ_node_exchange *x, struct writ_str answer, struct writ_err *err)
{
	const struct attempt *t = x->state;
	struct writ_sshpop_answer got;
	uint8_t message[WRIT_SHA256_LEN];
	writ_rc rc = writ_sshpop_answer_parse(answer, &got, err);
	if (rc != WRIT_OK)
		return rc;
	writ_pop_message(t->nonce, got.nonce, message);
	rc = writ_ssh_verify(&t->cert, message, sizeof(message), &got.sig, err);
	if (rc != WRIT_OK)
		return writ_wrap(err, rc, "failed to verify signature");
	/* The key's holder is who talks to us: now his certificate is worth a check. */
	rc = writ_ssh_cert_verify(&t->cert, err);
	if (rc == WRIT_OK)
		rc = name(x, &t->cert, err);
	x->can_reattest = true;
	return rc;
}

const struct writ_node_attestor_vt writ_node_sshpop = {
	.name = "sshpop",
	.payload_max = WRIT_SSHPOP_PAYLOAD_MAX,
	.answer_max = WRIT_SSHPOP_ANSWER_MAX,
	.is_on = offsetof(struct writ_server_config, nodes.sshpop.is_on),
	.size = sizeof(struct sshpop),
	.open = open_attestor,
	.close = close_attestor,
	.begin = begin,
	.respond = respond,
	.end = end,
};
