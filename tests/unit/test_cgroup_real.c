/* SPDX-License-Identifier: Apache-2.0 */
/* Cgroups that the kernel really makes, with a process in each: what the table of forms gives
 * there, and what it does not give to somebody who makes such names in a folder of his own. Needs
 * root and the v1 and v2 hierarchies side by side, or v2 alone (then rows that say something of v1
 * are left out); says so and does nothing else without them. */
#include "check.h"

#include "attest/attestor.h"
#include "attest/cgroup_fs.h"
#include "base/buf.h"
#include "base/mem.h"
#include "base/rand.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROOT   "/sys/fs/cgroup"
#define NOBODY 65534

enum where { V2 = 1, SYSTEMD = 2, OTHERS = 4, V1 = SYSTEMD | OTHERS, ALL = V1 | V2 };

/* cpuset is left out: it takes no process before it is told of CPUs. */
static const struct {
	const char *dir;
	enum where where;
} hierarchies[] = { { "unified", V2 }, { "systemd", SYSTEMD }, { "memory", OTHERS },
	{ "pids", OTHERS }, { "devices", OTHERS } };

/* @A and @B stand for two container IDs of this run, @U and @_ for a pod, @S for a static one. */
#define UUID   "2c48913c-b29f-11e7-9350-020968147796"
#define UUID_  "2c48913c_b29f_11e7_9350_020968147796"
#define STATIC "8daa50c3a64c9ff60bb9eab7b44b56fd"
#define KUBE   "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod"
#define OWN    "/user.slice/user-65534.slice/user@65534.service"

static const struct row {
	const char *title;
	struct {
		enum where where;
		const char *path;
	} in[3];
	const char *want; /* selectors but cgroup:path; "!": none at all */
} rows[] = {
	{ "docker, cgroupfs driver", { { ALL, "/docker/@A" } },
		"container:id:@A container:runtime:docker" },
	{ "docker, cgroupfs driver, v2 untouched", { { V1, "/docker/@A" } },
		"container:id:@A container:runtime:docker" },
	{ "docker, systemd driver", { { ALL, "/system.slice/docker-@A.scope" } },
		"container:id:@A container:runtime:docker" },
	{ "docker, systemd driver, v2 alone", { { V2, "/system.slice/docker-@A.scope" } },
		"container:id:@A container:runtime:docker" },
	{ "docker in docker", { { ALL, "/docker/@A/docker/@B" } },
		"container:id:@A container:runtime:docker" },
	{ "kind node in docker", { { ALL, "/docker/@A/kubepods/besteffort/pod" UUID "/@B" } },
		"container:id:@A container:runtime:docker" },
	{ "pod, cgroupfs driver", { { ALL, "/kubepods/burstable/pod" UUID "/@A" } },
		"container:id:@A container:pod:" UUID },
	{ "guaranteed pod, runtime's own unit in v2",
		{ { V1, "/kubepods/pod" UUID "/@A" }, { V2, "/system.slice/containerd.service" } },
		"container:id:@A container:pod:" UUID },
	{ "pod, systemd driver", { { ALL, KUBE UUID_ ".slice/cri-containerd-@A.scope" } },
		"container:id:@A container:pod:" UUID " container:runtime:containerd" },
	{ "static pod", { { ALL, KUBE STATIC ".slice/cri-containerd-@A.scope" } },
		"container:id:@A container:pod:" STATIC " container:runtime:containerd" },
	{ "kind",
		{ { ALL,
			"/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod" UUID_
			".slice/cri-containerd-@A.scope" } },
		"container:id:@A container:pod:" UUID " container:runtime:containerd" },
	{ "containerd's colons",
		{ { SYSTEMD,
			"/system.slice/containerd.service/kubepods-burstable-pod" UUID_
			".slice:cri-containerd:@A" } },
		"container:id:@A container:pod:" UUID " container:runtime:containerd" },
	{ "cri-o", { { ALL, KUBE UUID_ ".slice/crio-@A.scope/container" } },
		"container:id:@A container:pod:" UUID " container:runtime:crio" },
	{ "cri-o's monitor", { { ALL, KUBE UUID_ ".slice/crio-conmon-@A.scope" } }, "" },
	{ "podman, cgroupfs driver", { { ALL, "/libpod_parent/libpod-@A" } },
		"container:id:@A container:runtime:podman" },
	{ "podman from a login, v2 untouched",
		{ { OTHERS, "/libpod_parent/libpod-@A" },
			{ SYSTEMD, "/user.slice/user-0.slice/session-3.scope" } },
		"container:id:@A container:runtime:podman" },
	{ "podman's monitor", { { ALL, "/machine.slice/libpod-conmon-@A.scope" } }, "" },
	{ "podman of a user", { { SYSTEMD | V2, OWN "/user.slice/libpod-@A.scope" } },
		"podman-rootless:uid:65534:id:@A systemd:id:user@65534.service" },
	{ "service", { { SYSTEMD | V2, "/system.slice/writ-test.service/sub" } },
		"systemd:id:writ-test.service" },
	{ "session", { { SYSTEMD | V2, "/user.slice/user-65534.slice/session-3.scope" } }, "" },
	{ "slurm on v1",
		{ { OTHERS, "/slurm/uid_65534/job_42/step_0/task_0" },
			{ SYSTEMD, "/system.slice/slurmd.service" } },
		"slurm:job_id:42 slurm:step:0 slurm:uid:65534" },
	{ "slurm on v2", { { V2, "/system.slice/slurmstepd.scope/job_42/step_batch/user/task_0" } },
		"slurm:job_id:42 slurm:step:batch" },
	{ "lxc", { { ALL, "/lxc.payload.foo" } }, "container:machine:foo" },
	{ "nspawn", { { ALL, "/machine.slice/machine-foo.scope/payload" } },
		"container:machine:foo" },
	{ "nothing", { { ALL, "" } }, "" },
	{ "v1 and v2 disagree", { { V1, "/docker/@A" }, { V2, "/docker/@B" } }, "!" },
	{ "two v1 hierarchies disagree",
		{ { SYSTEMD, "/system.slice/a.service" }, { V2, "/system.slice/b.service" } },
		"!" },
};

