/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates: what stands in them, and what is to be thought of it. */
#include "crypto/ssh_impl.h"

#include "base/mem.h"
#include "crypto/digest.h"

#include <inttypes.h>
#include <string.h>

#define HOST    2
#define FOREVER UINT64_MAX

bool writ__ssh_u32(struct writ_str *at, uint32_t *ret)
{
	const uint8_t *p = (const uint8_t *)at->p;
	if (at->n < 4)
		return false;
	*ret = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
	at->p += 4;
	at->n -= 4;
	return true;
}

bool writ__ssh_u64(struct writ_str *at, uint64_t *ret)
{
	uint32_t high, low;
	if (!writ__ssh_u32(at, &high) || !writ__ssh_u32(at, &low))
		return false;
	*ret = (uint64_t)high << 32 | low;
	return true;
}

bool writ__ssh_string(struct writ_str *at, struct writ_str *ret)
{
	struct writ_str rest = *at;
	uint32_t n;
	if (!writ__ssh_u32(&rest, &n) || n > rest.n)
		return false;
	*ret = (struct writ_str){ rest.p, n };
	*at = (struct writ_str){ rest.p + n, rest.n - n };
	return true;
}

bool writ__ssh_mpint(struct writ_str *at, struct writ_str *ret)
{
	struct writ_str v;
	if (!writ__ssh_string(at, &v) || (v.n && (uint8_t)*v.p & 0x80))
		return false;
	if (v.n && !*v.p) {
		v.p++;
		v.n--;
	}
	*ret = v;
	return true;
}

void writ__ssh_put(struct writ_buf *out, const void *p, size_t n)
{
	const uint8_t size[] = { (uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8),
		(uint8_t)n };
	writ_buf_add(out, size, sizeof(size));
	writ_buf_add(out, p, n);
}

/* The first of a list of principals. */
static bool first_of(struct writ_str list, struct writ_str *ret)
{
	struct writ_str item;
	*ret = (struct writ_str){ NULL, 0 };
	for (bool first = true; list.n; first = false) {
		if (!writ__ssh_string(&list, &item))
			return false;
		if (first)
			*ret = item;
	}
	return true;
}

/* What stands behind the key. */
static bool read_rest(struct writ_str *at, struct writ_ssh_cert *c)
{
	struct writ_str principals, critical, extensions, reserved;
	bool ok = writ__ssh_u64(at, &c->serial) && writ__ssh_u32(at, &c->kind) &&
		writ__ssh_string(at, &c->key_id) && writ__ssh_string(at, &principals) &&
		writ__ssh_u64(at, &c->valid_after) && writ__ssh_u64(at, &c->valid_before) &&
		writ__ssh_string(at, &critical) && writ__ssh_string(at, &extensions) &&
		writ__ssh_string(at, &reserved) && writ__ssh_string(at, &c->ca) &&
		first_of(principals, &c->host);
	c->has_critical = ok && critical.n > 0;
	return ok;
}

static bool read_signature(struct writ_str *at, struct writ_ssh_cert *c)
{
	struct writ_str sig;
	return writ__ssh_string(at, &sig) && !at->n && writ__ssh_string(&sig, &c->sig_format) &&
		writ__ssh_string(&sig, &c->sig) && !sig.n;
}

writ_rc writ_ssh_cert_parse(struct writ_str wire, struct writ_ssh_cert *ret, struct writ_err *err)
{
	struct writ_ssh_cert c = { .wire = wire };
	struct writ_str at = wire, type, nonce, field;
	if (wire.n > WRIT_SSH_CERT_MAX)
		return writ_fail(err, WRIT_EINVAL,
			"SSH certificate: %zu bytes, at most %d are taken", wire.n,
			WRIT_SSH_CERT_MAX);
	if (!writ__ssh_string(&at, &type))
		return writ_fail(err, WRIT_EINVAL, "not an SSH certificate");
	const struct writ__ssh_kind *k = writ__ssh_kind_of_cert(type);
	if (!k)
		return writ_fail(err, WRIT_EINVAL,
			"not an SSH certificate of a key of RSA, ECDSA or Ed25519");
	c.type = writ_cstr(k->type);
	bool ok = writ__ssh_string(&at, &nonce);
	c.key.p = at.p;
	for (unsigned i = 0; ok && i < k->fields; i++)
		ok = writ__ssh_string(&at, &field);
	c.key.n = (size_t)(at.p - c.key.p);
	ok = ok && read_rest(&at, &c);
	c.body = (struct writ_str){ wire.p, (size_t)(at.p - wire.p) };
	if (!ok || !read_signature(&at, &c))
		return writ_fail(err, WRIT_EINVAL, "the SSH certificate is malformed");
	*ret = c;
	return WRIT_OK;
}

