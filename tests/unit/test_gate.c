/* SPDX-License-Identifier: Apache-2.0 */
/* writ-gate, the program itself, between callers with all kinds of certificates and a tool. */
#include "gate_kit.h"

#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"

#include "check.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#define TOOL      "spiffe://a.test/tool"
#define ALLOWED   "spiffe://a.test/agent/one"
#define FORBIDDEN "spiffe://a.test/agent/two"
#define MIB       (1024 * 1024)

static struct fake_ca ca, other, federated;
static char dir[64], path[96];

struct world {
	struct fake_agent *agent;
	struct tool *tool;
	struct gate gate;
	char target[64];
	bool gate_runs;
};

static X509SVIDResponse *answer(void)
{
	X509SVIDResponse *a = fake_answer_new();
	fake_answer_add(a, &ca, TOOL, "");
	fake_answer_federate(a, "spiffe://b.test", &federated);
	return a;
}

static void start_gate(struct world *w, const char *more, const char *value, bool not_yet)
{
	const char *flags[] = { "-listen", "127.0.0.1:0", "-target", w->target, "-allow", ALLOWED,
		"-allow", "spiffe://b.test/team/", "-socketPath", path, more, value, NULL };
	gate_start(&w->gate, flags, not_yet);
	w->gate_runs = true;
}

static int stop_gate(struct world *w, int signum)
{
	w->gate_runs = false;
	return gate_stop(&w->gate, signum);
}

static int setup(void **state)
{
	struct world *w = writ_alloc(sizeof(*w));
	w->agent = fake_agent_start(path);
	fake_agent_say(w->agent, answer());
	w->tool = tool_start(NULL, 0);
	snprintf(w->target, sizeof(w->target), "127.0.0.1:%u", tool_port(w->tool));
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;
	if (w->gate_runs)
		(void)stop_gate(w, SIGKILL);
	if (w->tool)
		tool_stop(w->tool);
	fake_agent_stop(w->agent);
	writ_free(w);
	return 0;
}

static bool call(struct world *w, const struct fake_ca *issuer, const char *id, int64_t from_s,
	int64_t until_s)
{
	struct fake_svid s;
	struct caller c;
	fake_svid_init(&s, issuer, id, from_s, until_s);
	bool good = caller_open(&c, w->gate.port, &s) && caller_ping(&c);
	caller_close(&c);
	fake_svid_done(&s);
	return good;
}

static bool allowed(struct world *w)
{
	return call(w, &ca, ALLOWED, -10, 300);
}

static void open_allowed(struct world *w, struct caller *c, const struct fake_ca *issuer)
{
	struct fake_svid s;
	fake_svid_init(&s, issuer, ALLOWED, -10, 300);
	assert_true(caller_open(c, w->gate.port, &s));
	assert_true(caller_ping(c));
	fake_svid_done(&s);
}

/* A certificate that signs itself, with the right SPIFFE ID. */
static bool call_self_made(struct world *w)
{
	struct fake_svid s;
	struct caller c;
	fake_svid_self_made(&s, ALLOWED);
	bool good = caller_open(&c, w->gate.port, &s) && caller_ping(&c);
	caller_close(&c);
	fake_svid_done(&s);
	return good;
}

