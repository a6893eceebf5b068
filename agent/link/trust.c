/* SPDX-License-Identifier: Apache-2.0 */
#include "link/trust.h"

#include "base/log.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static writ_rc is_server(void *arg, const struct writ_id *id, struct writ_err *err)
{
	(void)arg;
	if (writ_str_eq(id->path, WRIT_STR("/spire/server")))
		return WRIT_OK;
	return writ_fail(err, WRIT_EDENIED,
		"whoever answers there is " WRIT_FMT ", not the server of its trust domain",
		WRIT_ARG(id->uri));
}

/* While the chain is not checked, nothing else ties the ID to the trust domain. */
static writ_rc is_server_of(void *arg, const struct writ_id *id, struct writ_err *err)
{
	const char *td = arg;
	writ_rc rc = is_server(NULL, id, err);
	if (rc == WRIT_OK && !writ_str_eq(id->td, writ_cstr(td)))
		rc = writ_fail(err, WRIT_EDENIED,
			"the server there is of trust domain '" WRIT_FMT "', not '%s'",
			WRIT_ARG(id->td), td);
	return rc;
}

static bool any_in_time(const struct writ_bundle *b, int64_t now)
{
	for (size_t i = 0; i < b->n; i++) {
		if (writ_cert_not_after(b->cas[i]) >= now)
			return true;
	}
	return false;
}

static writ_rc both(const struct writ_bundle *a, const struct writ_bundle *b,
	struct writ_bundle **ret, struct writ_err *err)
{
	size_t n = 0;
	WRIT_AUTO(writ_freep)
	struct writ_cert **cas = writ_alloc_array(a->n + b->n, sizeof(struct writ_cert *));
	for (size_t i = 0; i < a->n; i++)
		cas[n++] = a->cas[i];
	for (size_t i = 0; i < b->n; i++)
		cas[n++] = b->cas[i];
	return writ_bundle_new(writ_cstr(a->td), cas, NULL, n, 0, 0, ret, err);
}

writ_rc writ_trust_choose(struct writ_bundle *ours, struct writ_bundle *configured,
	bool first_contact, int64_t now, struct writ_bundle **ret, struct writ_err *err)
{
	bool again = first_contact ||
		(ours && configured && !any_in_time(ours, now) && any_in_time(configured, now));
	if (ours && configured && again)
		return both(ours, configured, ret, err);
	struct writ_bundle *one = ours ? ours : configured;
	*ret = one ? writ_bundle_ref(one) : NULL;
	return WRIT_OK;
}

/* The anchors to check the server with: after a long outage also expired ones. */
static writ_rc pick(
	const struct writ_trust_config *cfg, struct writ_bundle **ret, struct writ_err *err)
{
	struct writ_bundle *b = cfg->bundle, *old;
	if (any_in_time(b, cfg->now)) {
		*ret = writ_bundle_ref(b);
		return WRIT_OK;
	}
	writ_rc rc =
		writ_bundle_new(writ_cstr(b->td), b->cas, NULL, b->n, b->sequence, 0, &old, err);
	if (rc != WRIT_OK)
		return rc;
	writ_anchors_allow_expired(old->anchors, WRIT_OLD_ANCHOR_S);
	WRIT_LOG(WARN, "trust.expired_anchors", WRIT_KV("trust_domain", b->td),
		WRIT_KV("accepted_for_days", WRIT_OLD_ANCHOR_S / 86400));
	*ret = old;
	return WRIT_OK;
}

writ_rc writ_trust_server(
	const struct writ_trust_config *cfg, struct writ_tls_ctx **ret, struct writ_err *err)
{
	WRIT_AUTO(writ_bundle_unrefp) struct writ_bundle *b = NULL;
	WRIT_AUTO(writ_bundles_unrefp) struct writ_bundles *set = NULL;
	union {
		const char *in;
		void *out;
	} td = { .in = cfg->td };
	struct writ_tls_config tls = {
		.peer = WRIT_TLS_PEER_REQUIRED,
		.h2 = true,
		.svid = cfg->svid,
		.authorize = is_server_of,
		.arg = td.out,
	};
	if (cfg->bundle) {
		writ_rc rc = pick(cfg, &b, err);
		if (rc != WRIT_OK)
			return rc;
		tls.bundles = set = writ_bundles_with(NULL, b);
	} else if (cfg->insecure) {
		tls.peer = WRIT_TLS_PEER_UNVERIFIED;
	} else {
		return writ_fail(err, WRIT_EPRECOND,
			"there is nothing to check the server with: set trust_bundle_path "
			"(writ bundle show > bundle.pem, on the server)");
	}
	return writ_tls_ctx_new(&tls, ret, err);
}

/* Follows links: a mounted ConfigMap is one. */
static writ_rc read_all(const char *path, struct writ_buf *out, struct writ_err *err)
{
	WRIT_AUTO(writ_closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return writ_fail_errno(err, errno, "trust_bundle_path '%s'", path);
	for (;;) {
		uint8_t *room = writ_buf_room(out, 16384);
		if (!room)
			return writ_buf_check(out, path, err);
		ssize_t n = read(fd, room, 16384);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return writ_fail_errno(err, errno, "trust_bundle_path '%s'", path);
		if (!n)
			return WRIT_OK;
		writ_buf_grew(out, (size_t)n);
	}
}

writ_rc writ_trust_load(const char *path, bool is_spiffe, struct writ_str td,
	struct writ_bundle **ret, struct writ_err *err)
{
	WRIT_AUTO(writ_buf_done) struct writ_buf text = WRIT_BUF(WRIT_BUNDLE_BYTES_MAX);
	struct writ_bundle *b;
	writ_rc rc = read_all(path, &text, err);
	if (rc != WRIT_OK)
		return rc;
	rc = is_spiffe ? writ_bundle_parse_jwks(td, writ_buf_str(&text), &b, err)
		       : writ_bundle_parse_pem(td, writ_buf_str(&text), &b, err);
	if (rc == WRIT_OK && !b->n) {
		writ_bundle_unref(b);
		rc = writ_fail(err, WRIT_EINVAL, "no CA certificate in it");
	}
	if (rc != WRIT_OK)
		return writ_wrap(err, rc, "trust_bundle_path '%s'", path);
	*ret = b;
	return WRIT_OK;
}
