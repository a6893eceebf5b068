/* SPDX-License-Identifier: Apache-2.0 */
/* ssh: host certificates of OpenSSH, and signatures of host keys. Source of the formats: RFC 4251 5
 * (wire), RFC 4253 6.6, 5656, 8332 and 8709 (keys and signatures), OpenSSH's PROTOCOL.certkeys and
 * PROTOCOL.key. RSA of 2048 to 4096 bits, P-256, P-384, P-521, Ed25519; nothing else. Any thread.
 */
#ifndef WRIT_CRYPTO_SSH_H
#define WRIT_CRYPTO_SSH_H

#include "base/buf.h"

#define WRIT_SSH_CERT_MAX   (16 * 1024)
#define WRIT_SSH_FORMAT_MAX 64  /* a signature's format */
#define WRIT_SSH_BLOB_MAX   520 /* a signature */

/* A parsed certificate; borrows the wire form. */
struct writ_ssh_cert {
	struct writ_str wire;
	struct writ_str type; /* of the key: "ssh-rsa" */
	struct writ_str key;  /* the key's own fields */
	uint64_t serial;
	uint32_t kind; /* 1: user, 2: host */
	struct writ_str key_id;
	struct writ_str host; /* the first principal; empty: none */
	uint64_t valid_after, valid_before;
	bool has_critical;
	struct writ_str ca;                    /* public key that signed it, wire form */
	struct writ_str body, sig_format, sig; /* what is signed, and how */
};

/* Form only. WRIT_EINVAL. */
WRIT_MUST writ_rc writ_ssh_cert_parse(
	struct writ_str wire, struct writ_ssh_cert *ret, struct writ_err *err);
/* All that costs nothing: a host's certificate, in time, without critical options, with a
 * principal, and signed in the name of one of these CAs (wire forms). WRIT_EDENIED, WRIT_EEXPIRED.
 */
WRIT_MUST writ_rc writ_ssh_cert_check(const struct writ_ssh_cert *c, const struct writ_str *cas,
	size_t n, int64_t now, struct writ_err *err);
/* The CA's signature: one verification. SHA-1 is refused. WRIT_ECRYPTO. */
WRIT_MUST writ_rc writ_ssh_cert_verify(const struct writ_ssh_cert *c, struct writ_err *err);

struct writ_ssh_sig {
	char format[WRIT_SSH_FORMAT_MAX];
	uint8_t blob[WRIT_SSH_BLOB_MAX];
	size_t n;
};
/* A signature by the certificate's key: one verification. "ssh-rsa" (SHA-1) is taken here: SPIRE's
 * agents send it, over a message that they do not choose. WRIT_ECRYPTO. */
WRIT_MUST writ_rc writ_ssh_verify(const struct writ_ssh_cert *c, const void *p, size_t n,
	const struct writ_ssh_sig *sig, struct writ_err *err);

/* "type base64 comment", a line of a .pub file or of authorized_keys without options: the wire
 * form, appended. A certificate or a key; the type has to be the one inside. WRIT_EINVAL. */
WRIT_MUST writ_rc writ_ssh_read_line(
	struct writ_str line, struct writ_buf *wire, struct writ_err *err);
/* Is it a public key that we take? For CAs. */
WRIT_MUST writ_rc writ_ssh_key_check(struct writ_str wire, struct writ_err *err);

/* A private key: "OPENSSH PRIVATE KEY" without a passphrase, or what writ_key_from_pem_rsa takes.
 */
struct writ_ssh_key;
WRIT_MUST writ_rc writ_ssh_key_parse(
	struct writ_str text, struct writ_ssh_key **ret, struct writ_err *err);
void writ_ssh_key_free(struct writ_ssh_key *k); /* NULL is fine */
void writ_ssh_key_freep(struct writ_ssh_key **k);
/* RSA signs as rsa-sha2-256. */
WRIT_MUST writ_rc writ_ssh_sign(const struct writ_ssh_key *k, const void *p, size_t n,
	struct writ_ssh_sig *ret, struct writ_err *err);

#endif
