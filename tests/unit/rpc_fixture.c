/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc_fixture.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static struct fixture *fx(struct writ_call *c)
{
	return writ_call_program(c);
}

static const char *request(const struct writ_call *c)
{
	return ((const Text *)(const void *)writ_call_request(c))->service;
}

static void answer(struct writ_call *c, const char *text)
{
	Text m = TEXT_INIT;
	char copy[256];
	snprintf(copy, sizeof(copy), "%s", text);
	m.service = copy;
	writ_call_reply(c, &m.base);
	memset(copy, 'x', sizeof(copy) - 1); /* packed at once: m may go */
}

static void send_text(struct writ_call *c, const char *text)
{
	Text m = TEXT_INIT;
	struct writ_err err;
	char copy[256];
	snprintf(copy, sizeof(copy), "%s", text);
	m.service = copy;
	assert_ok(writ_call_send(c, &m.base, &err), err);
	assert_int_equal(writ_call_send(c, &m.base, &err), WRIT_EBUSY);
}

static void unary(struct writ_call *c)
{
	fx(c)->deadline_left = writ_call_deadline_left_ms(c);
	answer(c, request(c));
}

static void header(struct writ_call *c)
{
	size_t n;
	char text[64];
	struct writ_str v = writ_call_metadata(c, "x-test", &n);
	snprintf(text, sizeof(text), "%zu:%.*s", n, WRIT_ARG(v));
	answer(c, text);
}

static void big(struct writ_call *c)
{
	Text m = TEXT_INIT;
	size_t n = (size_t)atoi(request(c));
	m.service = writ_alloc(n + 1);
	memset(m.service, 'b', n);
	writ_call_reply(c, &m.base);
	writ_free(m.service);
}

static void failing(struct writ_call *c)
{
	static const uint8_t details[] = { 0x08, 0x05 };
	struct writ_err err;
	const char *kind = request(c);
	if (strcmp(kind, "details") == 0) {
		writ_call_fail_status(c, 10, "changed\nmeanwhile", details, sizeof(details));
		return;
	}
	if (strcmp(kind, "secret") == 0)
		(void)writ_fail(&err, WRIT_EIO, "/var/lib/secret: no space");
	else
		(void)writ_fail(&err, WRIT_ENOENT, "no entry %s", kind);
	writ_call_fail(c, &err);
}

static void told(struct writ_call *c)
{
	fx(c)->ended++;
	fx(c)->last_cancelled = writ_call_cancelled(c);
	if (fx(c)->held == c)
		fx(c)->held = NULL;
}

static void hold(struct writ_call *c)
{
	fx(c)->held = c;
	if (fx(c)->hold_on_end)
		writ_call_on_end(c, told);
}

static void three_more(struct writ_call *c)
{
	intptr_t n = (intptr_t)writ_call_user(c) + 1;
	char text[16];
	if (n > 3) {
		writ_call_finish(c);
		return;
	}
	writ_call_set_user(c, (void *)n);
	snprintf(text, sizeof(text), "%d", (int)n);
	send_text(c, text);
}

static void three(struct writ_call *c)
{
	writ_call_on_writable(c, three_more);
	writ_call_on_end(c, told);
	three_more(c);
}

/* A message, and then nothing until somebody ends it. */
static void idle(struct writ_call *c)
{
	fx(c)->held = c;
	writ_call_on_end(c, told);
	send_text(c, request(c));
}

static void send_and_finish(struct writ_call *c)
{
	send_text(c, request(c));
	writ_call_finish(c);
}

static void bidi(struct writ_call *c)
{
	writ_call_on_end(c, told);
	fx(c)->messages++;
	send_text(c, request(c));
}

/* A message comes only when the answer to the one before has gone: it can always be answered. */
static void bidi_message(struct writ_call *c)
{
	fx(c)->messages++;
	send_text(c, request(c));
}

static void bidi_half_closed(struct writ_call *c)
{
	fx(c)->half_closed++;
	writ_call_finish(c);
}

#define ROW(name, k, h)                                                                            \
	{                                                                                          \
		.path = "/t.Echo/" name, .kind = k, .in = TEXT, .out = TEXT, .handle = h           \
	}
static const struct writ_rpc_method methods[] = {
	ROW("Unary", WRIT_RPC_UNARY, unary),
	ROW("Header", WRIT_RPC_UNARY, header),
	ROW("Big", WRIT_RPC_UNARY, big),
	ROW("Fail", WRIT_RPC_UNARY, failing),
	ROW("Hold", WRIT_RPC_UNARY, hold),
	ROW("Later", WRIT_RPC_UNARY, NULL),
	ROW("Three", WRIT_RPC_SERVER_STREAM, three),
	ROW("Idle", WRIT_RPC_SERVER_STREAM, idle),
	ROW("SendAndFinish", WRIT_RPC_SERVER_STREAM, send_and_finish),
	{ "/t.Echo/Bidi", WRIT_RPC_BIDI, 0, 0, TEXT, TEXT, bidi, bidi_message, bidi_half_closed },
	{ "/t.Echo/BidiPlain", WRIT_RPC_BIDI, 0, 0, TEXT, TEXT, bidi, NULL, NULL },
};

static void before(struct writ_call *c)
{
	struct writ_err err;
	assert_non_null(writ_call_peer(c));
	assert_non_null(writ_call_request(c));
	if (fx(c)->refuse_later) {
		fx(c)->undecided = c;
	} else if (fx(c)->deny) {
		(void)writ_fail(&err, WRIT_EDENIED, "you may not");
		writ_call_fail(c, &err);
	} else {
		writ_call_run(c);
	}
}

