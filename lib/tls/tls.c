/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/tls_impl.h"

#include "base/mem.h"
#include "crypto/ossl.h"

#include <errno.h>
#include <openssl/err.h>
#include <string.h>

/* OpenSSL's reasons in words that tell a reader of the log what to do. */
static const struct {
	int reason;
	writ_rc rc;
	const char *text;
} reasons[] = {
	{ SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE, WRIT_EUNAUTH,
		"the peer presented no certificate, and one is needed here" },
	{ SSL_R_UNSUPPORTED_PROTOCOL, WRIT_EPROTO, "the peer does not offer TLS 1.3" },
	{ SSL_R_NO_APPLICATION_PROTOCOL, WRIT_EPROTO,
		"the peer does not offer HTTP/2 (ALPN \"h2\")" },
	{ SSL_R_NO_SUITABLE_KEY_SHARE, WRIT_EPROTO, "the peer offers neither X25519 nor P-256" },
	{ SSL_R_NO_SHARED_GROUPS, WRIT_EPROTO, "the peer offers neither X25519 nor P-256" },
	{ SSL_R_HTTP_REQUEST, WRIT_EPROTO, "the peer speaks plain HTTP, this port wants TLS" },
	{ SSL_R_WRONG_VERSION_NUMBER, WRIT_EPROTO, "the peer does not speak TLS" },
	{ SSL_R_UNEXPECTED_EOF_WHILE_READING, WRIT_EUNAVAIL,
		"the peer closed the connection without a good-bye" },
	{ SSL_R_EXCESSIVE_MESSAGE_SIZE, WRIT_ELIMIT,
		"the peer sent more than 32 KiB of certificates" },
	{ SSL_R_TLSV1_ALERT_PROTOCOL_VERSION, WRIT_EPROTO, "the peer does not take TLS 1.3" },
	{ SSL_R_TLSV1_ALERT_UNKNOWN_CA, WRIT_EUNAUTH,
		"the peer refused our certificate: it has no trust bundle for our trust domain "
		"(unknown CA)" },
	{ SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED, WRIT_EUNAUTH,
		"the peer refused our certificate: expired by its clock" },
	{ SSL_R_SSLV3_ALERT_BAD_CERTIFICATE, WRIT_EDENIED,
		"the peer refused our certificate: its SPIFFE ID may not connect, or it breaks a "
		"rule (the "
		"peer's log says which)" },
	{ SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN, WRIT_EUNAUTH,
		"the peer refused our certificate (its log says why)" },
	{ SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED, WRIT_EUNAUTH,
		"the peer demands a client certificate and we presented none" },
	{ SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL, WRIT_EPROTO, "the peer does not take HTTP/2" },
};

writ_rc writ_tls_explain(struct writ_err *err, const char *doing)
{
	unsigned long e = ERR_peek_error();
	for (size_t i = 0; e && i < WRIT_COUNT(reasons); i++) {
		if (ERR_GET_LIB(e) != ERR_LIB_SSL || ERR_GET_REASON(e) != reasons[i].reason)
			continue;
		ERR_clear_error();
		return writ_fail(err, reasons[i].rc, "%s: %s", doing, reasons[i].text);
	}
	return writ_fail_ossl(err, WRIT_EPROTO, "%s", doing);
}

writ_rc writ_tls_new(struct writ_tls_ctx *ctx, int fd, struct writ_tls **ret, struct writ_err *err)
{
	ERR_clear_error();
	SSL *ssl = SSL_new(ctx->ssl);
	if (!ssl || SSL_set_fd(ssl, fd) != 1 ||
		(ctx->host && !writ_tls_web_begin(ssl, ctx->host))) {
		SSL_free(ssl);
		return writ_fail_ossl(err, WRIT_ECRYPTO, "start TLS");
	}
	struct writ_tls *t = writ_alloc(sizeof(*t));
	t->ssl = ssl;
	t->ctx = writ_tls_ctx_ref(ctx);
	(void)SSL_set_app_data(ssl, t);
	if (ctx->cfg.server)
		SSL_set_accept_state(ssl);
	else
		SSL_set_connect_state(ssl);
	*ret = t;
	return WRIT_OK;
}

void writ_tls_free(struct writ_tls *t)
{
	if (!t)
		return;
	SSL_free(t->ssl);
	writ_tls_seen_done(&t->seen);
	writ_tls_ctx_unref(t->ctx);
	writ_free(t);
}

static enum writ_tls_io broken(struct writ_tls *t)
{
	t->failed = true;
	return WRIT_TLS_FAILED;
}

/* What a call of OpenSSL that returned rc means. errnum: errno right after it. */
static enum writ_tls_io outcome(
	struct writ_tls *t, int rc, int errnum, const char *doing, struct writ_err *err)
{
	switch (SSL_get_error(t->ssl, rc)) {
	case SSL_ERROR_WANT_READ: return WRIT_TLS_WANT_READ;
	case SSL_ERROR_WANT_WRITE: return WRIT_TLS_WANT_WRITE;
	case SSL_ERROR_ZERO_RETURN: return WRIT_TLS_EOF;
	case SSL_ERROR_SYSCALL:
		if (ERR_peek_error() == 0) {
			writ_fail_errno(err, errnum ? errnum : ECONNRESET, "%s", doing);
			return broken(t);
		}
		break;
	default: break;
	}
	writ_tls_explain(err, doing);
	return broken(t);
}

