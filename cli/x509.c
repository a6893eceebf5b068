/* SPDX-License-Identifier: Apache-2.0 */
/* writ x509 mint */
#include "print.h"
#include "session.h"

#include "base/fs.h"
#include "base/mem.h"
#include "crypto/csr.h"
#include "crypto/digest.h"
#include "rpc/rpc.h"

#include "spire/api/server/bundle/v1/bundle.pb-c.h"
#include "spire/api/server/svid/v1/svid.pb-c.h"

#define DNS_MAX 32

static const struct writ_option options[] = {
	{ "spiffeID", "spiffe-id", WRIT_OPT_STRING, "ID", "the SPIFFE ID to mint" },
	{ "dns", NULL, WRIT_OPT_LIST, "NAME", "a DNS name beside it" },
	{ "ttl", NULL, WRIT_OPT_STRING, "DURATION", "how long it holds (the server's default)" },
	{ "write", NULL, WRIT_OPT_STRING, "DIR",
		"write svid.pem, key.pem and bundle.pem there; else all goes to the terminal" },
	WRIT_OPT_SERVER_SOCKET,
	WRIT_OPT_TIMEOUT,
	WRIT_OPT_OUTPUT,
	WRIT_OPT_O,
};

struct minted {
	struct writ_buf svid, key, bundle;
};

static void minted_done(struct minted *m)
{
	writ_buf_done(&m->svid);
	writ_buf_wipe(&m->key);
	writ_buf_done(&m->bundle);
}

static writ_rc make_csr(struct writ_invocation *in, struct writ_key **key, struct writ_buf *csr,
	struct writ_err *err)
{
	const char *id = writ_arg(&in->args, "spiffeID");
	const char *dns[DNS_MAX];
	size_t n = 0;
	if (!id)
		return writ_fail(
			err, WRIT_EINVAL, "which identity? -spiffeID spiffe://TRUST-DOMAIN/path");
	for (const char *d; n < DNS_MAX && (d = writ_arg_at(&in->args, "dns", n)) != NULL; n++)
		dns[n] = d;
	writ_rc rc = writ_key_generate(WRIT_KEY_P256, key, err);
	return rc == WRIT_OK ? writ_csr_build(*key, id, dns, n, csr, err) : rc;
}

static writ_rc mint(struct writ_session *s, const struct writ_buf *csr, int32_t ttl,
	struct minted *out, struct writ_err *err)
{
	Spire__Api__Server__Svid__V1__MintX509SVIDRequest req =
		SPIRE__API__SERVER__SVID__V1__MINT_X509_SVIDREQUEST__INIT;
	req.csr = (ProtobufCBinaryData){ csr->n, csr->p };
	req.ttl = ttl;
	ProtobufCMessage *m;
	writ_rc rc = writ_session_call(s, "/spire.api.server.svid.v1.SVID/MintX509SVID", &req.base,
		&spire__api__server__svid__v1__mint_x509_svidresponse__descriptor, &m, err);
	if (rc != WRIT_OK)
		return rc;
	const Spire__Api__Server__Svid__V1__MintX509SVIDResponse *r = (const void *)m;
	for (size_t i = 0; r->svid && i < r->svid->n_cert_chain; i++)
		writ_pem_add(&out->svid, "CERTIFICATE", r->svid->cert_chain[i].data,
			r->svid->cert_chain[i].len);
	writ_pb_free(m);
	Spire__Api__Server__Bundle__V1__GetBundleRequest get =
		SPIRE__API__SERVER__BUNDLE__V1__GET_BUNDLE_REQUEST__INIT;
	rc = writ_session_call(s, "/spire.api.server.bundle.v1.Bundle/GetBundle", &get.base,
		&spire__api__types__bundle__descriptor, &m, err);
	if (rc != WRIT_OK)
		return rc;
	const Spire__Api__Types__Bundle *b = (const void *)m;
	for (size_t i = 0; i < b->n_x509_authorities; i++)
		writ_pem_add(&out->bundle, "CERTIFICATE", b->x509_authorities[i]->asn1.data,
			b->x509_authorities[i]->asn1.len);
	writ_pb_free(m);
	return WRIT_OK;
}

static writ_rc write_files(const char *dir, const struct minted *m, struct writ_err *err)
{
	const struct {
		const char *name;
		const struct writ_buf *bytes;
		mode_t mode;
	} files[] = { { "key.pem", &m->key, 0600 }, { "svid.pem", &m->svid, 0644 },
		{ "bundle.pem", &m->bundle, 0644 } };
	for (size_t i = 0; i < WRIT_COUNT(files); i++) {
		WRIT_AUTO(writ_freep) char *path = writ_fs_join(dir, files[i].name);
		writ_rc rc = writ_fs_write(
			path, files[i].bytes->p, files[i].bytes->n, files[i].mode, err);
		if (rc != WRIT_OK)
			return writ_wrap(err, rc, "-write %s", dir);
		printf("wrote %s\n", path);
	}
	return WRIT_OK;
}

static writ_rc read_ttl(const struct writ_args *a, int32_t *ttl, struct writ_err *err)
{
	const char *text = writ_arg(a, "ttl");
	int64_t ms = 0;
	writ_rc rc = text ? writ_parse_duration_ms(writ_cstr(text), &ms, err) : WRIT_OK;
	if (rc == WRIT_OK && ms > 30LL * 86400000)
		rc = writ_fail(err, WRIT_EINVAL, "'%s' is longer than 720h", text);
	*ttl = (int32_t)(ms / 1000);
	return rc == WRIT_OK ? rc : writ_wrap(err, rc, "-ttl");
}

static writ_rc run(struct writ_invocation *in, struct writ_err *err)
{
	WRIT_AUTO(writ_key_unrefp) struct writ_key *key = NULL;
	WRIT_AUTO(writ_buf_done) struct writ_buf csr = WRIT_BUF(WRIT_CSR_MAX);
	WRIT_AUTO(minted_done)
	struct minted out = { WRIT_BUF(1u << 20), WRIT_BUF(1u << 16), WRIT_BUF(4u << 20) };
	WRIT_AUTO(writ_secret_done) struct writ_secret pkcs8 = { 0 };
	int32_t ttl;
	writ_rc rc = writ_crypto_init(err);
	if (rc == WRIT_OK)
		rc = read_ttl(&in->args, &ttl, err);
	if (rc == WRIT_OK)
		rc = make_csr(in, &key, &csr, err);
	if (rc == WRIT_OK)
		rc = writ_key_to_pkcs8(key, &pkcs8, err);
	if (rc != WRIT_OK)
		return rc;
	writ_pem_add(&out.key, "PRIVATE KEY", pkcs8.p, pkcs8.n);
	struct writ_session s = { 0 };
	rc = writ_session_open(in, &s, err);
	if (rc == WRIT_OK)
		rc = mint(&s, &csr, ttl, &out, err);
	writ_session_close(&s);
	if (rc != WRIT_OK)
		return rc;
	const char *dir = writ_arg(&in->args, "write");
	if (dir)
		return write_files(dir, &out, err);
	printf("X509-SVID:\n%s\nPrivate key:\n%s\nRoot CAs:\n%s", writ_buf_cstr(&out.svid),
		writ_buf_cstr(&out.key), writ_buf_cstr(&out.bundle));
	return WRIT_OK;
}

static const struct writ_command commands[] = {
	{ .words = "x509 mint",
		.summary = "An X509-SVID by hand, for what has no agent",
		.options = options,
		.n_options = WRIT_COUNT(options),
		.run = run },
};
const struct writ_command_group writ_commands_x509 = { "Certificates by hand", commands,
	WRIT_COUNT(commands) };
