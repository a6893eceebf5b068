/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/tls_impl.h"

#include "base/clock.h"
#include "base/mem.h"
#include "crypto/ossl.h"

#include <openssl/err.h>
#include <string.h>

#define CERT_LIST_MAX   (32 * 1024) /* bytes of certificates that a peer may send */
#define KEY_UPDATES_MAX 16          /* a second; each costs the other side a key derivation */

static const unsigned char alpn_h2[] = { 2, 'h', '2' };

writ_rc writ_tls_config_check(const struct writ_tls_config *cfg, struct writ_err *err)
{
	if (cfg->server && !cfg->svid)
		return writ_fail(err, WRIT_EINVAL, "TLS server without an SVID of its own");
	if (cfg->server && cfg->peer == WRIT_TLS_PEER_UNVERIFIED)
		return writ_fail(err, WRIT_EINVAL,
			"TLS server that does not verify its clients' certificates");
	if (cfg->peer != WRIT_TLS_PEER_UNVERIFIED && !cfg->bundles)
		return writ_fail(
			err, WRIT_EINVAL, "TLS without a trust bundle to verify peers against");
	return WRIT_OK;
}

static int select_alpn(SSL *ssl, const unsigned char **out, unsigned char *outlen,
	const unsigned char *in, unsigned inlen, void *arg)
{
	(void)ssl, (void)arg;
	unsigned char *pick = NULL;
	int rc = SSL_select_next_proto(&pick, outlen, alpn_h2, sizeof(alpn_h2), in, inlen);
	*out = pick;
	return rc == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

static bool set_alpn(SSL_CTX *ssl, const struct writ_tls_config *cfg)
{
	if (!cfg->h2)
		return true;
	if (!cfg->server)
		return SSL_CTX_set_alpn_protos(ssl, alpn_h2, sizeof(alpn_h2)) == 0;
	SSL_CTX_set_alpn_select_cb(ssl, select_alpn, NULL);
	return true;
}

writ_rc writ_tls_harden(SSL_CTX *ssl, const struct writ_tls_config *cfg, struct writ_err *err)
{
	static const int modes[] = {
		[WRIT_TLS_PEER_REQUIRED] = SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
		[WRIT_TLS_PEER_OPTIONAL] = SSL_VERIFY_PEER,
		[WRIT_TLS_PEER_UNVERIFIED] = SSL_VERIFY_PEER,
	};
	bool ok = SSL_CTX_set_min_proto_version(ssl, TLS1_3_VERSION) == 1 &&
		SSL_CTX_set_max_proto_version(ssl, TLS1_3_VERSION) == 1 &&
		SSL_CTX_set1_groups_list(ssl, "X25519:P-256") == 1 &&
		SSL_CTX_set_num_tickets(ssl, 0) == 1 && set_alpn(ssl, cfg);
	if (!ok)
		return writ_fail_ossl(err, WRIT_ECRYPTO, "set up TLS");
	/* Resumption would skip the check of the chain: a peer whose CA or SVID is gone could come
	 * back. */
	SSL_CTX_set_options(
		ssl, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_max_cert_list(ssl, CERT_LIST_MAX);
	SSL_CTX_set_verify(ssl, modes[cfg->peer], NULL);
	return WRIT_OK;
}

static int on_verify(X509_STORE_CTX *x, void *arg)
{
	const struct writ_tls_ctx *c = arg;
	SSL *ssl = X509_STORE_CTX_get_ex_data(x, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct writ_tls *t = SSL_get_app_data(ssl);
	struct writ_err err = { .rc = WRIT_OK };
	writ_rc rc = writ_tls_judge(x, &c->cfg, c->cfg.bundles, &t->seen, &err);
	if (rc == WRIT_OK)
		return 1;
	writ_free(t->seen.why);
	t->seen.why = writ_memdup(&err, sizeof(err));
	return 0;
}

static void on_message(int write_p, int version, int content_type, const void *buf, size_t len,
	SSL *ssl, void *arg)
{
	(void)version, (void)arg;
	if (write_p || content_type != SSL3_RT_HANDSHAKE || !len ||
		((const unsigned char *)buf)[0] != SSL3_MT_KEY_UPDATE)
		return;
	struct writ_tls *t = SSL_get_app_data(ssl);
	int64_t now = writ_mono_ms();
	if (now - t->key_updates_ms >= 1000) {
		t->key_updates_ms = now;
		t->key_updates = 0;
	}
	/* The verdict falls in writ_tls_read: from in here the connection cannot be ended. */
	if (++t->key_updates > KEY_UPDATES_MAX)
		t->failed = true;
}

void writ_tls_tune(SSL_CTX *ssl)
{
	SSL_CTX_set_mode(ssl,
		SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
			SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_NO_AUTO_CHAIN);
	/* One record at a time, so that a flood of records that carry no data comes back to us. */
	SSL_CTX_clear_mode(ssl, SSL_MODE_AUTO_RETRY);
	SSL_CTX_set_read_ahead(ssl, 1);
	SSL_CTX_set_msg_callback(ssl, on_message);
}

static writ_rc use_svid(SSL_CTX *ssl, const struct writ_svid *svid, struct writ_err *err)
{
	bool ok = SSL_CTX_use_certificate(ssl, writ_cert_x509(svid->chain[0])) == 1 &&
		SSL_CTX_use_PrivateKey(ssl, writ_key_evp(svid->key)) == 1;
	for (size_t i = 1; ok && i < svid->n_chain; i++)
		ok = SSL_CTX_add1_chain_cert(ssl, writ_cert_x509(svid->chain[i])) == 1;
	return ok ? WRIT_OK
		  : writ_fail_ossl(err, WRIT_ECRYPTO, "use SVID %s for TLS", svid->spiffe_id);
}

writ_rc writ_tls_ctx_new(
	const struct writ_tls_config *cfg, struct writ_tls_ctx **ret, struct writ_err *err)
{
	writ_rc rc = writ_tls_config_check(cfg, err);
	if (rc != WRIT_OK)
		return rc;
	ERR_clear_error();
	struct writ_tls_ctx *c = writ_alloc(sizeof(*c));
	c->refs = 1;
	c->cfg = *cfg;
	c->cfg.svid = cfg->svid ? writ_svid_ref(cfg->svid) : NULL;
	c->cfg.bundles = cfg->bundles ? writ_bundles_ref(cfg->bundles) : NULL;
	c->ssl = SSL_CTX_new(cfg->server ? TLS_server_method() : TLS_client_method());
	rc = c->ssl ? writ_tls_harden(c->ssl, cfg, err)
		    : writ_fail_ossl(err, WRIT_ECRYPTO, "set up TLS");
	if (rc == WRIT_OK && cfg->svid)
		rc = use_svid(c->ssl, cfg->svid, err);
	if (rc != WRIT_OK) {
		writ_tls_ctx_unref(c);
		return rc;
	}
	writ_tls_tune(c->ssl);
	SSL_CTX_set_cert_verify_callback(c->ssl, on_verify, c);
	*ret = c;
	return WRIT_OK;
}

struct writ_tls_ctx *writ_tls_ctx_ref(struct writ_tls_ctx *c)
{
	if (c)
		__atomic_add_fetch(&c->refs, 1, __ATOMIC_RELAXED);
	return c;
}

void writ_tls_ctx_unref(struct writ_tls_ctx *c)
{
	if (!c || __atomic_sub_fetch(&c->refs, 1, __ATOMIC_ACQ_REL))
		return;
	SSL_CTX_free(c->ssl);
	writ_svid_unref(c->cfg.svid);
	writ_bundles_unref(c->cfg.bundles);
	writ_free(c->host);
	writ_free(c);
}
