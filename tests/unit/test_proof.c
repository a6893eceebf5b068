/* SPDX-License-Identifier: Apache-2.0 */
/* Keys leave after the proof of who holds the connection, and not before: a client that writes its
 * frames itself answers the PING, late or never. */
#include "check.h"

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "forge.h"
#include "rpc/channel.h"
#include "rpc/rpc.h"
#include "wlapi_kit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROOF_MS 5000 /* how long the agent waits for the PING's answer */

enum { DATA = 0, HEADERS = 1, SETTINGS = 4, PING = 6 };
enum { ACK = 1, END_STREAM = 1, END_HEADERS = 4 };

static char dir[] = "/tmp/test-proof-XXXXXX";

struct fixture {
	struct wlapi_kit k;
	/* the client */
	int fd;
	uint8_t in[65536];
	size_t n;
	bool answers;             /* the PING */
	size_t pings, data, ends; /* frames that came */
	bool closed, is_told;     /* is_told: the end said that there is no identity */
	uint8_t ping[8];          /* the last */
};

static void frame(
	struct writ_buf *b, uint8_t type, uint8_t flags, uint8_t stream, const void *p, size_t n)
{
	const uint8_t head[9] = { 0, (uint8_t)(n >> 8), (uint8_t)n, type, flags, 0, 0, 0, stream };
	writ_buf_add(b, head, sizeof(head));
	writ_buf_add(b, p, n);
}

static void header(struct writ_buf *b, const char *name, const char *value)
{
	writ_buf_add_byte(b, 0); /* a literal, not to be indexed */
	writ_buf_add_byte(b, (uint8_t)strlen(name));
	writ_buf_add_cstr(b, name);
	writ_buf_add_byte(b, (uint8_t)strlen(value));
	writ_buf_add_cstr(b, value);
}

static void transmit(struct fixture *f, const struct writ_buf *b)
{
	assert_int_equal(send(f->fd, b->p, b->n, MSG_NOSIGNAL), (ssize_t)b->n);
}

