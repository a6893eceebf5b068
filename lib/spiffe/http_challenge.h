/* SPDX-License-Identifier: Apache-2.0 */
/* http_challenge: the messages of SPIRE's node attestor of that name, both ways. Source of the
 * format: SPIRE 1.15, JSON:
 *   payload    {"hostname":"web1.example.org","agentname":"default","port":80}
 *   challenge  {"nonce":"32 bytes in base64url, padded"}
 *   answer     anything; then the agent serves the nonce at
 *              http://HOSTNAME:PORT/.well-known/spiffe/nodeattestor/http_challenge/AGENTNAME/challenge
 * Errors are WRIT_EINVAL. Pure. */
#ifndef WRIT_SPIFFE_HTTP_CHALLENGE_H
#define WRIT_SPIFFE_HTTP_CHALLENGE_H

#include "base/buf.h"

#define WRIT_HTTP_CHALLENGE_HOST_MAX    253
#define WRIT_HTTP_CHALLENGE_AGENT_MAX   32
#define WRIT_HTTP_CHALLENGE_NONCE_MAX   64
#define WRIT_HTTP_CHALLENGE_PAYLOAD_MAX 1024
#define WRIT_HTTP_CHALLENGE_TEXT_MAX    256 /* of a challenge */
#define WRIT_HTTP_CHALLENGE_PATH_MAX    128

struct writ_http_claim {
	char host[WRIT_HTTP_CHALLENGE_HOST_MAX + 1]; /* any text: the server checks it */
	char agent[WRIT_HTTP_CHALLENGE_AGENT_MAX + 1];
	uint16_t port; /* not 0 */
};

WRIT_MUST writ_rc writ_http_claim_parse(
	struct writ_str payload, struct writ_http_claim *ret, struct writ_err *err);
void writ_http_claim_print(const struct writ_http_claim *c, struct writ_buf *out);
/* A letter, then letters, digits and dashes. */
bool writ_http_claim_is_agent(struct writ_str name);
/* Where the nonce is served. */
void writ_http_claim_path(const char *agent, char out[WRIT_HTTP_CHALLENGE_PATH_MAX]);

/* The nonce is text without blanks and controls. */
WRIT_MUST writ_rc writ_http_nonce_parse(struct writ_str challenge,
	char ret[WRIT_HTTP_CHALLENGE_NONCE_MAX + 1], struct writ_err *err);
void writ_http_nonce_print(const char *nonce, struct writ_buf *out);

#endif