static void nobody_else_reaches_the_tool(void **state)
{
	struct world *w = *state;
	struct caller c;
	static const struct {
		const struct fake_ca *issuer;
		const char *id;
		int64_t from_s, until_s;
	} rows[] = {
		{ &other, ALLOWED, -10, 300 },      /* another CA */
		{ &ca, ALLOWED, -600, -300 },       /* expired */
		{ &ca, ALLOWED, 300, 600 },         /* not valid yet */
		{ &ca, FORBIDDEN, -10, 300 },       /* not on the list */
		{ &ca, ALLOWED "/more", -10, 300 }, /* below an exact ID */
		{ &federated, ALLOWED, -10, 300 },  /* a CA of another trust domain */
		{ &federated, "spiffe://b.test/team", -10, 300 },
		{ &federated, "spiffe://b.test/teams/x", -10, 300 },
	};
	start_gate(w, NULL, NULL, false);
	assert_true(!caller_open(&c, w->gate.port, NULL) || !caller_ping(&c));
	caller_close(&c);
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		if (call(w, rows[i].issuer, rows[i].id, rows[i].from_s, rows[i].until_s))
			fail_msg("row %zu was let in", i);
	}
	assert_false(call_self_made(w));
	/* What was on its way would have come before this one. */
	assert_true(allowed(w));
	assert_int_equal(tool_connections(w->tool), 1);
	assert_true(call(w, &federated, "spiffe://b.test/team/x", -10, 300));
	assert_int_equal(tool_connections(w->tool), 2);
	assert_int_equal(stop_gate(w, SIGTERM), 0);
	if (!strstr(w->gate.said, FORBIDDEN " is not on the gate's allow list"))
		fail_msg("the log does not say who: %s", w->gate.said);
}

static void bytes_pass_unchanged_both_ways(void **state)
{
	struct world *w = *state;
	struct caller c;
	char block[16384];
	start_gate(w, NULL, NULL, false);
	open_allowed(w, &c, &ca);
	/* The echo has to wait for its reader: written in pieces that the sockets can hold. */
	for (size_t round = 0; round < 64; round++) {
		for (size_t i = 0; i < sizeof(block); i++)
			block[i] = (char)(i * 7 + round);
		assert_int_equal(SSL_write(c.ssl, block, sizeof(block)), sizeof(block));
		for (size_t got = 0; got < sizeof(block);) {
			char back[4096];
			int k = SSL_read(c.ssl, back, sizeof(back));
			assert_true(k > 0);
			assert_memory_equal(back, block + got, (size_t)k);
			got += (size_t)k;
		}
	}
	caller_close(&c);
}

static void one_side_may_end_before_the_other(void **state)
{
	struct world *w = *state;
	struct caller c;
	char text[64];
	size_t n = 0;
	start_gate(w, NULL, NULL, false);
	open_allowed(w, &c, &ca);
	assert_int_equal(SSL_write(c.ssl, "last", 4), 4);
	assert_int_equal(SSL_shutdown(c.ssl), 0); /* close_notify: we are done, the tool is not */
	for (int k;
		n < sizeof(text) && (k = SSL_read(c.ssl, text + n, (int)(sizeof(text) - n))) > 0;)
		n += (size_t)k;
	assert_int_equal(n, 7);
	assert_memory_equal(text, "lastbye", 7);
	assert_int_equal(SSL_get_shutdown(c.ssl) & SSL_RECEIVED_SHUTDOWN, SSL_RECEIVED_SHUTDOWN);
	caller_close(&c);
}

static void say_with_bundle(struct world *w, const struct fake_ca *more)
{
	X509SVIDResponse *a = fake_answer_new();
	X509SVID *m = fake_answer_add(a, &ca, TOOL, "");
	WRIT_AUTO(writ_buf_done) struct writ_buf both = WRIT_BUF(65536);
	writ_buf_add_str(&both, writ_cert_der(ca.cert));
	if (more)
		writ_buf_add_str(&both, writ_cert_der(more->cert));
	fake_bytes(&m->bundle, both.p, both.n);
	fake_agent_say(w->agent, a);
}

