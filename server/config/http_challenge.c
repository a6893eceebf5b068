/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration of NodeAttestor "http_challenge". */
#include "config/config.h"
#include "config/host_pattern.h"
#include "config/tables.h"

#include "base/mem.h"

#define AT(member) .offset = offsetof(struct writ_server_http_challenge, member)

static const struct writ_conf_field fields[] = {
	{ .type = WRIT_CONF_PRESENT, AT(is_on) },
	{ .key = "allowed_dns_patterns",
		.type = WRIT_CONF_STRINGS,
		AT(allowed_dns_patterns),
		.help = "Regular expressions (POSIX extended), one of which has to match the whole "
			"host name; any name when not set." },
	{ .key = "required_port",
		.type = WRIT_CONF_PORT,
		.min = 1,
		AT(required_port),
		.help = "Port that agents have to use." },
	{ .key = "allow_non_root_ports",
		.type = WRIT_CONF_BOOL,
		.def = "true",
		AT(allow_non_root_ports),
		.help = "Whether agents may use ports from 1024 on, which any user of their "
			"machine can." },
	{ .key = "tofu",
		.type = WRIT_CONF_BOOL,
		.def = "true",
		AT(tofu),
		.help = "Whether a host can attest once only; off needs ports below 1024." },
	{ .key = "allow_local_addresses",
		.type = WRIT_CONF_BOOL,
		.def = "false",
		AT(allow_local_addresses),
		.help = "Whether a host name may stand for a loopback or link-local address of the "
			"server's own machine." },
};
const struct writ_conf_table writ_server_http_challenge_table = { "NodeAttestor \"http_challenge\"",
	fields, WRIT_COUNT(fields), sizeof(struct writ_server_http_challenge) };

void writ_server_config_check_http_challenge(const struct writ_server_http_challenge *c,
	struct writ_conf_pos pos, struct writ_conf_diags *d)
{
	struct writ_err err;
	for (size_t i = 0; i < c->allowed_dns_patterns.n; i++) {
		struct writ_host_pattern *p = NULL;
		if (writ_host_pattern_new(c->allowed_dns_patterns.items[i], &p, &err) != WRIT_OK)
			writ_conf_diag_add(d, WRIT_CONF_ERROR, pos,
				"allowed_dns_patterns has %s: %s",
				WRIT_CONF_Q(c->allowed_dns_patterns.items[i]), err.msg);
		writ_host_pattern_free(p);
	}
	bool any_user = c->required_port ? c->required_port >= 1024 : c->allow_non_root_ports;
	if (!c->tofu && any_user)
		writ_conf_diag_add(d, WRIT_CONF_ERROR, pos,
			"you can not turn off trust on first use (tofu) when non-root ports are "
			"allowed: any user of a machine could attest as its agent");
}
