/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/tbs.h"

#include "base/mem.h"

#define EXT_MAX 32

static const uint8_t oid_server[] = { 0x2b, 6, 1, 5, 5, 7, 3, 1 };
static const uint8_t oid_client[] = { 0x2b, 6, 1, 5, 5, 7, 3, 2 };

bool writ_san_next(struct writ_der *san, uint8_t *tag, struct writ_der *name)
{
	return san->n && writ_der_any(san, tag, name, NULL);
}

static bool read_ski(struct writ_tbs *t, struct writ_der v)
{
	return writ_der_get(&v, WRIT_DER_OCTETS, &t->ski) && t->ski.n && !v.n;
}

static bool read_aki(struct writ_tbs *t, struct writ_der v)
{
	if (!writ_der_get(&v, WRIT_DER_SEQ, &t->aki_body) || v.n)
		return false;
	struct writ_der at = t->aki_body;
	if (writ_der_is(&at, 0x80) && !writ_der_get(&at, 0x80, &t->aki))
		return false;
	uint8_t tag;
	while (at.n) {
		if (!writ_der_any(&at, &tag, NULL, NULL) || (tag != 0xa1 && tag != 0x82))
			return false;
	}
	return true;
}

static bool read_ku(struct writ_tbs *t, struct writ_der v)
{
	struct writ_der bits;
	if (!writ_der_get(&v, WRIT_DER_BITS, &bits) || v.n || bits.n < 2 || bits.n > 3 ||
		bits.p[0] > 7)
		return false;
	if (bits.p[bits.n - 1] & ((1U << bits.p[0]) - 1))
		return false;
	for (unsigned i = 0; i < 8; i++) {
		if (bits.p[1] & (0x80U >> i))
			t->key_usage |= 1U << i;
	}
	if (bits.n == 3 && bits.p[2])
		t->key_usage |= 1U << 8;
	return true;
}

static bool read_eku(struct writ_tbs *t, struct writ_der v)
{
	struct writ_der list, oid;
	if (!writ_der_get(&v, WRIT_DER_SEQ, &list) || v.n || !list.n)
		return false;
	while (list.n) {
		if (!writ_der_get(&list, WRIT_DER_OID, &oid) || !oid.n)
			return false;
		if (writ_der_eq(oid, writ_der(oid_server, sizeof(oid_server))))
			t->ext_key_usage |= WRIT_TBS_EKU_SERVER;
		else if (writ_der_eq(oid, writ_der(oid_client, sizeof(oid_client))))
			t->ext_key_usage |= WRIT_TBS_EKU_CLIENT;
		else
			t->ext_key_usage |= WRIT_TBS_EKU_OTHER;
	}
	return true;
}

static bool read_bool(struct writ_der *at, bool *ret)
{
	struct writ_der v;
	if (!writ_der_get(at, WRIT_DER_BOOL, &v) || v.n != 1 || (v.p[0] != 0 && v.p[0] != 0xff))
		return false;
	*ret = v.p[0] != 0;
	return true;
}

static bool read_bc(struct writ_tbs *t, struct writ_der v)
{
	if (!writ_der_get(&v, WRIT_DER_SEQ, &t->bc) || v.n)
		return false;
	struct writ_der at = t->bc, len;
	if (writ_der_is(&at, WRIT_DER_BOOL) && !read_bool(&at, &t->ca))
		return false;
	if (at.n) {
		t->has_pathlen = true;
		if (!writ_der_get(&at, WRIT_DER_INT, &len) || !len.n || len.p[0] & 0x80)
			return false;
	}
	return !at.n;
}

static bool read_san(struct writ_tbs *t, struct writ_der v)
{
	if (!writ_der_get(&v, WRIT_DER_SEQ, &t->san) || v.n || !t->san.n)
		return false;
	struct writ_der at = t->san, name;
	uint8_t tag;
	while (at.n) {
		if (!writ_der_any(&at, &tag, &name, NULL) || (tag & 0xc0) != 0x80 ||
			++t->n_names > WRIT_SAN_MAX)
			return false;
		t->n_uris += tag == WRIT_SAN_URI;
		t->n_dns += tag == WRIT_SAN_DNS;
	}
	return true;
}

/* Extensions of id-ce, 2.5.29.x. */
static const struct {
	uint8_t last; /* x */
	enum writ_ext ext;
	const char *name;
	bool (*read)(struct writ_tbs *t, struct writ_der value);
} exts[] = {
	{ 14, WRIT_EXT_SKI, "subjectKeyIdentifier", read_ski },
	{ 15, WRIT_EXT_KU, "keyUsage", read_ku },
	{ 17, WRIT_EXT_SAN, "subjectAltName", read_san },
	{ 19, WRIT_EXT_BC, "basicConstraints", read_bc },
	{ 35, WRIT_EXT_AKI, "authorityKeyIdentifier", read_aki },
	{ 37, WRIT_EXT_EKU, "extKeyUsage", read_eku },
};

