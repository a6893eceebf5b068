/* SPDX-License-Identifier: Apache-2.0 */
/* admin_impl: what the files of the admin socket share. Inside agent/admin only. */
#ifndef WRIT_AGENT_ADMIN_IMPL_H
#define WRIT_AGENT_ADMIN_IMPL_H

#include "admin/admin.h"
#include "rpc/rpc.h"

struct writ_admin {
	struct writ_admin_config cfg;
	struct writ_rpc_server *server;
	bool has_group;
	gid_t group;
	void (*stopped)(void *arg);
	void *stopped_arg;
};

/* May this peer ask? admin.c */
bool writ__admin_is_operator(const struct writ_admin *a, const struct writ_peer *p);

/* Handlers: one for each method of the service, named after it. */
void writ__admin_get_status(struct writ_call *c);
void writ__admin_explain(struct writ_call *c);
void writ__admin_list_decisions(struct writ_call *c);
void writ__admin_preview(struct writ_call *c);

#endif
