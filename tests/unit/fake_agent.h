/* SPDX-License-Identifier: Apache-2.0 */
/* fake_agent: a Workload API on a Unix socket that says what a test wants, on a thread of its own;
 * and trust domains, SVIDs and callers for it. Real time. Tests only; add fake_agent.c,
 * fake_answer.c and forge.c, link writ_rpc. */
#ifndef WRIT_TEST_FAKE_AGENT_H
#define WRIT_TEST_FAKE_AGENT_H

#include "crypto/cert.h"

#include "workloadapi.pb-c.h"

#define FAKE_PLAN 16

struct fake_ca {
	const char *name, *td, *uri; /* static */
	struct writ_key *key;
	struct writ_cert *cert;
};
void fake_ca_init(struct fake_ca *ca, const char *name, const char *td, const char *uri);
void fake_ca_init_until(struct fake_ca *ca, const char *name, const char *td, const char *uri,
	int64_t until_s); /* seconds from now */
void fake_ca_done(struct fake_ca *ca);

/* An SVID by hand. Owned members. */
struct fake_svid {
	struct writ_key *key;
	struct writ_cert *cert;
};
void fake_svid_init(struct fake_svid *s, const struct fake_ca *ca, const char *id, int64_t from_s,
	int64_t until_s);                                      /* seconds from now */
void fake_svid_self_made(struct fake_svid *s, const char *id); /* signed by its own key */
void fake_svid_done(struct fake_svid *s);

/* An answer: owned by the test until fake_agent_say. */
X509SVIDResponse *fake_answer_new(void);
/* One more SVID of 5 minutes; a test may spoil it with the functions below. */
X509SVID *fake_answer_add(
	X509SVIDResponse *a, const struct fake_ca *ca, const char *id, const char *hint);
X509SVID *fake_answer_add_svid(X509SVIDResponse *a, const struct fake_ca *ca,
	const struct fake_svid *s, const char *id, const char *hint);
void fake_answer_federate(X509SVIDResponse *a, const char *key, const struct fake_ca *ca);
void fake_answer_add_crl(X509SVIDResponse *a);
void fake_bytes(ProtobufCBinaryData *b, const void *p, size_t n); /* replaces */
void fake_text(char **s, const char *text);                       /* replaces */
void fake_answer_free(X509SVIDResponse *a);

struct fake_agent;
struct fake_agent *fake_agent_start(const char *path);
void fake_agent_stop(struct fake_agent *a); /* streams end with Unavailable; the path is free */
/* From now on this is the state: to all open streams and to each new one. Takes it. NULL: streams
 * wait. */
void fake_agent_say(struct fake_agent *a, X509SVIDResponse *answer);
/* The next call ends with this status at once; several wait in a row. code -1: it gets the answer
 * and ends with OK right after it. */
void fake_agent_plan(struct fake_agent *a, int code);
/* Ends all open streams; code 0: OK. */
void fake_agent_end(struct fake_agent *a, int code);
int fake_agent_calls(struct fake_agent *a);   /* so far */
int fake_agent_streams(struct fake_agent *a); /* open now */
int fake_agent_bare(struct fake_agent *a);    /* calls without the security header */

#endif