static void after(struct writ_call *c, int status, const char *message, int64_t took_us)
{
	struct fixture *f = fx(c);
	assert_true(took_us >= 0);
	assert_non_null(writ_call_method(c));
	f->after++;
	f->last_status = status;
	snprintf(f->last_message, sizeof(f->last_message), "%s", message);
}

static int channel_fd(struct fixture *f, size_t i)
{
	int pair[2];
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
	struct writ_peer *peer = writ_alloc(sizeof(*peer));
	peer->refs = 1;
	peer->pidfd = -1;
	peer->pid = getpid();
	f->server_fd[i] = pair[1];
	writ_rpc_server_add_fd(f->server, pair[1], peer);
	writ_peer_unref(peer);
	return pair[0];
}

static int setup(void **state, int64_t deadline_ms, bool light)
{
	struct writ_err err;
	struct fixture *f = writ_alloc(sizeof(*f));
	writ_rpc_init();
	assert_ok(writ_loop_new(&f->loop, &err), err);
	struct writ_rpc_server_config cfg = { .loop = f->loop,
		.methods = methods,
		.n_methods = WRIT_COUNT(methods),
		.max_request = MAX_REQUEST,
		.light = light,
		.unary_deadline_ms = deadline_ms,
		.program = f,
		.before = before,
		.after = after };
	assert_ok(writ_rpc_server_start(&cfg, -1, &f->server, &err), err);
	for (size_t i = 0; i < CHANNELS; i++)
		assert_ok(writ_channel_new(f->loop, channel_fd(f, i), &f->ch[i], &err), err);
	*state = f;
	return 0;
}

int fixture_setup(void **state)
{
	return setup(state, 0, false);
}

int fixture_setup_light(void **state)
{
	return setup(state, 0, true);
}

int fixture_setup_short(void **state)
{
	return setup(state, 50, false);
}

static void set_true(void *arg)
{
	*(bool *)arg = true;
}

void fixture_stop(struct fixture *f, int64_t ms)
{
	if (!f->server)
		return;
	writ_rpc_server_stop(f->server, ms, set_true, &f->stopped);
	f->server = NULL;
}

int fixture_teardown(void **state)
{
	struct fixture *f = *state;
	for (size_t i = 0; i < CHANNELS; i++) {
		bool closed = false;
		if (!f->ch[i])
			continue;
		writ_channel_close(f->ch[i], set_true, &closed);
		wait_for(f, &closed);
	}
	fixture_stop(f, 1000);
	wait_for(f, &f->stopped);
	writ_loop_free(f->loop);
	writ_rpc_shutdown();
	writ_free(f);
	return 0;
}

void wait_for(struct fixture *f, const bool *flag)
{
	if (!writ_loop_run_until(f->loop, flag, writ_mono_ms() + WAIT_MS))
		fail_msg("it did not happen in time");
}

struct counting {
	struct writ_task task;
	struct fixture *f;
	const int *n;
	int want;
	bool done;
};

static void count(struct writ_task *t)
{
	struct counting *c = writ_container(t, struct counting, task);
	c->done = *c->n >= c->want;
	if (!c->done)
		writ_loop_post(c->f->loop, t);
}

void wait_count(struct fixture *f, const int *n, int want)
{
	struct counting c = { .task.run = count, .f = f, .n = n, .want = want };
	writ_loop_post(f->loop, &c.task);
	wait_for(f, &c.done);
}

static void on_message(void *arg, struct writ_rpc *r, const ProtobufCMessage *m)
{
	struct probe *p = arg;
	assert_int_equal(p->ended, 0);
	p->messages++;
	snprintf(p->last, sizeof(p->last), "%s", ((const Text *)(const void *)m)->service);
	if (p->messages != p->want)
		return;
	p->done = true;
	if (p->cancel_at_want)
		writ_rpc_cancel(r);
}

static void on_ended(void *arg, struct writ_rpc *r, const struct writ_rpc_status *status)
{
	struct probe *p = arg;
	(void)r;
	p->ended++;
	p->rpc = NULL;
	p->status = *status;
	snprintf(p->text, sizeof(p->text), "%s", status->message);
	assert_true(status->n_details <= sizeof(p->details));
	if (status->n_details > 0)
		memcpy(p->details, status->details, status->n_details);
	p->status.message = p->text;
	p->done = true;
}

void probe_start_with(
	struct probe *p, struct fixture *f, struct writ_rpc_request req, const char *text)
{
	Text m = TEXT_INIT;
	m.service = writ_strdup(text);
	p->f = f;
	req.message = text ? &m.base : NULL;
	req.out = TEXT;
	req.message_in = on_message;
	req.ended = on_ended;
	req.arg = p;
	p->rpc = writ_rpc_start(f->ch[0], &req);
	assert_non_null(p->rpc);
	writ_free(m.service);
}

void probe_start(struct probe *p, struct fixture *f, const char *path, const char *text)
{
	probe_start_with(p, f, (struct writ_rpc_request){ .path = path }, text);
}

void probe_wait(struct probe *p)
{
	p->done = p->done || p->ended;
	wait_for(p->f, &p->done);
	p->done = false;
}

void probe_send(struct probe *p, const char *text)
{
	Text m = TEXT_INIT;
	struct writ_err err;
	m.service = writ_strdup(text);
	assert_ok(writ_rpc_send(p->rpc, &m.base, &err), err);
	writ_free(m.service);
}
