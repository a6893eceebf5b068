/* SPDX-License-Identifier: Apache-2.0 */
/* What one caller costs the agent: CPU time of this thread, the best and the middle of several
 * rounds. bench_attest [-n CALLS] [-r ROUNDS] [PID] looks at PID (default: itself). */
#include "attest/attestor.h"
#include "attest/cgroup_fs.h"

#include "base/clock.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROUNDS_MAX 100

struct bench {
	struct writ_pin_facts facts;
	struct writ_pin pin;
	struct writ_ns_self self;
	struct writ_snapshot s;
	struct writ_attest_ctx ctx;
	struct writ_cgroup_fs fs;
	struct writ_err err;
	const struct writ_attestor_vt *const *list;
	unsigned flags;
	struct writ_answer seen; /* of the lineage */
};

static writ_rc no_hash(int fd, uint64_t max, uint8_t out[WRIT_EXE_HASH_LEN], struct writ_err *err)
{
	(void)fd;
	(void)max;
	(void)out;
	return writ_fail(err, WRIT_EUNSUP, "not measured");
}

static writ_rc pin_once(struct bench *b)
{
	struct writ_pin pin;
	writ_rc rc = writ_pin_open(&b->facts, NULL, &pin, &b->err);
	if (rc == WRIT_OK)
		writ_pin_close(&pin);
	return rc;
}

static writ_rc snapshot_once(struct bench *b)
{
	struct writ_snapshot s;
	writ_rc rc = writ_snapshot_take(&b->pin, &b->self, &s, &b->err);
	if (rc == WRIT_OK)
		writ_snapshot_done(&s);
	return rc;
}

static writ_rc recheck_once(struct bench *b)
{
	return writ_snapshot_recheck(&b->pin, &b->s, &b->err);
}

static writ_rc attest_once(struct bench *b)
{
	struct writ_answer a;
	writ_rc rc = writ_attest(b->list, &b->ctx, &b->s, b->pin.dirfd, b->flags, &a, &b->err);
	if (rc == WRIT_OK)
		writ_answer_done(&a);
	return rc;
}

static writ_rc again_once(struct bench *b)
{
	return writ_attest_again(
		writ_attestors, &b->ctx, &b->s, b->pin.dirfd, &b->seen.selectors, &b->err);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a;
	double y = *(const double *)b;
	return (x > y) - (x < y);
}

static void run(
	struct bench *b, const char *what, writ_rc (*once)(struct bench *), int calls, int rounds)
{
	double us[ROUNDS_MAX];
	for (int r = 0; r < rounds; r++) {
		int64_t start = writ_thread_cpu_us();
		for (int i = 0; i < calls; i++) {
			if (once(b) == WRIT_OK)
				continue;
			(void)fprintf(stderr, "bench_attest: %s: %s\n", what, b->err.msg);
			exit(1);
		}
		us[r] = (double)(writ_thread_cpu_us() - start) / calls;
	}
	qsort(us, (size_t)rounds, sizeof(us[0]), by_value);
	(void)printf("%-28s %8.2f %8.2f\n", what, us[0], us[rounds / 2]);
}

static writ_rc prepare(struct bench *b, pid_t pid)
{
	char path[32];
	struct stat st;
	(void)snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	if (stat(path, &st) != 0)
		return writ_fail(&b->err, WRIT_ENOENT, "no process %d", (int)pid);
	b->facts = (struct writ_pin_facts){
		.pid = pid, .uid = st.st_uid, .gid = st.st_gid, .pidfd = -1
	};
	b->ctx = (struct writ_attest_ctx){
		.names = writ_names_new(),
		.hashes = writ_exe_hashes_new(),
		.sha256_file = no_hash,
		.discover_workload_path = true,
	};
	writ_ns_self_read(&b->self);
	writ_rc rc = writ_cgroup_fs_open("/sys/fs/cgroup", &b->fs, &b->err);
	if (rc == WRIT_OK)
		rc = writ_pin_open(&b->facts, NULL, &b->pin, &b->err);
	if (rc == WRIT_OK)
		rc = writ_snapshot_take(&b->pin, &b->self, &b->s, &b->err);
	if (rc != WRIT_OK)
		return rc;
	b->ctx.trust = &b->fs.base;
	b->ctx.host_net = writ_ns_host_net();
	b->ctx.self = &b->self;
	b->ctx.mains = writ_mains_new();
	return writ_attest(writ_attestors, &b->ctx, &b->s, b->pin.dirfd,
		WRIT_ATTEST_MAY_BLOCK | WRIT_ATTEST_LINEAGE, &b->seen, &b->err);
}

static uint64_t number(const char *text, uint64_t max)
{
	uint64_t v;
	struct writ_err err;
	if (writ_parse_u64(writ_cstr(text), 1, max, &v, &err) == WRIT_OK)
		return v;
	(void)fprintf(stderr, "bench_attest: %s\n", err.msg);
	exit(2);
}

int main(int argc, char **argv)
{
	static const struct writ_attestor_vt *const only_unix[] = { &writ_attestor_unix, NULL };
	struct bench b = { .pin = { .pidfd = -1, .dirfd = -1 }, .fs = { .fd = -1 } };
	int calls = 2000;
	int rounds = 15;
	for (int o = getopt(argc, argv, "n:r:"); o != -1; o = getopt(argc, argv, "n:r:")) {
		if (o == 'n')
			calls = (int)number(optarg, 100000000);
		else if (o == 'r')
			rounds = (int)number(optarg, ROUNDS_MAX);
		else
			return 2;
	}
	pid_t pid = optind < argc ? (pid_t)number(argv[optind], INT32_MAX) : getpid();
	if (prepare(&b, pid) != WRIT_OK) {
		(void)fprintf(stderr, "bench_attest: %s\n", b.err.msg);
		return 1;
	}
	(void)printf("%-28s %8s %8s   (us of CPU a call)\n", "", "best", "median");
	run(&b, "pin", pin_once, calls, rounds);
	run(&b, "snapshot", snapshot_once, calls, rounds);
	run(&b, "recheck", recheck_once, calls, rounds);
	b.list = only_unix;
	run(&b, "attest: unix, warm", attest_once, calls, rounds);
	b.list = writ_attestors;
	run(&b, "attest: all, warm", attest_once, calls, rounds);
	b.flags = WRIT_ATTEST_PROCESS;
	run(&b, "... and caps, seccomp, ns", attest_once, calls, rounds);
	b.flags = WRIT_ATTEST_SCRIPT | WRIT_ATTEST_MAY_BLOCK;
	run(&b, "... and script", attest_once, calls, rounds);
	b.flags = WRIT_ATTEST_LINEAGE;
	run(&b, "... and lineage", attest_once, calls, rounds);
	run(&b, "lineage: again", again_once, calls, rounds);
	writ_answer_done(&b.seen);
	writ_snapshot_done(&b.s);
	writ_pin_close(&b.pin);
	writ_cgroup_fs_close(&b.fs);
	writ_names_free(b.ctx.names);
	writ_exe_hashes_free(b.ctx.hashes);
	writ_mains_free(b.ctx.mains);
	return 0;
}
