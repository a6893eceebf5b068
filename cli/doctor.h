/* SPDX-License-Identifier: Apache-2.0 */
/* doctor: what is checked of a machine and its daemons. A check looks, and says one or more lines;
 * it never changes anything and never waits longer than the doctor's timeout. Inside the command.
 */
#ifndef WRIT_CLI_DOCTOR_H
#define WRIT_CLI_DOCTOR_H

#include "command.h"

#include "writ/agent/v1/admin.pb-c.h"

enum writ_finding {
	WRIT_FOUND_OK,
	WRIT_FOUND_NONE, /* there is nothing to check here */
	WRIT_FOUND_WARN,
	WRIT_FOUND_FAIL,
	WRIT_FOUND_KINDS
};

struct writ_doctor {
	struct writ_invocation *in;
	int64_t timeout_ms;
	/* What the agent said of itself, from the check of its admin socket on; NULL: nothing. */
	const Writ__Agent__V1__GetStatusResponse *agent;
	const char *group;   /* of the check that runs */
	struct json_t *list; /* findings so far: {group, status, text, fix} */
	bool is_workload_api_there;
	size_t count[WRIT_FOUND_KINDS];
};

/* One line. fix: what would mend it; NULL for none. */
void writ_found(struct writ_doctor *d, enum writ_finding status, const char *fix, const char *fmt,
	...) __attribute__((format(printf, 4, 5)));

struct writ_check {
	const char *group;
	void (*run)(struct writ_doctor *d);
};

/* doctor_host.c */
void writ_check_programs(struct writ_doctor *d);
void writ_check_files(struct writ_doctor *d);
void writ_check_release(struct writ_doctor *d);
void writ_check_pidfd(struct writ_doctor *d);
void writ_check_cgroups(struct writ_doctor *d);
void writ_check_limits(struct writ_doctor *d);
void writ_check_namespaces(struct writ_doctor *d);
void writ_check_addresses(struct writ_doctor *d);
void writ_check_clock(struct writ_doctor *d);
/* see() for each configuration of that daemon, as "writ-gate": those that -config names, else those
 * in /etc/writ. Files that cannot be read are left out: writ_check_files has said so. */
void writ_each_config(struct writ_doctor *d, const char *owner,
	void (*see)(struct writ_doctor *d, const char *path));

/* doctor_daemons.c */
void writ_check_agent(struct writ_doctor *d);
void writ_check_agent_done(struct writ_doctor *d); /* forgets what it said */
void writ_check_agent_svid(struct writ_doctor *d);
void writ_check_agent_ca(struct writ_doctor *d);
void writ_check_agent_sight(struct writ_doctor *d);
void writ_check_server_link(struct writ_doctor *d);
void writ_check_server_clock(struct writ_doctor *d);
void writ_check_server(struct writ_doctor *d);
void writ_check_workload_socket(struct writ_doctor *d);
void writ_check_identity(struct writ_doctor *d);

void writ_check_store(struct writ_doctor *d); /* doctor_store.c */
void writ_check_gates(struct writ_doctor *d); /* doctor_gates.c */

#endif
