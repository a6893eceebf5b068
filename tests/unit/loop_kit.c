/* SPDX-License-Identifier: Apache-2.0 */
#include "loop_kit.h"

#include "base/clock.h"
#include "check.h"

#include <errno.h>
#include <sys/socket.h>

int loop_kit_enter(void **state)
{
	struct writ_loop *l = NULL;
	if (writ_loop_new(&l, NULL) != WRIT_OK)
		return -1;
	*state = l;
	return 0;
}

int loop_kit_leave(void **state)
{
	writ_loop_free(*state);
	return 0;
}

void loop_kit_turn(struct writ_loop *l, int64_t ms)
{
	bool never = false;
	(void)writ_loop_run_until(l, &never, writ_mono_ms() + ms);
}

void loop_kit_until(struct writ_loop *l, const bool *flag)
{
	assert_true(writ_loop_run_until(l, flag, writ_mono_ms() + LOOP_KIT_PATIENCE_MS));
}

void loop_kit_count(struct writ_loop *l, const int *counter, int n, const char *why)
{
	int64_t until = writ_mono_ms() + LOOP_KIT_PATIENCE_MS;
	while (*counter < n && writ_mono_ms() < until)
		loop_kit_turn(l, 2);
	if (*counter < n)
		fail_msg("waited for %d, got %d (last: %s)", n, *counter, why);
}

void loop_kit_get(struct writ_loop *l, int fd, void *p, size_t n)
{
	int64_t until = writ_mono_ms() + LOOP_KIT_PATIENCE_MS;
	size_t got = 0;
	while (got < n && writ_mono_ms() < until) {
		ssize_t k = recv(fd, (char *)p + got, n - got, MSG_DONTWAIT);
		if (k == 0)
			fail_msg("end after %zu of %zu bytes", got, n);
		if (k > 0)
			got += (size_t)k;
		else
			loop_kit_turn(l, 1);
	}
	assert_int_equal(got, n);
}

bool loop_kit_over(struct writ_loop *l, int fd)
{
	char c[4096];
	int64_t until = writ_mono_ms() + LOOP_KIT_PATIENCE_MS;
	while (writ_mono_ms() < until) {
		ssize_t k = recv(fd, c, sizeof(c), MSG_DONTWAIT);
		if (k == 0 || (k < 0 && errno != EAGAIN))
			return true;
		if (k < 0)
			loop_kit_turn(l, 1);
	}
	return false;
}
