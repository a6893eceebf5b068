/* SPDX-License-Identifier: Apache-2.0 */
/* The half of cert.h that verifies: anchors and paths. */
#include "crypto/cert.h"

#include "base/mem.h"
#include "crypto/ossl.h"

#include <inttypes.h>
#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#define DEPTH_MAX  4
#define AUTH_LEVEL 2 /* 112 bits: no SHA-1, no RSA under 2048 */

struct writ_anchors {
	int refs;
	size_t n;
	int64_t expired_grace_s;
	X509_STORE *store; /* OpenSSL locks it itself */
};

static int grace_index(void)
{
	static int index = -1;
	int i = __atomic_load_n(&index, __ATOMIC_ACQUIRE);
	if (i >= 0)
		return i;
	int made = X509_STORE_CTX_get_ex_new_index(0, NULL, NULL, NULL, NULL), none = -1;
	/* Two threads at once: the number of the one that comes second is never used. */
	return __atomic_compare_exchange_n(
		       &index, &none, made, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)
		? made
		: none;
}

/* Passes over one thing: that the anchor, and nothing below it, expired a while ago. */
static int pass_old_anchor(int ok, X509_STORE_CTX *ctx)
{
	const struct writ_anchors *a = X509_STORE_CTX_get_ex_data(ctx, grace_index());
	int depth = X509_STORE_CTX_get_error_depth(ctx);
	int last = sk_X509_num(X509_STORE_CTX_get0_chain(ctx)) - 1;
	if (ok || !a || X509_STORE_CTX_get_error(ctx) != X509_V_ERR_CERT_HAS_EXPIRED || depth < 1 ||
		depth != last)
		return ok;
	X509 *anchor = X509_STORE_CTX_get_current_cert(ctx);
	time_t now = X509_VERIFY_PARAM_get_time(X509_STORE_CTX_get0_param(ctx));
	time_t then = now - (time_t)a->expired_grace_s;
	if (!anchor || X509_cmp_time(X509_get0_notAfter(anchor), &then) <= 0)
		return 0;
	X509_STORE_CTX_set_error(ctx, X509_V_OK);
	return 1;
}

void writ_anchors_allow_expired(struct writ_anchors *a, int64_t grace_s)
{
	a->expired_grace_s = grace_s;
}

writ_rc writ_anchors_new(
	struct writ_cert *const *cas, size_t n, struct writ_anchors **ret, struct writ_err *err)
{
	ERR_clear_error();
	X509_STORE *store = X509_STORE_new();
	if (!store)
		return writ_fail_ossl(err, WRIT_ECRYPTO, "make a set of trust anchors");
	for (size_t i = 0; i < n; i++) {
		/* With PARTIAL_CHAIN every certificate in the store is trusted as it is: a leaf
		 * there would vouch for itself. */
		const char *bad = !writ_cert_is_ca(cas[i]) ? "is not a CA" : NULL;
		X509 *x = bad ? NULL : writ_cert_x509(cas[i]);
		if (x && X509_STORE_add_cert(store, x) == 1)
			continue;
		X509_STORE_free(store);
		if (bad)
			return writ_fail(err, WRIT_EINVAL, "trust anchor %zu of %zu (%s) %s", i + 1,
				n, writ_cert_subject(cas[i]), bad);
		return writ_fail_ossl(err, WRIT_EINVAL, "trust anchor %zu of %zu", i + 1, n);
	}
	struct writ_anchors *a = writ_alloc(sizeof(*a));
	a->refs = 1;
	a->n = n;
	a->store = store;
	*ret = a;
	return WRIT_OK;
}

struct writ_anchors *writ_anchors_ref(struct writ_anchors *a)
{
	if (a)
		__atomic_add_fetch(&a->refs, 1, __ATOMIC_RELAXED);
	return a;
}

void writ_anchors_unref(struct writ_anchors *a)
{
	if (!a || __atomic_sub_fetch(&a->refs, 1, __ATOMIC_ACQ_REL))
		return;
	X509_STORE_free(a->store);
	writ_free(a);
}

/* OpenSSL's verdict as ours. */
static writ_rc refuse(X509_STORE_CTX *ctx, struct writ_cert *const *chain, size_t n, int64_t now,
	struct writ_err *err)
{
	int why = X509_STORE_CTX_get_error(ctx), depth = X509_STORE_CTX_get_error_depth(ctx);
	X509 *at = X509_STORE_CTX_get_current_cert(ctx);
	struct writ_cert *c = NULL, *found = NULL;
	char when[32], clock[32];
	ERR_clear_error();
	if (why != X509_V_ERR_CERT_HAS_EXPIRED && why != X509_V_ERR_CERT_NOT_YET_VALID)
		return writ_fail(err, WRIT_ECRYPTO, "certificate chain of %zu, at depth %d: %s", n,
			depth, X509_verify_cert_error_string(why));
	for (size_t i = 0; i < n; i++) {
		if (at && writ_cert_x509(chain[i]) == at)
			c = chain[i];
	}
	if (!c && at && writ_cert_from_x509(at, &found, NULL) == WRIT_OK)
		c = found;
	writ_format_time(now, clock, sizeof(clock));
	if (!c)
		writ_fail(err, WRIT_EEXPIRED,
			"certificate chain of %zu, at depth %d: %s, now is %s", n, depth,
			X509_verify_cert_error_string(why), clock);
	else if (why == X509_V_ERR_CERT_HAS_EXPIRED)
		writ_fail(err, WRIT_EEXPIRED,
			"certificate at depth %d expired at %s, now is %s: %" PRId64 " s too late",
			depth, writ_format_time(writ_cert_not_after(c), when, sizeof(when)), clock,
			now - writ_cert_not_after(c));
	else
		writ_fail(err, WRIT_EEXPIRED,
			"certificate at depth %d is valid from %s on, now is %s: %" PRId64
			" s too early (compare the clocks)",
			depth, writ_format_time(writ_cert_not_before(c), when, sizeof(when)), clock,
			writ_cert_not_before(c) - now);
	writ_cert_unref(found);
	return WRIT_EEXPIRED;
}

