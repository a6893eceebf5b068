/* SPDX-License-Identifier: Apache-2.0 */
/* config: writ-gate's configuration, from a file or from flags, checked. */
#ifndef WRIT_GATE_CONFIG_H
#define WRIT_GATE_CONFIG_H

#include "conf/common.h"
#include "spiffe/id.h"

#include <sys/socket.h>

#define WRIT_GATE_CONFIG_PATH "/etc/writ/gate.conf"

/* A host and a port, or the path of a Unix socket. */
struct writ_gate_address {
	char *text; /* as written; owned */
	struct sockaddr_storage addr;
	socklen_t len;
	uint16_t port;
};

struct writ_gate_config {
	char *listen_text, *target_text; /* owned, as written */
	char *endpoint;     /* the Workload API; NULL: SPIFFE_ENDPOINT_SOCKET, then the default */
	char *svid;         /* the gate's own ID where it gets several; NULL */
	bool unsafe_target; /* the target may be on another host */
	struct writ_conf_strings allow_text;
	int64_t max_connections;
	int64_t max_handshakes; /* a second */
	int64_t connect_timeout_ms;
	struct writ_conf_log log;
	struct writ_conf_health health;
	struct writ_conf_telemetry telemetry;
	/* Made of the above. */
	struct writ_gate_address listen, target;
	struct writ_allow allow;
};

/* As the other programs' load: a file when path is given; without one what the command line says
 * must be enough. allow: from -allow, stands in place of the file's list. d gets every mistake. */
WRIT_MUST writ_rc writ_gate_config_load(const char *path, const struct writ_conf_source *source,
	const char *const *allow, size_t n_allow, struct writ_conf_diags *d,
	struct writ_gate_config *ret, struct writ_err *err);
void writ_gate_config_done(struct writ_gate_config *c);
void writ_gate_config_print_help(struct writ_buf *out);

/* "127.0.0.1:8080", "[::1]:8080", ":8443" (all addresses), "unix:/path". Names are not looked up: a
 * gate must not depend on DNS. */
WRIT_MUST writ_rc writ_gate_address_parse(
	const char *text, struct writ_gate_address *ret, struct writ_err *err);
bool writ_gate_address_is_local(const struct writ_gate_address *a); /* a Unix socket or loopback */

#endif
