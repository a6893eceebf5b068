/* SPDX-License-Identifier: Apache-2.0 */
#include "admin/admin_impl.h"

#include "base/clock.h"
#include "base/mem.h"

#include "writ/agent/v1/admin.pb-c.h"

#include <string.h>
#include <unistd.h>

#define ATTESTORS_MAX 16

static char *text(const char *s)
{
	return (char *)(uintptr_t)(s ? s : "");
}

/* What the cgroup says of a unit and what the service manager says is one attestor to operators. */
static bool is_among(char *const *names, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

void writ__admin_get_status(struct writ_call *c)
{
	const struct writ_admin *a = writ_call_program(c);
	Writ__Agent__V1__GetStatusResponse m = WRIT__AGENT__V1__GET_STATUS_RESPONSE__INIT;
	struct writ_admin_status s = { 0 };
	char *attestors[ATTESTORS_MAX];
	a->cfg.status(a->cfg.arg, &s);
	m.version = text(WRIT_VERSION);
	m.pid = getpid();
	m.started_at = s.started_at;
	m.trust_domain = text(s.trust_domain);
	m.agent_id = text(s.agent_id);
	m.server = text(s.server);
	m.socket_path = text(s.socket_path);
	m.ready = s.ready;
	m.connected = s.connected;
	m.server_clock_known = s.server_clock_known;
	m.server_ahead_ms = s.server_ahead_ms;
	m.svid_expires_at = s.svid_expires_at;
	m.synced_at = s.synced_at;
	m.ca_starts_at = s.ca_starts_at;
	m.ca_expires_at = s.ca_expires_at;
	m.cas = (uint32_t)s.cas;
	m.entries = writ_cache_entries(a->cfg.cache);
	m.svids = writ_cache_svids(a->cfg.cache);
	m.attestors = attestors;
	for (size_t i = 0; a->cfg.env->all[i] && m.n_attestors < ATTESTORS_MAX; i++)
		if (!is_among(attestors, m.n_attestors, a->cfg.env->all[i]->name))
			attestors[m.n_attestors++] = text(a->cfg.env->all[i]->name);
	m.now = writ_wall_s();
	writ_call_reply(c, &m.base);
}
