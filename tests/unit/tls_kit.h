/* SPDX-License-Identifier: Apache-2.0 */
/* tls_kit: two trust domains with a CA each, SVIDs of theirs, and contexts made from them. Tests
 * only; add tls_kit.c and forge.c. */
#ifndef WRIT_TEST_TLS_KIT_H
#define WRIT_TEST_TLS_KIT_H

#include "tls/tls.h"

enum {
	KIT_A,
	KIT_B,
	KIT_ROGUE,
	KIT_CAS
}; /* a.test, b.test, and a CA that nobody trusts and that claims a.test */

void kit_open(void); /* stops the wall clock at FORGE_NOW */
void kit_close(void);
int kit_set_up(void **state); /* the same, for a group of tests */
int kit_tear_down(void **state);
struct writ_svid *kit_svid(
	int ca, const char *id, int64_t not_after); /* 0: an hour from now; owned */
struct writ_bundles *kit_bundles(int ca);           /* one bundle; owned */

struct kit_ctx {
	bool server, h2;
	enum writ_tls_peer_mode peer;
	int ca;         /* whose SVID */
	const char *id; /* NULL: none */
	int64_t not_after;
	int trust; /* whose bundle */
	writ_rc (*authorize)(void *arg, const struct writ_id *id, struct writ_err *err);
	void *arg;
};
struct writ_tls_ctx *kit_ctx(const struct kit_ctx *k);

#endif
