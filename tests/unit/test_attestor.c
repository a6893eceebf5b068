/* SPDX-License-Identifier: Apache-2.0 */
/* The attestation process as it runs: forked, locked in, asked over its socket pair. */
#include "check.h"

#include "attestor/link.h"
#include "attestor/lockin.h"
#include "attestor/spawn.h"
#include "attestor/talk.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define WAIT_MS 5000

struct rig {
	struct writ_attestor_config cfg;
	struct writ_loop *loop;
	struct writ_attest_link *link;
	pid_t pid;
	bool down;
};

struct question {
	struct writ_attest_ask ask;
	bool done;
	writ_rc rc;
	char why[WRIT_ERR_MAX];
	size_t selectors;
};

static void on_down(void *arg)
{
	((struct rig *)arg)->down = true;
}

static void rig_open(struct rig *r)
{
	struct writ_err err = { 0 };
	int fd = -1;
	*r = (struct rig){
		.cfg = { .ctx = { .hashes = writ_exe_hashes_new(), .discover_workload_path = true },
			.rules = { .allow_overflow_uid = true },
			.attestors = writ_attestors }
	};
	writ_ns_self_read(&r->cfg.self);
	assert_ok(writ_attestor_spawn(&r->cfg, &fd, &r->pid, &err), err);
	assert_ok(writ_loop_new(&r->loop, &err), err);
	assert_ok(writ_attest_link_new(r->loop, fd, on_down, r, &r->link, &err), err);
}

static void rig_close(struct rig *r)
{
	int status = 0;
	writ_attest_link_free(r->link);
	assert_int_equal(waitpid(r->pid, &status, 0), r->pid);
	writ_loop_free(r->loop);
	writ_exe_hashes_free(r->cfg.ctx.hashes);
}

static void on_done(struct writ_attest_ask *a, writ_rc rc, const struct writ_err *err,
	const struct writ_talk_reply *reply)
{
	struct question *q = writ_container(a, struct question, ask);
	struct writ_answer found;
	q->done = true;
	q->rc = rc;
	snprintf(q->why, sizeof(q->why), "%s", rc == WRIT_OK ? "" : err->msg);
	if (rc != WRIT_OK || !reply || !reply->answer.n)
		return;
	if (writ_answer_decode(reply->answer, &found, NULL) == WRIT_OK) {
		q->selectors = found.selectors.n;
		writ_answer_done(&found);
	}
}

static void wait_for(struct rig *r, struct question *q)
{
	assert_true(writ_loop_run_until(r->loop, &q->done, writ_mono_ms() + WAIT_MS));
}

static uint64_t look(struct rig *r, struct question *q, pid_t pid)
{
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	const struct writ_pin_facts who = {
		.pid = pid, .uid = geteuid(), .gid = getegid(), .pidfd = pidfd
	};
	assert_true(pidfd >= 0);
	*q = (struct question){ .ask = { .done = on_done } };
	writ_list_init(&q->ask.node);
	uint64_t handle = writ_attest_link_look(r->link, &q->ask, &who, false, 0);
	wait_for(r, q);
	close(pidfd);
	return handle;
}

static void check(struct rig *r, struct question *q, uint64_t handle)
{
	*q = (struct question){ .ask = { .done = on_done } };
	writ_list_init(&q->ask.node);
	writ_attest_link_check(r->link, &q->ask, geteuid(), handle, WRIT_TALK_PLACE);
	wait_for(r, q);
}

static void who_stays_the_same_is_confirmed_and_who_runs_another_program_is_not(void **state)
{
	(void)state;
	struct rig r;
	struct question q;
	int go[2];
	rig_open(&r);
	assert_int_equal(pipe(go), 0);
	pid_t pid = fork();
	if (pid == 0) {
		char c;
		close(go[1]);
		(void)!read(go[0], &c, 1);
		execl("/bin/sleep", "sleep", "60", (char *)NULL);
		_exit(1);
	}
	close(go[0]);
	uint64_t handle = look(&r, &q, pid);
	assert_int_equal(q.rc, WRIT_OK);
	assert_true(q.selectors >= 2);
	check(&r, &q, handle);
	assert_int_equal(q.rc, WRIT_OK);
	close(go[1]);
	for (int i = 0; i < 500 && q.rc == WRIT_OK; i++)
		check(&r, &q, handle);
	assert_int_equal(q.rc, WRIT_EUNAUTH);
	assert_non_null(strstr(q.why, "ran another program"));
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	check(&r, &q, handle);
	assert_non_null(strstr(q.why, "has ended"));
	writ_attest_link_let_go(r.link, geteuid(), handle);
	check(&r, &q, handle);
	assert_non_null(strstr(q.why, "not known here"));
	rig_close(&r);
}

