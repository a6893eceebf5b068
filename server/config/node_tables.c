/* SPDX-License-Identifier: Apache-2.0 */
/* The node attestors' part of the configuration: tables, and the checks that no table can do. */
#include "config/config.h"
#include "config/path_template.h"
#include "config/tables.h"

#include "base/mem.h"

#include <string.h>

const char *const writ_x509pop_path_fields[] = { "PluginName", "Fingerprint", "SerialNumber",
	"SerialNumberHex", "TrustDomain", "Subject.CommonName", "Subject.SerialNumber",
	"Issuer.CommonName", "SVIDPathTrimmed", "URISanSelectors.", NULL };
const char *const writ_sshpop_path_fields[] = { "PluginName", "Fingerprint", "Hostname", "KeyId",
	"Serial", NULL };

static const struct writ_conf_choice x509pop_modes[] = {
	{ "external_pki", WRIT_X509POP_EXTERNAL_PKI },
	{ "spiffe", WRIT_X509POP_SPIFFE },
	{ NULL, 0 },
};

#define X509POP(member) .offset = offsetof(struct writ_server_x509pop, member)
#define TEMPLATE_HELP   "End of the agent's SPIFFE ID, behind spiffe://DOMAIN/spire/agent: "

static const struct writ_conf_field x509pop_fields[] = {
	{ .type = WRIT_CONF_PRESENT, X509POP(is_on) },
	{ .key = "mode",
		.type = WRIT_CONF_ENUM,
		.def = "external_pki",
		.choices = x509pop_modes,
		X509POP(mode),
		.help = "Whose certificates count: those of the CAs named here, or SVIDs of this "
			"trust domain." },
	{ .key = "ca_bundle_path",
		.type = WRIT_CONF_PATH,
		X509POP(ca_bundle_path),
		.help = "PEM file with the CAs that nodes' certificates chain to." },
	{ .key = "ca_bundle_paths",
		.type = WRIT_CONF_STRINGS,
		X509POP(ca_bundle_paths),
		.help = "Several such files." },
	{ .key = "spiffe_prefix",
		.type = WRIT_CONF_STRING,
		.def = "/spire-exchange/",
		.max = 256,
		X509POP(spiffe_prefix),
		.help = "Mode spiffe: what the path of a node's SVID has to start with." },
	{ .key = "agent_path_template",
		.type = WRIT_CONF_STRING,
		.max = WRIT_PATH_TEMPLATE_MAX,
		X509POP(agent_path_template),
		.help = TEMPLATE_HELP "\"/{{ .PluginName }}/{{ .Fingerprint }}\" when not set, "
				      "and in mode spiffe "
				      "\"/{{ .PluginName }}/{{ .SVIDPathTrimmed }}\"." },
	{ .key = "max_intermediates",
		.type = WRIT_CONF_INT,
		.def = "4",
		.min = 1,
		.max = 4,
		X509POP(max_intermediates),
		.help = "How many certificates a node may send beside its own." },
	{ .key = "max_rsa_key_size",
		.type = WRIT_CONF_INT,
		.def = "4096",
		.min = 2048,
		.max = 4096,
		X509POP(max_rsa_key_size),
		.help = "Largest RSA key of a node's certificate, in bits." },
	{ .key = "verify_client_ip",
		.type = WRIT_CONF_BOOL,
		.def = "false",
		X509POP(verify_client_ip),
		.help = "Whether the agent's address has to be in its certificate." },
};
const struct writ_conf_table writ_server_x509pop_table = { "NodeAttestor \"x509pop\"",
	x509pop_fields, WRIT_COUNT(x509pop_fields), sizeof(struct writ_server_x509pop) };

#define SSHPOP(member) .offset = offsetof(struct writ_server_sshpop, member)

static const struct writ_conf_field sshpop_fields[] = {
	{ .type = WRIT_CONF_PRESENT, SSHPOP(is_on) },
	{ .key = "cert_authorities",
		.type = WRIT_CONF_STRINGS,
		SSHPOP(cert_authorities),
		.help = "SSH CAs that nodes' host certificates are signed by, as in "
			"authorized_keys." },
	{ .key = "cert_authorities_path",
		.type = WRIT_CONF_PATH,
		SSHPOP(cert_authorities_path),
		.help = "File with such CAs, one a line." },
	{ .key = "canonical_domain",
		.type = WRIT_CONF_STRING,
		.max = 253,
		SSHPOP(canonical_domain),
		.help = "Domain that host names must be in; it is cut off for {{ .Hostname }}." },
	{ .key = "agent_path_template",
		.type = WRIT_CONF_STRING,
		.def = "/{{ .PluginName }}/{{ .Fingerprint }}",
		.max = WRIT_PATH_TEMPLATE_MAX,
		SSHPOP(agent_path_template),
		.help = TEMPLATE_HELP "see above." },
};
const struct writ_conf_table writ_server_sshpop_table = { "NodeAttestor \"sshpop\"", sshpop_fields,
	WRIT_COUNT(sshpop_fields), sizeof(struct writ_server_sshpop) };