/* By whichever process calls it: that is the one who asks. */
static void connect_and_ask(struct fixture *f)
{
	struct writ_buf b = WRIT_BUF(4096), h = WRIT_BUF(2048);
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	(void)snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", f->k.path);
	assert_int_equal(connect(f->fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	header(&h, ":method", "POST");
	header(&h, ":scheme", "http");
	header(&h, ":path", "/SpiffeWorkloadAPI/FetchX509SVID");
	header(&h, ":authority", "localhost");
	header(&h, "te", "trailers");
	header(&h, "content-type", "application/grpc");
	header(&h, "workload.spiffe.io", "true");
	writ_buf_add_cstr(&b, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
	frame(&b, SETTINGS, 0, 0, "", 0);
	frame(&b, HEADERS, END_HEADERS, 1, h.p, h.n);
	frame(&b, DATA, END_STREAM, 1, "\0\0\0\0\0", 5);
	transmit(f, &b);
	writ_buf_done(&b);
	writ_buf_done(&h);
}

static void ask(struct fixture *f)
{
	f->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	connect_and_ask(f);
}

static void answer(struct fixture *f)
{
	struct writ_buf b = WRIT_BUF(64);
	frame(&b, PING, ACK, 0, f->ping, sizeof(f->ping));
	transmit(f, &b);
	writ_buf_done(&b);
}

static void take(
	struct fixture *f, uint8_t type, uint8_t flags, uint8_t stream, const uint8_t *p, size_t n)
{
	if (type == PING && !(flags & ACK)) {
		f->pings++;
		memcpy(f->ping, p, sizeof(f->ping));
		if (f->answers)
			answer(f);
	}
	f->data += type == DATA && stream == 1;
	bool is_end = type == HEADERS && stream == 1 && (flags & END_STREAM);
	f->ends += is_end;
	f->is_told = f->is_told || (is_end && memmem(p, n, "no identity issued (trace ", 26));
}

static void read_frames(struct fixture *f)
{
	ssize_t got = recv(f->fd, f->in + f->n, sizeof(f->in) - f->n, MSG_DONTWAIT);
	f->closed = got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR);
	f->n += got > 0 ? (size_t)got : 0;
	for (;;) {
		size_t len = f->n >= 9 ? (size_t)f->in[1] << 8 | f->in[2] : 0;
		if (f->n < 9 || f->n < 9 + len)
			return;
		take(f, f->in[3], f->in[4], f->in[8], f->in + 9, len);
		f->n -= 9 + len;
		memmove(f->in, f->in + 9 + len, f->n);
	}
}

/* Until there is one of them, or the time is over. */
static void pump(struct fixture *f, const size_t *what, int64_t ms)
{
	const bool never = false;
	for (int64_t until = writ_mono_ms() + ms; !*what && !f->closed && writ_mono_ms() < until;) {
		(void)writ_loop_run_until(f->k.loop, &never, writ_mono_ms() + 2);
		read_frames(f);
	}
}

static void start_server(struct fixture *f)
{
	*f = (struct fixture){ .fd = -1 };
	wlapi_kit_open(&f->k, dir);
	wlapi_kit_set_bundle(&f->k);
	wlapi_kit_put(&f->k, "a", 0, "", NULL);
}

static void start(struct fixture *f)
{
	const size_t none = 0;
	start_server(f);
	ask(f);
	pump(f, &none, 20);
	wlapi_kit_feed(&f->k, "chain");
}

static void stop(struct fixture *f)
{
	close(f->fd);
	wlapi_kit_close(&f->k);
}

static void keys_leave_when_the_ping_is_answered(void **state)
{
	(void)state;
	struct fixture f;
	start(&f);
	pump(&f, &f.pings, WLAPI_KIT_MS);
	assert_int_equal(f.pings, 1);
	pump(&f, &f.data, 100);
	assert_int_equal(f.data, 0); /* not before */
	answer(&f);
	pump(&f, &f.data, WLAPI_KIT_MS);
	assert_int_equal(f.data, 1);
	assert_int_equal(f.ends, 0);
	stop(&f);
}

/* Whether what it is was found out for this call, or known from one before. */
static void who_never_answers_the_ping_is_refused(void **state)
{
	(void)state;
	struct fixture f;
	start(&f);
	f.answers = true;
	pump(&f, &f.data, WLAPI_KIT_MS);
	assert_int_equal(f.data, 1);
	close(f.fd);
	f.answers = false;
	f.n = f.pings = f.data = f.ends = 0;
	int64_t since = writ_mono_ms();
	ask(&f);
	pump(&f, &f.ends, PROOF_MS + WLAPI_KIT_MS);
	assert_true(writ_mono_ms() - since >= PROOF_MS);
	assert_int_equal(f.pings, 1);
	assert_int_equal(f.data, 0);
	assert_int_equal(f.ends, 1);
	assert_true(f.is_told);
	assert_int_equal(writ_wlapi_stats(f.k.w).denied_attest, 1);
	stop(&f);
}

/* As if each process that was looked at were another one by now. */
static void forget_who_was_seen(struct fixture *f)
{
	for (uint64_t handle = 1; handle < 16; handle++)
		writ_attest_link_let_go(f->k.attestor.link, geteuid(), handle);
}

static void who_is_another_one_at_the_proof_is_refused(void **state)
{
	(void)state;
	struct fixture f;
	start(&f);
	pump(&f, &f.pings, WLAPI_KIT_MS);
	forget_who_was_seen(&f);
	answer(&f);
	pump(&f, &f.ends, WLAPI_KIT_MS);
	assert_int_equal(f.data, 0);
	assert_int_equal(f.ends, 1);
	assert_true(f.is_told);
	assert_int_equal(writ_wlapi_stats(f.k.w).denied_attest, 1);
	stop(&f);
}

/* A program that ran another one and calls again is a caller as any: what was known is out of date.
 */
static void what_was_known_before_is_looked_at_once_more(void **state)
{
	(void)state;
	struct fixture f;
	start(&f);
	f.answers = true;
	pump(&f, &f.data, WLAPI_KIT_MS);
	assert_int_equal(f.data, 1);
	close(f.fd);
	f.n = f.pings = f.data = 0;
	forget_who_was_seen(&f);
	ask(&f);
	pump(&f, &f.data, WLAPI_KIT_MS);
	assert_int_equal(f.data, 1);
	assert_int_equal(f.pings, 2);
	assert_int_equal(writ_wlapi_stats(f.k.w).denied_attest, 0);
	stop(&f);
}

static void what_changes_during_the_proof_waits_for_it(void **state)
{
	(void)state;
	struct fixture f;
	start(&f);
	pump(&f, &f.pings, WLAPI_KIT_MS);
	writ_wlapi_changed(f.k.w);
	pump(&f, &f.data, 50);
	assert_int_equal(f.data, 0);
	answer(&f);
	pump(&f, &f.data, WLAPI_KIT_MS);
	const size_t none = 0;
	pump(&f, &none, 50);
	assert_int_equal(f.pings, 1);
	assert_int_equal(f.data, 1);
	assert_int_equal(f.ends, 0);
	stop(&f);
}

/* Somebody else holds the socket still: there is nobody left whom it speaks for. */
static void with_its_process_a_connection_ends(void **state)
{
	(void)state;
	struct fixture f;
	start_server(&f);
	f.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	pid_t pid = fork();
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails leaves nobody behind */
		connect_and_ask(&f);
		for (;;)
			pause();
	}
	const size_t none = 0;
	for (int i = 0; i < 500 && writ_wlapi_stats(f.k.w).streams == 0; i++)
		(void)writ_loop_run_until(f.k.loop, &(bool){ false }, writ_mono_ms() + 10);
	assert_int_equal(writ_wlapi_stats(f.k.w).streams, 1);
	wlapi_kit_feed(&f.k, "chain");
	pump(&f, &f.pings, WLAPI_KIT_MS);
	assert_false(f.closed);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	pump(&f, &none, PROOF_MS / 2);
	assert_true(f.closed);
	assert_int_equal(f.data, 0);
	stop(&f);
}

static void an_answer_to_another_ping_is_none(void **state)
{
	(void)state;
	struct fixture f;
	start(&f);
	pump(&f, &f.pings, WLAPI_KIT_MS);
	f.ping[0] ^= 1;
	answer(&f);
	pump(&f, &f.data, 100);
	assert_int_equal(f.data, 0);
	f.ping[0] ^= 1;
	answer(&f);
	pump(&f, &f.data, WLAPI_KIT_MS);
	assert_int_equal(f.data, 1);
	stop(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_leave_when_the_ping_is_answered),
		cmocka_unit_test(who_never_answers_the_ping_is_refused),
		cmocka_unit_test(who_is_another_one_at_the_proof_is_refused),
		cmocka_unit_test(what_was_known_before_is_looked_at_once_more),
		cmocka_unit_test(what_changes_during_the_proof_waits_for_it),
		cmocka_unit_test(with_its_process_a_connection_ends),
		cmocka_unit_test(an_answer_to_another_ping_is_none),
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
