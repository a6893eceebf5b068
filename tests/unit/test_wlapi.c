/* SPDX-License-Identifier: Apache-2.0 */
/* The Workload API through its real socket; the caller is this very process. */
#include "check.h"

#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "forge.h"
#include "rpc/channel.h"
#include "rpc/rpc.h"
#include "wlapi_kit.h"

#include "grpc/health/v1/health.pb-c.h"
#include "workloadapi.pb-c.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static char dir[] = "/tmp/test-wlapi-XXXXXX";

struct fixture {
	struct wlapi_kit k;
	struct writ_channel *channel;
};

/* One call from the client's side. */
struct probe {
	int messages;
	bool moved; /* a message or the end came since it was last cleared */
	bool ended;
	int code;
	char text[256];
	X509SVIDResponse *svids; /* the last; owned */
	size_t n_bundles;
};

static void start(struct fixture *f)
{
	struct writ_err err = { 0 };
	wlapi_kit_open(&f->k, dir);
	assert_ok(writ_channel_unix(f->k.loop, f->k.path, &f->channel, &err), err);
}

static void set_flag(void *arg)
{
	*(bool *)arg = true;
}

static void stop(struct fixture *f)
{
	bool closed = false;
	if (f->k.w)
		wlapi_kit_stop(&f->k);
	writ_channel_close(f->channel, set_flag, &closed);
	wlapi_kit_await(&f->k, &closed);
	wlapi_kit_close(&f->k);
}

static void on_message(void *arg, struct writ_rpc *r, const ProtobufCMessage *m)
{
	struct probe *p = arg;
	p->messages++;
	p->moved = true;
	if (m->descriptor == &x509_svidresponse__descriptor) {
		writ_pb_free(p->svids ? &p->svids->base : NULL);
		p->svids = (X509SVIDResponse *)writ_rpc_take(r);
	}
	if (m->descriptor == &x509_bundles_response__descriptor)
		p->n_bundles = ((const X509BundlesResponse *)(const void *)m)->n_bundles;
}

static void on_ended(void *arg, struct writ_rpc *r, const struct writ_rpc_status *s)
{
	struct probe *p = arg;
	(void)r;
	p->moved = p->ended = true;
	p->code = s->code;
	snprintf(p->text, sizeof(p->text), "%s", s->message ? s->message : "");
}

static struct writ_rpc *call(struct fixture *f, struct probe *p, const char *path,
	const ProtobufCMessageDescriptor *out, const char *const *headers, size_t n)
{
	X509SVIDRequest empty = X509_SVIDREQUEST__INIT;
	struct writ_rpc_header rows[4];
	for (size_t i = 0; i < n; i++)
		rows[i] = (struct writ_rpc_header){ "workload.spiffe.io", headers[i] };
	const struct writ_rpc_request req = { .path = path,
		.message = &empty.base,
		.out = out,
		.headers = rows,
		.n_headers = n,
		.message_in = on_message,
		.ended = on_ended,
		.arg = p };
	*p = (struct probe){ .messages = 0 };
	return writ_rpc_start(f->channel, &req);
}

static const char *const yes[] = { "true" };

static struct writ_rpc *fetch(struct fixture *f, struct probe *p)
{
	return call(
		f, p, "/SpiffeWorkloadAPI/FetchX509SVID", &x509_svidresponse__descriptor, yes, 1);
}

static void moved(struct fixture *f, struct probe *p)
{
	wlapi_kit_await(&f->k, &p->moved);
	p->moved = false;
}

static void quiet(struct fixture *f, struct probe *p)
{
	assert_false(writ_loop_run_until(f->k.loop, &p->moved, writ_mono_ms() + 50));
}

static void put(struct fixture *f, const char *id, int64_t revision, const char *hint)
{
	wlapi_kit_put(&f->k, id, revision, hint, NULL);
}

