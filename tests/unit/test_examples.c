/* SPDX-License-Identifier: Apache-2.0 */
/* docs/examples, as they are printed there: a tool and an agent that meet. Both get the same
 * identity here; whom they take is what they are told. */
#include "base/fs.h"
#include "base/mem.h"

#include "check.h"
#include "fake_agent.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define ID "spiffe://a.test/both"

static struct fake_ca ca;
static char dir[64], path[96], uri[128];

static pid_t spawn(const char *program, const char *first, const char *second, int *out)
{
	const char *const argv[] = { program, first, second, NULL };
	int fds[2];
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	pid_t pid = fork();
	if (pid == 0) {
		dup2(fds[1], STDOUT_FILENO);
		execv(program, (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	close(fds[1]);
	*out = fds[0];
	return pid;
}

static void read_line(int fd, char text[256])
{
	size_t n = 0;
	while (n < 255 && read(fd, text + n, 1) == 1 && text[n] != '\n')
		n++;
	text[n] = '\0';
}

/* What the agent says when it calls a tool that lets `allowed` in and should be `expected`. */
static int call(const char *allowed, const char *expected, char said[256])
{
	char text[256], port[16];
	int tool_out, agent_out, status = 0, ended = 0;
	pid_t tool = spawn(EXAMPLE_TOOL, "0", allowed, &tool_out);
	read_line(tool_out, text);
	assert_int_equal(sscanf(text, "listening %15s", port), 1);
	pid_t agent = spawn(EXAMPLE_AGENT, port, expected, &agent_out);
	read_line(agent_out, said);
	assert_int_equal(waitpid(agent, &status, 0), agent);
	kill(tool, SIGKILL);
	assert_int_equal(waitpid(tool, &ended, 0), tool);
	close(tool_out);
	close(agent_out);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void they_meet(void **state)
{
	char said[256];
	(void)state;
	assert_int_equal(call(ID, ID, said), 0);
	assert_string_equal(said, ID " says: hello, " ID);
}

static void each_refuses_a_stranger(void **state)
{
	char said[256];
	(void)state;
	assert_int_equal(call("spiffe://a.test/other", ID, said), 1);
	assert_string_equal(said, "");
	assert_int_equal(call(ID, "spiffe://a.test/other", said), 1);
	assert_string_equal(said, "");
}

static int setup(void **state)
{
	struct writ_err err;
	snprintf(dir, sizeof(dir), "/tmp/writ-test-examples-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/api.sock", dir);
	snprintf(uri, sizeof(uri), "unix://%s", path);
	setenv("SPIFFE_ENDPOINT_SOCKET", uri, 1);
	assert_ok(writ_crypto_init(&err), err);
	fake_ca_init(&ca, "ca-a", "a.test", "spiffe://a.test");
	struct fake_agent *agent = fake_agent_start(path);
	X509SVIDResponse *a = fake_answer_new();
	fake_answer_add(a, &ca, ID, "");
	fake_agent_say(agent, a);
	*state = agent;
	return 0;
}

static int teardown(void **state)
{
	struct writ_err err;
	fake_agent_stop(*state);
	fake_ca_done(&ca);
	assert_ok(writ_fs_remove_tree(dir, &err), err);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(they_meet),
		cmocka_unit_test(each_refuses_a_stranger),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
