/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/systemd.h"

#include <stdio.h>
#include <string.h>

#include "attest/emit.h"
#include "base/mem.h"
#include "runtime/bus.h"
#include "runtime/trusted_socket.h"

/* user@1000.service is the system's, but what runs in there is user 1000's own choice. */
static bool wants(const struct writ_place *p)
{
	return p->unit[0] && p->unit_folder[0] && !p->in_users_unit &&
		!writ_str_starts(writ_cstr(p->unit), WRIT_STR("user@"));
}

static writ_rc reach(
	const void *self, const struct writ_place *p, struct writ_reach *ret, struct writ_err *err)
{
	const struct writ_systemd *s = self;
	writ_rc rc = writ_bus_load(err);
	if (rc == WRIT_OK)
		rc = writ_trusted_connect_public(s->socket, s->owner, &ret->socket, err);
	if (rc != WRIT_OK)
		return rc;
	ret->has_socket = true;
	ret->owner = s->owner;
	(void)snprintf(ret->target, sizeof(ret->target), "%s", p->unit);
	return WRIT_OK;
}

static writ_rc judge(const void *self, const struct writ_place *p, int status, struct writ_str body,
	struct writ_answer *answer, struct writ_err *err)
{
	struct writ_str fragment, cgroup;
	(void)self;
	(void)status;
	if (!writ_str_cut(&body, '\0', &fragment) || !writ_str_cut(&body, '\0', &cgroup) || body.n)
		return writ_fail(err, WRIT_EPROTO, "not what a service manager answers");
	if (!writ_str_eq(cgroup, writ_cstr(p->unit_folder)))
		return writ_fail(err, WRIT_EUNAUTH,
			"the cgroup of unit '%s' is '" WRIT_FMT "', and the caller is in '%s'",
			p->unit, WRIT_ARG(cgroup), p->unit_folder);
	if (fragment.n == 0)
		writ_answer_note(answer,
			"systemd:fragment_path withheld: unit '%s' is from no file", p->unit);
	else if (fragment.p[0] != '/')
		return writ_fail(
			err, WRIT_EPROTO, "the file of unit '%s' is no absolute path", p->unit);
	else
		writ_emit(answer, "systemd", "fragment_path", fragment);
	return WRIT_OK;
}

const struct writ_runtime_vt writ_runtime_systemd = {
	.name = "systemd",
	.types = WRIT_SYSTEMD_TYPES,
	.answer_max = WRIT_BUS_ANSWER_MAX,
	.way = &writ_runtime_bus,
	.wants = wants,
	.reach = reach,
	.judge = judge,
};
