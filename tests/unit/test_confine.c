/* SPDX-License-Identifier: Apache-2.0 */
/* What a process gave up is gone: each case is a child of its own, since none can go back. */
#include "confine/caps.h"
#include "confine/filter.h"

#include "base/fs.h"
#include "base/mem.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#define KILLED (-1)

/* What the end of a child takes, with sanitizers and without. */
#define ENDING "exit_group", "sigaltstack", "gettid", "write"

static const char *const plain[] = { "getuid", "munmap", ENDING, NULL };
static const char *const fatal[] = { "socket", NULL };
static const struct writ_filter_when reading[] = { { "fcntl", 1, UINT64_MAX, F_GETFD }, { 0 } };

/* Each returns an errno, 0 for what works. */
static int errno_of(long r)
{
	return r < 0 ? errno : 0;
}

static int allowed_call(void)
{
	return errno_of(syscall(SYS_getuid));
}

static int absent_call(void)
{
	return errno_of(syscall(SYS_getsid, 0));
}

static int deadly_call(void)
{
	return errno_of(syscall(SYS_socket, AF_UNIX, SOCK_STREAM, 0));
}

static int argument_that_fits(void)
{
	return errno_of(syscall(SYS_fcntl, 0, F_GETFD, 0));
}

static int argument_that_does_not(void)
{
	return errno_of(syscall(SYS_fcntl, 0, F_GETFL, 0));
}

/* The kernel takes an int here: bits above it must not make another argument of it. */
static int argument_with_high_bits(void)
{
	return errno_of(syscall(SYS_fcntl, 0, (1UL << 40) | F_GETFL, 0));
}

static long map(int protection)
{
	return syscall(SYS_mmap, NULL, 4096, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static int plain_memory(void)
{
	return errno_of(map(PROT_READ | PROT_WRITE));
}

static int executable_memory(void)
{
	return errno_of(map(PROT_READ | PROT_WRITE | PROT_EXEC));
}

static int memory_made_executable(void)
{
	long p = map(PROT_READ | PROT_WRITE);
	return p < 0 ? E2BIG : errno_of(syscall(SYS_mprotect, p, 4096, PROT_READ | PROT_EXEC));
}

static int memory_made_readable(void)
{
	long p = map(PROT_READ | PROT_WRITE);
	return p < 0 ? E2BIG : errno_of(syscall(SYS_mprotect, p, 4096, PROT_READ));
}

/* Runs in a child; its result, or KILLED by SIGSYS. */
static int outcome(int (*run)(const void *arg), const void *arg)
{
	int status = 0;
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(run(arg));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
		return KILLED;
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

struct attempt {
	const char *what;
	int (*act)(void);
	int gentle, strict; /* what comes of it where others fail, and where they kill */
};

static int gently(const void *arg)
{
	const struct attempt *a = arg;
	const struct writ_filter f = { .allowed = plain, .when = reading, .deadly = fatal };
	return writ_filter_load(&f, NULL) == WRIT_OK ? a->act() : E2BIG;
}

static int strictly(const void *arg)
{
	const struct attempt *a = arg;
	const struct writ_filter f = {
		.kills = true, .allowed = plain, .when = reading, .deadly = fatal
	};
	return writ_filter_load(&f, NULL) == WRIT_OK ? a->act() : E2BIG;
}

static void a_filter_leaves_what_it_lists_and_no_executable_memory(void **state)
{
	static const struct attempt rows[] = {
		{ "an allowed call", allowed_call, 0, 0 },
		{ "a call of no list", absent_call, EPERM, KILLED },
		{ "a deadly call", deadly_call, KILLED, KILLED },
		{ "an argument that fits", argument_that_fits, 0, 0 },
		{ "another argument", argument_that_does_not, EPERM, KILLED },
		{ "another argument, and more bits", argument_with_high_bits, EPERM, KILLED },
		{ "plain memory", plain_memory, 0, 0 },
		{ "memory made readable", memory_made_readable, 0, 0 },
		{ "executable memory", executable_memory, EPERM, KILLED },
		{ "memory made executable", memory_made_executable, EPERM, KILLED },
	};
	(void)state;
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		int gentle = outcome(gently, &rows[i]), strict = outcome(strictly, &rows[i]);
		if (gentle != rows[i].gentle || strict != rows[i].strict)
			fail_msg("%s: %d and %d", rows[i].what, gentle, strict);
	}
}

static int with_wrong_name(const void *arg)
{
	static const char *const misspelt[] = { "getuid", "opennat", NULL };
	const struct writ_filter f = { .allowed = misspelt };
	struct writ_err err = { 0 };
	(void)arg;
	return writ_filter_load(&f, &err) == WRIT_EINTERNAL && strstr(err.msg, "'opennat'") &&
			prctl(PR_GET_SECCOMP, 0, 0, 0, 0) == 0
		? 0
		: 1;
}

static void a_name_that_is_no_calls_is_refused_before_anything_holds(void **state)
{
	(void)state;
	assert_int_equal(outcome(with_wrong_name, NULL), 0);
}

struct threads {
	int pair[2], result;
};

static void *old_thread(void *arg)
{
	struct threads *t = arg;
	char byte = 'r';
	bool told = write(t->pair[0], &byte, 1) == 1 && read(t->pair[0], &byte, 1) == 1;
	t->result = told ? absent_call() : E2BIG;
	return NULL;
}

static int with_a_thread(const void *arg)
{
	static const char *const calls[] = { "read", "futex", "munmap", "madvise", "exit",
		"rt_sigprocmask", ENDING, NULL };
	const struct writ_filter f = { .allowed = calls, .all_threads = *(const bool *)arg };
	struct threads t = { .result = E2BIG };
	pthread_t id;
	char byte;
	/* A thread that is still being born would die of the filter. */
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, t.pair) != 0 ||
		pthread_create(&id, NULL, old_thread, &t) != 0 || read(t.pair[1], &byte, 1) != 1 ||
		writ_filter_load(&f, NULL) != WRIT_OK || write(t.pair[1], "x", 1) != 1 ||
		pthread_join(id, NULL) != 0)
		return E2BIG;
	return t.result;
}

