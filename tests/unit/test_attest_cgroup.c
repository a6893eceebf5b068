/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/cgroup_fs.h"
#include "attest/cgroup_path.h"

#include "base/fs.h"
#include "base/mem.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#define H64   "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define G64   "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"
#define UUID  "2c48913c-b29f-11e7-9350-020968147796"
#define UUID_ "2c48913c_b29f_11e7_9350_020968147796"
#define PLAIN "8daa50c3a64c9ff60bb9eab7b44b56fd"
#define KUBE  "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod"
#define USER  "/user.slice/user-1000.slice/user@1000.service"

static bool everything(
	const struct writ_cgroup_trust *t, struct writ_str hierarchy, struct writ_str dir)
{
	(void)t;
	(void)hierarchy;
	(void)dir;
	return true;
}

static const struct writ_cgroup_trust trust_all = { .trusted = everything };

enum { NO, SES, UNI, MAC, SLU, ROO, MON, CON };

/* What Linux and the runtimes write, and what each row has to give. */
static const struct golden {
	const char *what, *text;
	int kind;
	const char *runtime, *unit, *container, *pod, *name, *detail, *path;
	int owner; /* -1: none */
} golden[] = {
	{ "docker, cgroupfs v1", "10:devices:/docker/" H64 "\n", CON, "docker", "", H64, "", "", "",
		"", -1 },
	{ "docker, systemd v2", "0::/system.slice/docker-" H64 ".scope\n", CON, "docker", "", H64,
		"", "", "", "/system.slice/docker-" H64 ".scope", -1 },
	{ "docker in docker",
		"6:devices:/docker/" H64 "/docker/" G64 "/system.slice/containerd.service\n", CON,
		"docker", "", H64, "", "", "", "", -1 },
	{ "kind node in docker", "0::/docker/" H64 "/kubepods/besteffort/pod" UUID "/" G64 "\n",
		CON, "docker", "", H64, "", "", "",
		"/docker/" H64 "/kubepods/besteffort/pod" UUID "/" G64, -1 },
	{ "buildkit", "0::/docker/buildkit/t4967jvf8rbufklrhkicskyes\n", NO, "", "", "", "", "", "",
		"/docker/buildkit/t4967jvf8rbufklrhkicskyes", -1 },
	{ "k8s cgroupfs burstable", "11:hugetlb:/kubepods/burstable/pod" UUID "/" H64 "\n", CON, "",
		"", H64, UUID, "", "", "", -1 },
	{ "k8s cgroupfs guaranteed", "11:hugetlb:/kubepods/pod" UUID "/" H64 "\n", CON, "", "", H64,
		UUID, "", "", "", -1 },
	{ "k8s cgroupfs cri-o", "0::/kubepods/besteffort/pod" UUID "/crio-" H64 "\n", CON, "crio",
		"", H64, UUID, "", "", "/kubepods/besteffort/pod" UUID "/crio-" H64, -1 },
	{ "k8s systemd containerd", "0::" KUBE UUID_ ".slice/cri-containerd-" H64 ".scope\n", CON,
		"containerd", "", H64, UUID, "", "",
		KUBE UUID_ ".slice/cri-containerd-" H64 ".scope", -1 },
	{ "k8s systemd guaranteed",
		"12:cpuset:/kubepods.slice/kubepods-pod" UUID_ ".slice/cri-containerd-" H64
		".scope\n",
		CON, "containerd", "", H64, UUID, "", "", "", -1 },
	{ "k8s dockershim, dashes", "0::" KUBE UUID ".slice/docker-" H64 ".scope\n", CON, "docker",
		"", H64, UUID, "", "", KUBE UUID ".slice/docker-" H64 ".scope", -1 },
	{ "static pod", "0::" KUBE PLAIN ".slice/cri-containerd-" H64 ".scope\n", CON, "containerd",
		"", H64, PLAIN, "", "", KUBE PLAIN ".slice/cri-containerd-" H64 ".scope", -1 },
	{ "containerd's colons",
		"1:name=systemd:/system.slice/containerd.service/kubepods-burstable-pod" UUID_
		".slice:cri-containerd:" H64 "\n",
		CON, "containerd", "", H64, UUID, "", "",
		"/system.slice/containerd.service/kubepods-burstable-pod" UUID_
		".slice:cri-containerd:" H64,
		-1 },
	{ "kind's kubelet",
		"0::/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod" UUID_
		".slice/cri-containerd-" H64 ".scope\n",
		CON, "containerd", "", H64, UUID, "", "",
		"/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod" UUID_
		".slice/cri-containerd-" H64 ".scope",
		-1 },
	{ "kind's kubelet with QoS",
		"0::/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice/"
		"kubelet-kubepods-besteffort-pod" UUID_ ".slice/cri-containerd-" H64 ".scope\n",
		CON, "containerd", "", H64, UUID, "", "",
		"/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice/"
		"kubelet-kubepods-besteffort-pod" UUID_ ".slice/cri-containerd-" H64 ".scope",
		-1 },
	{ "cri-o", "0::" KUBE UUID_ ".slice/crio-" H64 ".scope\n", CON, "crio", "", H64, UUID, "",
		"", KUBE UUID_ ".slice/crio-" H64 ".scope", -1 },
	{ "cri-o's conmon", "0::" KUBE UUID_ ".slice/crio-conmon-" H64 ".scope\n", MON, "crio", "",
		"", UUID, "", "", KUBE UUID_ ".slice/crio-conmon-" H64 ".scope", -1 },
	{ "podman", "0::/machine.slice/libpod-" H64 ".scope\n", CON, "podman", "", H64, "", "", "",
		"/machine.slice/libpod-" H64 ".scope", -1 },
	{ "podman, split", "0::/machine.slice/libpod-" H64 ".scope/container\n", CON, "podman", "",
		H64, "", "", "", "/machine.slice/libpod-" H64 ".scope/container", -1 },
	{ "podman's conmon", "0::/machine.slice/libpod-conmon-" H64 ".scope\n", MON, "podman", "",
		"", "", "", "", "/machine.slice/libpod-conmon-" H64 ".scope", -1 },
	{ "podman, cgroupfs", "4:memory:/libpod_parent/libpod-" H64 "\n0::/\n", CON, "podman", "",
		H64, "", "", "", "/", -1 },
	{ "podman rootless", "0::" USER "/user.slice/libpod-" H64 ".scope\n", ROO, "podman",
		"user@1000.service", H64, "", "", "", USER "/user.slice/libpod-" H64 ".scope",
		1000 },
	{ "service", "0::/system.slice/nginx.service\n", UNI, "", "nginx.service", "", "", "", "",
		"/system.slice/nginx.service", -1 },
	{ "service, sub-cgroup", "0::/system.slice/nginx.service/worker.service\n", UNI, "",
		"nginx.service", "", "", "", "", "/system.slice/nginx.service/worker.service", -1 },
	{ "template", "0::/system.slice/system-getty.slice/getty@tty1.service\n", UNI, "",
		"getty@tty1.service", "", "", "", "",
		"/system.slice/system-getty.slice/getty@tty1.service", -1 },
	{ "escaped unit", "0::/system.slice/_cpu.service\n", UNI, "", "cpu.service", "", "", "", "",
		"/system.slice/_cpu.service", -1 },
	{ "session", "0::/user.slice/user-1000.slice/session-3.scope\n", SES, "", "", "", "", "3",
		"", "/user.slice/user-1000.slice/session-3.scope", 1000 },
	{ "user service", "0::" USER "/app.slice/foo.service\n", UNI, "", "user@1000.service", "",
		"", "", "", USER "/app.slice/foo.service", -1 },
	{ "slurm", "0::/system.slice/slurmstepd.scope/job_42/step_0/user/task_0\n", SLU, "", "", "",
		"", "42", "0", "/system.slice/slurmstepd.scope/job_42/step_0/user/task_0", -1 },
	{ "nspawn", "0::/machine.slice/machine-foo.scope/payload/system.slice/a.service\n", MAC, "",
		"", "", "", "foo", "",
		"/machine.slice/machine-foo.scope/payload/system.slice/a.service", -1 },
	{ "lxc", "0::/lxc.payload.foo/system.slice/a.service\n", MAC, "", "", "", "", "foo", "",
		"/lxc.payload.foo/system.slice/a.service", -1 },
	{ "host v2", "0::/\n", NO, "", "", "", "", "", "", "/", -1 },
	{ "host v1", "2:cpu:/\n1:name=systemd:/\n0::/\n", NO, "", "", "", "", "", "", "/", -1 },
	{ "hybrid service",
		"3:memory:/system.slice/a.service\n1:name=systemd:/system.slice/a.service\n"
		"2:cpu:/system.slice\n0::/system.slice/a.service\n",
		UNI, "", "a.service", "", "", "", "", "/system.slice/a.service", -1 },
	{ "old docker on hybrid",
		"1:name=systemd:/docker/" H64 "\n0::/system.slice/containerd.service\n", CON,
		"docker", "", H64, "", "", "", "", -1 },
	{ "colon and blank in a name", "0::/a b:c/d\n", NO, "", "", "", "", "", "", "/a b:c/d",
		-1 },

	/* Not from the root: nothing, whatever stands further in. */
	{ "forged docker scope", "0::" USER "/docker-" H64 ".scope\n", UNI, "", "user@1000.service",
		"", "", "", "", USER "/docker-" H64 ".scope", -1 },
	{ "forged pod", "0::" USER KUBE UUID_ ".slice/cri-containerd-" H64 ".scope\n", UNI, "",
		"user@1000.service", "", "", "", "",
		USER KUBE UUID_ ".slice/cri-containerd-" H64 ".scope", -1 },
	{ "forged slurm", "0::" USER "/slurmstepd.scope/job_1/step_0\n", UNI, "",
		"user@1000.service", "", "", "", "", USER "/slurmstepd.scope/job_1/step_0", -1 },
	{ "systemd below a prefix", "0::/box/system.slice/nginx.service\n", NO, "", "", "", "", "",
		"", "/box/system.slice/nginx.service", -1 },
	{ "rootless of another user",
		"0::/user.slice/user-1000.slice/user@1001.service/user.slice/"
		"libpod-" H64 ".scope\n",
		UNI, "", "user@1001.service", "", "", "", "",
		"/user.slice/user-1000.slice/user@1001.service/user.slice/libpod-" H64 ".scope",
		-1 },
	{ "63 digits", "0::/docker/" PLAIN "0123456789abcdef0123456789abcde\n", NO, "", "", "", "",
		"", "", "/docker/" PLAIN "0123456789abcdef0123456789abcde", -1 },
	{ "65 digits", "0::/docker/" H64 "0\n", NO, "", "", "", "", "", "", "/docker/" H64 "0",
		-1 },
	{ "capital digits", "0::/docker/" PLAIN "8DAA50C3A64C9FF60BB9EAB7B44B56FD\n", NO, "", "",
		"", "", "", "", "/docker/" PLAIN "8DAA50C3A64C9FF60BB9EAB7B44B56FD", -1 },
	{ "just .service", "0::/system.slice/.service\n", NO, "", "", "", "", "", "",
		"/system.slice/.service", -1 },
	{ "blank in a unit", "0::/system.slice/a b.service\n", NO, "", "", "", "", "", "",
		"/system.slice/a b.service", -1 },
};

