/* SPDX-License-Identifier: Apache-2.0 */
#include "forge.h"

#include "check.h"
#include "base/mem.h"
#include "crypto/algs.h"
#include "crypto/name.h"

struct writ_key *forge_key(enum writ_key_type type)
{
	struct writ_key *k = NULL;
	struct writ_err err;
	assert_ok(writ_key_generate(type, &k, &err), err);
	return k;
}

struct forge forge_leaf(
	const char *uri, struct writ_key *key, const char *issuer, struct writ_key *issuer_key)
{
	return (struct forge){ .key = key,
		.issuer_key = issuer_key,
		.subject = "leaf",
		.issuer = issuer,
		.san = { { FORGE_URI, uri, 0 } },
		.bc = FORGE_BC_FALSE,
		.ku = FORGE_KU_DS | FORGE_KU_KE | FORGE_KU_KA,
		.eku = FORGE_EKU_SERVER | FORGE_EKU_CLIENT,
		.not_before = FORGE_NOW - 60,
		.not_after = FORGE_NOW + 300 };
}

struct forge forge_ca(const char *name, struct writ_key *key)
{
	return (struct forge){ .key = key,
		.subject = name,
		.issuer = name,
		.bc = FORGE_BC_TRUE,
		.ku = FORGE_KU_CERT | FORGE_KU_CRL,
		.not_before = FORGE_NOW - 3600,
		.not_after = FORGE_NOW + 86400 };
}

static size_t open_ext(struct writ_buf *b, uint8_t last, bool critical, size_t *ext)
{
	const uint8_t oid[] = { 0x55, 0x1d, last };
	*ext = writ_der_open(b, WRIT_DER_SEQ);
	writ_der_add(b, WRIT_DER_OID, oid, sizeof(oid));
	if (critical)
		writ_der_add(b, WRIT_DER_BOOL, "\xff", 1);
	return writ_der_open(b, WRIT_DER_OCTETS);
}

static void close_two(struct writ_buf *b, size_t inner, size_t outer)
{
	writ_der_close(b, inner);
	writ_der_close(b, outer);
}

static void add_name(struct writ_buf *b, const char *cn)
{
	const struct writ_attr attr = { WRIT_ATTR_CN, cn };
	writ_name_add(b, &attr, 1);
}

static void add_san(struct writ_buf *b, const struct forge *f)
{
	size_t ext, v = open_ext(b, 17, f->san_critical, &ext),
		    list = writ_der_open(b, WRIT_DER_SEQ);
	for (size_t i = 0; i < FORGE_NAMES && f->san[i].tag; i++)
		writ_der_add(b, f->san[i].tag, f->san[i].p,
			f->san[i].n ? f->san[i].n : strlen(f->san[i].p));
	writ_der_close(b, list);
	close_two(b, v, ext);
}

static void add_bc(struct writ_buf *b, const struct forge *f)
{
	size_t ext, v = open_ext(b, 19, !f->bc_loose, &ext), seq = writ_der_open(b, WRIT_DER_SEQ);
	if (f->bc == FORGE_BC_TRUE)
		writ_der_add(b, WRIT_DER_BOOL, "\xff", 1);
	if (f->pathlen) {
		uint8_t len = (uint8_t)(f->pathlen - 1);
		writ_der_add_uint(b, &len, 1);
	}
	writ_der_close(b, seq);
	close_two(b, v, ext);
}

static void add_ku(struct writ_buf *b, const struct forge *f)
{
	uint8_t bits[2] = { 0, 0 };
	for (unsigned i = 0; i < 8; i++) {
		if (f->ku & 1U << i)
			bits[1] |= (uint8_t)(0x80 >> i);
	}
	while (bits[0] < 7 && !(bits[1] & 1U << bits[0]))
		bits[0]++;
	size_t ext, v = open_ext(b, 15, !f->ku_loose, &ext);
	writ_der_add(b, WRIT_DER_BITS, bits, 2);
	close_two(b, v, ext);
}

static void add_eku(struct writ_buf *b, const struct forge *f)
{
	static const struct {
		unsigned bit;
		uint8_t last;
	} oids[] = { { FORGE_EKU_SERVER, 1 }, { FORGE_EKU_CLIENT, 2 }, { FORGE_EKU_CODE, 3 } };
	size_t ext, v = open_ext(b, 37, f->eku_critical, &ext),
		    list = writ_der_open(b, WRIT_DER_SEQ);
	for (size_t i = 0; i < WRIT_COUNT(oids); i++) {
		const uint8_t oid[] = { 0x2b, 6, 1, 5, 5, 7, 3, oids[i].last };
		if (f->eku & oids[i].bit)
			writ_der_add(b, WRIT_DER_OID, oid, sizeof(oid));
	}
	if (f->eku & FORGE_EKU_ANY)
		writ_der_add(b, WRIT_DER_OID, "\x55\x1d\x25\x00", 4);
	writ_der_close(b, list);
	close_two(b, v, ext);
}

