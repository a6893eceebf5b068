/* SPDX-License-Identifier: Apache-2.0 */
/* say_cert: what node attestors say of certificates, in SPIRE's spelling. */
#ifndef WRIT_SERVER_NODE_SAY_CERT_H
#define WRIT_SERVER_NODE_SAY_CERT_H

#include "crypto/digest.h"
#include "node/attestor.h"

#define WRIT_CERT_PRINT (2 * WRIT_SHA1_LEN + 1)

/* SHA-1 of the certificate, in hex: a name, not a proof. */
void writ_cert_print(const struct writ_cert *c, char out[WRIT_CERT_PRINT]);
/* The selector KIND:cn:NAME; none where there is no name, or one that a text cannot hold. */
void writ_node_select_cn(struct writ_node_exchange *x, const char *kind, struct writ_str cn);
/* A selector ca:fingerprint for each certificate of the path above its leaf. */
void writ_node_select_cas(struct writ_node_exchange *x, struct writ_cert *const *path, size_t n);

#endif
