/* SPDX-License-Identifier: Apache-2.0 */
/* signer_kit: a signer inside the test's own process, and requests for it. */
#ifndef WRIT_TEST_SIGNER_KIT_H
#define WRIT_TEST_SIGNER_KIT_H

#include "crypto/issue.h"
#include "signer/signer.h"
#include "writ/signer/v1/signer.pb-c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define KIT_TD "example.org"

typedef Writ__Signer__V1__Request kit_request;
typedef Writ__Signer__V1__Reply kit_reply;

struct kit {
	char *dir; /* throw-away folder */
	char *record_path;
	int record_fd;
	struct writ_record record;
	struct writ_keys *keys;
	struct writ_signer *signer;
	struct writ_upstream *upstream; /* set before kit_restart: used by the new signer */
	uint64_t last_id;
};

void kit_init(struct kit *k);
void kit_done(struct kit *k);
void kit_restart(struct kit *k); /* a new signer that has forgotten all, same record */

/* Sends q (its id is set here) and gives the reply; kit_free. Fails the test when there is none. */
kit_reply *kit_ask(struct kit *k, kit_request *q);
void kit_free(kit_reply *r);
kit_reply *kit_prepare(struct kit *k, int64_t ttl_s);
kit_reply *kit_activate(struct kit *k, const char *authority);
kit_reply *kit_drop(struct kit *k, const char *authority);
kit_reply *kit_status(struct kit *k);
void kit_make_active(struct kit *k, int64_t ttl_s);
/* One item with a new P-256 key, ID spiffe://example.org/w, 300 s. Fields may be changed by the
 * test before kit_sign. */
struct kit_item {
	Writ__Signer__V1__SignItem item;
	struct writ_pubkey key;
};
void kit_item(struct kit_item *i);
kit_reply *kit_sign(struct kit *k, struct kit_item *const *items, size_t n);
/* Everything that the record has, NUL-terminated; writ_free. */
char *kit_record(struct kit *k);
size_t kit_count(const char *text, const char *what);

#endif