static void add_key_ids(struct writ_buf *b, const struct forge *f)
{
	struct writ_pubkey own, by;
	struct writ_err err;
	assert_ok(writ_pubkey_of_key(f->key, &own, &err), err);
	assert_ok(writ_pubkey_of_key(f->issuer_key ? f->issuer_key : f->key, &by, &err), err);
	size_t ext, v;
	if (!f->no_ski) {
		v = open_ext(b, 14, false, &ext);
		writ_der_add(b, WRIT_DER_OCTETS, own.ski, 20);
		close_two(b, v, ext);
	}
	if (f->issuer_key && !f->no_aki) {
		v = open_ext(b, 35, false, &ext);
		size_t seq = writ_der_open(b, WRIT_DER_SEQ);
		writ_der_add(b, 0x80, by.ski, 20);
		writ_der_close(b, seq);
		close_two(b, v, ext);
	}
}

static void add_constraints(struct writ_buf *b, const struct forge *f)
{
	const char *const host[] = { f->permitted, f->excluded };
	size_t ext, v = open_ext(b, 30, true, &ext), seq = writ_der_open(b, WRIT_DER_SEQ);
	for (uint8_t i = 0; i < 2; i++) {
		if (!host[i])
			continue;
		size_t list = writ_der_open(b, (uint8_t)(0xa0 + i)),
		       sub = writ_der_open(b, WRIT_DER_SEQ);
		writ_der_add(b, FORGE_URI, host[i], strlen(host[i]));
		close_two(b, sub, list);
	}
	writ_der_close(b, seq);
	close_two(b, v, ext);
}

static void add_exts(struct writ_buf *b, const struct forge *f)
{
	size_t outer = writ_der_open(b, 0xa3), list = writ_der_open(b, WRIT_DER_SEQ);
	if (f->ku)
		add_ku(b, f);
	if (f->eku)
		add_eku(b, f);
	if (f->bc != FORGE_BC_NONE)
		add_bc(b, f);
	add_key_ids(b, f);
	for (int i = 0; i < (f->san_twice ? 2 : 1) && f->san[0].tag; i++)
		add_san(b, f);
	if (f->permitted || f->excluded)
		add_constraints(b, f);
	if (f->unknown) {
		size_t ext = writ_der_open(b, WRIT_DER_SEQ);
		writ_der_add(b, WRIT_DER_OID, "\x2b\x06\x01\x04\x01\x86\x8d\x1f\x63", 9);
		if (f->unknown == 2)
			writ_der_add(b, WRIT_DER_BOOL, "\xff", 1);
		writ_der_add(b, WRIT_DER_OCTETS, "\x05\x00", 2);
		writ_der_close(b, ext);
	}
	close_two(b, list, outer);
}

static void add_time(struct writ_buf *b, int64_t t, bool general)
{
	size_t at = b->n;
	writ_der_add_time(b, t);
	if (!general)
		return;
	uint8_t text[15] = "20";
	memcpy(text + 2, b->p + at + 2, 13);
	b->n = at;
	writ_der_add(b, WRIT_DER_TIME, text, sizeof(text));
}

void forge_tbs(const struct forge *f, struct writ_buf *out)
{
	struct writ_pubkey own;
	struct writ_err err;
	uint8_t serial[16], version = (uint8_t)((f->version ? f->version : 3) - 1);
	struct writ_key *signer = f->issuer_key ? f->issuer_key : f->key;
	memset(serial, 0x42, sizeof(serial));
	assert_ok(writ_pubkey_of_key(f->key, &own, &err), err);
	size_t tbs = writ_der_open(out, WRIT_DER_SEQ), v = writ_der_open(out, 0xa0);
	writ_der_add_uint(out, &version, 1);
	writ_der_close(out, v);
	if (f->serial_len)
		writ_der_add(out, WRIT_DER_INT, f->serial, f->serial_len);
	else
		writ_der_add_uint(out, serial, sizeof(serial));
	writ_der_add_raw(out, writ_sigalg_of(writ_key_type_of(signer)));
	add_name(out, f->issuer);
	v = writ_der_open(out, WRIT_DER_SEQ);
	add_time(out, f->not_before, f->general_time);
	add_time(out, f->not_after, f->general_time);
	writ_der_close(out, v);
	add_name(out, f->subject);
	writ_buf_add(out, own.spki, own.spki_len);
	add_exts(out, f);
	writ_der_close(out, tbs);
}

void forge_der(const struct forge *f, struct writ_buf *out)
{
	struct writ_err err;
	uint8_t sig[WRIT_SIG_MAX];
	size_t n = 0, all = writ_der_open(out, WRIT_DER_SEQ), start = out->n;
	struct writ_key *signer = f->issuer_key ? f->issuer_key : f->key;
	forge_tbs(f, out);
	assert_ok(writ_key_sign(signer, out->p + start, out->n - start, sig, &n, &err), err);
	writ_der_add_raw(out, writ_sigalg_of(writ_key_type_of(signer)));
	size_t bits = writ_der_open(out, WRIT_DER_BITS);
	writ_buf_add_byte(out, 0);
	writ_buf_add(out, sig, n);
	close_two(out, bits, all);
	assert_ok(writ_buf_check(out, "forged certificate", &err), err);
}

struct writ_cert *forge_cert(const struct forge *f)
{
	struct writ_buf der = WRIT_BUF(WRIT_CERT_MAX);
	struct writ_cert *c = NULL;
	forge_der(f, &der);
	if (writ_cert_parse(der.p, der.n, &c, NULL) != WRIT_OK)
		c = NULL;
	writ_buf_done(&der);
	return c;
}
