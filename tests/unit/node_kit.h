/* SPDX-License-Identifier: Apache-2.0 */
/* node_kit: one exchange with one of the server's node attestors, step by step. Tests only; add
 * node_kit.c. */
#ifndef WRIT_TEST_NODE_KIT_H
#define WRIT_TEST_NODE_KIT_H

#include "node/attestor.h"

struct node_kit {
	struct writ_loop *loop;
	struct writ_node_attestors all;
	struct writ_node_exchange x;
	struct writ_err err; /* of the step that failed */
	writ_rc rc;
	bool done;
};

/* cfg has to live until close. */
void node_kit_open(struct node_kit *k, const struct writ_server_config *cfg, const char *name);
void node_kit_close(struct node_kit *k);
writ_rc node_kit_begin(struct node_kit *k, const char *payload);
writ_rc node_kit_respond(struct node_kit *k, const char *answer);
writ_rc node_kit_ask(struct node_kit *k); /* what the step left to ask(); has to be set */
const char *node_kit_path(const struct node_kit *k);
const char *node_kit_selectors(const struct node_kit *k); /* joined by '\n'; one static buffer */

#endif
