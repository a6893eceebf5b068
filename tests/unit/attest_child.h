/* SPDX-License-Identifier: Apache-2.0 */
/* attest_child: real processes to identify, in step with the test through two pipes. */
#ifndef TEST_ATTEST_CHILD_H
#define TEST_ATTEST_CHILD_H

#include <sys/types.h>

struct child {
	pid_t pid;
	int go;    /* a byte: go on */
	int ready; /* a byte: there; end of file: it ran another program, or ended */
};

/* What a child does. It says `child_ready`, waits with `child_wait`, and may not return. */
typedef void (*child_fn)(int go, int ready, void *arg);

struct child child_start(child_fn run, void *arg); /* returns once the child is ready */
void child_go(const struct child *c);
void child_await_end_of_file(const struct child *c);
void child_end(struct child *c); /* kills and reaps; idempotent */

void child_ready(int ready);
void child_wait(int go);
void child_idle(int go, int ready, void *arg); /* ready, then waits for its end */
/* ready, waits, then runs the program arg (a path) with the argument 1000 */
void child_exec(int go, int ready, void *arg);

#endif