/* What somebody can make where systemd gave him a folder, as what root's runtimes would make. */
static const char *const crafted[] = {
	"/docker-@A.scope",
	"/docker/@A",
	"/system.slice/docker-@A.scope",
	KUBE UUID_ ".slice/cri-containerd-@A.scope",
	KUBE UUID_ ".slice/crio-@A.scope",
	"/machine.slice/libpod-@A.scope",
	"/libpod_parent/libpod-@A",
	"/system.slice/slurmstepd.scope/job_42/step_0",
	"/system.slice/nginx.service",
	"/lxc.payload.foo",
};

struct made {
	char *paths[512];
	size_t n;
};

static char ids[2][65];

static char *fill_in(const char *text)
{
	struct writ_buf b = WRIT_BUF(4096);
	for (; *text; text++) {
		if (*text == '@' && (text[1] == 'A' || text[1] == 'B'))
			writ_buf_add_cstr(&b, ids[*++text == 'B']);
		else
			writ_buf_add_byte(&b, (uint8_t)*text);
	}
	writ_buf_add_cstr(&b, "");
	return writ_buf_steal(&b);
}

static void make_path(struct made *m, const char *dir, const char *path)
{
	char full[4096];
	int n = snprintf(full, sizeof(full), ROOT "/%s%s", dir, path);
	for (char *p = full + sizeof(ROOT) + strlen(dir) + 1; p < full + n; p++) {
		char *end = strchrnul(p, '/');
		char was = *end;
		*end = '\0';
		if (mkdir(full, 0755) == 0) {
			assert_true(m->n < WRIT_COUNT(m->paths));
			m->paths[m->n++] = writ_strdup(full);
		} else if (errno != EEXIST) {
			fail_msg("%s: %s", full, strerror(errno));
		}
		*end = was;
		p = end;
	}
}

static void remove_made(struct made *m)
{
	while (m->n > 0) {
		(void)rmdir(m->paths[--m->n]); /* another run may use a folder above ours */
		writ_free(m->paths[m->n]);
	}
}

static bool enter(const char *dir, const char *path, pid_t pid)
{
	char full[4096];
	(void)snprintf(full, sizeof(full), ROOT "/%s%s/cgroup.procs", dir, path);
	int fd = open(full, O_WRONLY | O_CLOEXEC);
	bool ok = fd >= 0 && dprintf(fd, "%d\n", (int)pid) > 0;
	if (fd >= 0)
		close(fd);
	return ok;
}

struct child {
	pid_t pid;
	int pipe; /* closed: it ends */
};

static struct child start_child(void)
{
	int ends[2];
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	struct child c = { .pid = fork(), .pipe = ends[1] };
	assert_true(c.pid >= 0);
	if (c.pid == 0) {
		char byte;
		close(ends[1]);
		(void)!read(ends[0], &byte, 1);
		_exit(0);
	}
	close(ends[0]);
	return c;
}

static void end_child(const struct child *c)
{
	close(c->pipe);
	assert_int_equal(waitpid(c->pid, NULL, 0), c->pid);
}

