/* SPDX-License-Identifier: Apache-2.0 */
#include "split.h"

#include "attest/cgroup_fs.h"
#include "attest/startup.h"
#include "attestor/lockin.h"
#include "attestor/spawn.h"
#include "base/log.h"
#include "base/mem.h"
#include "crypto/digest.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define CGROUP_ROOT "/sys/fs/cgroup"

static void pick_attestors(const struct writ_agent_config *c, struct writ_split *s)
{
	const struct {
		const struct writ_attestor_vt *vt;
		bool is_on;
	} rows[] = { { &writ_attestor_unix, c->unix_attestor.is_on },
		{ &writ_attestor_systemd, c->systemd_attestor.is_on },
		{ &writ_attestor_container,
			c->container_attestor.is_on || c->docker_attestor.is_on ||
				c->k8s_attestor.is_on },
		{ &writ_attestor_slurm, c->slurm_attestor.is_on },
		{ &writ_attestor_cgroup, c->cgroup_attestor.is_on } };
	size_t n = 0;
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		if (rows[i].is_on)
			s->attestors[n++] = rows[i].vt;
	}
	/* A configuration that names none leaves the choice to us: what rests on nothing but the
	 * kernel. */
	bool any = n > 0;
	for (size_t i = 0; !any && i < WRIT_COUNT(rows); i++)
		s->attestors[n++] = rows[i].vt;
	for (size_t i = 0; writ_attestors[i]; i++)
		if (writ_attestors[i]->wanted)
			s->attestors[n++] = writ_attestors[i];
}

/* enum writ_attest_flag of the attestors that are otherwise asked only when an entry needs them. */
static unsigned always_wanted(const struct writ_agent_config *c)
{
	return (c->process_attestor.is_on ? WRIT_ATTEST_PROCESS : 0) |
		(c->script_attestor.is_on ? WRIT_ATTEST_SCRIPT : 0) |
		(c->lineage_attestor.is_on ? WRIT_ATTEST_LINEAGE : 0);
}

static bool open_cgroups(struct writ_cgroup_fs *fs)
{
	struct writ_err err = { .rc = WRIT_OK };
	if (writ_cgroup_fs_open(CGROUP_ROOT, fs, &err) == WRIT_OK)
		return true;
	WRIT_LOG(WARN, "attest.no_cgroups", WRIT_KV("error", err.msg),
		WRIT_KV("withheld", "systemd, container and cgroup selectors"));
	return false;
}

static writ_rc spawn(const struct writ_agent_config *c, struct writ_split *s, struct writ_err *err)
{
	struct writ_cgroup_fs cgroup;
	bool has_cgroup = open_cgroups(&cgroup);
	int64_t limit = c->unix_attestor.workload_size_limit; /* -1: no hashes */
	struct writ_attestor_config cfg = {
		.ctx = { .hashes = writ_exe_hashes_new(),
			.sha256_file = limit >= 0 ? writ_sha256_file : NULL,
			.workload_size_limit = limit >= 0 ? (uint64_t)limit : 0,
			.discover_workload_path = c->discover_workload_path,
			.trust = has_cgroup ? &cgroup.base : NULL,
			.host_net = writ_ns_host_net(),
			.self = &cfg.self,
			.mains = writ_mains_new() },
		/* The front refuses unmapped users where there are any. */
		.rules = { .allow_overflow_uid = true },
		.attestors = s->attestors,
	};
	writ_ns_self_read(&cfg.self);
	writ_rc rc = writ_attestor_spawn(&cfg, &s->fd, &s->pid, err);
	writ_exe_hashes_free(cfg.ctx.hashes);
	writ_mains_free(cfg.ctx.mains);
	if (has_cgroup)
		writ_cgroup_fs_close(&cgroup);
	return rc;
}

writ_rc writ_split_check(const struct writ_agent_config *c, struct writ_err *err)
{
	const struct writ_startup_rules rules = { .allow_foreign_namespaces =
							  c->allow_foreign_namespaces };
	return writ_startup_check(&rules, err);
}

writ_rc writ_split(const struct writ_agent_config *c, struct writ_split *ret, struct writ_err *err)
{
	*ret = (struct writ_split){ .fd = -1 };
	pick_attestors(c, ret);
	ret->wants = always_wanted(c);
	writ_rc rc = spawn(c, ret, err);
	if (rc == WRIT_OK)
		rc = writ_serving_drop_caps(err);
	if (rc != WRIT_OK && rc != WRIT_EUNSUP)
		writ_split_end(ret);
	return rc;
}

static bool close_on_exec(int fd, bool on)
{
	return fd < 0 || fcntl(fd, F_SETFD, on ? FD_CLOEXEC : 0) == 0;
}

writ_rc writ_split_hand_on(
	const struct writ_split *s, int keeper, char *const *argv, struct writ_err *err)
{
	WRIT_AUTO(writ_freep)
	char *handed = writ_asprintf("%d %d %d", s->fd, (int)s->pid, keeper + 1);
	if (setenv(WRIT_SPLIT_ENV, handed, 1) == 0 && close_on_exec(s->fd, false) &&
		close_on_exec(keeper, false))
		(void)execv("/proc/self/exe", argv);
	return writ_fail_errno(err, errno, "run the agent again without capabilities");
}

static bool take_number(struct writ_str *text, uint64_t *ret)
{
	struct writ_str word;
	(void)writ_str_cut(text, ' ', &word);
	return writ_parse_u64(word, 0, INT32_MAX, ret, NULL) == WRIT_OK;
}

writ_rc writ_split_take(const struct writ_agent_config *c, const char *handed,
	struct writ_split *ret, int *keeper, struct writ_err *err)
{
	struct writ_str text = writ_cstr(handed);
	uint64_t fd = 0, pid = 0, next = 0;
	*ret = (struct writ_split){ .fd = -1 };
	*keeper = -1;
	if (!take_number(&text, &fd) || !take_number(&text, &pid) || !take_number(&text, &next) ||
		!close_on_exec((int)fd, true) || !close_on_exec((int)next - 1, true))
		return writ_fail(
			err, WRIT_EINVAL, WRIT_SPLIT_ENV " is for the agent's own use: unset it");
	(void)unsetenv(WRIT_SPLIT_ENV);
	ret->fd = (int)fd;
	ret->pid = (pid_t)pid;
	*keeper = (int)next - 1;
	pick_attestors(c, ret);
	ret->wants = always_wanted(c);
	return writ_serving_drop_caps(err);
}

void writ_split_end(struct writ_split *s)
{
	writ_closep(&s->fd);
	s->fd = -1;
	if (s->pid <= 0)
		return;
	(void)kill(s->pid, SIGKILL);
	(void)waitpid(s->pid, NULL, 0);
	s->pid = 0;
}