/* --- what no table can check --- */

struct place { /* a plugin's block */
	const struct writ_conf_node *data;
	struct writ_conf_pos pos;
};

static struct place find_plugin(const struct writ_conf_node *root, const char *name)
{
	struct writ_conf_plugin all[WRIT_CONF_PLUGINS_MAX];
	struct writ_conf_diags ignored = WRIT_CONF_DIAGS("");
	struct place p = { NULL, { 0 } };
	size_t n =
		writ_conf_plugins(writ_conf_get(root, "plugins"), all, WRIT_COUNT(all), &ignored);
	for (size_t i = 0; i < n; i++)
		if (strcmp(all[i].type, "NodeAttestor") == 0 && strcmp(all[i].name, name) == 0)
			p = (struct place){ all[i].data, all[i].pos };
	writ_conf_diags_done(&ignored);
	return p;
}

static struct writ_conf_pos where(const struct place *p, const char *key)
{
	const struct writ_conf_node *n = writ_conf_get(p->data, key);
	return n ? writ_conf_value_pos(n) : p->pos;
}

static void check_template(const char *text, const char *const *fields, const struct place *p,
	struct writ_conf_diags *d)
{
	struct writ_err err;
	size_t at = 0;
	if (!text || writ_path_template_check(writ_cstr(text), fields, &at, &err) == WRIT_OK)
		return;
	struct writ_conf_pos pos = where(p, "agent_path_template");
	/* Behind the quote; right as long as no escapes stand before it. */
	if (writ_conf_get(p->data, "agent_path_template"))
		pos.column += (unsigned)at + 1;
	writ_conf_diag_add(d, WRIT_CONF_ERROR, pos, "agent_path_template: %s", err.msg);
}

static void check_x509pop(
	struct writ_server_x509pop *c, const struct writ_conf_node *root, struct writ_conf_diags *d)
{
	const struct place p = find_plugin(root, "x509pop");
	bool one = c->ca_bundle_path != NULL, many = c->ca_bundle_paths.n > 0;
	if (c->mode == WRIT_X509POP_SPIFFE && (one || many))
		writ_conf_diag_add(d, WRIT_CONF_ERROR, p.pos,
			"x509pop in mode \"spiffe\" trusts this server's own CA: remove "
			"ca_bundle_path and ca_bundle_paths");
	else if (one && many)
		writ_conf_diag_add(d, WRIT_CONF_ERROR, where(&p, "ca_bundle_paths"),
			"both ca_bundle_path and ca_bundle_paths are set: remove one");
	else if (c->mode == WRIT_X509POP_EXTERNAL_PKI && !one && !many)
		writ_conf_diag_add(d, WRIT_CONF_ERROR, p.pos,
			"x509pop needs ca_bundle_path or ca_bundle_paths: nobody's certificate "
			"could count");
	if (!c->agent_path_template)
		c->agent_path_template = writ_strdup(c->mode == WRIT_X509POP_SPIFFE
				? "/{{ .PluginName }}/{{ .SVIDPathTrimmed }}"
				: "/{{ .PluginName }}/{{ .Fingerprint }}");
	if (c->spiffe_prefix && !writ_str_ends(writ_cstr(c->spiffe_prefix), WRIT_STR("/"))) {
		char *longer = writ_asprintf("%s/", c->spiffe_prefix);
		writ_free(c->spiffe_prefix);
		c->spiffe_prefix = longer;
	}
	check_template(c->agent_path_template, writ_x509pop_path_fields, &p, d);
}

static void check_sshpop(const struct writ_server_sshpop *c, const struct writ_conf_node *root,
	struct writ_conf_diags *d)
{
	const struct place p = find_plugin(root, "sshpop");
	if (!c->cert_authorities.n && !c->cert_authorities_path)
		writ_conf_diag_add(d, WRIT_CONF_ERROR, p.pos,
			"sshpop needs cert_authorities or cert_authorities_path: nobody's "
			"certificate could count");
	check_template(c->agent_path_template, writ_sshpop_path_fields, &p, d);
}

void writ_server_config_check_nodes(
	struct writ_server_config *c, const struct writ_conf_node *root, struct writ_conf_diags *d)
{
	if (c->nodes.x509pop.is_on)
		check_x509pop(&c->nodes.x509pop, root, d);
	if (c->nodes.sshpop.is_on)
		check_sshpop(&c->nodes.sshpop, root, d);
	if (c->nodes.http_challenge.is_on)
		writ_server_config_check_http_challenge(
			&c->nodes.http_challenge, find_plugin(root, "http_challenge").pos, d);
	if (c->nodes.k8s_psat.is_on)
		writ_server_config_check_k8s_psat(
			&c->nodes.k8s_psat, find_plugin(root, "k8s_psat").pos, d);
}
