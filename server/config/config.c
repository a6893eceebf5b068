/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config.h"

#include "base/fs.h"
#include "base/mem.h"
#include "config/tables.h"

#include <string.h>

#define DAY_MS INT64_C(86400000)

/* An SVID must end before the CA that signed it is dropped: the next CA takes over at 5/6 of this
 * one's life, and not more than 7 days before its end. */
static int64_t svid_ttl_max(int64_t ca_ttl_ms)
{
	int64_t sixth = ca_ttl_ms / 6;
	return sixth < 7 * DAY_MS ? sixth : 7 * DAY_MS;
}

static void cut_ttl(const char *key, int64_t *ttl_ms, int64_t ca_ttl_ms,
	const struct writ_conf_node *root, struct writ_conf_diags *d)
{
	int64_t max = svid_ttl_max(ca_ttl_ms);
	char was[32], is[32], ca[32];
	if (*ttl_ms <= max)
		return;
	bool is_written = writ_conf_is_written(root, "server", key);
	writ_conf_diag_add(d, WRIT_CONF_WARNING,
		writ_conf_where(root, "server", is_written ? key : "ca_ttl"),
		"%s is cut from %s to %s, a sixth of ca_ttl (%s): SVIDs must not outlive the CA",
		key, writ_format_duration(*ttl_ms, was, sizeof(was)),
		writ_format_duration(max, is, sizeof(is)),
		writ_format_duration(ca_ttl_ms, ca, sizeof(ca)));
	*ttl_ms = max;
}

static void check_ttls(
	struct writ_server_config *c, const struct writ_conf_node *root, struct writ_conf_diags *d)
{
	cut_ttl("default_x509_svid_ttl", &c->default_x509_svid_ttl_ms, c->ca_ttl_ms, root, d);
	if (c->agent_ttl_ms == 0)
		c->agent_ttl_ms = c->ca_ttl_ms / 6;
	else
		cut_ttl("agent_ttl", &c->agent_ttl_ms, c->ca_ttl_ms, root, d);
}

static void check_admins(const struct writ_server_config *c, const struct writ_conf_node *root,
	struct writ_conf_diags *d)
{
	for (size_t i = 0; i < c->admin_ids.n; i++)
		if (!writ_str_starts(writ_cstr(c->admin_ids.items[i]), WRIT_STR("spiffe://")))
			writ_conf_diag_add(d, WRIT_CONF_ERROR,
				writ_conf_where(root, "server", "admin_ids"),
				"admin_ids has %s, which is no SPIFFE ID: write "
				"spiffe://domain/path",
				WRIT_CONF_Q(c->admin_ids.items[i]));
}

/* A path, or a URI that says no more than a path. */
static void check_database(
	struct writ_server_config *c, const struct writ_conf_node *root, struct writ_conf_diags *d)
{
	if (c->sql.connection_string == NULL) {
		c->sql.connection_string = writ_fs_join(c->data_dir, "datastore.sqlite3");
		return;
	}
	struct writ_str s = writ_cstr(c->sql.connection_string);
	bool uri = writ_str_starts(s, WRIT_STR("file:"));
	const char *path = s.p + (uri ? sizeof("file:") - 1 : 0);
	if (uri && strncmp(path, "///", 3) == 0)
		path += 2;
	else if (uri && strncmp(path, "//", 2) == 0)
		path = "";
	if (!*path || strstr(path, ":memory:") || (uri && strpbrk(path, "?#%"))) {
		writ_conf_diag_add(d, WRIT_CONF_ERROR,
			writ_conf_where(root, "plugins", "DataStore"),
			"connection_string is not the path of a file: write it like "
			"\"/var/lib/writ/server/datastore.sqlite3\", without parameters");
		return;
	}
	char *plain = writ_strdup(path);
	writ_free(c->sql.connection_string);
	c->sql.connection_string = plain;
}

static void check(
	struct writ_server_config *c, const struct writ_conf_node *root, struct writ_conf_diags *d)
{
	writ_conf_check_trust_domain(
		c->trust_domain, writ_conf_where(root, "server", "trust_domain"), d);
	check_ttls(c, root, d);
	check_admins(c, root, d);
	writ_server_config_check_nodes(c, root, d);
	if (c->data_dir != NULL)
		check_database(c, root, d);
}

writ_rc writ_server_config_load(const char *path, const struct writ_conf_source *source,
	struct writ_conf_diags *d, struct writ_server_config *ret, struct writ_err *err)
{
	WRIT_AUTO(writ_conf_freep) struct writ_conf_node *root = NULL;
	struct writ_server_config c = { 0 };
	writ_rc rc = writ_conf_load(path, "server", source, d, &root, err);
	if (rc != WRIT_OK)
		return rc;
	writ_conf_fill(&writ_server_config_table, root, &c, d);
	writ_conf_fill_plugins(&writ_server_config_plugins, root, &c, d);
	c.plugins = NULL;
	/* 0: the block was refused as a whole, or this key was; what hangs on it cannot be checked.
	 */
	if (c.ca_ttl_ms > 0)
		check(&c, root, d);
	rc = writ_conf_diags_check(d, err);
	if (rc == WRIT_OK)
		*ret = c;
	else
		writ_server_config_done(&c);
	return rc;
}

void writ_server_config_done(struct writ_server_config *c)
{
	writ_conf_done(&writ_server_config_table, c);
	writ_conf_done_plugins(&writ_server_config_plugins, c);
}

void writ_server_config_print_help(struct writ_buf *out)
{
	writ_conf_print_help(&writ_server_config_table, out);
	writ_conf_print_plugins(&writ_server_config_plugins, out);
}