/* Until the gate serves with another certificate than before. */
static void wait_rotated(struct world *w, char serial[64])
{
	int64_t until = writ_mono_ms() + 10000;
	for (;;) {
		struct fake_svid s;
		struct caller c;
		char now[64] = "";
		fake_svid_init(&s, &ca, ALLOWED, -10, 300);
		if (caller_open(&c, w->gate.port, &s)) {
			X509 *x = SSL_get0_peer_certificate(c.ssl);
			unsigned char print[EVP_MAX_MD_SIZE];
			unsigned n = 0;
			X509_digest(x, EVP_sha256(), print, &n);
			writ_hex(print, 16, now);
		}
		caller_close(&c);
		fake_svid_done(&s);
		if (now[0] && strcmp(now, serial) != 0) {
			snprintf(serial, 64, "%s", now);
			return;
		}
		assert_true(writ_mono_ms() < until);
	}
}

static void rotation_cuts_nobody(void **state)
{
	struct world *w = *state;
	struct caller c, brief;
	struct fake_svid s;
	char serial[64] = "";
	struct fake_ca old;
	start_gate(w, NULL, NULL, false);
	wait_rotated(w, serial);
	fake_ca_init_until(&old, "ca-old", "a.test", "spiffe://a.test", 4);
	say_with_bundle(w, &old);
	wait_rotated(w, serial);
	open_allowed(w, &c, &ca);
	fake_svid_init(&s, &old, ALLOWED, -10, 3);
	assert_true(caller_open(&brief, w->gate.port, &s));
	assert_true(caller_ping(&brief));
	fake_svid_done(&s);
	/* The caller's certificate runs out, then its CA, which leaves the bundle. */
	while (writ_wall_s() <= writ_cert_not_after(old.cert))
		usleep(20000);
	say_with_bundle(w, NULL);
	wait_rotated(w, serial);
	assert_true(caller_ping(&c));
	assert_true(caller_ping(&brief));
	caller_close(&c);
	caller_close(&brief);
	fake_ca_done(&old);
}

static void a_withdrawn_authority_cuts_its_callers(void **state)
{
	struct world *w = *state;
	struct caller good, bad;
	char serial[64] = "";
	say_with_bundle(w, &other);
	start_gate(w, NULL, NULL, false);
	wait_rotated(w, serial);
	open_allowed(w, &good, &ca);
	open_allowed(w, &bad, &other);
	say_with_bundle(w, NULL);
	wait_rotated(w, serial);
	assert_true(caller_ping(&good));
	assert_false(caller_ping(&bad));
	caller_close(&good);
	caller_close(&bad);
}

static void a_gate_without_identity_serves_nobody(void **state)
{
	struct world *w = *state;
	struct caller c;
	start_gate(w, NULL, NULL, false);
	open_allowed(w, &c, &ca);
	for (int i = 0; i < 4; i++)
		fake_agent_plan(w->agent, 7);
	fake_agent_end(w->agent, 7);
	char byte;
	assert_true(SSL_read(c.ssl, &byte, 1) <= 0); /* cut */
	assert_false(allowed(w));
	assert_int_equal(tool_connections(w->tool), 1);
	caller_close(&c);
	int64_t until = writ_mono_ms() + 10000; /* given again */
	while (!allowed(w))
		assert_true(writ_mono_ms() < until);
}

static void an_expired_identity_is_none(void **state)
{
	struct world *w = *state;
	struct fake_svid s;
	char serial[64] = "";
	X509SVIDResponse *a = fake_answer_new();
	start_gate(w, NULL, NULL, false);
	wait_rotated(w, serial);
	fake_svid_init(&s, &ca, TOOL, -10, 3);
	fake_answer_add_svid(a, &ca, &s, TOOL, "");
	fake_agent_say(w->agent, a);
	wait_rotated(w, serial);
	while (writ_wall_s() <= writ_cert_not_after(s.cert))
		usleep(20000);
	int last = tool_connections(w->tool);
	assert_false(allowed(w));
	assert_int_equal(tool_connections(w->tool), last);
	fake_svid_done(&s);
	assert_int_equal(stop_gate(w, SIGTERM), 0);
}