static writ_rc read_ext(
	struct writ_der ext, struct writ_tbs *t, struct writ_der *oid, struct writ_err *err)
{
	struct writ_der value;
	bool critical = false;
	if (!writ_der_get(&ext, WRIT_DER_OID, oid) || !oid->n ||
		(writ_der_is(&ext, WRIT_DER_BOOL) && !read_bool(&ext, &critical)) ||
		!writ_der_get(&ext, WRIT_DER_OCTETS, &value) || ext.n)
		return writ_fail(err, WRIT_EINVAL, "malformed extension");
	enum writ_ext which = WRIT_EXT_OTHER;
	for (size_t i = 0; i < WRIT_COUNT(exts); i++) {
		if (oid->n != 3 || oid->p[0] != 0x55 || oid->p[1] != 0x1d ||
			oid->p[2] != exts[i].last)
			continue;
		which = exts[i].ext;
		if (!(t->seen & 1U << which) && !exts[i].read(t, value))
			return writ_fail(err, WRIT_EINVAL, "malformed extension %s", exts[i].name);
	}
	t->seen |= 1U << which;
	if (critical)
		t->critical |= 1U << which;
	return WRIT_OK;
}

static writ_rc read_exts(struct writ_der at, struct writ_tbs *t, struct writ_err *err)
{
	struct writ_der oids[EXT_MAX], wrapped, list, ext;
	size_t n = 0;
	if (!writ_der_get(&at, 0xa3, &wrapped) || at.n ||
		!writ_der_get(&wrapped, WRIT_DER_SEQ, &list) || wrapped.n || !list.n)
		return writ_fail(err, WRIT_EINVAL, "malformed list of extensions");
	while (list.n) {
		if (n == EXT_MAX)
			return writ_fail(err, WRIT_EINVAL, "more than %d extensions", EXT_MAX);
		if (!writ_der_get(&list, WRIT_DER_SEQ, &ext))
			return writ_fail(err, WRIT_EINVAL, "malformed extension");
		writ_rc rc = read_ext(ext, t, &oids[n], err);
		if (rc != WRIT_OK)
			return rc;
		for (size_t i = 0; i < n; i++) {
			t->duplicate = t->duplicate || writ_der_eq(oids[i], oids[n]);
		}
		n++;
	}
	return WRIT_OK;
}

static bool read_version(struct writ_der *at, unsigned *version)
{
	struct writ_der wrapped, v;
	*version = 1;
	if (!writ_der_is(at, 0xa0))
		return true;
	if (!writ_der_get(at, 0xa0, &wrapped) || !writ_der_get(&wrapped, WRIT_DER_INT, &v) ||
		wrapped.n || v.n != 1 || v.p[0] < 1 || v.p[0] > 2)
		return false;
	*version = v.p[0] + 1U;
	return true;
}

static bool read_serial(struct writ_der *at, struct writ_der *ret)
{
	struct writ_der v;
	if (!writ_der_get(at, WRIT_DER_INT, &v) || !v.n || v.n > 20 || v.p[0] & 0x80)
		return false;
	if (v.n > 1 && !v.p[0] && !(v.p[1] & 0x80))
		return false; /* not the shortest form */
	*ret = v;
	return true;
}

static bool get_whole(struct writ_der *at, struct writ_der *whole)
{
	return writ_der_is(at, WRIT_DER_SEQ) && writ_der_any(at, NULL, NULL, whole);
}

static bool read_validity(struct writ_der *at, struct writ_tbs *t)
{
	struct writ_der v;
	return writ_der_get(at, WRIT_DER_SEQ, &v) &&
		writ_der_get_time(&v, &t->not_before_tag, &t->not_before) &&
		writ_der_get_time(&v, &t->not_after_tag, &t->not_after) && !v.n;
}

static const char *read_fields(struct writ_der *at, struct writ_tbs *t)
{
	if (!read_version(at, &t->version))
		return "version";
	if (!read_serial(at, &t->serial))
		return "serial number (1 to 20 octets, not negative)";
	if (!get_whole(at, &t->sigalg))
		return "signature algorithm";
	if (!get_whole(at, &t->issuer))
		return "issuer";
	if (!read_validity(at, t))
		return "validity";
	if (!get_whole(at, &t->subject))
		return "subject";
	return get_whole(at, &t->spki) ? NULL : "public key";
}

writ_rc writ_tbs_parse(const void *der, size_t n, struct writ_tbs *ret, struct writ_err *err)
{
	struct writ_tbs t = { 0 };
	struct writ_der all = writ_der(der, n), at;
	if (!writ_der_get(&all, WRIT_DER_SEQ, &at) || all.n)
		return writ_fail(err, WRIT_EINVAL, "not one DER sequence");
	const char *bad = read_fields(&at, &t);
	if (bad)
		return writ_fail(err, WRIT_EINVAL, "malformed %s", bad);
	/* [1] and [2], the unique identifiers of X.509v2: passed over. */
	for (uint8_t tag = 0x81; tag <= 0x82; tag++) {
		if (writ_der_is(&at, tag) && !writ_der_any(&at, NULL, NULL, NULL))
			return writ_fail(err, WRIT_EINVAL, "malformed unique identifier");
	}
	writ_rc rc = at.n ? read_exts(at, &t, err) : WRIT_OK;
	if (rc == WRIT_OK)
		*ret = t;
	return rc;
}
