/* SPDX-License-Identifier: Apache-2.0 */
/* writ/tls.h over lib/tls: a context that asks the source at each handshake. */
#include "workload/source.h"

#include "base/mem.h"
#include "tls/tls.h"

#include "writ/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <string.h>

/* Lives in the SSL_CTX's ex_data and goes with it. */
struct binding {
	struct writ_x509_source *source;
	bool server;
	struct writ_allow rules;
	int (*allow)(void *arg, const char *spiffe_id);
	void *arg;
	pthread_mutex_t lock;
	/* Under lock: the context made from the newest update. */
	struct writ_wl_update *made_from;
	struct writ_tls_ctx *ctx;
};

static pthread_once_t index_once = PTHREAD_ONCE_INIT;
static int binding_index = -1;

static void free_binding(
	void *parent, void *ptr, CRYPTO_EX_DATA *ad, int idx, long argl, void *argp)
{
	struct binding *b = ptr;
	(void)parent;
	(void)ad;
	(void)idx;
	(void)argl;
	(void)argp;
	if (!b)
		return;
	writ_tls_ctx_unref(b->ctx);
	writ_wl_update_unref(b->made_from);
	writ_allow_done(&b->rules);
	pthread_mutex_destroy(&b->lock);
	writ_free(b);
}

static void make_index(void)
{
	binding_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, free_binding);
}

static writ_rc authorize(void *arg, const struct writ_id *id, struct writ_err *err)
{
	struct binding *b = arg;
	char text[WRIT_ID_MAX + 1];
	memcpy(text, id->uri.p, id->uri.n);
	text[id->uri.n] = '\0';
	if (b->allow ? b->allow(b->arg, text) != 0 : writ_allow_match(&b->rules, id->uri, NULL))
		return WRIT_OK;
	return writ_fail(err, WRIT_EDENIED, "%s is not allowed here", text);
}

static writ_rc make_config(struct binding *b, struct writ_svid *svid, struct writ_bundles *bundles,
	struct writ_tls_ctx **ret, struct writ_err *err)
{
	const struct writ_tls_config cfg = {
		.server = b->server,
		.peer = WRIT_TLS_PEER_REQUIRED,
		.svid = svid,
		.bundles = bundles,
		.authorize = authorize,
		.arg = b,
	};
	return writ_tls_ctx_new(&cfg, ret, err);
}

/* The context made from u, from the last call's where it is the same. */
static struct writ_tls_ctx *context_of(
	struct binding *b, struct writ_wl_update *u, struct writ_svid *svid, struct writ_err *err)
{
	struct writ_tls_ctx *ctx = NULL, *fresh;
	pthread_mutex_lock(&b->lock);
	if (u != b->made_from && make_config(b, svid, u->bundles, &fresh, err) == WRIT_OK) {
		writ_tls_ctx_unref(b->ctx);
		writ_wl_update_unref(b->made_from);
		b->ctx = fresh;
		b->made_from = writ_wl_update_ref(u);
	}
	if (u == b->made_from)
		ctx = writ_tls_ctx_ref(b->ctx);
	pthread_mutex_unlock(&b->lock);
	return ctx;
}

/* The context in force, with a reference for the caller's handshake. Why there is none stands in
 * OpenSSL's error queue, where the program that drives the handshake looks. */
static struct writ_tls_ctx *provide(void *arg)
{
	struct binding *b = arg;
	struct writ_wl_update *u;
	struct writ_svid *svid;
	struct writ_tls_ctx *ctx = NULL;
	struct writ_err err = { 0 };
	struct writ_error forked;
	if (writ_source_forked(b->source, &forked)) {
		writ_fail(&err, WRIT_EPRECOND, "%s", forked.message);
	} else if (writ_source_current(b->source, &u, &svid, &err) == WRIT_OK) {
		ctx = context_of(b, u, svid, &err);
		writ_wl_update_unref(u);
	}
	if (!ctx)
		ERR_raise_data(ERR_LIB_SSL, SSL_R_NO_CERTIFICATE_ASSIGNED, "%s", err.msg);
	return ctx;
}

static writ_rc make_binding(struct writ_x509_source *s, const struct writ_authorize *a, bool server,
	struct binding **ret, struct writ_err *err)
{
	struct binding *b = writ_alloc(sizeof(*b));
	writ_rc rc = WRIT_OK;
	b->source = s;
	b->server = server;
	b->allow = a->allow;
	b->arg = a->arg;
	pthread_mutex_init(&b->lock, NULL);
	for (size_t i = 0; rc == WRIT_OK && i < a->n_ids; i++)
		rc = writ_allow_add(&b->rules, writ_cstr(a->ids[i]), err);
	if (rc != WRIT_OK) {
		free_binding(NULL, b, NULL, 0, 0, NULL);
		return rc;
	}
	*ret = b;
	return WRIT_OK;
}

writ_rc writ_source_apply(struct writ_x509_source *s, const struct writ_authorize *a, bool server,
	SSL_CTX *ctx, struct writ_err *err)
{
	struct binding *b;
	pthread_once(&index_once, make_index);
	if (!a)
		return writ_fail(
			err, WRIT_EINVAL, "authorize is NULL: say who may be at the other end");
	writ_rc rc = make_binding(s, a, server, &b, err);
	if (rc != WRIT_OK)
		return rc;
	if (binding_index < 0 || SSL_CTX_get_ex_data(ctx, binding_index) ||
		SSL_CTX_set_ex_data(ctx, binding_index, b) != 1) {
		free_binding(NULL, b, NULL, 0, 0, NULL);
		return writ_fail(err, WRIT_EINTERNAL,
			"OpenSSL keeps no data for the context, or it has a source already");
	}
	const struct writ_tls_config cfg = {
		.server = server,
		.peer = WRIT_TLS_PEER_REQUIRED,
		.authorize = authorize,
		.arg = b,
	};
	return writ_tls_apply(ctx, &cfg, provide, b, err);
}

static int make(struct writ_x509_source *s, const struct writ_authorize *a, bool server,
	SSL_CTX **ret, struct writ_error *error)
{
	struct writ_err err = { 0 };
	if (writ_source_forked(s, error))
		return WRIT_ERROR_FORKED;
	SSL_CTX *ctx = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());
	writ_rc rc = ctx ? writ_source_apply(s, a, server, ctx, &err)
			 : writ_fail(&err, WRIT_EINTERNAL, "OpenSSL gave no context");
	if (rc != WRIT_OK) {
		SSL_CTX_free(ctx);
		return writ_source_error(error, &err);
	}
	*ret = ctx;
	return 0;
}

int writ_tls_server(struct writ_x509_source *s, const struct writ_authorize *a, SSL_CTX **ret,
	struct writ_error *error)
{
	return make(s, a, true, ret, error);
}

int writ_tls_client(struct writ_x509_source *s, const struct writ_authorize *a, SSL_CTX **ret,
	struct writ_error *error)
{
	return make(s, a, false, ret, error);
}

const char *writ_tls_peer(const SSL *ssl)
{
	return writ_tls_ssl_peer_id(ssl);
}