static void test_the_header_is_exactly_one_true(void **state)
{
	(void)state;
	static const struct {
		const char *values[2];
		size_t n;
	} rows[] = { { { NULL }, 0 }, { { "True" }, 1 }, { { "TRUE" }, 1 }, { { "1" }, 1 },
		{ { "" }, 1 }, { { "true", "true" }, 2 }, { { "true", "false" }, 2 } };
	static const char *const paths[] = { "/SpiffeWorkloadAPI/FetchX509SVID",
		"/SpiffeWorkloadAPI/FetchX509Bundles", "/SpiffeWorkloadAPI/FetchJWTSVID" };
	struct fixture f;
	struct probe p;
	start(&f);
	for (size_t k = 0; k < WRIT_COUNT(paths); k++) {
		for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
			(void)call(&f, &p, paths[k], &x509_svidresponse__descriptor, rows[i].values,
				rows[i].n);
			wlapi_kit_await(&f.k, &p.ended);
			assert_int_equal(p.code, 3);
			assert_string_equal(p.text, "security header missing from request");
		}
	}
	(void)call(&f, &p, "/SpiffeWorkloadAPI/FetchJWTSVID", &jwtsvidresponse__descriptor, yes, 1);
	wlapi_kit_await(&f.k, &p.ended);
	assert_int_equal(p.code, 12);
	(void)call(&f, &p, "/SpiffeWorkloadAPI/Nope", &jwtsvidresponse__descriptor, yes, 1);
	wlapi_kit_await(&f.k, &p.ended);
	assert_int_equal(p.code, 12);
	stop(&f);
}

static void test_a_stream_gets_every_change(void **state)
{
	(void)state;
	struct fixture f;
	struct probe p;
	start(&f);
	wlapi_kit_set_bundle(&f.k);
	put(&f, "b", 0, "");
	(void)fetch(&f, &p);
	quiet(&f, &p); /* the SVID is not there yet: no half answer */
	wlapi_kit_feed(&f.k, "chain-1");
	moved(&f, &p);
	assert_int_equal(p.messages, 1);
	assert_int_equal(p.svids->n_svids, 1);
	assert_string_equal(p.svids->svids[0]->spiffe_id, "spiffe://td/b");
	assert_memory_equal(p.svids->svids[0]->x509_svid.data, "chain-1", 7);
	assert_memory_equal(p.svids->svids[0]->x509_svid_key.data, "the-key", 7);
	assert_true(p.svids->svids[0]->bundle.len > 100);
	/* An older entry comes first, and only once its SVID is there. */
	put(&f, "a", 0, "h");
	quiet(&f, &p);
	wlapi_kit_feed(&f.k, "chain-2");
	moved(&f, &p);
	assert_int_equal(p.svids->n_svids, 2);
	assert_string_equal(p.svids->svids[0]->spiffe_id, "spiffe://td/a");
	assert_string_equal(p.svids->svids[0]->hint, "h");
	/* A new hint at once, with the SVID there was; then the new SVID. */
	put(&f, "a", 1, "i");
	moved(&f, &p);
	assert_string_equal(p.svids->svids[0]->hint, "i");
	wlapi_kit_feed(&f.k, "chain-3");
	moved(&f, &p);
	assert_memory_equal(p.svids->svids[0]->x509_svid.data, "chain-3", 7);
	wlapi_kit_set_bundle(&f.k);
	moved(&f, &p);
	writ_cache_begin(f.k.cache, false);
	writ_cache_remove(f.k.cache, WRIT_STR("a"));
	writ_cache_commit(f.k.cache);
	moved(&f, &p);
	assert_int_equal(p.svids->n_svids, 1);
	assert_false(p.ended);
	writ_cache_remove(f.k.cache, WRIT_STR("b"));
	wlapi_kit_await(&f.k, &p.ended);
	assert_int_equal(p.code, 7);
	assert_non_null(strstr(p.text, "no identity issued (trace 0"));
	assert_int_equal(p.messages, 6);
	writ_pb_free(&p.svids->base);
	stop(&f);
}

