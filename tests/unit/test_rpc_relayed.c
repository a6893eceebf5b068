/* SPDX-License-Identifier: Apache-2.0 */
/* Servers behind the front, in a process where no thread waits for gRPC's sockets: what the loop
 * does not look at stands still. The clients are plain sockets, without gRPC. */
#include "../bench/h2_client.h"
#include "check.h"

#include "base/clock.h"
#include "base/mem.h"
#include "front/front.h"
#include "rpc/absl_checks.h"
#include "rpc/channel.h"
#include "rpc/rpc.h"

#include "grpc/health/v1/health.pb-c.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

#define WAIT_MS 20000             /* for what has to happen */
#define BIG     (3 * 1024 * 1024) /* more than all sockets on the way hold */
#define MANY    30

typedef Grpc__Health__V1__HealthCheckRequest Text;
#define TEXT (&grpc__health__v1__health_check_request__descriptor)

struct fixture {
	struct writ_loop *loop;
	struct writ_rpc_server *server;
	char dir[32], path[64];
	int after;
	bool stopped;
	struct h2 client[MANY];
};

static void reply(struct writ_call *c, size_t n)
{
	Text m = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;
	m.service = writ_alloc(n + 1);
	memset(m.service, 'b', n);
	writ_call_reply(c, &m.base);
	writ_free(m.service);
}

static void big(struct writ_call *c)
{
	reply(c, BIG);
}

static void small(struct writ_call *c)
{
	reply(c, 10);
}

static void gone(struct writ_call *c)
{
	(void)c;
}

static void stay(struct writ_call *c)
{
	Text m = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;
	struct writ_err err;
	m.service = (char[]){ "x" };
	writ_call_on_end(c, gone);
	assert_ok(writ_call_send(c, &m.base, &err), err);
}

static const struct writ_rpc_method methods[] = {
	{ .path = "/t/Big", .kind = WRIT_RPC_UNARY, .in = TEXT, .out = TEXT, .handle = big },
	{ .path = "/t/Small", .kind = WRIT_RPC_UNARY, .in = TEXT, .out = TEXT, .handle = small },
	{ .path = "/t/Stay",
		.kind = WRIT_RPC_SERVER_STREAM,
		.in = TEXT,
		.out = TEXT,
		.handle = stay },
};

static void after(struct writ_call *c, int status, const char *message, int64_t took_us)
{
	struct fixture *f = writ_call_program(c);
	(void)status;
	(void)message;
	(void)took_us;
	f->after++;
}

static void set_true(void *arg)
{
	*(bool *)arg = true;
}

