/* SPDX-License-Identifier: Apache-2.0 */
#include "runtimes.h"

#include "attest/cgroup_fs.h"
#include "attest/wants.h"
#include "base/mem.h"
#include "runtime/docker.h"
#include "runtime/kubelet.h"
#include "runtime/systemd.h"

#define CGROUP_ROOT "/sys/fs/cgroup"
#define ROOT        0

struct runtimes {
	struct writ_docker docker, podman, rootless;
	struct writ_kubelet kubelet;
	struct writ_systemd systemd;
	struct writ_cgroup_fs cgroup; /* for the processes that a runtime names */
	bool has_cgroup;
};

static void set_docker(const struct writ_agent_docker *c, struct runtimes *r)
{
	r->docker = (struct writ_docker){ .socket = c->docker_socket_path,
		.version = c->docker_version,
		.owner = ROOT,
		.pid_check = writ_runtime_pid_check,
		.trust = r->has_cgroup ? &r->cgroup.base : NULL };
	r->podman = r->rootless = r->docker;
	r->podman.socket = c->podman_socket_path;
	r->rootless.socket = c->podman_socket_path_template;
}

static void set_kubelet(const struct writ_agent_k8s *c, struct runtimes *r)
{
	bool plain = c->kubelet_read_only_port > 0;
	r->kubelet = (struct writ_kubelet){ .node_name = c->node_name,
		.port = plain ? (uint16_t)c->kubelet_read_only_port : c->kubelet_secure_port,
		.plain = plain,
		.skip_verification = c->skip_kubelet_verification,
		.ca_path = c->kubelet_ca_path,
		.token_path = c->token_path,
		.certificate_path = c->certificate_path,
		.private_key_path = c->private_key_path,
		.no_container_selectors = c->disable_container_selectors,
		.owner = ROOT };
}

static bool has_systemd(const struct writ_attestor_vt *const *attestors)
{
	for (; *attestors; attestors++)
		if (*attestors == &writ_attestor_systemd)
			return true;
	return false;
}

static void set_systemd(const struct writ_agent_systemd *c, struct runtimes *r)
{
	const char *path = c->system_bus_socket_path;
	r->systemd = (struct writ_systemd){ .socket = path ? path : WRIT_AGENT_SYSTEM_BUS,
		.owner = ROOT };
}

static size_t set_rows(const struct writ_agent_config *c, bool systemd, struct runtimes *r,
	struct writ_asks_row *rows)
{
	const struct writ_agent_k8s *k = &c->k8s_attestor;
	size_t n = 0;
	if (c->docker_attestor.is_on) {
		set_docker(&c->docker_attestor, r);
		rows[n++] = (struct writ_asks_row){
			.vt = &writ_runtime_docker, .self = &r->docker, .wanted = WRIT_ATTEST_DOCKER
		};
		rows[n++] = (struct writ_asks_row){
			.vt = &writ_runtime_podman, .self = &r->podman, .wanted = WRIT_ATTEST_DOCKER
		};
		rows[n++] = (struct writ_asks_row){ .vt = &writ_runtime_rootless,
			.self = &r->rootless,
			.wanted = WRIT_ATTEST_ROOTLESS };
	}
	if (k->is_on) {
		set_kubelet(k, r);
		rows[n++] = (struct writ_asks_row){ .vt = &writ_runtime_kubelet,
			.self = &r->kubelet,
			.wanted = WRIT_ATTEST_K8S,
			.retry_ms = k->poll_retry_interval_ms,
			.retries = (unsigned)k->max_poll_attempts };
	}
	if (systemd) {
		set_systemd(&c->systemd_attestor, r);
		rows[n++] = (struct writ_asks_row){ .vt = &writ_runtime_systemd,
			.self = &r->systemd,
			.wanted = WRIT_ATTEST_FRAGMENT };
	}
	return n;
}

static void free_runtimes(void *arg)
{
	struct runtimes *r = arg;
	if (r->has_cgroup)
		writ_cgroup_fs_close(&r->cgroup);
	writ_free(r);
}

struct writ_asks *writ_runtimes_open(const struct writ_agent_config *c,
	const struct writ_attestor_vt *const *attestors, struct writ_loop *loop)
{
	struct writ_asks_row rows[WRIT_ASKS_ROWS_MAX];
	bool systemd = has_systemd(attestors);
	if (!c->docker_attestor.is_on && !c->k8s_attestor.is_on && !systemd)
		return NULL;
	struct runtimes *r = writ_alloc(sizeof(*r));
	r->has_cgroup = writ_cgroup_fs_open(CGROUP_ROOT, &r->cgroup, NULL) == WRIT_OK;
	const struct writ_asks_config cfg = { .loop = loop,
		.rows = rows,
		.n_rows = set_rows(c, systemd, r, rows),
		.gone = free_runtimes,
		.arg = r };
	return writ_asks_new(&cfg);
}

void writ_runtimes_shown(const struct writ_agent_config *c,
	const struct writ_attestor_vt *const *attestors,
	const struct writ_attestor_vt *ret[WRIT_ASKS_ROWS_MAX])
{
	static const struct writ_attestor_vt docker = { .name = "docker",
		.types = WRIT_DOCKER_TYPES };
	static const struct writ_attestor_vt k8s = { .name = "k8s", .types = WRIT_KUBELET_TYPES };
	static const struct writ_attestor_vt systemd = { .name = "systemd",
		.types = WRIT_SYSTEMD_TYPES };
	size_t n = 0;
	if (c->docker_attestor.is_on)
		ret[n++] = &docker;
	if (c->k8s_attestor.is_on)
		ret[n++] = &k8s;
	if (has_systemd(attestors))
		ret[n++] = &systemd;
	ret[n] = NULL;
}
