/* SPDX-License-Identifier: Apache-2.0 */
/* follow: on which processor the attestation process waits. While the serving process has one
 * question at a time, the two never run at once, and to wake a process on another processor, which
 * sleeps too, costs more than the answer (a hypervisor has to be asked). So it then waits on the
 * asker's. With more than one question under way it runs wherever the kernel likes. Linux only;
 * one thread. */
#ifndef WRIT_ATTESTOR_FOLLOW_H
#define WRIT_ATTESTOR_FOLLOW_H

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

#define WRIT_FOLLOW_NOBODY UINT16_MAX
#define WRIT_FOLLOW_AFTER  8 /* questions in a row from the same processor */

struct writ_follow {
	uint16_t at;      /* where it stays; WRIT_FOLLOW_NOBODY: anywhere */
	uint16_t from;    /* of the last question */
	unsigned times;   /* that it came from there */
	cpu_set_t before; /* where it might run before it stayed */
	bool off;         /* the kernel does not let it */
};

void writ_follow_init(struct writ_follow *f);
/* Of the calling thread. A question came from cpu, and no other is under way; or
 * WRIT_FOLLOW_NOBODY: that cannot be said, or a thread is about to be started, which would stay
 * where this one is. */
void writ_follow(struct writ_follow *f, uint16_t cpu);

#endif
