/* SPDX-License-Identifier: Apache-2.0 */
/* The order in which a server goes. Anything else loses a status, a tag or memory:
 *   no new connections; every open call is ended with Unavailable, and so is each that still comes;
 *   when all of them are gone: gRPC shuts down, which closes its ends of the connections;
 *   when gRPC says so, has given back every request and the front has passed on the last bytes:
 * free. After the deadline the connections are cut first. */
#include "rpc/server.h"

#include "base/clock.h"

#include <assert.h>

static const char stopping[] = "the server is stopping";

static void free_server(struct writ_rpc_server *s)
{
	void (*stopped)(void *) = s->stopped;
	void *arg = s->stopped_arg;
	if (s->front)
		writ_front_free(s->front);
	grpc_server_destroy(s->grpc);
	grpc_server_credentials_release(s->creds);
	writ_cq_put(s->cq);
	writ_timer_free(s->timer);
	writ_timer_free(s->cut);
	for (size_t i = 0; i < s->n_fd_peers; i++)
		if (s->fd_peers[i])
			writ_peer_unref(s->fd_peers[i]);
	writ_free(s->fd_peers);
	writ_free(s);
	if (stopped)
		stopped(arg);
}

static void last(struct writ_task *t)
{
	free_server(writ_container(t, struct writ_rpc_server, task));
}

static void shut_down(struct writ_rpc_server *s)
{
	s->state = SERVER_CUTS;
	grpc_server_shutdown_and_notify(s->grpc, writ_cq_grpc(s->cq), &s->shut);
	grpc_server_cancel_all_calls(s->grpc);
}

void writ_server_check(struct writ_rpc_server *s)
{
	if (s->state == SERVER_ENDS && s->n_calls == 0)
		shut_down(s);
	if (s->state != SERVER_CUTS || !s->shut_done || s->n_calls > 0 || s->n_posted > 0)
		return;
	if (s->conns > 0 && !s->impatient)
		return;
	s->state = SERVER_GOES;
	s->task.run = last; /* not from inside a tag: the queue goes too */
	writ_loop_post(s->cfg.loop, &s->task);
}

static void shut(struct tag *t, bool ok)
{
	struct writ_rpc_server *s = writ_container(t, struct writ_rpc_server, shut);
	(void)ok;
	s->shut_done = true;
	writ_server_check(s);
}

static bool every_connection(void *arg, const struct writ_peer *p)
{
	(void)arg;
	(void)p;
	return true;
}

static void out_of_patience(void *arg)
{
	struct writ_rpc_server *s = arg;
	s->impatient = true;
	if (s->front)
		writ_front_cut(s->front, every_connection, NULL, stopping);
	if (s->state == SERVER_ENDS)
		shut_down(s);
	writ_server_check(s);
}

static void begin(struct writ_task *t)
{
	struct writ_rpc_server *s = writ_container(t, struct writ_rpc_server, task);
	s->state = SERVER_ENDS;
	if (s->front)
		writ_front_stop_accepting(s->front);
	/* on_end may end other calls in turn: never walk a list that may change */
	struct writ_list all;
	writ_list_init(&all);
	for (struct writ_list *n = writ_list_pop(&s->calls); n; n = writ_list_pop(&s->calls))
		writ_list_push(&all, n);
	for (struct writ_list *n = writ_list_pop(&all); n; n = writ_list_pop(&all)) {
		writ_list_push(&s->calls, n);
		writ_call_end(writ_container(n, struct writ_call, node), GRPC_STATUS_UNAVAILABLE,
			stopping);
	}
	int64_t left = s->stop_ms - writ_mono_ms();
	s->cut = writ_timer_new(s->cfg.loop, out_of_patience, s);
	writ_timer_start(s->cut, left > 0 ? left : 0);
	writ_server_check(s);
}

void writ_rpc_server_stop(
	struct writ_rpc_server *s, int64_t deadline_ms, void (*done)(void *arg), void *arg)
{
	assert(!s->stopped && s->state == SERVER_RUNS && !s->task.run);
	s->stopped = done;
	s->stopped_arg = arg;
	s->stop_ms = writ_mono_ms() + deadline_ms;
	s->shut.done = shut;
	s->task.run = begin;
	writ_loop_post(s->cfg.loop, &s->task);
}