static int setup(void **state)
{
	struct fixture *f = writ_alloc(sizeof(*f));
	struct writ_err err;
	int fd;
	writ_rpc_init();
	assert_ok(writ_loop_new(&f->loop, &err), err);
	snprintf(f->dir, sizeof(f->dir), "/tmp/test_relayed.XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->path, sizeof(f->path), "%s/sock", f->dir);
	assert_ok(writ_listen_unix(f->path, 0600, &fd, &err), err);
	const struct writ_rpc_server_config cfg = { .loop = f->loop,
		.front = { .name = "test", .limits = WRIT_FRONT_LIMITS },
		.methods = methods,
		.n_methods = WRIT_COUNT(methods),
		.max_request = 65536,
		.program = f,
		.after = after };
	assert_ok(writ_rpc_server_start(&cfg, fd, &f->server, &err), err);
	for (int i = 0; i < MANY; i++)
		f->client[i].fd = -1;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	for (int i = 0; i < MANY; i++)
		h2_close(&f->client[i]);
	if (!f->stopped) {
		writ_rpc_server_stop(f->server, WAIT_MS, set_true, &f->stopped);
		assert_true(writ_loop_run_until(f->loop, &f->stopped, writ_mono_ms() + WAIT_MS));
	}
	writ_loop_free(f->loop);
	writ_rpc_shutdown();
	unlink(f->path);
	rmdir(f->dir);
	writ_free(f);
	return 0;
}

static void turn(struct fixture *f)
{
	static const bool never = false;
	(void)writ_loop_run_until(f->loop, &never, writ_mono_ms() + 1);
}

/* The loop runs, and clients read, until each has `messages` of them, or has `ended`. */
static void serve(struct fixture *f, int clients, uint64_t messages, bool ended)
{
	const int64_t until = writ_mono_ms() + WAIT_MS;
	for (int i = 0; i < clients; i++) {
		struct h2 *h = &f->client[i];
		while (ended ? !h->ended : h->messages < messages) {
			assert_true(writ_mono_ms() < until);
			turn(f);
			while (h2_read(h, 0))
				;
		}
	}
}

static void call(struct fixture *f, int i, const char *method)
{
	assert_int_equal(h2_open(&f->client[i], f->path, method, NULL), 0);
}

static void wait_after(struct fixture *f, int n)
{
	const int64_t until = writ_mono_ms() + WAIT_MS;
	while (f->after < n) {
		assert_true(writ_mono_ms() < until);
		turn(f);
	}
}

static void an_answer_larger_than_all_sockets_hold_arrives_at_a_slow_reader(void **state)
{
	struct fixture *f = *state;
	call(f, 0, "/t/Big");
	for (int i = 0; i < 50; i++) /* it fills what there is, and stops */
		turn(f);
	serve(f, 1, 1, false);
	assert_true(f->client[0].last_size > BIG);
	serve(f, 1, 1, true);
	wait_after(f, 1);
}

static void many_that_call_at_once_are_all_answered(void **state)
{
	struct fixture *f = *state;
	for (int i = 0; i < MANY; i++)
		call(f, i, i % 10 ? "/t/Small" : "/t/Big");
	serve(f, MANY, 1, false);
	serve(f, MANY, 1, true);
	wait_after(f, MANY);
}

static void callers_who_leave_are_noticed_without_another_word(void **state)
{
	struct fixture *f = *state;
	for (int i = 0; i < MANY; i++)
		call(f, i, "/t/Stay");
	serve(f, MANY, 1, false);
	assert_int_equal(f->after, 0);
	for (int i = 0; i < MANY; i++)
		h2_close(&f->client[i]);
	wait_after(f, MANY);
}

static void one_who_is_served_does_not_wait_for_those_who_leave(void **state)
{
	struct fixture *f = *state;
	for (int round = 0; round < 20; round++) {
		for (int i = 1; i < MANY; i++)
			call(f, i, "/t/Stay");
		for (int i = 1; i < MANY; i++) {
			call(f, 0, "/t/Small");
			h2_close(&f->client[i]);
			serve(f, 1, 1, false);
			h2_close(&f->client[0]);
			if (i % 10)
				continue;
			turn(f);
		}
	}
	wait_after(f, 20 * (MANY - 1));
}

static void a_server_that_stops_ends_its_streams(void **state)
{
	struct fixture *f = *state;
	for (int i = 0; i < MANY; i++)
		call(f, i, "/t/Stay");
	serve(f, MANY, 1, false);
	writ_rpc_server_stop(f->server, WAIT_MS, set_true, &f->stopped);
	serve(f, MANY, 1, true);
	assert_true(writ_loop_run_until(f->loop, &f->stopped, writ_mono_ms() + WAIT_MS));
	assert_int_equal(f->after, MANY);
}

static void abseil_of_this_system_does_not_check_for_deadlocks(void **state)
{
	(void)state;
	/* what only a build with the check has */
	bool debian = dlsym(RTLD_DEFAULT, "_ZN4absl7debian35Mutex18ForgetDeadlockInfoEv") != NULL;
	assert_true(writ_absl_checks_off() || !debian);
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(an_answer_larger_than_all_sockets_hold_arrives_at_a_slow_reader),
		TEST(many_that_call_at_once_are_all_answered),
		TEST(callers_who_leave_are_noticed_without_another_word),
		TEST(one_who_is_served_does_not_wait_for_those_who_leave),
		TEST(a_server_that_stops_ends_its_streams),
		cmocka_unit_test(abseil_of_this_system_does_not_check_for_deadlocks),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
