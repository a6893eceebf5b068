/* SPDX-License-Identifier: Apache-2.0 */
/* What a service manager is told of a start. */
#include "check.h"

#include "base/clock.h"
#include "base/mem.h"
#include "daemon/daemon.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct world {
	struct writ_loop *loop;
	struct writ_daemon *daemon;
	char dir[64], path[128];
	int fd;
};

static void on_stop(void *arg)
{
	(void)arg;
}

static bool is_ready(void *arg)
{
	return arg != NULL;
}

static void print(void *arg, struct writ_buf *out)
{
	(void)arg, (void)out;
}

static int open_world(void **state)
{
	struct world *w = writ_alloc(sizeof(*w));
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	struct writ_err err;
	(void)snprintf(w->dir, sizeof(w->dir), "/tmp/writ-daemon-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	(void)snprintf(w->path, sizeof(w->path), "%s/notify", w->dir);
	(void)snprintf(a.sun_path, sizeof(a.sun_path), "%.100s", w->path);
	w->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(w->fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_ok(writ_loop_new(&w->loop, &err), err);
	const struct writ_daemon_config cfg = { .loop = w->loop,
		.name = "test",
		.notify_socket = w->path,
		.ready = is_ready,
		.metrics = print,
		.stop = on_stop,
		.stop_deadline_ms = 60000,
		.arg = w };
	assert_ok(writ_daemon_start(&cfg, &w->daemon, &err), err);
	*state = w;
	return 0;
}

static int close_world(void **state)
{
	struct world *w = *state;
	writ_daemon_done(w->daemon);
	writ_loop_free(w->loop);
	close(w->fd);
	(void)unlink(w->path);
	(void)rmdir(w->dir);
	writ_free(w);
	return 0;
}

static void expect(struct world *w, const char *wanted)
{
	char got[1024];
	ssize_t n = recv(w->fd, got, sizeof(got) - 1, 0);
	got[n < 0 ? 0 : n] = '\0';
	assert_string_equal(got, wanted);
}

static void ready_is_said_with_a_status(void **state)
{
	struct world *w = *state;
	writ_daemon_ready(w->daemon, "/run/x.sock");
	expect(w, "READY=1\nSTATUS=/run/x.sock\n");
	expect(w, "");
}

static void a_start_that_waits_says_why_and_asks_for_time(void **state)
{
	struct world *w = *state;
	writ_daemon_waits(w->daemon, "asking", 180000);
	expect(w, "STATUS=asking\n");
	expect(w, "EXTEND_TIMEOUT_USEC=20000000\n");
	writ_daemon_waits(w->daemon, "asking again", 180000);
	expect(w, "STATUS=asking again\n");
	expect(w, ""); /* each extension says for how long it holds: one at a time */
	writ_daemon_ready(w->daemon, "s");
	expect(w, "READY=1\nSTATUS=s\n");
}

static void it_asks_for_no_more_than_its_patience(void **state)
{
	struct world *w = *state;
	char got[64];
	writ_daemon_waits(w->daemon, "s", 3000);
	expect(w, "STATUS=s\n");
	ssize_t n = recv(w->fd, got, sizeof(got) - 1, 0);
	assert_true(n > 20);
	got[n] = '\0';
	struct writ_str number = writ_strn(got + 20, (size_t)n - 21);
	uint64_t us;
	assert_int_equal(memcmp(got, "EXTEND_TIMEOUT_USEC=", 20), 0);
	assert_int_equal(writ_parse_u64(number, 0, 3000000, &us, NULL), WRIT_OK);
	assert_true(us > 1000000);
}

/* A status may quote what a server said. */
static void a_status_is_one_line(void **state)
{
	struct world *w = *state;
	writ_daemon_waits(w->daemon, "it says: \nREADY=1\r\nMAINPID=1\x7f", 1);
	expect(w, "STATUS=it says:  READY=1  MAINPID=1 \n");
}

static void an_end_waits_for_nothing(void **state)
{
	struct world *w = *state;
	writ_daemon_waits(w->daemon, "s", 180000);
	expect(w, "STATUS=s\n");
	expect(w, "EXTEND_TIMEOUT_USEC=20000000\n");
	writ_daemon_begin_stop(w->daemon);
	expect(w, "STOPPING=1\n");
	writ_daemon_waits(w->daemon, "late", 180000);
	expect(w, "");
}

#define IN_WORLD(f) cmocka_unit_test_setup_teardown(f, open_world, close_world)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_WORLD(ready_is_said_with_a_status),
		IN_WORLD(a_start_that_waits_says_why_and_asks_for_time),
		IN_WORLD(it_asks_for_no_more_than_its_patience),
		IN_WORLD(a_status_is_one_line),
		IN_WORLD(an_end_waits_for_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