static void same(const char *what, const char *field, struct writ_str got, const char *want)
{
	if (!writ_str_eq(got, writ_cstr(want)))
		fail_msg("%s: %s is '" WRIT_FMT "', not '%s'", what, field, WRIT_ARG(got), want);
}

static void every_form_gives_what_the_table_says(void **state)
{
	(void)state;
	for (size_t i = 0; i < WRIT_COUNT(golden); i++) {
		const struct golden *g = &golden[i];
		struct writ_cgroup c;
		struct writ_err err;
		if (writ_cgroup_parse(writ_cstr(g->text), &trust_all, &c, &err) != WRIT_OK)
			fail_msg("%s: %s", g->what, err.msg);
		if ((int)c.kind != g->kind)
			fail_msg("%s: is a %s", g->what, writ_cgroup_kind_name(c.kind));
		same(g->what, "runtime", writ_cstr(c.runtime), g->runtime);
		same(g->what, "unit", c.unit, g->unit);
		same(g->what, "container", c.container, g->container);
		same(g->what, "pod", writ_cstr(c.pod), g->pod);
		same(g->what, "name", c.name, g->name);
		same(g->what, "detail", c.detail, g->detail);
		same(g->what, "path", c.path, g->path);
		if (g->owner >= 0 ? (!c.has_owner || c.owner_uid != (uint32_t)g->owner)
				  : c.has_owner)
			fail_msg("%s: wrong owner", g->what);
	}
}

