/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration of NodeAttestor "http_challenge". */
#include "config/config.h"
#include "config/tables.h"

#include "base/mem.h"

#define AT(member) .offset = offsetof(struct writ_agent_http_challenge, member)

static const struct writ_conf_field fields[] = {
	{ .type = WRIT_CONF_PRESENT, AT(is_on) },
	{ .key = "hostname",
		.type = WRIT_CONF_STRING,
		.max = 253,
		AT(hostname),
		.help = "Name under which the server reaches this machine; the machine's own name "
			"when not set." },
	{ .key = "agentname",
		.type = WRIT_CONF_STRING,
		.def = "default",
		.max = 32,
		AT(agentname),
		.help = "Tells several agents of one machine apart: letters, digits and dashes." },
	{ .key = "port",
		.type = WRIT_CONF_PORT,
		AT(port),
		.help = "Port to answer the server on, on all addresses; any free one when not "
			"set." },
	{ .key = "advertised_port",
		.type = WRIT_CONF_PORT,
		AT(advertised_port),
		.help = "Port that the server is told to ask, where something forwards it; port "
			"when not set." },
};
const struct writ_conf_table writ_agent_http_challenge_table = { "NodeAttestor \"http_challenge\"",
	fields, WRIT_COUNT(fields), sizeof(struct writ_agent_http_challenge) };
