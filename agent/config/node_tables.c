/* SPDX-License-Identifier: Apache-2.0 */
/* The node attestors' part of the configuration. */
#include "config/config.h"
#include "config/tables.h"

#include "base/mem.h"

#define X509POP(member) .offset = offsetof(struct writ_agent_x509pop, member)

static const struct writ_conf_field x509pop_fields[] = {
	{ .type = WRIT_CONF_PRESENT, X509POP(is_on) },
	{ .key = "private_key_path",
		.type = WRIT_CONF_PATH,
		.flags = WRIT_CONF_REQUIRED,
		X509POP(private_key_path),
		.help = "PEM file with the key of the machine's certificate." },
	{ .key = "certificate_path",
		.type = WRIT_CONF_PATH,
		.flags = WRIT_CONF_REQUIRED,
		X509POP(certificate_path),
		.help = "PEM file with that certificate, and after it any intermediates." },
	{ .key = "intermediates_path",
		.type = WRIT_CONF_PATH,
		X509POP(intermediates_path),
		.help = "PEM file with further intermediates." },
	WRIT_CONF_REFUSE("spiffe_endpoint_socket", "",
		"an SVID of another agent's cannot be used yet: set private_key_path and "
		"certificate_path"),
};
const struct writ_conf_table writ_agent_x509pop_table = { "NodeAttestor \"x509pop\"",
	x509pop_fields, WRIT_COUNT(x509pop_fields), sizeof(struct writ_agent_x509pop) };

#define SSHPOP(member) .offset = offsetof(struct writ_agent_sshpop, member)

static const struct writ_conf_field sshpop_fields[] = {
	{ .type = WRIT_CONF_PRESENT, SSHPOP(is_on) },
	{ .key = "host_key_path",
		.type = WRIT_CONF_PATH,
		.def = "/etc/ssh/ssh_host_rsa_key",
		SSHPOP(host_key_path),
		.help = "The machine's SSH host key." },
	{ .key = "host_cert_path",
		.type = WRIT_CONF_PATH,
		.def = "/etc/ssh/ssh_host_rsa_key-cert.pub",
		SSHPOP(host_cert_path),
		.help = "The host certificate of that key." },
};
const struct writ_conf_table writ_agent_sshpop_table = { "NodeAttestor \"sshpop\"", sshpop_fields,
	WRIT_COUNT(sshpop_fields), sizeof(struct writ_agent_sshpop) };