static void what_must_not_be_guessed_is_refused(void **state)
{
	static const struct {
		const char *what, *text;
		writ_rc rc;
	} bad[] = {
		{ "outside the namespace, v1", "4:memory:/../c\n", WRIT_EUNAUTH },
		{ "outside the namespace, v2", "0::/../crio-" H64 ".scope\n", WRIT_EUNAUTH },
		{ "the parent itself", "0::/..\n", WRIT_EUNAUTH },
		{ "in the middle", "0::/a/../b\n", WRIT_EUNAUTH },
		{ "in another line", "0::/system.slice/a.service\n4:memory:/..\n", WRIT_EUNAUTH },
		{ "removed", "0::/system.slice/a.service (deleted)\n", WRIT_EUNAUTH },
		{ "two containers", "4:memory:/docker/" H64 "\n0::/docker/" G64 "\n",
			WRIT_EUNAUTH },
		{ "two units",
			"1:name=systemd:/system.slice/a.service\n0::/system.slice/b.service\n",
			WRIT_EUNAUTH },
		{ "two pods",
			"4:memory:/kubepods/pod" UUID "/" H64 "\n5:cpu:/kubepods/pod" PLAIN "/" H64
			"\n",
			WRIT_EUNAUTH },
		{ "monitor and container",
			"4:memory:/docker/" H64 "\n0::/machine.slice/libpod-conmon-" H64 ".scope\n",
			WRIT_EUNAUTH },
		{ "unit and session",
			"1:name=systemd:/system.slice/a.service\n"
			"0::/user.slice/user-1000.slice/session-3.scope\n",
			WRIT_EUNAUTH },
		{ "nothing", "", WRIT_EPROTO },
		{ "no line end", "0::/", WRIT_EPROTO },
		{ "no path", "0::\n", WRIT_EPROTO },
		{ "relative", "0::a\n", WRIT_EPROTO },
		{ "empty component", "0::/a//b\n", WRIT_EPROTO },
		{ "trailing slash", "0::/a/\n", WRIT_EPROTO },
		{ "dot", "0::/a/./b\n", WRIT_EPROTO },
		{ "one colon", "0:/\n", WRIT_EPROTO },
		{ "no number", "x::/\n", WRIT_EPROTO },
		{ "v1 without a name", "3::/\n", WRIT_EPROTO },
		{ "v2 with a name", "0:cpu:/\n", WRIT_EPROTO },
		{ "listed twice", "0::/\n0::/\n", WRIT_EPROTO },
		{ "empty line", "0::/\n\n", WRIT_EPROTO },
	};
	(void)state;
	for (size_t i = 0; i < WRIT_COUNT(bad); i++) {
		struct writ_cgroup c;
		if (writ_cgroup_parse(writ_cstr(bad[i].text), &trust_all, &c, NULL) != bad[i].rc)
			fail_msg("%s: not refused as it should be", bad[i].what);
	}
}