/* As who links to it, or changes its owner, does. */
static void touch_program(void)
{
	struct stat before, now;
	assert_int_equal(stat("/proc/self/exe", &before), 0);
	do {
		assert_int_equal(chmod("/proc/self/exe", before.st_mode & 07777), 0);
		assert_int_equal(stat("/proc/self/exe", &now), 0);
	} while (now.st_ctim.tv_sec == before.st_ctim.tv_sec &&
		now.st_ctim.tv_nsec == before.st_ctim.tv_nsec);
}

static void test_what_is_done_to_the_file_of_a_program_does_not_end_its_stream(void **state)
{
	(void)state;
	struct fixture f;
	struct probe p;
	start(&f);
	wlapi_kit_set_bundle(&f.k);
	put(&f, "b", 0, "");
	(void)fetch(&f, &p);
	quiet(&f, &p);
	touch_program(); /* it was looked at before */
	wlapi_kit_feed(&f.k, "chain-1");
	moved(&f, &p);
	for (int i = 0; i < 10; i++) {
		touch_program();
		wlapi_kit_set_bundle(&f.k);
		moved(&f, &p);
	}
	assert_false(p.ended);
	assert_int_equal(p.messages, 11);
	writ_pb_free(&p.svids->base);
	stop(&f);
}

static void test_bundles_are_sent_once_for_each_change(void **state)
{
	(void)state;
	struct fixture f;
	struct probe p;
	start(&f);
	wlapi_kit_set_bundle(&f.k);
	put(&f, "a", 0, ""); /* entitled by an entry; its SVID is of no concern */
	(void)call(&f, &p, "/SpiffeWorkloadAPI/FetchX509Bundles",
		&x509_bundles_response__descriptor, yes, 1);
	moved(&f, &p);
	assert_int_equal(p.n_bundles, 1);
	wlapi_kit_feed(&f.k, "chain");
	put(&f, "b", 0, "");
	quiet(&f, &p);
	writ_cache_set_bundle(f.k.cache, writ_cache_bundle(f.k.cache));
	quiet(&f, &p);
	wlapi_kit_set_bundle(&f.k);
	moved(&f, &p);
	assert_int_equal(p.messages, 2);
	writ_cache_remove(f.k.cache, WRIT_STR("a"));
	quiet(&f, &p);
	writ_cache_remove(f.k.cache, WRIT_STR("b"));
	wlapi_kit_await(&f.k, &p.ended);
	assert_int_equal(p.code, 7);
	stop(&f);
}

static void test_who_matches_nothing_is_denied_with_a_trace(void **state)
{
	(void)state;
	struct fixture f;
	struct probe p;
	start(&f);
	wlapi_kit_set_bundle(&f.k);
	writ_cache_begin(f.k.cache, true);
	writ_cache_commit(f.k.cache);
	(void)fetch(&f, &p);
	wlapi_kit_await(&f.k, &p.ended);
	assert_int_equal(p.code, 7);
	assert_int_equal(strlen(p.text), strlen("no identity issued (trace )") + 26);
	assert_int_equal(writ_wlapi_stats(f.k.w).denied_no_match, 1);
	stop(&f);
}

static void test_before_the_first_sync_calls_wait_and_health_says_so(void **state)
{
	(void)state;
	struct fixture f;
	struct probe p, h;
	start(&f);
	(void)call(&f, &h, "/grpc.health.v1.Health/Check",
		&grpc__health__v1__health_check_response__descriptor, NULL, 0);
	wlapi_kit_await(&f.k, &h.ended);
	assert_int_equal(h.code, 0);
	(void)fetch(&f, &p);
	quiet(&f, &p);
	put(&f, "a", 0, "");
	wlapi_kit_feed(&f.k, "chain");
	wlapi_kit_set_bundle(&f.k);
	moved(&f, &p);
	assert_int_equal(p.messages, 1);
	/* And when there is never one: Unavailable. */
	writ_pb_free(&p.svids->base);
	stop(&f);
	start(&f);
	(void)fetch(&f, &p);
	wlapi_kit_await(&f.k, &p.ended);
	assert_int_equal(p.code, 14);
	stop(&f);
}