static void a_filter_for_all_threads_holds_in_those_that_were_there(void **state)
{
	(void)state;
	assert_int_equal(outcome(with_a_thread, &(const bool){ true }), EPERM);
	assert_int_equal(outcome(with_a_thread, &(const bool){ false }), 0);
}

/* The sets as /proc says them; 0 for one that is not there. */
static uint64_t set_of(const char *status, const char *name)
{
	const char *at = strstr(status, name);
	unsigned long long set = 0;
	return at && sscanf(at + strlen(name), ":\t%llx", &set) == 1 ? set : UINT64_MAX;
}

static int keeps(const void *arg)
{
	uint64_t mask = *(const uint64_t *)arg, had = 0;
	WRIT_AUTO(writ_buf_done) struct writ_buf before = WRIT_BUF(16384);
	WRIT_AUTO(writ_buf_done) struct writ_buf after = WRIT_BUF(16384);
	if (writ_fs_read("/proc/self/status", &before, NULL) != WRIT_OK ||
		writ_caps_keep(mask, NULL) != WRIT_OK ||
		writ_fs_read("/proc/self/status", &after, NULL) != WRIT_OK)
		return 1;
	const char *s = writ_buf_cstr(&after);
	had = set_of(writ_buf_cstr(&before), "CapPrm");
	if (set_of(s, "CapPrm") != (had & mask) || set_of(s, "CapEff") != (had & mask))
		return 2;
	if (set_of(s, "CapInh") != 0 || set_of(s, "CapAmb") != 0)
		return 3;
	if (had & WRIT_CAP(CAP_SETPCAP) && set_of(s, "CapBnd") & ~mask)
		return 4;
	if (set_of(s, "NoNewPrivs") != 1)
		return 5;
	return writ_caps_keep(0, NULL) == WRIT_OK && writ_caps_keep(mask, NULL) == WRIT_OK ? 0 : 6;
}

static void capabilities_outside_the_mask_are_gone_and_so_is_the_way_back(void **state)
{
	static const uint64_t masks[] = { 0, WRIT_CAP(CAP_DAC_OVERRIDE),
		WRIT_CAP(CAP_KILL) | WRIT_CAP(CAP_SYSLOG), UINT64_MAX };
	(void)state;
	for (size_t i = 0; i < WRIT_COUNT(masks); i++) {
		int result = outcome(keeps, &masks[i]);
		if (result != 0)
			fail_msg("mask %llx: %d", (unsigned long long)masks[i], result);
	}
}

static int where_capset_is_forbidden(const void *arg)
{
	static const char *const calls[] = { "prctl", "capget", ENDING, NULL };
	const struct writ_filter f = { .allowed = calls };
	struct writ_err err = { 0 };
	bool reduced = *(const bool *)arg;
	if (reduced && writ_caps_keep(0, &err) != WRIT_OK)
		return 1;
	if (writ_filter_load(&f, &err) != WRIT_OK)
		return 2;
	return writ_caps_keep(0, &err) == (reduced ? WRIT_OK : WRIT_EUNSUP) ? 0 : 3;
}

static void a_filter_that_forbids_capset_is_told_unless_there_is_nothing_to_give_up(void **state)
{
	(void)state;
	assert_int_equal(outcome(where_capset_is_forbidden, &(const bool){ true }), 0);
	if (geteuid() != 0)
		skip();
	assert_int_equal(outcome(where_capset_is_forbidden, &(const bool){ false }), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_filter_leaves_what_it_lists_and_no_executable_memory),
		cmocka_unit_test(a_name_that_is_no_calls_is_refused_before_anything_holds),
		cmocka_unit_test(a_filter_for_all_threads_holds_in_those_that_were_there),
		cmocka_unit_test(capabilities_outside_the_mask_are_gone_and_so_is_the_way_back),
		cmocka_unit_test(
			a_filter_that_forbids_capset_is_told_unless_there_is_nothing_to_give_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
