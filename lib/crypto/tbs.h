/* SPDX-License-Identifier: Apache-2.0 */
/* tbs: a walk over a DER TBSCertificate (RFC 5280 4.1): where each part stands, and what the
 * extensions that matter here say. Judges nothing but form; borrows the bytes. Pure; any thread. */
#ifndef WRIT_CRYPTO_TBS_H
#define WRIT_CRYPTO_TBS_H

#include "crypto/der.h"

#define WRIT_SAN_MAX 256 /* names in one certificate */

enum writ_ext {
	WRIT_EXT_SKI,
	WRIT_EXT_KU,
	WRIT_EXT_SAN,
	WRIT_EXT_BC,
	WRIT_EXT_AKI,
	WRIT_EXT_EKU,
	WRIT_EXT_OTHER
};

/* keyUsage, bit i of the standard as 1 << i. */
enum {
	WRIT_TBS_KU_DIGITAL_SIGNATURE = 1 << 0,
	WRIT_TBS_KU_KEY_ENCIPHERMENT = 1 << 2,
	WRIT_TBS_KU_KEY_AGREEMENT = 1 << 4,
	WRIT_TBS_KU_KEY_CERT_SIGN = 1 << 5,
	WRIT_TBS_KU_CRL_SIGN = 1 << 6,
};
enum { WRIT_TBS_EKU_SERVER = 1, WRIT_TBS_EKU_CLIENT = 2, WRIT_TBS_EKU_OTHER = 4 };

struct writ_tbs {
	unsigned version;                              /* 1 to 3 */
	struct writ_der serial;                        /* content octets, 1 to 20, not negative */
	struct writ_der sigalg, issuer, subject, spki; /* whole elements */
	uint8_t not_before_tag, not_after_tag;
	int64_t not_before, not_after; /* Unix seconds */
	unsigned seen, critical;       /* 1 << enum writ_ext */
	struct writ_der ski, aki;      /* key identifiers; empty when absent */
	struct writ_der aki_body;      /* the whole AuthorityKeyIdentifier's inside */
	struct writ_der san;           /* GeneralNames, to be walked with writ_san_next */
	size_t n_uris, n_dns, n_names;
	struct writ_der bc; /* inside of BasicConstraints */
	bool ca, has_pathlen;
	bool duplicate; /* some extension stands there twice; the first one was read */
	unsigned key_usage, ext_key_usage;
};

/* WRIT_EINVAL with the part that is malformed. *ret borrows the bytes. */
WRIT_MUST writ_rc writ_tbs_parse(
	const void *der, size_t n, struct writ_tbs *ret, struct writ_err *err);

enum { WRIT_SAN_DNS = 0x82, WRIT_SAN_URI = 0x86, WRIT_SAN_IP = 0x87 };
/* The next name; san is a copy of writ_tbs.san. False at the end. */
bool writ_san_next(struct writ_der *san, uint8_t *tag, struct writ_der *name);

#endif
