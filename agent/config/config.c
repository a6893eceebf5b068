/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config.h"

#include "base/fs.h"
#include "base/mem.h"
#include "config/tables.h"

#include <string.h>

static struct writ_conf_pos where(const struct writ_conf_node *root, const char *key)
{
	return writ_conf_where(root, "agent", key);
}

static void check_bootstrap(
	struct writ_agent_config *c, const struct writ_conf_node *root, struct writ_conf_diags *d)
{
	const char *url = c->trust_bundle_url;
	c->has_bootstrap = c->trust_bundle_path != NULL || url != NULL || c->insecure_bootstrap;
	if (url != NULL && c->trust_bundle_path != NULL)
		writ_conf_diag_add(d, WRIT_CONF_ERROR, where(root, "trust_bundle_url"),
			"both trust_bundle_path and trust_bundle_url are set: remove one");
	if (c->insecure_bootstrap && (c->trust_bundle_path != NULL || url != NULL))
		writ_conf_diag_add(d, WRIT_CONF_ERROR, where(root, "insecure_bootstrap"),
			"insecure_bootstrap would set the trust bundle aside: remove one");
	if (url != NULL && !writ_str_starts(writ_cstr(url), WRIT_STR("https://")))
		writ_conf_diag_add(d, WRIT_CONF_ERROR, where(root, "trust_bundle_url"),
			"trust_bundle_url does not start with https://: anybody on the way could "
			"put in a CA of his own");
}

static void check_token(const struct writ_agent_config *c, const struct writ_conf_node *root,
	struct writ_conf_diags *d)
{
	if (c->join_token != NULL && c->join_token_file != NULL)
		writ_conf_diag_add(d, WRIT_CONF_ERROR, where(root, "join_token_file"),
			"both join_token and join_token_file are set: remove one");
	if (c->key_memory.is_on && c->join_token_attestor.is_on)
		writ_conf_diag_add(d, WRIT_CONF_WARNING, writ_conf_where(root, "plugins", ""),
			"KeyManager \"memory\" forgets the agent's key: each start needs a new "
			"join "
			"token; KeyManager \"disk\" keeps it");
}

static void check_sockets(
	struct writ_agent_config *c, const struct writ_conf_node *root, struct writ_conf_diags *d)
{
	c->admin_socket_chosen = writ_conf_is_written(root, "agent", "admin_socket_path");
	if (c->socket_path == NULL || c->admin_socket_path == NULL)
		return;
	WRIT_AUTO(writ_freep) char *a = writ_fs_dirname(c->socket_path);
	WRIT_AUTO(writ_freep) char *b = writ_fs_dirname(c->admin_socket_path);
	if (strcmp(a, b) == 0)
		writ_conf_diag_add(d, WRIT_CONF_ERROR, where(root, "admin_socket_path"),
			"admin_socket_path is in the folder of socket_path, which is open to all: "
			"give it a folder of its own");
}

/* Checked by what a path of a SPIFFE ID may hold; nobody may claim all there are. */
static bool is_path(const char *p)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789-._";
	while (*p == '/') {
		size_t n = strspn(p + 1, letters);
		if (!n || strspn(p + 1, ".") == n)
			return false;
		p += n + 1;
	}
	return *p == '\0';
}

