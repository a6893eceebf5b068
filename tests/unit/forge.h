/* SPDX-License-Identifier: Apache-2.0 */
/* forge: certificates with any flaw a test wants, signed by any key. Tests only; link crypto and
 * add forge.c. */
#ifndef WRIT_TEST_FORGE_H
#define WRIT_TEST_FORGE_H

#include "crypto/cert.h"
#include "crypto/der.h"

#define FORGE_NAMES 6

enum { FORGE_DNS = 0x82, FORGE_URI = 0x86, FORGE_IP = 0x87 };
enum forge_bc { FORGE_BC_NONE, FORGE_BC_FALSE, FORGE_BC_TRUE };
enum { FORGE_KU_DS = 1, FORGE_KU_KE = 4, FORGE_KU_KA = 16, FORGE_KU_CERT = 32, FORGE_KU_CRL = 64 };
enum { FORGE_EKU_SERVER = 1, FORGE_EKU_CLIENT = 2, FORGE_EKU_CODE = 4, FORGE_EKU_ANY = 8 };

struct forge {
	struct writ_key *key, *issuer_key; /* issuer_key NULL: key itself */
	const char *subject, *issuer;      /* common names; NULL or "": the empty name */
	struct {
		uint8_t tag;
		const char *p;
		size_t n; /* 0: strlen(p) */
	} san[FORGE_NAMES];
	bool san_critical, san_twice;
	enum forge_bc bc;
	bool bc_loose; /* not critical */
	int pathlen;   /* 0: none; else one more than the constraint */
	unsigned ku;   /* 0: none */
	bool ku_loose, eku_critical;
	unsigned eku;
	bool no_ski, no_aki;
	int64_t not_before, not_after;
	bool general_time;
	uint8_t serial[24];
	size_t serial_len;                /* 0: sixteen bytes of 0x42 */
	unsigned version;                 /* 0: 3 */
	const char *permitted, *excluded; /* URI name constraints */
	int unknown;                      /* an extension nobody knows: 1 plain, 2 critical */
};

/* A leaf, and a CA, that are right in every respect. */
struct forge forge_leaf(
	const char *uri, struct writ_key *key, const char *issuer, struct writ_key *issuer_key);
struct forge forge_ca(const char *name, struct writ_key *key);
void forge_tbs(const struct forge *f, struct writ_buf *out);
void forge_der(const struct forge *f, struct writ_buf *out);
struct writ_cert *forge_cert(const struct forge *f); /* NULL when it does not parse */
struct writ_key *forge_key(enum writ_key_type type);

/* The clock of these tests. */
#define FORGE_NOW INT64_C(1800000000)

#endif