static const struct {
	int purpose;
} purposes[] = {
	[WRIT_PURPOSE_ANY] = { 0 },
	[WRIT_PURPOSE_TLS_SERVER] = { X509_PURPOSE_SSL_SERVER },
	[WRIT_PURPOSE_TLS_CLIENT] = { X509_PURPOSE_SSL_CLIENT },
};

/* Less than X509_STRICT: what other PKIs leave out of their extensions is not asked for. */
#define LOOSE (X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_TRUSTED_FIRST)

struct wish { /* of one verification */
	enum writ_purpose purpose;
	unsigned long flags;
	int64_t now;
	struct writ_cert **path; /* NULL: not wanted */
	size_t *n_path;
};

static bool set_up(
	X509_STORE_CTX *ctx, X509_STORE *store, STACK_OF(X509) * all, const struct wish *w)
{
	if (X509_STORE_CTX_init(ctx, store, sk_X509_value(all, 0), all) != 1)
		return false;
	X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(ctx);
	X509_VERIFY_PARAM_set_depth(param, DEPTH_MAX);
	X509_VERIFY_PARAM_set_auth_level(param, AUTH_LEVEL);
	X509_VERIFY_PARAM_set_time(param, (time_t)w->now);
	return X509_VERIFY_PARAM_set_flags(param, w->flags) == 1 &&
		(!purposes[w->purpose].purpose ||
			X509_VERIFY_PARAM_set_purpose(param, purposes[w->purpose].purpose) == 1);
}

static bool allow_expired(X509_STORE_CTX *ctx, const struct writ_anchors *a)
{
	union {
		const struct writ_anchors *in;
		void *out;
	} arg = { .in = a };
	if (grace_index() < 0 || X509_STORE_CTX_set_ex_data(ctx, grace_index(), arg.out) != 1)
		return false;
	X509_STORE_CTX_set_verify_cb(ctx, pass_old_anchor);
	return true;
}

static STACK_OF(X509) * stack_of(struct writ_cert *const *chain, size_t n)
{
	STACK_OF(X509) *sk = sk_X509_new_null();
	for (size_t i = 0; sk && i < n; i++) {
		X509 *x = writ_cert_x509(chain[i]);
		if (!x || !sk_X509_push(sk, x)) {
			sk_X509_free(sk);
			return NULL;
		}
	}
	return sk;
}

/* The path that was found, by references. */
static writ_rc take_path(
	X509_STORE_CTX *ctx, struct writ_cert **path, size_t *n_path, struct writ_err *err)
{
	const STACK_OF(X509) *found = X509_STORE_CTX_get0_chain(ctx);
	int n = sk_X509_num(found);
	*n_path = 0;
	if (n > WRIT_PATH_MAX)
		return writ_fail(err, WRIT_ECRYPTO, "a path of %d certificates", n);
	for (int i = 0; i < n; i++) {
		writ_rc rc = writ_cert_from_x509(sk_X509_value(found, i), &path[i], err);
		if (rc != WRIT_OK) {
			writ_certs_unref(path, (size_t)i);
			return rc;
		}
	}
	*n_path = (size_t)n;
	return WRIT_OK;
}

static writ_rc verify(const struct writ_anchors *a, struct writ_cert *const *chain, size_t n,
	const struct wish *w, struct writ_err *err)
{
	ERR_clear_error();
	if (n < 1 || n > WRIT_CHAIN_MAX)
		return writ_fail(err, WRIT_ECRYPTO,
			"a chain of %zu certificates, 1 to %d are taken", n, WRIT_CHAIN_MAX);
	if (!a || !a->n)
		return writ_fail(err, WRIT_ECRYPTO, "there is no trust anchor to verify against");
	STACK_OF(X509) *all = stack_of(chain, n);
	X509_STORE_CTX *ctx = all ? X509_STORE_CTX_new() : NULL;
	writ_rc rc = WRIT_OK;
	if (!ctx || !set_up(ctx, a->store, all, w))
		rc = writ_fail_ossl(err, WRIT_ECRYPTO, "certificate chain of %zu: not readable", n);
	else if (a->expired_grace_s > 0 && !allow_expired(ctx, a))
		rc = writ_fail_ossl(err, WRIT_ECRYPTO, "set up the check of a chain");
	else if (X509_verify_cert(ctx) != 1)
		rc = refuse(ctx, chain, n, w->now, err);
	else if (w->path)
		rc = take_path(ctx, w->path, w->n_path, err);
	X509_STORE_CTX_free(ctx);
	sk_X509_free(all);
	ERR_clear_error();
	return rc;
}

writ_rc writ_chain_verify(const struct writ_anchors *a, struct writ_cert *const *chain, size_t n,
	enum writ_purpose purpose, int64_t now, struct writ_err *err)
{
	const struct wish w = { purpose, X509_V_FLAG_X509_STRICT | LOOSE, now, NULL, NULL };
	return verify(a, chain, n, &w, err);
}

writ_rc writ_chain_find(const struct writ_anchors *a, struct writ_cert *const *chain, size_t n,
	int64_t now, struct writ_cert **path, size_t *n_path, struct writ_err *err)
{
	const struct wish w = { WRIT_PURPOSE_ANY, LOOSE, now, path, n_path };
	return verify(a, chain, n, &w, err);
}