static enum writ_tls_io refuse_use(struct writ_err *err)
{
	writ_fail(err, WRIT_EPRECOND, "TLS connection used after it failed");
	return WRIT_TLS_FAILED;
}

/* OpenSSL never asks for ALPN when the peer sent none, so the answer is looked at here. */
static enum writ_tls_io check_done(struct writ_tls *t, struct writ_err *err)
{
	const unsigned char *proto = NULL;
	unsigned n = 0;
	if (t->ctx->cfg.h2) {
		SSL_get0_alpn_selected(t->ssl, &proto, &n);
		if (n != 2 || memcmp(proto, "h2", 2) != 0) {
			writ_fail(err, WRIT_EPROTO,
				"TLS handshake: the peer does not offer HTTP/2 (ALPN \"h2\")");
			return broken(t);
		}
	}
	if (t->ctx->host) {
		if (writ_tls_web_check(t->ssl, t->ctx->host, err) != WRIT_OK)
			return broken(t);
		t->done = true;
		return WRIT_TLS_DONE;
	}
	/* Belt and braces: no identity without our own verdict on the chain. */
	bool needed = !t->ctx->cfg.server || t->ctx->cfg.peer == WRIT_TLS_PEER_REQUIRED;
	if ((needed || SSL_get0_peer_certificate(t->ssl)) && !t->seen.id) {
		writ_fail(err, WRIT_EUNAUTH,
			"TLS handshake: the peer's certificate was not verified");
		return broken(t);
	}
	t->done = true;
	return WRIT_TLS_DONE;
}

enum writ_tls_io writ_tls_handshake(struct writ_tls *t, struct writ_err *err)
{
	if (t->failed)
		return refuse_use(err);
	if (t->done)
		return WRIT_TLS_DONE;
	ERR_clear_error();
	errno = 0;
	int rc = SSL_do_handshake(t->ssl);
	int errnum = errno;
	if (rc == 1)
		return check_done(t, err);
	enum writ_tls_io io = outcome(t, rc, errnum, "TLS handshake", err);
	if (io == WRIT_TLS_EOF) {
		writ_fail(err, WRIT_EUNAVAIL, "TLS handshake: the peer closed the connection");
		return broken(t);
	}
	if (io == WRIT_TLS_FAILED && t->ctx->host && SSL_get_verify_result(t->ssl) != X509_V_OK &&
		writ_tls_web_check(t->ssl, t->ctx->host, err) != WRIT_OK)
		return io;
	if (io == WRIT_TLS_FAILED && t->seen.why && err) {
		*err = *t->seen.why;
		writ_wrap(err, err->rc, "TLS handshake");
	}
	return io;
}

enum writ_tls_io writ_tls_read(
	struct writ_tls *t, void *p, size_t n, size_t *got, struct writ_err *err)
{
	*got = 0;
	if (t->failed)
		return refuse_use(err);
	for (;;) {
		ERR_clear_error();
		errno = 0;
		int rc = SSL_read_ex(t->ssl, p, n, got);
		int errnum = errno;
		if (t->failed) { /* by on_message */
			*got = 0;
			writ_fail(err, WRIT_ELIMIT,
				"TLS: the peer asks for new keys more than 16 times a second");
			return WRIT_TLS_FAILED;
		}
		if (rc == 1)
			return WRIT_TLS_DONE;
		enum writ_tls_io io = outcome(t, rc, errnum, "read over TLS", err);
		/* A record that was not data; the next one may be in OpenSSL's buffer, of which
		 * epoll knows nothing. */
		if (io != WRIT_TLS_WANT_READ || errnum == EAGAIN || !SSL_has_pending(t->ssl))
			return io;
	}
}

enum writ_tls_io writ_tls_write(
	struct writ_tls *t, const void *p, size_t n, size_t *put, struct writ_err *err)
{
	*put = 0;
	if (t->failed)
		return refuse_use(err);
	if (n == 0)
		return WRIT_TLS_DONE;
	ERR_clear_error();
	errno = 0;
	int rc = SSL_write_ex(t->ssl, p, n, put);
	int errnum = errno;
	return rc == 1 ? WRIT_TLS_DONE : outcome(t, rc, errnum, "write over TLS", err);
}

bool writ_tls_pending(const struct writ_tls *t)
{
	return !t->failed && SSL_has_pending(t->ssl) == 1;
}

void writ_tls_shutdown(struct writ_tls *t)
{
	if (t->failed || !t->done)
		return;
	ERR_clear_error();
	(void)SSL_shutdown(t->ssl); /* best effort: the socket may be full */
	ERR_clear_error();
}

struct writ_cert *writ_tls_peer_cert(const struct writ_tls *t)
{
	return t->done && t->seen.id ? t->seen.chain[0] : NULL;
}

const char *writ_tls_peer_id(const struct writ_tls *t)
{
	return t->done ? t->seen.id : NULL;
}
