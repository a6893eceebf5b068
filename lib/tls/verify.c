/* SPDX-License-Identifier: Apache-2.0 */
/* Who the peer is: the one place where a chain from the wire becomes an identity. */
#include "tls/tls_impl.h"

#include "base/clock.h"
#include "base/mem.h"

#include <openssl/err.h>

void writ_tls_seen_done(struct writ_tls_seen *s)
{
	writ_certs_unref(s->chain, s->n_chain);
	s->n_chain = 0;
	writ_free(s->id);
	writ_free(s->why);
	s->id = NULL;
	s->why = NULL;
}

static writ_rc take_chain(X509_STORE_CTX *x, struct writ_tls_seen *seen, struct writ_err *err)
{
	STACK_OF(X509) *sent = X509_STORE_CTX_get0_untrusted(x);
	int n = sent ? sk_X509_num(sent) : 0;
	if (n < 1)
		return writ_fail(err, WRIT_ECRYPTO, "the peer presented an empty chain");
	if (n > WRIT_CHAIN_MAX)
		return writ_fail(err, WRIT_ELIMIT,
			"the peer presented %d certificates, at most %d are taken", n,
			WRIT_CHAIN_MAX);
	for (int i = 0; i < n; i++) {
		writ_rc rc = writ_cert_from_x509(
			sk_X509_value(sent, i), &seen->chain[seen->n_chain], err);
		if (rc != WRIT_OK)
			return writ_wrap(
				err, rc, "certificate %d of %d that the peer presented", i + 1, n);
		seen->n_chain++;
	}
	return WRIT_OK;
}

static writ_rc check(const struct writ_tls_config *cfg, const struct writ_bundles *bundles,
	const struct writ_tls_seen *seen, struct writ_id *id, struct writ_err *err)
{
	writ_rc rc;
	if (cfg->peer == WRIT_TLS_PEER_UNVERIFIED)
		rc = writ_svid_check_leaf(seen->chain[0], id, err);
	else
		rc = writ_svid_verify(seen->chain, seen->n_chain, bundles,
			cfg->server ? WRIT_PURPOSE_TLS_CLIENT : WRIT_PURPOSE_TLS_SERVER,
			writ_wall_s(), id, err);
	if (rc == WRIT_OK && cfg->authorize)
		rc = cfg->authorize(cfg->arg, id, err);
	return rc;
}

/* Puts in front of the reason what was presented, so that the line in the log stands by itself. */
static writ_rc say_what(const struct writ_cert *leaf, writ_rc rc, struct writ_err *err)
{
	char until[32];
	writ_format_time(writ_cert_not_after(leaf), until, sizeof(until));
	struct writ_str uri =
		writ_cert_uri_count(leaf) ? writ_cert_uri(leaf, 0) : WRIT_STR("no SPIFFE ID");
	if (uri.n > 160)
		uri.n = 160;
	return writ_wrap(err, rc, "the peer presented " WRIT_FMT " (serial %s, valid until %s)",
		WRIT_ARG(uri), writ_cert_serial_hex(leaf), until);
}

static int alert_of(writ_rc rc)
{
	static const struct {
		writ_rc rc;
		int verdict;
	} rows[] = {
		{ WRIT_EEXPIRED, X509_V_ERR_CERT_HAS_EXPIRED },
		{ WRIT_EUNAUTH, X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY },
		{ WRIT_EDENIED, X509_V_ERR_CERT_REJECTED },
	};
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		if (rows[i].rc == rc)
			return rows[i].verdict;
	}
	return X509_V_ERR_CERT_UNTRUSTED;
}

writ_rc writ_tls_judge(X509_STORE_CTX *x, const struct writ_tls_config *cfg,
	const struct writ_bundles *bundles, struct writ_tls_seen *seen, struct writ_err *err)
{
	struct writ_tls_seen mine = { .n_chain = 0 };
	struct writ_id id;
	writ_rc rc = take_chain(x, &mine, err);
	if (rc == WRIT_OK) {
		rc = check(cfg, bundles, &mine, &id, err);
		if (rc != WRIT_OK)
			rc = say_what(mine.chain[0], rc, err);
	}
	X509_STORE_CTX_set_error(x, rc == WRIT_OK ? X509_V_OK : alert_of(rc));
	ERR_clear_error();
	if (rc == WRIT_OK && seen) {
		mine.id = writ_strndup(id.uri.p, id.uri.n);
		writ_tls_seen_done(seen);
		*seen = mine;
	} else {
		writ_tls_seen_done(&mine);
	}
	return rc;
}

writ_rc writ_tls_reverify(const struct writ_tls *t, const struct writ_bundles *bundles, int64_t now,
	struct writ_err *err)
{
	struct writ_id id;
	if (!t->seen.n_chain)
		return WRIT_OK; /* no identity was claimed, so none can be lost */
	writ_rc rc = writ_svid_verify(t->seen.chain, t->seen.n_chain, bundles,
		t->ctx->cfg.server ? WRIT_PURPOSE_TLS_CLIENT : WRIT_PURPOSE_TLS_SERVER, now, &id,
		err);
	return rc == WRIT_OK ? rc : say_what(t->seen.chain[0], rc, err);
}
