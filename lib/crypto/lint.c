/* SPDX-License-Identifier: Apache-2.0 */
/* The profile rules: the last look at a certificate before it is signed. They read the bytes that
 * will be signed and share no code with what built them, the grammar of SPIFFE IDs included. */
#include "crypto/issue.h"

#include "base/mem.h"
#include "crypto/algs.h"
#include "crypto/name.h"
#include "crypto/tbs.h"

#include <string.h>

#define TOTAL_MAX    4096
#define ID_MAX       2048
#define TD_MAX       255
#define BACKDATE_MAX 70
#define YEAR_2050    2524608000

struct lint {
	const struct writ_issue *req;
	struct writ_tbs t;
	size_t n; /* of the TBS */
	bool ca, self_signed;
	struct writ_der uri; /* the first one */
	struct writ_str td, path;
};

typedef const char *(*rule_fn)(const struct lint *l);

static bool has(const struct lint *l, enum writ_ext e)
{
	return l->t.seen & 1U << e;
}

static bool critical(const struct lint *l, enum writ_ext e)
{
	return l->t.critical & 1U << e;
}

static bool same(struct writ_der d, const void *p, size_t n)
{
	return writ_der_eq(d, writ_der(p, n));
}

static bool all_in(struct writ_str s, bool upper)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		bool low = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' ||
			c == '-' || c == '_';
		if (!low && !(upper && c >= 'A' && c <= 'Z'))
			return false;
	}
	return true;
}

/* Cuts "spiffe://td/path" into its parts, without judging them. */
static void split(struct lint *l)
{
	static const struct writ_str scheme = { "spiffe://", 9 };
	struct writ_str s = writ_strn(l->uri.p, l->uri.n);
	if (!writ_str_starts(s, scheme))
		return;
	s = writ_strn(s.p + scheme.n, s.n - scheme.n);
	const char *slash = s.n ? memchr(s.p, '/', s.n) : NULL;
	l->td = writ_strn(s.p, slash ? (size_t)(slash - s.p) : s.n);
	l->path = writ_strn(s.p + l->td.n, s.n - l->td.n);
}

static const char *l1(const struct lint *l)
{
	struct writ_str rest = l->path, seg;
	if (!l->td.n || l->td.n > TD_MAX || !all_in(l->td, false) || l->uri.n > ID_MAX)
		return "the URI SAN is no SPIFFE ID";
	if (rest.n) {
		writ_str_cut(&rest, '/', &seg);
		bool more;
		do {
			more = writ_str_cut(&rest, '/', &seg);
			if (!seg.n || !all_in(seg, true) || writ_str_eq(seg, WRIT_STR(".")) ||
				writ_str_eq(seg, WRIT_STR("..")))
				return "the path of the SPIFFE ID is malformed";
		} while (more);
	}
	return same(l->uri, l->req->spiffe_id, strlen(l->req->spiffe_id))
		? NULL
		: "the URI SAN is not the SPIFFE ID that was asked for";
}

static const char *l2(const struct lint *l)
{
	if (!writ_str_eq(l->td, writ_cstr(l->req->trust_domain)))
		return "the SPIFFE ID is not in the issuer's trust domain";
	if (l->ca || !l->req->issuer || !writ_cert_uri_count(l->req->issuer))
		return NULL;
	struct writ_str of_issuer = writ_cert_uri(l->req->issuer, 0);
	return of_issuer.n == 9 + l->td.n && !memcmp(of_issuer.p, l->uri.p, of_issuer.n)
		? NULL
		: "the issuer's own SPIFFE ID is not its trust domain's";
}

static const char *l3(const struct lint *l)
{
	if (l->t.n_uris != 1)
		return l->t.n_uris ? "exactly one URI SAN, more found"
				   : "exactly one URI SAN, none found";
	return l->t.n_names == l->t.n_uris + l->t.n_dns ? NULL
							: "a SAN that is neither URI nor DNS name";
}

static const char *l4(const struct lint *l)
{
	if (l->ca)
		return l->path.n ? "the SPIFFE ID of a CA has a path" : NULL;
	return l->path.n ? NULL : "the SPIFFE ID of a leaf has no path";
}

static const char *l5(const struct lint *l)
{
	bool nameless = l->t.subject.n <= 2;
	return critical(l, WRIT_EXT_SAN) == nameless ? NULL
		: nameless ? "the subject is empty and the SAN is not critical"
			   : "the SAN is critical and the subject is not empty";
}

static const char *l6(const struct lint *l)
{
	if (!has(l, WRIT_EXT_BC) || !critical(l, WRIT_EXT_BC))
		return "basicConstraints is missing or not critical";
	if (l->ca)
		return l->t.ca ? NULL : "a CA without cA";
	return l->t.bc.n == 0 ? NULL : "a leaf's basicConstraints is not empty";
}

