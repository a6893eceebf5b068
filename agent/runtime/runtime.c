/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/runtime.h"

#include <inttypes.h>
#include <stdio.h>

#include "attest/cgroup_path.h"
#include "attest/snapshot.h"
#include "base/fs.h"
#include "base/mem.h"
#include "tls/tls.h"

void writ_reach_init(struct writ_reach *r)
{
	*r = (struct writ_reach){ .socket = -1, .bearer = WRIT_BUF(WRIT_REACH_BEARER_MAX) };
}

void writ_reach_done(struct writ_reach *r)
{
	if (r->has_socket)
		writ_closep(&r->socket);
	writ_tls_ctx_unref(r->tls);
	writ_buf_wipe(&r->bearer);
	writ_reach_init(r);
}

static bool is_place(const struct writ_cgroup *c, const struct writ_place *p)
{
	enum writ_cgroup_kind kind = p->rootless ? WRIT_CGROUP_ROOTLESS : WRIT_CGROUP_CONTAINER;
	return c->kind == kind && writ_str_eq(c->container, writ_cstr(p->container)) &&
		(!p->rootless || c->owner_uid == p->owner);
}

writ_rc writ_runtime_pid_check(const struct writ_cgroup_trust *trust, uint64_t pid,
	const struct writ_place *p, struct writ_err *err)
{
	char path[64];
	WRIT_AUTO(writ_buf_done) struct writ_buf text = WRIT_BUF(WRIT_SNAPSHOT_CGROUP_MAX);
	struct writ_cgroup c;
	(void)snprintf(path, sizeof(path), "/proc/%" PRIu64 "/cgroup", pid);
	writ_rc rc = writ_fs_read(path, &text, err);
	if (rc == WRIT_OK)
		rc = writ_cgroup_parse(writ_buf_str(&text), trust, &c, err);
	if (rc != WRIT_OK)
		return writ_wrap(err, WRIT_EUNAUTH,
			"the runtime names process %" PRIu64 " for container %.12s", pid,
			p->container);
	if (!is_place(&c, p))
		return writ_fail(err, WRIT_EUNAUTH,
			"the runtime names process %" PRIu64
			" for container %.12s, and that process is elsewhere",
			pid, p->container);
	return WRIT_OK;
}