/* The selectors of a process, but cgroup:path, each followed by a blank; "! why" when refused. */
static void look(pid_t pid, uid_t uid, struct writ_buf *out)
{
	static const struct writ_attestor_vt *const list[] = { &writ_attestor_systemd,
		&writ_attestor_container, &writ_attestor_slurm, &writ_attestor_cgroup, NULL };
	struct writ_cgroup_fs fs;
	struct writ_err err;
	struct writ_pin pin;
	struct writ_ns_self self;
	struct writ_snapshot s;
	struct writ_answer a;
	const struct writ_pin_facts facts = {
		.pid = pid, .uid = uid, .gid = uid, .pidfd = (int)syscall(SYS_pidfd_open, pid, 0)
	};
	const struct writ_pin_rules rules = { .allow_overflow_uid = true };
	assert_ok(writ_cgroup_fs_open(ROOT, &fs, &err), err);
	assert_ok(writ_pin_open(&facts, &rules, &pin, &err), err);
	writ_ns_self_read(&self);
	assert_ok(writ_snapshot_take(&pin, &self, &s, &err), err);
	const struct writ_attest_ctx ctx = { .trust = &fs.base };
	if (writ_attest(list, &ctx, &s, pin.dirfd, 0, &a, &err) == WRIT_OK) {
		for (size_t i = 0; i < a.selectors.n; i++) {
			struct writ_selector one = writ_selectors_at(&a.selectors, i);
			if (!writ_str_eq(one.type, WRIT_STR("cgroup")))
				writ_buf_addf(out, WRIT_FMT " ", WRIT_ARG(one.text));
		}
		writ_answer_done(&a);
	} else {
		writ_buf_addf(out, "! %s", err.msg);
	}
	writ_buf_add_cstr(out, "");
	writ_snapshot_done(&s);
	writ_pin_close(&pin);
	writ_cgroup_fs_close(&fs);
}

static bool v2_alone; /* mounted on ROOT itself */

static const char *v2_dir(void)
{
	return v2_alone ? "" : "unified";
}

static bool can_run(void)
{
	v2_alone = access(ROOT "/cgroup.controllers", F_OK) == 0;
	if (geteuid() == 0 && v2_alone && access(ROOT "/cgroup.procs", W_OK) == 0)
		return true;
	if (geteuid() == 0 && access(ROOT "/unified/cgroup.procs", W_OK) == 0 &&
		access(ROOT "/systemd/cgroup.procs", W_OK) == 0)
		return true;
	print_message(
		"skipped: needs root, and writable v1 and v2 cgroups or v2 alone in " ROOT "\n");
	return false;
}

static bool can_place(const struct row *row)
{
	for (size_t i = 0; i < WRIT_COUNT(row->in); i++)
		if (v2_alone && row->in[i].where && !(row->in[i].where & V2))
			return false;
	return true;
}

static void place(struct made *made, const struct row *row, pid_t pid)
{
	for (size_t i = 0; i < WRIT_COUNT(row->in); i++) {
		WRIT_AUTO(writ_freep)
		char *path = fill_in(row->in[i].path ? row->in[i].path : "");
		for (size_t h = 0; h < WRIT_COUNT(hierarchies); h++) {
			bool v2 = hierarchies[h].where == V2;
			const char *dir = v2 ? v2_dir() : hierarchies[h].dir;
			if (!(hierarchies[h].where & row->in[i].where) || (v2_alone && !v2))
				continue;
			make_path(made, dir, path);
			if (!enter(dir, path, pid))
				fail_msg("%s: cannot enter %s%s: %s", row->title, dir, path,
					strerror(errno));
		}
	}
}

static void real_cgroups_give_what_the_table_says(void **state)
{
	(void)state;
	if (!can_run())
		skip();
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		if (!can_place(&rows[i])) {
			print_message("%s: left out: there is no v1 here\n", rows[i].title);
			continue;
		}
		struct made made = { .n = 0 };
		struct child c = start_child();
		struct writ_buf got = WRIT_BUF(8192);
		WRIT_AUTO(writ_freep) char *want = fill_in(rows[i].want);
		place(&made, &rows[i], c.pid);
		look(c.pid, 0, &got);
		end_child(&c);
		remove_made(&made);
		const char *text = writ_buf_cstr(&got);
		bool ok = want[0] == '!' ? text[0] == '!'
					 : strncmp(text, want, strlen(want)) == 0 &&
				(got.n == strlen(want) + (want[0] ? 1 : 0));
		if (!ok)
			fail_msg("%s: '%s', not '%s'", rows[i].title, text, want);
		writ_buf_done(&got);
	}
}

