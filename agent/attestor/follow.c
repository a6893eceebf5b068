/* SPDX-License-Identifier: Apache-2.0 */
#include "attestor/follow.h"

void writ_follow_init(struct writ_follow *f)
{
	*f = (struct writ_follow){ .at = WRIT_FOLLOW_NOBODY, .from = WRIT_FOLLOW_NOBODY };
}

static void let_go(struct writ_follow *f)
{
	f->from = f->at = WRIT_FOLLOW_NOBODY;
	if (sched_setaffinity(0, sizeof(f->before), &f->before) == 0)
		return;
	/* None of them is left to it: then any that are. */
	cpu_set_t any;
	CPU_ZERO(&any);
	for (size_t i = 0; i < CPU_SETSIZE; i++)
		CPU_SET(i, &any);
	(void)sched_setaffinity(0, sizeof(any), &any);
}

static void go(struct writ_follow *f, uint16_t cpu)
{
	cpu_set_t one;
	f->times = 0;
	if (f->at == WRIT_FOLLOW_NOBODY)
		f->off = sched_getaffinity(0, sizeof(f->before), &f->before) != 0;
	if (f->off || !CPU_ISSET(cpu, &f->before))
		return;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	if (sched_setaffinity(0, sizeof(one), &one) == 0)
		f->at = cpu;
	else
		f->off = f->at == WRIT_FOLLOW_NOBODY;
}

void writ_follow(struct writ_follow *f, uint16_t cpu)
{
	if (f->off)
		return;
	if (cpu >= CPU_SETSIZE)
		cpu = WRIT_FOLLOW_NOBODY;
	f->times = cpu == f->from ? f->times + 1 : 1;
	f->from = cpu;
	if (cpu == f->at)
		return;
	if (cpu == WRIT_FOLLOW_NOBODY)
		let_go(f);
	else if (f->times >= WRIT_FOLLOW_AFTER)
		go(f, cpu);
}
