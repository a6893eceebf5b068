/* SPDX-License-Identifier: Apache-2.0 */
/* dev: a whole throw-away trust domain in one folder: server, agent, gate and an echo tool, and one
 * call through them. */
#ifndef WRIT_CLI_DEV_H
#define WRIT_CLI_DEV_H

#include "child.h"
#include "command.h"
#include "loop/loop.h"

struct writ_httpd;
struct json_t;

#define WRIT_DEV_TD   "dev.local"
#define WRIT_DEV_NODE "spiffe://" WRIT_DEV_TD "/node/dev"
#define WRIT_DEV_TOOL "spiffe://" WRIT_DEV_TD "/tool/echo"

struct writ_dev {
	struct writ_invocation *in;
	bool once, json, keep;
	char *name, *dir; /* owned; dir is ours alone */
	char *server_socket, *agent_socket, *agent_admin_socket, *user_id, *user_name;
	struct writ_loop *loop;
	struct writ_httpd *echo;
	struct writ_child server, agent, gate;
	uint16_t echo_port, server_port, gate_port;
	struct json_t *svid, *call; /* what `svid fetch` and `curl` said */
	int64_t began_ms, ready_ms;
	bool interrupted;
};

/* dev_files.c: the folder, and the programs' configurations in it. */
WRIT_MUST writ_rc writ_dev_make_folder(struct writ_dev *d, struct writ_err *err);
WRIT_MUST writ_rc writ_dev_write_server(const struct writ_dev *d, struct writ_err *err);
WRIT_MUST writ_rc writ_dev_write_agent(const struct writ_dev *d, struct writ_err *err);
/* The folder of a running instance by its name (NULL: the usual one); owned. */
char *writ_dev_folder(const char *name);

/* dev_admin.c: what an operator would type: bundle, token, entries. */
WRIT_MUST writ_rc writ_dev_bootstrap(
	struct writ_dev *d, struct writ_err *err); /* bundle.pem and token in the folder */
WRIT_MUST writ_rc writ_dev_register(
	struct writ_dev *d, struct writ_err *err); /* you, and the tool */

/* dev_report.c: what people and scripts see. */
void writ_dev_report(const struct writ_dev *d);
void writ_dev_report_json(const struct writ_dev *d);

#endif