/* As nobody, in a folder that is nobody's: makes the path, and enters it. */
static void craft(const char *dir, const char *path, int ready, int end)
{
	char full[4096];
	char byte = 'x';
	struct made made = { .n = 0 };
	if (setgid(NOBODY) != 0 || setuid(NOBODY) != 0)
		_exit(1);
	(void)snprintf(full, sizeof(full), OWN "%s", path);
	make_path(&made, dir, full);
	byte = enter(dir, full, getpid()) ? 'y' : 'n';
	(void)!write(ready, &byte, 1);
	(void)!read(end, &byte, 1);
	_exit(0);
}

static void give_away(const char *dir)
{
	static const char *const names[] = { "", "/cgroup.procs", "/cgroup.subtree_control",
		"/cgroup.threads" };
	char full[4096];
	for (size_t i = 0; i < WRIT_COUNT(names); i++) {
		(void)snprintf(full, sizeof(full), ROOT "/%s" OWN "%s", dir, names[i]);
		(void)!chown(full, NOBODY, NOBODY);
	}
}

static void check_crafted(const char *dir, const char *path)
{
	int ready[2], end[2];
	char byte = 'n';
	struct writ_buf got = WRIT_BUF(8192);
	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	assert_int_equal(pipe2(end, O_CLOEXEC), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		close(end[1]);
		/* he starts in his folder, as his session would */
		if (!enter(dir, OWN, getpid()))
			_exit(1);
		craft(dir, path, ready[1], end[0]);
	}
	close(ready[1]);
	close(end[0]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_int_equal(byte, 'y'); /* else nothing was tried */
	look(pid, NOBODY, &got);
	close(end[1]);
	close(ready[0]);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	const char *text = writ_buf_cstr(&got);
	if (strstr(text, "container:") || strstr(text, "slurm:") ||
		strstr(text, "systemd:id:nginx") || !strstr(text, "systemd:id:user@65534.service"))
		fail_msg("%s: %s", path, text);
	writ_buf_done(&got);
}

static void remove_crafted(const char *dir, char *path)
{
	char full[4096];
	for (char *end = path + strlen(path); end > path; end = strrchr(path, '/')) {
		*end = '\0';
		(void)snprintf(full, sizeof(full), ROOT "/%s" OWN "%s", dir, path);
		(void)rmdir(full);
	}
}

static void crafted_names_in_a_folder_of_ones_own_give_nothing(void **state)
{
	struct made made = { .n = 0 };
	(void)state;
	if (!can_run())
		skip();
	const char *const dirs[] = { v2_dir(), "systemd" };
	for (size_t h = 0; h < (v2_alone ? 1U : 2U); h++) {
		make_path(&made, dirs[h], OWN);
		give_away(dirs[h]);
		for (size_t i = 0; i < WRIT_COUNT(crafted); i++) {
			WRIT_AUTO(writ_freep) char *path = fill_in(crafted[i]);
			check_crafted(dirs[h], path);
			remove_crafted(dirs[h], path);
		}
	}
	remove_made(&made);
}

static void a_runtimes_folder_that_is_not_roots_gives_nothing(void **state)
{
	struct made made = { .n = 0 };
	struct writ_buf got = WRIT_BUF(8192);
	(void)state;
	if (!can_run())
		skip();
	char parent[64], path[256];
	(void)snprintf(parent, sizeof(parent), "/system.slice/writ-%.16s.service", ids[0]);
	(void)snprintf(path, sizeof(path), "%s/libpod-payload-%s", parent, ids[1]);
	make_path(&made, v2_dir(), path);
	(void)snprintf(path, sizeof(path), ROOT "/%s%s", v2_dir(), parent);
	assert_int_equal(chown(path, NOBODY, NOBODY), 0);
	(void)snprintf(path, sizeof(path), "%s/libpod-payload-%s", parent, ids[1]);
	struct child c = start_child();
	assert_true(enter(v2_dir(), path, c.pid));
	look(c.pid, 0, &got);
	end_child(&c);
	remove_made(&made);
	assert_true(writ_buf_cstr(&got)[0] == '!');
	writ_buf_done(&got);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(real_cgroups_give_what_the_table_says),
		cmocka_unit_test(crafted_names_in_a_folder_of_ones_own_give_nothing),
		cmocka_unit_test(a_runtimes_folder_that_is_not_roots_gives_nothing),
	};
	for (size_t i = 0; i < 2; i++) {
		uint8_t bytes[32];
		writ_rand(bytes, sizeof(bytes));
		writ_hex(bytes, sizeof(bytes), ids[i]);
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
