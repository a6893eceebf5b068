/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/web.h"

#include "base/mem.h"
#include "crypto/ossl.h"
#include "tls/tls_impl.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

static bool is_address(const char *host)
{
	uint8_t a[16];
	return inet_pton(AF_INET, host, a) == 1 || inet_pton(AF_INET6, host, a) == 1;
}

static bool trust(SSL_CTX *ssl, const struct writ_tls_web_config *cfg)
{
	X509_STORE *store = SSL_CTX_get_cert_store(ssl);
	X509_VERIFY_PARAM *p = SSL_CTX_get0_param(ssl);
	bool ok = cfg->n_cas > 0;
	if (cfg->unverified) {
		SSL_CTX_set_verify(ssl, SSL_VERIFY_NONE, NULL);
		return true;
	}
	for (size_t i = 0; ok && i < cfg->n_cas; i++) {
		struct x509_st *x = writ_cert_x509(cfg->cas[i]);
		ok = x && X509_STORE_add_cert(store, x) == 1;
	}
	X509_VERIFY_PARAM_set_hostflags(
		p, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
	/* A CA file may hold an intermediate alone. */
	ok = ok && X509_VERIFY_PARAM_set_flags(p, X509_V_FLAG_PARTIAL_CHAIN) == 1;
	return ok &&
		(is_address(cfg->host) ? X509_VERIFY_PARAM_set1_ip_asc(p, cfg->host)
				       : X509_VERIFY_PARAM_set1_host(p, cfg->host, 0)) == 1;
}

static bool present(SSL_CTX *ssl, const struct writ_tls_web_config *cfg)
{
	if (!cfg->n_chain)
		return true;
	struct x509_st *leaf = writ_cert_x509(cfg->chain[0]);
	bool ok = leaf && SSL_CTX_use_certificate(ssl, leaf) == 1 &&
		SSL_CTX_use_PrivateKey(ssl, writ_key_evp(cfg->key)) == 1;
	for (size_t i = 1; ok && i < cfg->n_chain; i++) {
		struct x509_st *x = writ_cert_x509(cfg->chain[i]);
		ok = x && SSL_CTX_add1_chain_cert(ssl, x) == 1;
	}
	return ok;
}

writ_rc writ_tls_web_new(
	const struct writ_tls_web_config *cfg, struct writ_tls_ctx **ret, struct writ_err *err)
{
	ERR_clear_error();
	struct writ_tls_ctx *c = writ_alloc(sizeof(*c));
	c->refs = 1;
	c->host = writ_strdup(cfg->host);
	c->ssl = SSL_CTX_new(TLS_client_method());
	writ_rc rc = c->ssl ? writ_tls_harden(c->ssl, &c->cfg, err)
			    : writ_fail_ossl(err, WRIT_ECRYPTO, "set up TLS");
	if (rc == WRIT_OK &&
		(SSL_CTX_set_min_proto_version(c->ssl, TLS1_2_VERSION) != 1 ||
			SSL_CTX_set1_groups_list(c->ssl, "X25519:P-256:P-384") != 1 ||
			!trust(c->ssl, cfg) || !present(c->ssl, cfg)))
		rc = writ_fail_ossl(err, WRIT_ECRYPTO, "set up TLS to %s", cfg->host);
	if (rc != WRIT_OK) {
		writ_tls_ctx_unref(c);
		return rc;
	}
	writ_tls_tune(c->ssl);
	*ret = c;
	return WRIT_OK;
}

bool writ_tls_web_begin(SSL *ssl, const char *host)
{
	return is_address(host) || SSL_set_tlsext_host_name(ssl, host) == 1;
}

writ_rc writ_tls_web_check(const SSL *ssl, const char *host, struct writ_err *err)
{
	long verdict = SSL_get_verify_result(ssl);
	if (verdict != X509_V_OK && SSL_get_verify_mode(ssl) != SSL_VERIFY_NONE)
		return writ_fail(err, WRIT_ECRYPTO,
			"TLS handshake: the server's certificate does not hold for %s: %s", host,
			X509_verify_cert_error_string(verdict));
	return SSL_get0_peer_certificate(ssl)
		? WRIT_OK
		: writ_fail(err, WRIT_EUNAUTH, "TLS handshake: the server has no certificate");
}
