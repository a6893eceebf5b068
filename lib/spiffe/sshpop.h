/* SPDX-License-Identifier: Apache-2.0 */
/* sshpop: the messages of SPIRE's node attestor of that name, both ways. Source of the format:
 * SPIRE 1.15, JSON with bytes in base64:
 *   payload    {"Certificate"}                              OpenSSH's wire form
 *   challenge  {"Nonce"}
 *   answer     {"Nonce","Signature":{"Format","Blob","Rest":null}}
 * What is signed is the message of crypto/pop.h. Errors are WRIT_EINVAL. Pure. */
#ifndef WRIT_SPIFFE_SSHPOP_H
#define WRIT_SPIFFE_SSHPOP_H

#include "crypto/pop.h"
#include "crypto/ssh.h"

#define WRIT_SSHPOP_PAYLOAD_MAX (24 * 1024)
#define WRIT_SSHPOP_ANSWER_MAX  2048

/* Appends the certificate's wire form. */
WRIT_MUST writ_rc writ_sshpop_parse(
	struct writ_str payload, struct writ_buf *wire, struct writ_err *err);
void writ_sshpop_print(struct writ_str wire, struct writ_buf *out);

WRIT_MUST writ_rc writ_sshpop_challenge_parse(
	struct writ_str text, uint8_t nonce[WRIT_POP_NONCE], struct writ_err *err);
void writ_sshpop_challenge_print(const uint8_t nonce[WRIT_POP_NONCE], struct writ_buf *out);

struct writ_sshpop_answer {
	uint8_t nonce[WRIT_POP_NONCE];
	struct writ_ssh_sig sig;
};
WRIT_MUST writ_rc writ_sshpop_answer_parse(
	struct writ_str text, struct writ_sshpop_answer *ret, struct writ_err *err);
void writ_sshpop_answer_print(const struct writ_sshpop_answer *a, struct writ_buf *out);

#endif