/* Whose groups are told apart from those of the process that asks for it. */
static void the_peers_groups_go_along(void **state)
{
	(void)state;
	struct rig r;
	struct question q[2];
	const gid_t groups[] = { 4001, 4002, 4003 };
	rig_open(&r);
	int pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
	for (size_t n = 0; n < 2; n++) {
		const struct writ_pin_facts who = { .pid = getpid(),
			.uid = geteuid(),
			.gid = getegid(),
			.groups = groups,
			.ngroups = n ? WRIT_COUNT(groups) : 0,
			.pidfd = pidfd };
		q[n] = (struct question){ .ask = { .done = on_done } };
		writ_list_init(&q[n].ask.node);
		(void)writ_attest_link_look(r.link, &q[n].ask, &who, false, 0);
		wait_for(&r, &q[n]);
		assert_int_equal(q[n].rc, WRIT_OK);
	}
	assert_int_equal(q[1].selectors, q[0].selectors + WRIT_COUNT(groups));
	close(pidfd);
	rig_close(&r);
}

static void a_question_of_another_form_is_none(void **state)
{
	struct writ_talk_request q = { .op = WRIT_TALK_LOOK,
		.id = 1,
		.handle = 2,
		.flags = 3,
		.pid = 42,
		.uid = 1000,
		.gid = 100,
		.groups_cut = true,
		.groups = { 4, 27 },
		.ngroups = 2 };
	struct writ_talk_request back;
	struct writ_buf b = WRIT_BUF(WRIT_TALK_REQUEST_MAX);
	(void)state;
	writ_talk_put_request(&q, &b);
	assert_int_equal(writ_talk_get_request(writ_buf_str(&b), &back, NULL), WRIT_OK);
	assert_true(back.id == 1 && back.handle == 2 && back.flags == 3 && back.pid == 42 &&
		back.uid == 1000 && back.gid == 100 && back.groups_cut && back.ngroups == 2 &&
		back.groups[1] == 27);
	for (size_t n = 0; n < b.n; n++)
		assert_int_equal(
			writ_talk_get_request(writ_strn(b.p, n), &back, NULL), WRIT_EPROTO);
	static const struct {
		size_t at;
		uint8_t byte;
	} bad[] = { { 0, 'X' }, { 0, 0 }, { 24, 0x80 }, { 33, 2 }, { 35, 0xff } };
	for (size_t i = 0; i < WRIT_COUNT(bad); i++) {
		uint8_t was = b.p[bad[i].at];
		b.p[bad[i].at] = bad[i].byte;
		if (writ_talk_get_request(writ_buf_str(&b), &back, NULL) != WRIT_EPROTO)
			fail_msg("row %zu", i);
		b.p[bad[i].at] = was;
	}
	writ_buf_add_byte(&b, 0);
	assert_int_equal(writ_talk_get_request(writ_buf_str(&b), &back, NULL), WRIT_EPROTO);
	writ_buf_reset(&b);
	q.op = WRIT_TALK_CHECK;
	writ_talk_put_request(&q, &b);
	b.p[0] = 'X';
	assert_int_equal(writ_talk_get_request(writ_buf_str(&b), &back, NULL), WRIT_EPROTO);
	writ_buf_done(&b);
}

static void an_answer_of_another_form_is_none(void **state)
{
	struct writ_talk_reply r = { .id = 7, .rc = WRIT_EUNAUTH, .error = WRIT_STR("no") }, back;
	struct writ_buf b = WRIT_BUF(4096);
	(void)state;
	writ_talk_put_reply(&r, &b);
	assert_int_equal(writ_talk_get_reply(writ_buf_str(&b), &back, NULL), WRIT_OK);
	assert_true(back.id == 7 && back.rc == WRIT_EUNAUTH && writ_str_eq(back.error, r.error));
	b.p[8] = WRIT_RC_COUNT;
	assert_int_equal(writ_talk_get_reply(writ_buf_str(&b), &back, NULL), WRIT_EPROTO);
	b.p[8] = WRIT_OK;
	assert_int_equal(writ_talk_get_reply(writ_buf_str(&b), &back, NULL), WRIT_OK);
	writ_buf_add_byte(&b, 0);
	assert_int_equal(writ_talk_get_reply(writ_buf_str(&b), &back, NULL), WRIT_EPROTO);
	writ_buf_done(&b);
}

static void when_it_dies_every_question_is_answered_with_that(void **state)
{
	(void)state;
	struct rig r;
	struct question q;
	rig_open(&r);
	assert_int_equal(kill(r.pid, SIGKILL), 0);
	check(&r, &q, 1);
	assert_int_equal(q.rc, WRIT_EUNAVAIL);
	assert_true(r.down);
	check(&r, &q, 1); /* and so is one that comes later */
	assert_int_equal(q.rc, WRIT_EUNAVAIL);
	rig_close(&r);
}