static const char *l7(const struct lint *l)
{
	const unsigned leaf = WRIT_TBS_KU_DIGITAL_SIGNATURE | WRIT_TBS_KU_KEY_ENCIPHERMENT |
		WRIT_TBS_KU_KEY_AGREEMENT;
	const unsigned ca = WRIT_TBS_KU_KEY_CERT_SIGN | WRIT_TBS_KU_CRL_SIGN;
	if (!has(l, WRIT_EXT_KU) || !critical(l, WRIT_EXT_KU))
		return "keyUsage is missing or not critical";
	return l->t.key_usage == (l->ca ? ca : leaf) ? NULL : "keyUsage is not the profile's";
}

static const char *l8(const struct lint *l)
{
	const unsigned both = WRIT_TBS_EKU_SERVER | WRIT_TBS_EKU_CLIENT;
	return l->ca || l->t.ext_key_usage == both
		? NULL
		: "a leaf's extKeyUsage is not serverAuth and clientAuth";
}

static const char *l9(const struct lint *l)
{
	return l->ca && has(l, WRIT_EXT_EKU) ? "a CA has extKeyUsage" : NULL;
}

static const char *l10(const struct lint *l)
{
	if (!same(l->t.ski, l->req->key->ski, sizeof(l->req->key->ski)))
		return "subjectKeyIdentifier is not the key's";
	if (critical(l, WRIT_EXT_SKI) || critical(l, WRIT_EXT_AKI))
		return "a key identifier is critical";
	if (l->self_signed)
		return has(l, WRIT_EXT_AKI) ? "a self-signed CA has authorityKeyIdentifier" : NULL;
	struct writ_str id = writ_cert_ski(l->req->issuer);
	if (!id.n)
		return "the issuer has no subjectKeyIdentifier";
	/* Inside there is [0] with its two header bytes, and nothing else. */
	return same(l->t.aki, id.p, id.n) && l->t.aki_body.n == id.n + 2
		? NULL
		: "authorityKeyIdentifier is not the issuer's subjectKeyIdentifier";
}

static const char *l11(const struct lint *l)
{
	struct writ_der s = l->t.serial, asked = writ_der(l->req->serial, WRIT_SERIAL_LEN);
	if (s.n > WRIT_SERIAL_LEN)
		return "the serial number is longer than 127 bits";
	if (s.n && !s.p[0])
		s = writ_der(s.p + 1, s.n - 1);
	while (asked.n && !*asked.p)
		asked = writ_der(asked.p + 1, asked.n - 1);
	if (s.n <= 8)
		return "the serial number is too short to be random";
	return writ_der_eq(s, asked) ? NULL : "the serial number is not the one that was drawn";
}

static const char *l12(const struct lint *l)
{
	int64_t now = l->req->now;
	if (l->t.not_before != l->req->not_before)
		return "notBefore is not what was asked for";
	if (now && (l->t.not_before > now || l->t.not_before < now - BACKDATE_MAX))
		return "notBefore is not 0 to 70 seconds ago";
	return !l->self_signed && l->t.not_before < writ_cert_not_before(l->req->issuer)
		? "notBefore is before the issuer's"
		: NULL;
}

static const char *l13(const struct lint *l)
{
	if (l->t.not_after != l->req->not_after || l->t.not_after <= l->t.not_before)
		return "notAfter is not what was asked for, or not after notBefore";
	return !l->self_signed && l->t.not_after > writ_cert_not_after(l->req->issuer)
		? "it would outlive its issuer"
		: NULL;
}

static const char *l14(const struct lint *l)
{
	if (l->t.duplicate)
		return "an extension stands there twice";
	return has(l, WRIT_EXT_OTHER) ? "an extension that is not in the profile" : NULL;
}

static const char *l15(const struct lint *l)
{
	if (l->t.version != 3)
		return "not version 3";
	if (!l->t.sigalg.n ||
		!writ_der_eq(l->t.sigalg, writ_sigalg_of(writ_key_type_of(l->req->issuer_key))))
		return "the signature algorithm is not the one of the issuer's key";
	struct writ_str ca = l->self_signed ? writ_strn(l->t.subject.p, l->t.subject.n)
					    : writ_cert_subject_der(l->req->issuer);
	if (!same(l->t.issuer, ca.p, ca.n))
		return "the issuer's name is not the CA's subject";
	if (!writ_name_ok(l->t.subject))
		return "the subject is malformed or larger than 1 KiB";
	return l->ca && l->t.subject.n <= 2 ? "a CA without a name" : NULL;
}

