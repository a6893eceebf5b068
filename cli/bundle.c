/* SPDX-License-Identifier: Apache-2.0 */
/* writ bundle show */
#include "print.h"
#include "session.h"

#include "base/mem.h"
#include "rpc/rpc.h"
#include "spiffe/bundle.h"

#include "spire/api/server/bundle/v1/bundle.pb-c.h"

#include <string.h>

#define CERTS_MAX WRIT_BUNDLE_CAS_MAX

static const struct writ_option options[] = {
	{ "format", NULL, WRIT_OPT_STRING, "pem|spiffe",
		"PEM certificates, or the SPIFFE bundle document (pem)" },
	WRIT_OPT_SERVER_SOCKET,
	WRIT_OPT_TIMEOUT,
	WRIT_OPT_OUTPUT,
	WRIT_OPT_O,
};

static writ_rc to_bundle(
	const Spire__Api__Types__Bundle *b, struct writ_bundle **ret, struct writ_err *err)
{
	struct writ_cert *certs[CERTS_MAX];
	bool tainted[CERTS_MAX];
	size_t n = 0;
	writ_rc rc = WRIT_OK;
	for (size_t i = 0; i < b->n_x509_authorities && n < CERTS_MAX && rc == WRIT_OK; i++) {
		const Spire__Api__Types__X509Certificate *c = b->x509_authorities[i];
		rc = writ_cert_parse(c->asn1.data, c->asn1.len, &certs[n], err);
		if (rc == WRIT_OK)
			tainted[n++] = c->tainted;
	}
	if (rc == WRIT_OK)
		rc = writ_bundle_new(writ_cstr(b->trust_domain), certs, tainted, n,
			b->sequence_number, b->refresh_hint, ret, err);
	writ_certs_unref(certs, n);
	return rc;
}

static writ_rc print(const Spire__Api__Types__Bundle *b, bool spiffe, struct writ_err *err)
{
	WRIT_AUTO(writ_bundle_unrefp) struct writ_bundle *bundle = NULL;
	WRIT_AUTO(writ_buf_done) struct writ_buf out = WRIT_BUF(8u << 20);
	writ_rc rc = to_bundle(b, &bundle, err);
	if (rc != WRIT_OK)
		return rc;
	if (spiffe) {
		rc = writ_bundle_print_jwks(bundle, &out, err);
		writ_buf_add_byte(&out, '\n');
	} else {
		writ_bundle_print_pem(bundle, &out);
	}
	if (rc == WRIT_OK)
		fwrite(out.p, 1, out.n, stdout);
	return rc;
}

static writ_rc run(struct writ_invocation *in, struct writ_err *err)
{
	const char *format = writ_arg(&in->args, "format");
	if (format && strcmp(format, "pem") != 0 && strcmp(format, "spiffe") != 0)
		return writ_fail(err, WRIT_EINVAL, "-format takes pem or spiffe, not '%s'", format);
	Spire__Api__Server__Bundle__V1__GetBundleRequest req =
		SPIRE__API__SERVER__BUNDLE__V1__GET_BUNDLE_REQUEST__INIT;
	struct writ_session s = { 0 };
	ProtobufCMessage *m = NULL;
	writ_rc rc = writ_session_open(in, &s, err);
	if (rc == WRIT_OK)
		rc = writ_session_call(&s, "/spire.api.server.bundle.v1.Bundle/GetBundle",
			&req.base, &spire__api__types__bundle__descriptor, &m, err);
	if (rc == WRIT_OK && s.json)
		writ_print_json(m);
	else if (rc == WRIT_OK)
		rc = print((const Spire__Api__Types__Bundle *)(const void *)m,
			format && format[0] == 's', err);
	if (m)
		writ_pb_free(m);
	writ_session_close(&s);
	return rc;
}

static const struct writ_command commands[] = {
	{ .words = "bundle show",
		.summary = "The trust domain's certificate authorities",
		.options = options,
		.n_options = WRIT_COUNT(options),
		.run = run,
		.detail = "Give this to a new agent as its trust_bundle_path." },
};
const struct writ_command_group writ_commands_bundle = { "Trust", commands, WRIT_COUNT(commands) };