/* Trusts no folder named here. */
struct distrust {
	struct writ_cgroup_trust base;
	const char *dir;
};

static bool all_but_one(
	const struct writ_cgroup_trust *t, struct writ_str hierarchy, struct writ_str dir)
{
	(void)hierarchy;
	return !writ_str_eq(dir, writ_cstr(((const struct distrust *)(const void *)t)->dir));
}

static void a_folder_that_others_may_write_gives_no_name(void **state)
{
	static const struct {
		const char *text, *dir;
		bool accepted;
	} rows[] = {
		{ "0::/system.slice/docker-" H64 ".scope\n", "/", false },
		{ "0::/system.slice/docker-" H64 ".scope\n", "/system.slice", false },
		/* What the container does in its own folder is its own matter. */
		{ "0::/system.slice/docker-" H64 ".scope/x\n", "/system.slice/docker-" H64 ".scope",
			true },
		{ "0::/system.slice/containerd.service/kubepods-pod" UUID
		  ".slice:cri-containerd:" H64 "\n",
			"/system.slice/containerd.service", false },
		{ "0::" KUBE UUID_ ".slice/crio-" H64 ".scope\n", KUBE UUID_ ".slice", false },
		{ "0::/user.slice/user-1000.slice/a.service\n", "/user.slice/user-1000.slice",
			false },
		/* Rootless: root vouches for the user's manager, for nothing below. */
		{ "0::" USER "/user.slice/libpod-" H64 ".scope\n", USER, true },
		{ "0::" USER "/user.slice/libpod-" H64 ".scope\n", "/user.slice/user-1000.slice",
			false },
	};
	(void)state;
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		struct distrust t = { .base = { .trusted = all_but_one }, .dir = rows[i].dir };
		struct writ_cgroup c;
		writ_rc rc = writ_cgroup_parse(writ_cstr(rows[i].text), &t.base, &c, NULL);
		if (rc != (rows[i].accepted ? WRIT_OK : WRIT_EUNAUTH))
			fail_msg("row %zu: %s", i, writ_rc_name(rc));
		assert_int_equal(
			writ_cgroup_parse(writ_cstr(rows[i].text), NULL, &c, NULL), WRIT_EUNAUTH);
	}
}

