/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_agent.h"

#include "check.h"

#include "base/mem.h"
#include "rpc/channel.h"
#include "rpc/rpc.h"

#include <pthread.h>
#include <unistd.h>

struct stream {
	struct writ_list node;
	struct writ_call *call;
	uint64_t sent; /* version */
	bool once;
};

struct fake_agent {
	char *path;
	pthread_t thread;
	struct writ_loop *loop;
	struct writ_rpc_server *server;
	X509SVIDResponse *answer;
	uint64_t version;
	struct writ_list streams;
	int n_streams, calls, bare;
	int plan[FAKE_PLAN];
	size_t n_plan, planned;
	/* An order of the test's thread; it waits for the answer. */
	pthread_mutex_t lock;
	pthread_cond_t over;
	struct writ_task task;
	void (*order)(struct fake_agent *a, void *arg);
	void *arg;
	bool done;
};

static void push(struct fake_agent *a, struct stream *s)
{
	if (!a->answer || s->sent == a->version)
		return;
	if (writ_call_send(s->call, &a->answer->base, NULL) == WRIT_OK)
		s->sent = a->version;
}

static void on_writable(struct writ_call *c)
{
	struct stream *s = writ_call_user(c);
	if (s->once)
		writ_call_finish(c);
	else
		push(writ_call_program(c), s);
}

static void on_end(struct writ_call *c)
{
	struct fake_agent *a = writ_call_program(c);
	struct stream *s = writ_call_user(c);
	writ_list_remove(&s->node);
	writ_free(s);
	a->n_streams--;
}

static void fetch(struct writ_call *c)
{
	struct fake_agent *a = writ_call_program(c);
	size_t n;
	int code = a->planned < a->n_plan ? a->plan[a->planned++] : 0;
	struct writ_str header = writ_call_metadata(c, "workload.spiffe.io", &n);
	a->calls++;
	a->bare += n != 1 || !writ_str_eq(header, WRIT_STR("true"));
	if (code > 0) {
		writ_call_fail_status(c, code, "no identity issued", NULL, 0);
		return;
	}
	struct stream *s = writ_alloc(sizeof(*s));
	s->call = c;
	s->once = code < 0;
	writ_list_push(&a->streams, &s->node);
	a->n_streams++;
	writ_call_set_user(c, s);
	writ_call_on_writable(c, on_writable);
	writ_call_on_end(c, on_end);
	push(a, s);
}

static const struct writ_rpc_method methods[] = {
	{ .path = "/SpiffeWorkloadAPI/FetchX509SVID",
		.kind = WRIT_RPC_SERVER_STREAM,
		.in = &x509_svidrequest__descriptor,
		.out = &x509_svidresponse__descriptor,
		.handle = fetch },
};

static void run_order(struct writ_task *t)
{
	struct fake_agent *a = writ_container(t, struct fake_agent, task);
	a->order(a, a->arg);
	pthread_mutex_lock(&a->lock);
	a->done = true;
	pthread_cond_signal(&a->over);
	pthread_mutex_unlock(&a->lock);
}

static void order(struct fake_agent *a, void (*what)(struct fake_agent *a, void *arg), void *arg)
{
	a->order = what;
	a->arg = arg;
	a->done = false;
	writ_loop_post(a->loop, &a->task);
	pthread_mutex_lock(&a->lock);
	while (!a->done)
		pthread_cond_wait(&a->over, &a->lock);
	pthread_mutex_unlock(&a->lock);
}

static void do_open(struct fake_agent *a, void *arg)
{
	struct writ_err err;
	int fd;
	(void)arg;
	struct writ_rpc_server_config cfg = {
		.loop = a->loop,
		.front = { .name = "fake", .limits = WRIT_FRONT_LIMITS },
		.methods = methods,
		.n_methods = WRIT_COUNT(methods),
		.max_request = 65536,
		.program = a,
	};
	cfg.front.limits.per_process = 256;
	assert_ok(writ_listen_unix(a->path, 0700, &fd, &err), err);
	assert_ok(writ_rpc_server_start(&cfg, fd, &a->server, &err), err);
}

static void *thread_main(void *arg)
{
	struct fake_agent *a = arg;
	writ_loop_run(a->loop);
	return NULL;
}

struct fake_agent *fake_agent_start(const char *path)
{
	struct writ_err err;
	struct fake_agent *a = writ_alloc(sizeof(*a));
	a->path = writ_strdup(path);
	a->task.run = run_order;
	writ_list_init(&a->streams);
	pthread_mutex_init(&a->lock, NULL);
	pthread_cond_init(&a->over, NULL);
	writ_rpc_init();
	assert_ok(writ_loop_new(&a->loop, &err), err);
	assert_int_equal(pthread_create(&a->thread, NULL, thread_main, a), 0);
	order(a, do_open, NULL);
	return a;
}

static void on_stopped(void *arg)
{
	struct fake_agent *a = arg;
	writ_loop_stop(a->loop);
}

static void do_stop(struct fake_agent *a, void *arg)
{
	(void)arg;
	writ_rpc_server_stop(a->server, 200, on_stopped, a);
}

void fake_agent_stop(struct fake_agent *a)
{
	order(a, do_stop, NULL);
	pthread_join(a->thread, NULL);
	writ_loop_free(a->loop);
	writ_rpc_shutdown();
	(void)unlink(a->path);
	fake_answer_free(a->answer);
	pthread_mutex_destroy(&a->lock);
	pthread_cond_destroy(&a->over);
	writ_free(a->path);
	writ_free(a);
}

static void do_say(struct fake_agent *a, void *arg)
{
	fake_answer_free(a->answer);
	a->answer = arg;
	a->version++;
	WRIT_LIST_EACH (n, &a->streams)
		push(a, writ_container(n, struct stream, node));
}

void fake_agent_say(struct fake_agent *a, X509SVIDResponse *answer)
{
	order(a, do_say, answer);
}

static void do_plan(struct fake_agent *a, void *arg)
{
	assert_true(a->n_plan < FAKE_PLAN);
	a->plan[a->n_plan++] = *(int *)arg;
}

void fake_agent_plan(struct fake_agent *a, int code)
{
	order(a, do_plan, &code);
}

static void do_end(struct fake_agent *a, void *arg)
{
	int code = *(int *)arg;
	WRIT_LIST_EACH (n, &a->streams) {
		struct stream *s = writ_container(n, struct stream, node);
		if (code)
			writ_call_fail_status(s->call, code, "no identity issued", NULL, 0);
		else
			writ_call_finish(s->call);
	}
}

void fake_agent_end(struct fake_agent *a, int code)
{
	order(a, do_end, &code);
}

static void do_count(struct fake_agent *a, void *arg)
{
	int *n = arg;
	n[0] = a->calls;
	n[1] = a->n_streams;
	n[2] = a->bare;
}

static int count(struct fake_agent *a, int which)
{
	int n[3];
	order(a, do_count, n);
	return n[which];
}

int fake_agent_calls(struct fake_agent *a)
{
	return count(a, 0);
}

int fake_agent_streams(struct fake_agent *a)
{
	return count(a, 1);
}

int fake_agent_bare(struct fake_agent *a)
{
	return count(a, 2);
}
