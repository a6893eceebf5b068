/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"

#include "base/clock.h"
#include "loop_kit.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

static void set_flag(void *arg)
{
	*(bool *)arg = true;
}

struct watch {
	struct writ_poll *poll;
	int fd[2], seen, times;
	int then; /* what to watch after an event */
	bool hit, free_it;
};

static void on_ready(void *arg, int events)
{
	struct watch *w = arg;
	w->seen = events;
	w->times++;
	w->hit = true;
	if (w->free_it)
		writ_poll_free(writ_steal(w->poll));
	else
		writ_poll_set(w->poll, w->then);
}

static void watch_open(struct watch *w, struct writ_loop *l)
{
	struct writ_err err;
	*w = (struct watch){ 0 };
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, w->fd), 0);
	assert_ok(writ_poll_new(l, w->fd[0], on_ready, w, &w->poll, &err), err);
}

static void watch_close(struct watch *w)
{
	writ_poll_free(w->poll);
	for (int i = 0; i < 2; i++) {
		if (w->fd[i] >= 0)
			close(w->fd[i]);
	}
}

static void expect(struct watch *w, struct writ_loop *l, int events)
{
	w->hit = false;
	loop_kit_until(l, &w->hit);
	assert_int_equal(w->seen, events);
}

/* Lets the loop look at everything that is ready now. */
static void settle(struct writ_loop *l)
{
	bool done = false;
	struct writ_timer *t = writ_timer_new(l, set_flag, &done);
	writ_timer_start(t, 10);
	loop_kit_until(l, &done);
	writ_timer_free(t);
}

static void a_poll_tells_readable_writable_and_hangup(void **state)
{
	struct watch w;
	char c;
	watch_open(&w, *state);
	writ_poll_set(w.poll, WRIT_WRITABLE | WRIT_READABLE);
	expect(&w, *state, WRIT_WRITABLE);
	assert_int_equal(write(w.fd[1], "x", 1), 1);
	writ_poll_set(w.poll, WRIT_READABLE);
	expect(&w, *state, WRIT_READABLE);
	assert_int_equal(read(w.fd[0], &c, 1), 1);
	writ_poll_set(w.poll, WRIT_HANGUP);
	assert_int_equal(write(w.fd[1], "x", 1), 1);
	settle(*state);
	assert_int_equal(w.times, 2); /* the byte was not asked for */
	assert_int_equal(shutdown(w.fd[1], SHUT_WR), 0);
	expect(&w, *state, WRIT_HANGUP);
	writ_poll_set(w.poll, WRIT_READABLE | WRIT_HANGUP);
	expect(&w, *state, WRIT_READABLE | WRIT_HANGUP);
	watch_close(&w);
}

static void a_paused_poll_is_silent_and_resumes(void **state)
{
	struct watch w;
	watch_open(&w, *state);
	writ_poll_set(w.poll, WRIT_READABLE);
	settle(*state);
	writ_poll_set(w.poll, 0);
	assert_int_equal(write(w.fd[1], "x", 1), 1);
	settle(*state);
	settle(*state);
	assert_int_equal(w.times, 0);
	writ_poll_set(w.poll, WRIT_READABLE);
	expect(&w, *state, WRIT_READABLE);
	/* Paused and resumed at once: level-triggered, so the byte is still news. */
	writ_poll_set(w.poll, WRIT_READABLE);
	writ_poll_set(w.poll, 0);
	writ_poll_set(w.poll, WRIT_READABLE);
	expect(&w, *state, WRIT_READABLE);
	watch_close(&w);
}

static void an_error_of_the_socket_is_a_hangup(void **state)
{
	struct watch w;
	char c;
	watch_open(&w, *state);
	/* A peer that closes with our bytes unread resets the connection: EPOLLERR. */
	assert_int_equal(write(w.fd[0], "x", 1), 1);
	writ_poll_set(w.poll, 0);
	settle(*state);
	close(w.fd[1]);
	w.fd[1] = -1;
	settle(*state);
	assert_int_equal(w.times, 0);
	writ_poll_set(w.poll, WRIT_HANGUP);
	expect(&w, *state, WRIT_HANGUP | WRIT_READABLE);
	settle(*state);
	assert_int_equal(w.times, 1); /* it stopped */
	writ_poll_set(w.poll, WRIT_READABLE);
	expect(&w, *state, WRIT_HANGUP | WRIT_READABLE);
	assert_int_equal(read(w.fd[0], &c, 1), -1);
	assert_int_equal(errno, ECONNRESET);
	watch_close(&w);
}

