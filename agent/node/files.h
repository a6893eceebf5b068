/* SPDX-License-Identifier: Apache-2.0 */
/* files: keys of the machine that the agent may use. Blocking. */
#ifndef WRIT_AGENT_NODE_FILES_H
#define WRIT_AGENT_NODE_FILES_H

#include "base/buf.h"

/* Appends a private key's file, whoever owns it: the machine's keys are root's, and the agent has
 * them by its group. WRIT_EDENIED when every user may read or change it. Wipe text. */
WRIT_MUST writ_rc writ_node_read_key(const char *path, struct writ_buf *text, struct writ_err *err);

#endif
