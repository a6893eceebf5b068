/* SPDX-License-Identifier: Apache-2.0 */
/* LD_PRELOAD: the wall clock of one program, wrong by WRIT_TEST_SKEW_S seconds. A test's stand-in
 * for a machine whose clock is wrong. */
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

static long skew(void)
{
	static long s;
	static int known;
	if (!known) {
		const char *text = getenv("WRIT_TEST_SKEW_S");
		s = text ? strtol(text, NULL, 10) : 0;
		known = 1;
	}
	return s;
}

EXPORT int clock_gettime(clockid_t id, struct timespec *ts)
{
	int rc = (int)syscall(SYS_clock_gettime, id, ts);
	if (rc == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
		ts->tv_sec += skew();
	return rc;
}

EXPORT int gettimeofday(struct timeval *restrict tv, void *restrict tz)
{
	struct timespec ts;
	(void)tz;
	(void)clock_gettime(CLOCK_REALTIME, &ts);
	tv->tv_sec = ts.tv_sec;
	tv->tv_usec = ts.tv_nsec / 1000;
	return 0;
}

EXPORT time_t time(time_t *ret)
{
	struct timespec ts;
	(void)clock_gettime(CLOCK_REALTIME, &ts);
	if (ret)
		*ret = ts.tv_sec;
	return ts.tv_sec;
}