/* What the filter ends, and what it only refuses. */
static int try_socket(void)
{
	return socket(AF_UNIX, SOCK_STREAM, 0);
}
static int try_trace(void)
{
	return (int)ptrace(PTRACE_ATTACH, getppid(), NULL, NULL);
}
static int try_kill(void)
{
	return kill(getppid(), 0);
}
static int try_run(void)
{
	return execl("/bin/true", "true", (char *)NULL);
}
static int try_write(void)
{
	int fd = open("/tmp", O_TMPFILE | O_WRONLY, 0600);
	return fd < 0 && errno == EPERM ? 0 : 1;
}
static int try_fork(void)
{
	pid_t pid = fork();
	if (pid == 0)
		_exit(0);
	return pid < 0 && errno == EPERM ? 0 : 1;
}
/* What is opened by openat2 may be open for writing: a filter cannot see that. */
static int open_by_struct(const char *path)
{
	const struct open_how how = { .flags = O_RDWR };
	return (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));
}

static uint64_t precious = 7; /* the child's is at the same address as the parent's */

static int try_reach(void)
{
	char path[64];
	uint64_t other = 8;
	(void)snprintf(path, sizeof(path), "/proc/%d/mem", (int)getppid());
	int fd = open_by_struct(path);
	const struct iovec part = { &other, sizeof(other) };
	off_t at = (off_t)(uintptr_t)&precious;
	bool refused = pwrite(fd, &other, sizeof(other), at) < 0 && errno == EPERM &&
		pwritev(fd, &part, 1, at) < 0 && errno == EPERM && lseek(fd, at, SEEK_SET) < 0 &&
		errno == EPERM && writev(fd, &part, 1) < 0 && errno == EPERM &&
		write(fd, &other, sizeof(other)) < 0 && errno == EPERM;
	return fd >= 0 && refused ? 0 : 1;
}

static int try_map(void)
{
	char path[] = "/proc/self/exe";
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool refused = mmap(NULL, 1, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED &&
		errno == EPERM &&
		mmap(NULL, 1, PROT_READ, MAP_SHARED_VALIDATE, fd, 0) == MAP_FAILED &&
		errno == EPERM;
	return refused && mmap(NULL, 1, PROT_READ, MAP_PRIVATE, fd, 0) != MAP_FAILED ? 0 : 1;
}

static int try_have_signals_sent(void)
{
	return fcntl(0, F_SETOWN, getppid()) < 0 && errno == EPERM ? 0 : 1;
}

static int try_type(void)
{
	return ioctl(0, TIOCSTI, "x") < 0 && errno == EPERM ? 0 : 1;
}

static void it_can_look_and_nothing_else(void **state)
{
	(void)state;
	static const struct {
		const char *what;
		int (*run)(void);
		bool deadly;
	} rows[] = {
		{ "open a socket", try_socket, true },
		{ "trace", try_trace, true },
		{ "signal", try_kill, true },
		{ "run a program", try_run, true },
		{ "write a file", try_write, false },
		{ "fork", try_fork, false },
		{ "write in another's memory", try_reach, false },
		{ "map what others see", try_map, false },
		{ "have signals sent", try_have_signals_sent, false },
		{ "type on a terminal", try_type, false },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int status = 0;
		pid_t pid = fork();
		if (pid == 0) {
			struct writ_err err = { 0 };
			if (writ_attestor_lock_in(&err) != WRIT_OK)
				_exit(99);
			_exit(rows[i].run() == 0 ? 0 : 1);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		bool ok = rows[i].deadly ? WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS
					 : WIFEXITED(status) && WEXITSTATUS(status) == 0;
		if (!ok)
			fail_msg("%s: status %x", rows[i].what, (unsigned)status);
	}
}

static void the_serving_process_has_no_capability_left(void **state)
{
	(void)state;
	int status = 0;
	pid_t pid = fork();
	if (pid == 0) {
		struct writ_err err = { 0 };
		struct writ_buf text = WRIT_BUF(16384);
		if (writ_serving_drop_caps(&err) != WRIT_OK ||
			writ_fs_read("/proc/self/status", &text, &err) != WRIT_OK)
			_exit(99);
		const char *s = writ_buf_cstr(&text);
		_exit(strstr(s, "CapPrm:\t0000000000000000") &&
					strstr(s, "CapEff:\t0000000000000000") &&
					strstr(s, "NoNewPrivs:\t1")
				? 0
				: 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			who_stays_the_same_is_confirmed_and_who_runs_another_program_is_not),
		cmocka_unit_test(the_peers_groups_go_along),
		cmocka_unit_test(a_question_of_another_form_is_none),
		cmocka_unit_test(an_answer_of_another_form_is_none),
		cmocka_unit_test(when_it_dies_every_question_is_answered_with_that),
		cmocka_unit_test(it_can_look_and_nothing_else),
		cmocka_unit_test(the_serving_process_has_no_capability_left),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