static const char *l16(const struct lint *l)
{
	if (l->t.has_pathlen)
		return "a pathLenConstraint";
	return l->self_signed || writ_cert_is_ca(l->req->issuer) ? NULL : "the issuer is no CA";
}

static const char *l17(const struct lint *l)
{
	const struct writ_pubkey *k = l->req->key;
	struct writ_str of_issuer =
		l->self_signed ? writ_strn(NULL, 0) : writ_cert_spki(l->req->issuer);
	if (!same(l->t.spki, k->spki, k->spki_len))
		return "the public key is not the one that was asked for";
	return same(l->t.spki, of_issuer.p, of_issuer.n) ? "the public key is the issuer's own"
							 : NULL;
}

static const char *l18(const struct lint *l)
{
	bool start = (l->t.not_before < YEAR_2050) == (l->t.not_before_tag == WRIT_DER_UTC);
	bool end = (l->t.not_after < YEAR_2050) == (l->t.not_after_tag == WRIT_DER_UTC);
	return start && end ? NULL : "a time in the wrong form for its year";
}

static bool is_host(struct writ_der d)
{
	struct writ_str name = writ_strn(d.p, d.n), label;
	if (!name.n || name.n > 253)
		return false;
	if (writ_str_starts(name, WRIT_STR("*.")))
		name = writ_strn(name.p + 2, name.n - 2);
	bool more;
	do {
		more = writ_str_cut(&name, '.', &label);
		if (!label.n || label.n > 63 || !all_in(label, true) ||
			memchr(label.p, '_', label.n) || label.p[0] == '-' ||
			label.p[label.n - 1] == '-')
			return false;
	} while (more);
	return true;
}

static const char *l20(const struct lint *l)
{
	struct writ_der at = l->t.san, name;
	uint8_t tag;
	size_t i = 0;
	while (writ_san_next(&at, &tag, &name)) {
		if (tag != WRIT_SAN_DNS)
			continue;
		if (i == l->req->n_dns || !same(name, l->req->dns[i], strlen(l->req->dns[i])))
			return "the DNS names are not the ones that were asked for";
		if (!is_host(name))
			return "a DNS name that is no host name";
		i++;
	}
	if (i != l->req->n_dns || i > WRIT_DNS_MAX)
		return "the number of DNS names is not what was asked for, or too large";
	return l->ca && i ? "a CA with a DNS name" : NULL;
}

static const char *l21(const struct lint *l)
{
	/* Around the TBS: two headers, the algorithm, the signature. */
	size_t sig = writ_key_type_of(l->req->issuer_key) == WRIT_KEY_RSA4096 ? 512
		: writ_key_type_of(l->req->issuer_key) == WRIT_KEY_RSA2048    ? 256
									      : 104;
	return l->n + sig + 32 <= TOTAL_MAX ? NULL : "the certificate is larger than 4 KiB";
}

/* L19, the form itself, is what writ_tbs_parse and writ_issue_check see. L3 comes before the rules
 * that look into the one URI. */
static const struct {
	const char *name;
	rule_fn fn;
} rules[] = {
	{ "L14", l14 },
	{ "L15", l15 },
	{ "L3", l3 },
	{ "L1", l1 },
	{ "L2", l2 },
	{ "L4", l4 },
	{ "L5", l5 },
	{ "L6", l6 },
	{ "L7", l7 },
	{ "L8", l8 },
	{ "L9", l9 },
	{ "L10", l10 },
	{ "L11", l11 },
	{ "L12", l12 },
	{ "L13", l13 },
	{ "L16", l16 },
	{ "L17", l17 },
	{ "L18", l18 },
	{ "L20", l20 },
	{ "L21", l21 },
};

writ_rc writ_lint(const void *tbs, size_t n, const struct writ_issue *req, struct writ_err *err)
{
	struct lint l = { .req = req,
		.n = n,
		.ca = req->profile == WRIT_PROFILE_CA,
		.self_signed = !req->issuer };
	uint8_t tag = 0;
	writ_rc rc = writ_tbs_parse(tbs, n, &l.t, err);
	if (rc != WRIT_OK)
		return writ_wrap(err, WRIT_EINVAL, "L19");
	if (l.self_signed && !l.ca)
		return writ_fail(err, WRIT_EINVAL, "L16: a leaf without an issuer");
	struct writ_der at = l.t.san, name;
	while (!l.uri.n && writ_san_next(&at, &tag, &name)) {
		if (tag == WRIT_SAN_URI)
			l.uri = name;
	}
	split(&l);
	for (size_t i = 0; i < WRIT_COUNT(rules); i++) {
		const char *bad = rules[i].fn(&l);
		if (bad)
			return writ_fail(err, WRIT_EINVAL, "%s: %s", rules[i].name, bad);
	}
	return WRIT_OK;
}
