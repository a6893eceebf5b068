/* SPDX-License-Identifier: Apache-2.0 */
/* The programs `writ` and `writ-gate` together: curl through the gate, watch with files and a
 * command, and what each says when it does not work. */
#include "gate_kit.h"

#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"

#include "check.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define TOOL  "spiffe://a.test/tool"
#define AGENT "spiffe://a.test/agent"

static struct fake_ca ca;
static char dir[64], path[96];

/* An HTTP server of one sentence. */
struct http {
	int listener;
	uint16_t port;
	pthread_t thread;
};

static void *http_main(void *arg)
{
	static const char answer[] =
		"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nhello\n";
	struct http *h = arg;
	for (int fd; (fd = accept4(h->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0; close(fd)) {
		char text[4096];
		if (recv(fd, text, sizeof(text), 0) > 0)
			(void)!send(fd, answer, sizeof(answer) - 1, MSG_NOSIGNAL);
	}
	return NULL;
}

static void http_start(struct http *h)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	socklen_t n = sizeof(in);
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	h->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(h->listener, (struct sockaddr *)&in, n), 0);
	assert_int_equal(listen(h->listener, 16), 0);
	assert_int_equal(getsockname(h->listener, (struct sockaddr *)&in, &n), 0);
	h->port = ntohs(in.sin_port);
	assert_int_equal(pthread_create(&h->thread, NULL, http_main, h), 0);
}

static void http_stop(struct http *h)
{
	(void)shutdown(h->listener, SHUT_RDWR);
	pthread_join(h->thread, NULL);
	close(h->listener);
}

struct world {
	struct fake_agent *agent;
	struct http http;
	struct gate gate;
	char url[64];
};

/* Both identities: the gate takes one, the caller the other. */
static X509SVIDResponse *answer(void)
{
	X509SVIDResponse *a = fake_answer_new();
	fake_answer_add(a, &ca, TOOL, "");
	fake_answer_add(a, &ca, AGENT, "");
	return a;
}

static int setup(void **state)
{
	struct world *w = writ_alloc(sizeof(*w));
	char target[64];
	w->agent = fake_agent_start(path);
	fake_agent_say(w->agent, answer());
	http_start(&w->http);
	snprintf(target, sizeof(target), "127.0.0.1:%u", w->http.port);
	const char *flags[] = { "-listen", "127.0.0.1:0", "-target", target, "-allow", AGENT,
		"-svid", TOOL, "-socketPath", path, NULL };
	gate_start(&w->gate, flags, false);
	snprintf(w->url, sizeof(w->url), "https://127.0.0.1:%u/", w->gate.port);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;
	assert_int_equal(gate_stop(&w->gate, SIGTERM), 0);
	http_stop(&w->http);
	fake_agent_stop(w->agent);
	writ_free(w);
	return 0;
}