static writ_rc check_time(const struct writ_ssh_cert *c, int64_t now, struct writ_err *err)
{
	char when[32];
	uint64_t t = now < 0 ? 0 : (uint64_t)now;
	if (t < c->valid_after)
		return writ_fail(err, WRIT_EEXPIRED,
			"the certificate is not valid yet (from %" PRIu64 " s on)", c->valid_after);
	if (c->valid_before != FOREVER && t >= c->valid_before)
		return writ_fail(err, WRIT_EEXPIRED, "the certificate expired at %s",
			writ_format_time((int64_t)c->valid_before, when, sizeof(when)));
	return WRIT_OK;
}

writ_rc writ_ssh_cert_check(const struct writ_ssh_cert *c, const struct writ_str *cas, size_t n,
	int64_t now, struct writ_err *err)
{
	bool is_known = false;
	for (size_t i = 0; i < n && !is_known; i++)
		is_known = writ_str_eq(cas[i], c->ca);
	if (c->kind != HOST)
		return writ_fail(err, WRIT_EDENIED, "not a host's certificate");
	if (!is_known)
		return writ_fail(err, WRIT_EDENIED,
			"the certificate is signed by an authority that is not among "
			"cert_authorities");
	if (c->has_critical)
		return writ_fail(err, WRIT_EDENIED,
			"the certificate has a critical option, and none is known");
	if (!c->host.n)
		return writ_fail(err, WRIT_EDENIED, "cert has no valid principals");
	return check_time(c, now, err);
}

writ_rc writ_ssh_cert_verify(const struct writ_ssh_cert *c, struct writ_err *err)
{
	struct writ_str ca = c->ca, type;
	const struct writ__ssh_kind *k = writ__ssh_string(&ca, &type) ? writ__ssh_kind(type) : NULL;
	if (!k)
		return writ_fail(err, WRIT_ECRYPTO, "the authority's key is of no known kind");
	writ_rc rc =
		writ__ssh_verify(k, ca, c->body.p, c->body.n, c->sig_format, c->sig, false, err);
	return rc == WRIT_OK ? rc : writ_wrap(err, WRIT_ECRYPTO, "the certificate's signature");
}

writ_rc writ_ssh_verify(const struct writ_ssh_cert *c, const void *p, size_t n,
	const struct writ_ssh_sig *sig, struct writ_err *err)
{
	return writ__ssh_verify(writ__ssh_kind(c->type), c->key, p, n, writ_cstr(sig->format),
		writ_strn(sig->blob, sig->n), true, err);
}

writ_rc writ_ssh_read_line(struct writ_str line, struct writ_buf *wire, struct writ_err *err)
{
	struct writ_str rest = writ_str_trim(line), type, text, inside;
	size_t before = wire->n;
	(void)writ_str_cut(&rest, ' ', &type);
	rest = writ_str_trim(rest);
	(void)writ_str_cut(&rest, ' ', &text);
	if (!writ__ssh_kind(type) && !writ__ssh_kind_of_cert(type))
		return writ_fail(err, WRIT_EINVAL,
			"not a line \"TYPE BASE64 COMMENT\" with a key of RSA, ECDSA or Ed25519");
	if (writ_base64_decode(text, wire, err) != WRIT_OK ||
		writ_buf_check(wire, "SSH key", err) != WRIT_OK)
		return WRIT_EINVAL;
	struct writ_str got = writ_strn(wire->p + before, wire->n - before);
	if (!writ__ssh_string(&got, &inside) || !writ_str_eq(inside, type))
		return writ_fail(err, WRIT_EINVAL, "the key is not of the type that the line says");
	return WRIT_OK;
}

writ_rc writ_ssh_key_check(struct writ_str wire, struct writ_err *err)
{
	struct writ_str type;
	EVP_PKEY *pkey = NULL;
	const struct writ__ssh_kind *k =
		writ__ssh_string(&wire, &type) ? writ__ssh_kind(type) : NULL;
	if (!k)
		return writ_fail(err, WRIT_EINVAL, "not a public key of RSA, ECDSA or Ed25519");
	writ_rc rc = writ__ssh_load(k, wire, &pkey, err);
	if (rc == WRIT_OK)
		EVP_PKEY_free(pkey);
	return rc;
}
