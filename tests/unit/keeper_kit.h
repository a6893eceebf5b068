/* SPDX-License-Identifier: Apache-2.0 */
/* keeper_kit: a keeper of launches below a cgroup of the test's own (root only). */
#ifndef TEST_KEEPER_KIT_H
#define TEST_KEEPER_KIT_H

#include "attest_child.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

extern char keeper_root[128]; /* a v2 cgroup for this test; "": there can be none */

int keeper_root_make(void **state); /* both for the group of tests */
int keeper_root_drop(void **state);
/* The teardown of each test: after one that failed nothing is left that the next could wait for. */
int keeper_clean(void **state);

int keeper_begin(void);  /* its socket; skips the test where there can be no cgroup */
void keeper_end(int fd); /* closes it, and waits for the keeper and all other children */
size_t keeper_agents_left(void);

/* To all children of this process, except that one (0: except none). */
void children_signal(pid_t but, int signal);
void children_kill(pid_t but);
bool child_has_ended(const struct child *c, int64_t ms); /* waits that long; does not reap */

#endif