static pid_t spawn(const char *const *argv, int out)
{
	pid_t pid = fork();
	if (pid == 0) {
		dup2(out, STDOUT_FILENO);
		dup2(out, STDERR_FILENO);
		execv(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	return pid;
}

/* Runs to the end: exit code, and what was said on both outputs. */
static int run(char said[8192], const char *const *argv)
{
	int out[2], status = 0;
	size_t n = 0;
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	pid_t pid = spawn(argv, out[1]);
	close(out[1]);
	for (ssize_t k; n < 8191 && (k = read(out[0], said + n, 8191 - n)) > 0;)
		n += (size_t)k;
	said[n] = '\0';
	close(out[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

#define WRIT_SAYS(said, ...) run(said, (const char *const[]){ WRIT_CLI, __VA_ARGS__, NULL })

static void want(const char *said, const char *text)
{
	if (!strstr(said, text))
		fail_msg("no '%s' in: %s", text, said);
}

static void curl_calls_the_tool_and_says_who_it_is(void **state)
{
	struct world *w = *state;
	char said[8192];
	assert_int_equal(WRIT_SAYS(said, "curl", "-svid", AGENT, "-socketPath", path, w->url), 0);
	assert_string_equal(said, "hello\n");
	assert_int_equal(WRIT_SAYS(said, "curl", "--svid", AGENT, "--id", TOOL, "--socket-path",
				 path, "-o", "json", w->url),
		0);
	want(said, "\"status\":200");
	want(said, "\"peer_id\":\"" TOOL "\"");
	want(said, "\"own_id\":\"" AGENT "\"");
	want(said, "\"body\":\"hello\\n\"");
}

static void curl_says_why_it_did_not(void **state)
{
	struct world *w = *state;
	char said[8192], plain[64];
	/* The tool is somebody else. */
	assert_int_equal(WRIT_SAYS(said, "curl", "-svid", AGENT, "-id", "spiffe://a.test/other",
				 "-socketPath", path, w->url),
		8);
	want(said, "the tool is " TOOL);
	/* We are not on its list. */
	assert_int_equal(WRIT_SAYS(said, "curl", "-svid", TOOL, "-socketPath", path, w->url), 4);
	want(said, "does not let " TOOL " in");
	/* Which of ours? */
	assert_int_equal(WRIT_SAYS(said, "curl", "-socketPath", path, w->url), 7);
	want(said, "next: name one with -svid ID");
	/* None of ours. */
	assert_int_equal(WRIT_SAYS(said, "curl", "-svid", "spiffe://a.test/x", "-timeout", "200ms",
				 "-socketPath", path, w->url),
		3);
	want(said, "it has " TOOL);
	/* Not TLS at all, not https, nobody there. */
	snprintf(plain, sizeof(plain), "https://127.0.0.1:%u/", w->http.port);
	assert_int_equal(WRIT_SAYS(said, "curl", "-svid", AGENT, "-socketPath", path, plain), 8);
	assert_int_equal(
		WRIT_SAYS(said, "curl", "-svid", AGENT, "-socketPath", path, "http://127.0.0.1/"),
		2);
	want(said, "https://");
	assert_int_equal(WRIT_SAYS(said, "curl", "-svid", AGENT, "-socketPath", path,
				 "https://127.0.0.1:1/"),
		5);
}

static void fetch_prints_what_there_is(void **state)
{
	char said[8192];
	(void)state;
	assert_int_equal(WRIT_SAYS(said, "svid", "fetch", "-socketPath", path), 0);
	want(said, TOOL);
	want(said, AGENT);
	assert_int_equal(
		WRIT_SAYS(said, "svid", "fetch", "-svid", AGENT, "-o", "json", "-socketPath", path),
		0);
	want(said, "{\"svids\":[{\"spiffe_id\":\"" AGENT "\"");
	assert_int_equal(
		WRIT_SAYS(said, "svid", "fetch", "-svid", "spiffe://a.test/x", "-socketPath", path),
		3);
}

static void a_refused_process_is_told_at_once(void **state)
{
	struct world *w = *state;
	char said[8192];
	fake_agent_plan(w->agent, 7);
	assert_int_equal(WRIT_SAYS(said, "svid", "fetch", "-socketPath", path), 4);
	want(said, "no identity issued");
	want(said, "next: ask an operator");
}

static size_t lines_of(const char *file)
{
	WRIT_AUTO(writ_buf_done) struct writ_buf text = WRIT_BUF(65536);
	size_t n = 0;
	if (writ_fs_read(file, &text, NULL) != WRIT_OK)
		return 0;
	for (size_t i = 0; i < text.n; i++)
		n += text.p[i] == '\n';
	return n;
}

static void wait_lines(const char *file, size_t n)
{
	int64_t until = writ_mono_ms() + 15000;
	while (lines_of(file) < n) {
		assert_true(writ_mono_ms() < until);
		usleep(5000);
	}
}

/* The command copies what it finds: of one generation, readable for a program. */
static void watch_writes_and_runs_a_command_after_each_change(void **state)
{
	struct world *w = *state;
	struct writ_err err;
	static const char script[] =
		"#!/bin/sh\ncd \"$1\" && a=$(openssl x509 -in svid.pem -pubkey -noout) &&\n"
		"b=$(openssl pkey -in key.pem -pubout) && [ \"$a\" = \"$b\" ] && echo whole >> "
		"\"$2\"\n";
	WRIT_AUTO(writ_freep) char *out = writ_fs_join(dir, "watched");
	WRIT_AUTO(writ_freep) char *log = writ_fs_join(dir, "runs");
	WRIT_AUTO(writ_freep) char *sh = writ_fs_join(dir, "check.sh");
	WRIT_AUTO(writ_freep) char *command = writ_asprintf("  %s\t%s %s ", sh, out, log);
	assert_ok(writ_fs_write(sh, script, sizeof(script) - 1, 0700, &err), err);
	const char *const argv[] = { WRIT_CLI, "svid", "watch", "-svid", AGENT, "-write", out,
		"-exec", command, "-socketPath", path, NULL };
	int quiet = open("/dev/null", O_WRONLY | O_CLOEXEC), status = 0;
	pid_t pid = spawn(argv, quiet);
	close(quiet);
	for (size_t i = 1; i <= 3; i++) {
		wait_lines(log, i);
		fake_agent_say(w->agent, answer());
	}
	wait_lines(log, 4);
	kill(pid, SIGTERM);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void watch_refuses_a_command_that_is_none(void **state)
{
	char said[8192];
	(void)state;
	assert_int_equal(WRIT_SAYS(said, "svid", "watch", "-exec", " ", "-socketPath", path), 2);
	want(said, "-exec takes a command");
}

static int group_setup(void **state)
{
	struct writ_err err;
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/writ-test-calls-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/api.sock", dir);
	assert_ok(writ_crypto_init(&err), err);
	fake_ca_init(&ca, "ca-a", "a.test", "spiffe://a.test");
	return 0;
}

static int group_teardown(void **state)
{
	struct writ_err err;
	(void)state;
	fake_ca_done(&ca);
	assert_ok(writ_fs_remove_tree(dir, &err), err);
	return 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(curl_calls_the_tool_and_says_who_it_is),
		TEST(curl_says_why_it_did_not),
		TEST(fetch_prints_what_there_is),
		TEST(a_refused_process_is_told_at_once),
		TEST(watch_writes_and_runs_a_command_after_each_change),
		TEST(watch_refuses_a_command_that_is_none),
	};
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