static void check_run(const struct writ_agent_config *c, const struct writ_conf_node *root,
	struct writ_conf_diags *d)
{
	const struct writ_agent_run_rule *rules = c->run.allow.items;
	if (c->run.is_on && !c->run.allow.n)
		writ_conf_diag_add(d, WRIT_CONF_WARNING, where(root, "run"),
			"run allows nobody: add allow = [ { uid = 1000, prefix = "
			"\"/agents/dev\" } ]");
	for (size_t i = 0; i < c->run.allow.n; i++) {
		const char *prefix = rules[i].prefix;
		if (rules[i].uid < 0 && rules[i].gid < 0)
			writ_conf_diag_add(d, WRIT_CONF_ERROR, where(root, "run"),
				"a rule in run.allow says neither uid nor gid: whom does it "
				"allow?");
		if (prefix && (!prefix[0] || !is_path(prefix)))
			writ_conf_diag_add(d, WRIT_CONF_ERROR, where(root, "run"),
				"prefix %s in run.allow is no path of an identity: write it like "
				"\"/agents/dev\", without a slash at the end",
				WRIT_CONF_Q(prefix));
		else if (prefix && strncmp(prefix, "/spire", 6) == 0 &&
			(prefix[6] == '\0' || prefix[6] == '/'))
			writ_conf_diag_add(d, WRIT_CONF_ERROR, where(root, "run"),
				"prefix %s in run.allow: identities below /spire belong to servers "
				"and agents",
				WRIT_CONF_Q(prefix));
	}
}

static bool is_path_written_in_plugin(const struct writ_conf_node *root)
{
	struct writ_conf_plugin all[WRIT_CONF_PLUGINS_MAX];
	struct writ_conf_diags ignored = WRIT_CONF_DIAGS("");
	size_t n =
		writ_conf_plugins(writ_conf_get(root, "plugins"), all, WRIT_COUNT(all), &ignored);
	bool is_written = false;
	for (size_t i = 0; i < n; i++)
		if (strcmp(all[i].type, "WorkloadAttestor") == 0 &&
			strcmp(all[i].name, "unix") == 0)
			is_written = writ_conf_get(all[i].data, "discover_workload_path") != NULL;
	writ_conf_diags_done(&ignored);
	return is_written;
}

static void check_attestors(
	struct writ_agent_config *c, const struct writ_conf_node *root, struct writ_conf_diags *d)
{
	if (is_path_written_in_plugin(root)) {
		bool in_plugin = c->unix_attestor.discover_workload_path;
		if (writ_conf_is_written(root, "agent", "discover_workload_path") &&
			in_plugin != c->discover_workload_path)
			writ_conf_diag_add(d, WRIT_CONF_ERROR,
				where(root, "discover_workload_path"),
				"discover_workload_path is set here and, to something else, in "
				"WorkloadAttestor \"unix\": remove one");
		c->discover_workload_path = in_plugin;
	}
	c->unix_attestor.discover_workload_path = c->discover_workload_path;
}

writ_rc writ_agent_config_load(const char *path, const struct writ_conf_source *source,
	struct writ_conf_diags *d, struct writ_agent_config *ret, struct writ_err *err)
{
	WRIT_AUTO(writ_conf_freep) struct writ_conf_node *root = NULL;
	struct writ_agent_config c = { 0 };
	writ_rc rc = writ_conf_load(path, "agent", source, d, &root, err);
	if (rc != WRIT_OK)
		return rc;
	writ_conf_fill(&writ_agent_config_table, root, &c, d);
	writ_conf_fill_plugins(&writ_agent_config_plugins, root, &c, d);
	c.plugins = NULL;
	writ_conf_check_trust_domain(c.trust_domain, where(root, "trust_domain"), d);
	check_bootstrap(&c, root, d);
	check_token(&c, root, d);
	check_sockets(&c, root, d);
	check_run(&c, root, d);
	check_attestors(&c, root, d);
	writ_agent_check_runtimes(&c, root, d);
	rc = writ_conf_diags_check(d, err);
	if (rc == WRIT_OK)
		*ret = c;
	else
		writ_agent_config_done(&c);
	return rc;
}

void writ_agent_config_done(struct writ_agent_config *c)
{
	writ_conf_done(&writ_agent_config_table, c);
	writ_conf_done_plugins(&writ_agent_config_plugins, c);
}

void writ_agent_config_print_help(struct writ_buf *out)
{
	writ_conf_print_help(&writ_agent_config_table, out);
	writ_conf_print_plugins(&writ_agent_config_plugins, out);
}
