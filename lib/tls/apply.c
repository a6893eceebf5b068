/* SPDX-License-Identifier: Apache-2.0 */
/* The same rules in an SSL_CTX that belongs to somebody else: the SDK's callers, libcurl. */
#include "tls/tls_impl.h"

#include "base/mem.h"
#include "crypto/ossl.h"

#include <openssl/err.h>
#include <pthread.h>

struct applied {
	struct writ_tls_config cfg; /* svid and bundles are the provider's business */
	struct writ_tls_ctx *(*provider)(void *arg);
	void *arg;
	struct writ_tls_ctx *fixed; /* without a provider */
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int slot = -1;
static int peer_slot = -1; /* in the SSL: the peer's verified SPIFFE ID */

static void drop(void *parent, void *ptr, CRYPTO_EX_DATA *ad, int idx, long argl, void *argp)
{
	(void)parent, (void)ad, (void)idx, (void)argl, (void)argp;
	struct applied *a = ptr;
	if (!a)
		return;
	writ_tls_ctx_unref(a->fixed);
	writ_free(a);
}

static void drop_text(void *parent, void *ptr, CRYPTO_EX_DATA *ad, int idx, long argl, void *argp)
{
	(void)parent, (void)ad, (void)idx, (void)argl, (void)argp;
	writ_free(ptr);
}

static void make_slot(void)
{
	peer_slot = SSL_get_ex_new_index(0, NULL, NULL, NULL, drop_text);
	slot = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, drop);
}

/* The context in force, as a reference; NULL while there is none. */
static struct writ_tls_ctx *in_force(const struct applied *a)
{
	return a->fixed ? writ_tls_ctx_ref(a->fixed) : a->provider(a->arg);
}

static void remember_peer(X509_STORE_CTX *x, struct writ_tls_seen *seen)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(x, SSL_get_ex_data_X509_STORE_CTX_idx());
	if (!ssl || !seen->id)
		return;
	writ_free(SSL_get_ex_data(ssl, peer_slot));
	(void)SSL_set_ex_data(ssl, peer_slot, writ_steal(seen->id));
}

const char *writ_tls_ssl_peer_id(const struct ssl_st *ssl)
{
	/* The chain is judged before the peer has proved that it holds the key. */
	return peer_slot < 0 || !SSL_is_init_finished(ssl) ? NULL : SSL_get_ex_data(ssl, peer_slot);
}

static int on_verify(X509_STORE_CTX *x, void *arg)
{
	const struct applied *a = arg;
	struct writ_tls_ctx *c = in_force(a);
	if (!c) {
		X509_STORE_CTX_set_error(x, X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY);
		return 0;
	}
	struct writ_err err = { .rc = WRIT_OK };
	struct writ_tls_seen seen = { .n_chain = 0 };
	writ_rc rc = writ_tls_judge(x, &a->cfg, c->cfg.bundles, &seen, &err);
	if (rc == WRIT_OK)
		remember_peer(x, &seen);
	writ_tls_seen_done(&seen);
	writ_tls_ctx_unref(c);
	if (rc != WRIT_OK) /* the caller finds the sentence in OpenSSL's error queue */
		ERR_raise_data(ERR_LIB_SSL, SSL_R_CERTIFICATE_VERIFY_FAILED, "%s", err.msg);
	return rc == WRIT_OK;
}

static int on_cert(SSL *ssl, void *arg)
{
	const struct applied *a = arg;
	struct writ_tls_ctx *c = in_force(a);
	int ok = 0;
	if (c && c->cfg.svid) {
		const struct writ_svid *s = c->cfg.svid;
		ok = SSL_use_certificate(ssl, writ_cert_x509(s->chain[0])) == 1 &&
			SSL_use_PrivateKey(ssl, writ_key_evp(s->key)) == 1 &&
			SSL_clear_chain_certs(ssl) == 1;
		for (size_t i = 1; ok && i < s->n_chain; i++)
			ok = SSL_add1_chain_cert(ssl, writ_cert_x509(s->chain[i])) == 1;
	} else if (c && !a->cfg.server) {
		ok = 1; /* a client without a certificate: the server decides */
	}
	writ_tls_ctx_unref(c);
	return ok;
}

writ_rc writ_tls_apply(struct ssl_ctx_st *ssl_ctx, const struct writ_tls_config *cfg,
	struct writ_tls_ctx *(*provider)(void *arg), void *arg, struct writ_err *err)
{
	if (pthread_once(&once, make_slot) != 0 || slot < 0)
		return writ_fail_ossl(err, WRIT_ECRYPTO, "reserve a place in an SSL_CTX");
	struct applied *a = writ_alloc(sizeof(*a));
	a->cfg = *cfg;
	a->cfg.svid = NULL;
	a->cfg.bundles = NULL;
	a->provider = provider;
	a->arg = arg;
	writ_rc rc = writ_tls_harden(ssl_ctx, cfg, err);
	if (rc == WRIT_OK && !provider)
		rc = writ_tls_ctx_new(cfg, &a->fixed, err);
	void *before = SSL_CTX_get_ex_data(ssl_ctx, slot);
	if (rc == WRIT_OK && SSL_CTX_set_ex_data(ssl_ctx, slot, a) != 1)
		rc = writ_fail_ossl(err, WRIT_ECRYPTO, "keep the rules in an SSL_CTX");
	if (rc != WRIT_OK) {
		drop(NULL, a, NULL, 0, 0, NULL);
		return rc;
	}
	drop(NULL, before, NULL, 0, 0, NULL); /* applied a second time */
	SSL_CTX_set_mode(ssl_ctx, SSL_MODE_NO_AUTO_CHAIN);
	SSL_CTX_set_cert_verify_callback(ssl_ctx, on_verify, a);
	SSL_CTX_set_cert_cb(ssl_ctx, on_cert, a);
	return WRIT_OK;
}
