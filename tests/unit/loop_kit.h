/* SPDX-License-Identifier: Apache-2.0 */
/* loop_kit: a loop for a test, and waiting for what comes of it. Add loop_kit.c. */
#ifndef WRIT_TEST_LOOP_KIT_H
#define WRIT_TEST_LOOP_KIT_H

#include "loop/loop.h"

#define LOOP_KIT_PATIENCE_MS 20000 /* after which a test has failed */

int loop_kit_enter(void **state); /* setup and teardown: *state is a struct writ_loop */
int loop_kit_leave(void **state);

void loop_kit_turn(struct writ_loop *l, int64_t ms); /* runs it that long */
void loop_kit_until(struct writ_loop *l, const bool *flag);
/* Until *counter is n; why: what is said else. */
void loop_kit_count(struct writ_loop *l, const int *counter, int n, const char *why);
/* Exactly n bytes from a socket, turning the loop meanwhile. */
void loop_kit_get(struct writ_loop *l, int fd, void *p, size_t n);
/* Has the far side of the socket closed it, within our patience? */
bool loop_kit_over(struct writ_loop *l, int fd);

#endif