static void a_poll_may_free_itself_and_its_number_be_used_again(void **state)
{
	int number = -1;
	for (int i = 0; i < 20; i++) {
		struct watch w;
		watch_open(&w, *state);
		if (number >= 0)
			assert_int_equal(w.fd[0], number);
		number = w.fd[0];
		w.free_it = true;
		assert_int_equal(write(w.fd[1], "x", 1), 1);
		writ_poll_set(w.poll, WRIT_READABLE);
		if (i % 2)
			expect(&w, *state, WRIT_READABLE);
		watch_close(&w); /* on even rounds with an event under way */
	}
	settle(*state);
}

/* Two events in one turn of the loop: the first frees the other's poll, and takes its number. */
struct pair {
	struct watch a, b, fresh;
	struct writ_loop *loop;
	struct writ_timer *end;
	int calls;
	bool done;
};

static void cross(void *arg, int events)
{
	struct pair *p = arg;
	struct writ_err err;
	(void)events;
	p->calls++;
	writ_poll_free(writ_steal(p->a.poll));
	writ_poll_free(writ_steal(p->b.poll));
	close(p->b.fd[0]);
	int fds[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	p->fresh.fd[0] = fds[0];
	p->fresh.fd[1] = fds[1];
	assert_int_equal(fds[0], p->b.fd[0]);
	p->b.fd[0] = -1;
	assert_ok(writ_poll_new(p->loop, fds[0], on_ready, &p->fresh, &p->fresh.poll, &err), err);
	writ_poll_set(p->fresh.poll, WRIT_READABLE);
	writ_timer_start(p->end, 10);
}

static void a_stale_event_does_not_reach_a_new_owner_of_the_number(void **state)
{
	struct pair p = { .loop = *state };
	struct writ_err err;
	p.end = writ_timer_new(p.loop, set_flag, &p.done);
	for (int i = 0; i < 2; i++) {
		struct watch *w = i ? &p.b : &p.a;
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, w->fd), 0);
		assert_ok(writ_poll_new(p.loop, w->fd[0], cross, &p, &w->poll, &err), err);
		writ_poll_set(w->poll, WRIT_READABLE);
		assert_int_equal(write(w->fd[1], "x", 1), 1);
	}
	loop_kit_until(p.loop, &p.done);
	assert_int_equal(p.calls, 1);
	assert_int_equal(p.fresh.times, 0);
	watch_close(&p.fresh);
	watch_close(&p.a);
	watch_close(&p.b);
	writ_timer_free(p.end);
}

static void what_cannot_be_watched_is_refused(void **state)
{
	struct writ_err err;
	struct writ_poll *p = NULL;
	FILE *f = tmpfile();
	assert_non_null(f);
	assert_fails(writ_poll_new(*state, fileno(f), on_ready, NULL, &p, &err), WRIT_EDENIED, err,
		"watch file descriptor");
	fclose(f);
	assert_null(p);
	writ_poll_free(NULL);
}

int main(void)
{
#define ON_A_LOOP(test) cmocka_unit_test_setup_teardown(test, loop_kit_enter, loop_kit_leave)
	const struct CMUnitTest tests[] = {
		ON_A_LOOP(a_poll_tells_readable_writable_and_hangup),
		ON_A_LOOP(a_paused_poll_is_silent_and_resumes),
		ON_A_LOOP(an_error_of_the_socket_is_a_hangup),
		ON_A_LOOP(a_poll_may_free_itself_and_its_number_be_used_again),
		ON_A_LOOP(a_stale_event_does_not_reach_a_new_owner_of_the_number),
		ON_A_LOOP(what_cannot_be_watched_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