static void make(const char *root, const char *dir, mode_t mode)
{
	char path[256];
	snprintf(path, sizeof(path), "%s/%s", root, dir);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(chmod(path, mode), 0);
}

static void delegated_folders_are_seen_in_the_file_system(void **state)
{
	static const struct {
		const char *text;
		writ_rc rc;
	} rows[] = {
		{ "0::/system.slice/a.service\n", WRIT_OK },
		{ "0::/group.slice/a.service\n", WRIT_EUNAUTH },
		{ "0::/other.slice/a.service\n", WRIT_EUNAUTH },
		{ "0::/link.slice/a.service\n", WRIT_EUNAUTH },
		{ "0::/absent.slice/a.service\n", WRIT_EUNAUTH },
		{ "1:name=systemd:/system.slice/a.service\n", WRIT_OK },
		{ "4:memory:/system.slice/a.service\n", WRIT_EUNAUTH }, /* not mounted */
		{ "4:..:/system.slice/a.service\n", WRIT_EUNAUTH },
		{ "4:.:/unified/system.slice/a.service\n", WRIT_OK }, /* no form */
	};
	(void)state;
	char root[] = "/tmp/writ-test-XXXXXX";
	assert_non_null(mkdtemp(root));
	make(root, "unified", 0755);
	make(root, "unified/system.slice", 0755);
	make(root, "unified/group.slice", 0775);
	make(root, "unified/other.slice", 0757);
	make(root, "systemd", 0755);
	make(root, "systemd/system.slice", 0755);
	char link[256];
	snprintf(link, sizeof(link), "%s/unified/link.slice", root);
	assert_int_equal(symlink("system.slice", link), 0);
	struct writ_cgroup_fs fs;
	assert_int_equal(writ_cgroup_fs_open(root, &fs, NULL), WRIT_OK);
	fs.owner = geteuid();
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		struct writ_cgroup c;
		writ_rc rc = writ_cgroup_parse(writ_cstr(rows[i].text), &fs.base, &c, NULL);
		if (rc != rows[i].rc)
			fail_msg("%s: %s", rows[i].text, writ_rc_name(rc));
	}
	fs.owner = geteuid() + 1; /* as if root had delegated them all */
	struct writ_cgroup c;
	assert_int_equal(
		writ_cgroup_parse(writ_cstr(rows[0].text), &fs.base, &c, NULL), WRIT_EUNAUTH);
	writ_cgroup_fs_close(&fs);
	assert_int_equal(writ_fs_remove_tree(root, NULL), WRIT_OK);
	assert_int_equal(writ_cgroup_fs_open(root, &fs, NULL), WRIT_ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_form_gives_what_the_table_says),
		cmocka_unit_test(what_must_not_be_guessed_is_refused),
		cmocka_unit_test(a_folder_that_others_may_write_gives_no_name),
		cmocka_unit_test(delegated_folders_are_seen_in_the_file_system),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