/* What costs something is looked for only when an entry asks for it: this one comes after the
 * caller was looked at. */
static void test_an_entry_that_asks_for_more_makes_the_agent_look_again(void **state)
{
	(void)state;
	struct fixture f;
	struct probe p;
	char nnp[8];
	start(&f);
	snprintf(nnp, sizeof(nnp), "nnp:%d", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
	(void)fetch(&f, &p);
	quiet(&f, &p);
	wlapi_kit_put(&f.k, "a", 0, "", nnp);
	wlapi_kit_feed(&f.k, "chain");
	wlapi_kit_set_bundle(&f.k);
	moved(&f, &p);
	wlapi_kit_feed(&f.k, "chain");
	while (!p.messages && !p.ended)
		moved(&f, &p);
	assert_int_equal(p.messages, 1);
	writ_pb_free(&p.svids->base);
	stop(&f);
}

static void test_at_the_end_streams_are_unavailable(void **state)
{
	(void)state;
	struct fixture f;
	struct probe p[3];
	struct stat st;
	start(&f);
	wlapi_kit_set_bundle(&f.k);
	put(&f, "a", 0, "");
	wlapi_kit_feed(&f.k, "chain");
	for (size_t i = 0; i < 3; i++)
		(void)fetch(&f, &p[i]);
	for (size_t i = 0; i < 3; i++)
		moved(&f, &p[i]);
	assert_int_equal(writ_wlapi_stats(f.k.w).streams, 3);
	assert_int_equal(stat(f.k.path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0777);
	wlapi_kit_stop(&f.k);
	for (size_t i = 0; i < 3; i++) {
		wlapi_kit_await(&f.k, &p[i].ended);
		assert_int_equal(p[i].code, 14);
		writ_pb_free(&p[i].svids->base);
	}
	stop(&f);
}

/* A client that goes in the middle of everything leaves nothing behind. */
static void test_clients_may_go_at_any_time(void **state)
{
	(void)state;
	struct fixture f;
	struct probe p[20];
	start(&f);
	wlapi_kit_set_bundle(&f.k);
	put(&f, "a", 0, "");
	for (size_t i = 0; i < 20; i++) {
		struct writ_rpc *r = fetch(&f, &p[i]);
		bool never = false;
		if (i % 3 == 0)
			(void)writ_loop_run_until(f.k.loop, &never, writ_mono_ms() + 10);
		if (i % 5 == 0)
			wlapi_kit_feed(&f.k, "chain");
		writ_rpc_cancel(r);
	}
	for (size_t i = 0; i < 20; i++) {
		wlapi_kit_await(&f.k, &p[i].ended);
		writ_pb_free(p[i].svids ? &p[i].svids->base : NULL);
	}
	for (int i = 0; i < 200 && writ_wlapi_stats(f.k.w).streams; i++) {
		bool never = false;
		(void)writ_loop_run_until(f.k.loop, &never, writ_mono_ms() + 10);
	}
	assert_int_equal(writ_wlapi_stats(f.k.w).streams, 0);
	stop(&f);
}

/* Whoever may connect may watch, and go: nothing of it stays, or the end would wait for it. */
static void test_who_watched_the_health_leaves_nothing_behind(void **state)
{
	(void)state;
	struct fixture f;
	struct probe p;
	start(&f);
	for (size_t i = 0; i < 3; i++) {
		struct writ_rpc *r = call(&f, &p, "/grpc.health.v1.Health/Watch",
			&grpc__health__v1__health_check_response__descriptor, NULL, 0);
		moved(&f, &p);
		assert_int_equal(p.messages, 1);
		writ_rpc_cancel(r);
		wlapi_kit_await(&f.k, &p.ended);
	}
	stop(&f);
}

/* Looks at the streams again as soon as one was denied, before its status has gone out. */
struct meddler {
	struct writ_task task;
	struct fixture *f;
	bool done;
};

static void meddle(struct writ_task *t)
{
	struct meddler *m = writ_container(t, struct meddler, task);
	if (!writ_wlapi_stats(m->f->k.w).denied_no_match) {
		writ_loop_post(m->f->k.loop, t);
		return;
	}
	assert_int_equal(writ_wlapi_stats(m->f->k.w).streams, 1);
	writ_wlapi_changed(m->f->k.w);
	writ__stream_sweep(&m->f->k.w->sweep);
	m->done = true;
}

/* Its client may leave the answer unread for as long as it likes. */
static void test_a_denied_stream_is_denied_once(void **state)
{
	(void)state;
	struct fixture f;
	struct probe p;
	start(&f);
	wlapi_kit_set_bundle(&f.k);
	writ_cache_begin(f.k.cache, true);
	writ_cache_commit(f.k.cache);
	struct meddler m = { .task = { .run = meddle }, .f = &f };
	(void)fetch(&f, &p);
	writ_loop_post(f.k.loop, &m.task);
	wlapi_kit_await(&f.k, &m.done);
	wlapi_kit_await(&f.k, &p.ended);
	assert_int_equal(writ_wlapi_stats(f.k.w).denied_no_match, 1);
	stop(&f);
}

static void on_watched(void *arg, int events)
{
	(void)arg, (void)events;
}

/* What the kernel said at accept is not replaced by a look at the number later on. */
static void test_a_caller_that_cannot_be_watched_stays_pinned(void **state)
{
	(void)state;
	struct fixture f;
	struct writ_err err = { 0 };
	struct writ_poll *other;
	struct writ_caller *c = NULL;
	start(&f);
	struct writ_peer p = { .kind = WRIT_PEER_UNIX,
		.pid = getpid(),
		.uid = geteuid(),
		.gid = getegid(),
		.pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0) };
	int pidfd = p.pidfd;
	assert_true(pidfd >= 0);
	/* A descriptor is watched once: the caller's own watch fails. */
	assert_ok(writ_poll_new(f.k.loop, pidfd, on_watched, NULL, &other, &err), err);
	writ_poll_set(other, WRIT_READABLE);
	struct writ_front *front = NULL;
	assert_int_not_equal(writ_caller_of(&f.k.env, front, &p, &c, &err), WRIT_OK);
	assert_int_equal(p.pidfd, pidfd);
	assert_true(fcntl(pidfd, F_GETFD) >= 0);
	writ_poll_free(other);
	assert_ok(writ_caller_of(&f.k.env, front, &p, &c, &err), err);
	assert_int_equal(p.pidfd, -1);
	assert_true(fcntl(pidfd, F_GETFD) >= 0); /* the caller has it now */
	writ_caller_closed(&p);
	stop(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_header_is_exactly_one_true),
		cmocka_unit_test(test_a_stream_gets_every_change),
		cmocka_unit_test(
			test_what_is_done_to_the_file_of_a_program_does_not_end_its_stream),
		cmocka_unit_test(test_bundles_are_sent_once_for_each_change),
		cmocka_unit_test(test_who_matches_nothing_is_denied_with_a_trace),
		cmocka_unit_test(test_before_the_first_sync_calls_wait_and_health_says_so),
		cmocka_unit_test(test_an_entry_that_asks_for_more_makes_the_agent_look_again),
		cmocka_unit_test(test_at_the_end_streams_are_unavailable),
		cmocka_unit_test(test_clients_may_go_at_any_time),
		cmocka_unit_test(test_who_watched_the_health_leaves_nothing_behind),
		cmocka_unit_test(test_a_denied_stream_is_denied_once),
		cmocka_unit_test(test_a_caller_that_cannot_be_watched_stays_pinned),
	};
	struct writ_err err;
	if (writ_crypto_init(&err) != WRIT_OK || !mkdtemp(dir) ||
		writ_log_open(WRIT_LOG_ERROR, WRIT_LOG_TEXT, NULL, "test", &err) != WRIT_OK)
		return 1;
	writ_rpc_init();
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	writ_rpc_shutdown();
	return writ_fs_remove_tree(dir, NULL) == WRIT_OK ? failed : 1;
}