static void several_identities_need_a_choice(void **state)
{
	struct world *w = *state;
	X509SVIDResponse *a = answer();
	fake_answer_add(a, &ca, "spiffe://a.test/other", "");
	fake_agent_say(w->agent, a);
	start_gate(w, NULL, NULL, true);
	assert_int_equal(stop_gate(w, 0), 7);
	assert_non_null(strstr(w->gate.said, "spiffe://a.test/other"));
	start_gate(w, "-svid", TOOL, false);
	assert_true(allowed(w));
}

static void an_identity_named_and_not_given_is_waited_for(void **state)
{
	struct world *w = *state;
	start_gate(w, "-svid", "spiffe://a.test/other", true);
	while (!fake_agent_streams(w->agent))
		usleep(1000);
	X509SVIDResponse *a = answer();
	fake_answer_add(a, &ca, "spiffe://a.test/other", "");
	fake_agent_say(w->agent, a);
	gate_wait_listening(&w->gate);
	assert_true(allowed(w));
}

static void a_tool_that_is_down_is_missed_and_found_again(void **state)
{
	struct world *w = *state;
	uint16_t port = tool_port(w->tool);
	start_gate(w, NULL, NULL, false);
	tool_stop(w->tool);
	w->tool = NULL;
	assert_false(allowed(w));
	w->tool = tool_start(NULL, port);
	assert_true(allowed(w));
	assert_int_equal(stop_gate(w, SIGTERM), 0);
	assert_non_null(strstr(w->gate.said, "gate.target_failed"));
}

static void the_tool_may_be_a_unix_socket(void **state)
{
	struct world *w = *state;
	char sock[96];
	snprintf(sock, sizeof(sock), "%s/tool.sock", dir);
	tool_stop(w->tool);
	w->tool = tool_start(sock, 0);
	snprintf(w->target, sizeof(w->target), "unix:%.50s", sock);
	start_gate(w, NULL, NULL, false);
	assert_true(allowed(w));
}

static void a_stopping_gate_lets_its_callers_finish(void **state)
{
	struct world *w = *state;
	struct caller c;
	start_gate(w, NULL, NULL, false);
	open_allowed(w, &c, &ca);
	kill(w->gate.pid, SIGTERM);
	int64_t until = writ_mono_ms() + 10000;
	while (allowed(w)) /* refuses new ones */
		assert_true(writ_mono_ms() < until);
	assert_true(caller_ping(&c));
	caller_close(&c);
	assert_int_equal(stop_gate(w, 0), 0);
}

static int group_setup(void **state)
{
	struct writ_err err;
	(void)state;
	(void)signal(SIGPIPE, SIG_IGN);
	snprintf(dir, sizeof(dir), "/tmp/writ-test-gate-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/api.sock", dir);
	assert_ok(writ_crypto_init(&err), err);
	fake_ca_init(&ca, "ca-a", "a.test", "spiffe://a.test");
	fake_ca_init(&other, "ca-a", "a.test", "spiffe://a.test");
	fake_ca_init(&federated, "ca-b", "b.test", "spiffe://b.test");
	return 0;
}

static int group_teardown(void **state)
{
	struct writ_err err;
	(void)state;
	fake_ca_done(&ca);
	fake_ca_done(&other);
	fake_ca_done(&federated);
	assert_ok(writ_fs_remove_tree(dir, &err), err);
	return 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nobody_else_reaches_the_tool),
		TEST(bytes_pass_unchanged_both_ways),
		TEST(one_side_may_end_before_the_other),
		TEST(rotation_cuts_nobody),
		TEST(a_withdrawn_authority_cuts_its_callers),
		TEST(a_gate_without_identity_serves_nobody),
		TEST(an_expired_identity_is_none),
		TEST(several_identities_need_a_choice),
		TEST(an_identity_named_and_not_given_is_waited_for),
		TEST(a_tool_that_is_down_is_missed_and_found_again),
		TEST(the_tool_may_be_a_unix_socket),
		TEST(a_stopping_gate_lets_its_callers_finish),
	};
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
