/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config.h"

#include "base/mem.h"

#include <stdarg.h>
#include <setjmp.h>
#include <string.h>
#include <cmocka.h>

#include "conf_text.h"

struct loaded {
	struct writ_server_config c;
	struct writ_err err;
	struct writ_conf_diags d;
	struct writ_buf text;
	writ_rc rc;
};

static struct loaded load(const char *text, const struct writ_conf_source *source)
{
	struct loaded l = { .d = WRIT_CONF_DIAGS("s"), .text = WRIT_BUF(1 << 18) };
	struct conf_text t = conf_text_open(text);
	l.rc = writ_server_config_load(t.path, source, &l.d, &l.c, &l.err);
	conf_text_close(&t);
	writ_buf_add_cstr(&l.text, "");
	writ_conf_diags_print(&l.d, &l.text);
	return l;
}

static const char *said(const struct loaded *l)
{
	return l->text.n > 0 ? writ_buf_cstr(&l->text) : "";
}

static void unload(struct loaded *l)
{
	writ_server_config_done(&l->c);
	writ_conf_diags_done(&l->d);
	writ_buf_done(&l->text);
}

#define PLUGINS                                                                                    \
	"plugins { DataStore \"sql\" { plugin_data { } } KeyManager \"memory\" { plugin_data = {} } "  \
	"NodeAttestor \"join_token\" { plugin_data { } } }"

static void defaults_are_those_of_the_design(void **state)
{
	(void)state;
	struct loaded l = load("server { trust_domain = \"example.org\" }\n" PLUGINS, NULL);
	assert_string_equal(said(&l), "");
	assert_int_equal(l.rc, WRIT_OK);
	assert_string_equal(l.c.bind_address, "0.0.0.0");
	assert_int_equal(l.c.bind_port, 8081);
	assert_string_equal(l.c.socket_path, "/run/writ/server/private/api.sock");
	assert_string_equal(l.c.data_dir, "/var/lib/writ/server");
	assert_string_equal(l.c.sql.connection_string, "/var/lib/writ/server/datastore.sqlite3");
	assert_int_equal(l.c.ca_ttl_ms, 86400000);
	assert_int_equal(l.c.agent_ttl_ms, 86400000 / 6);
	assert_int_equal(l.c.default_x509_svid_ttl_ms, 300000);
	assert_int_equal(l.c.default_jwt_svid_ttl_ms, 300000);
	assert_int_equal(l.c.log.level, WRIT_LOG_INFO);
	assert_int_equal(l.c.log.format, WRIT_LOG_TEXT);
	assert_null(l.c.log.file);
	assert_true(l.c.ratelimit.attestation && l.c.ratelimit.signing);
	assert_true(l.c.key_memory.is_on && !l.c.key_disk.is_on && l.c.join_token.is_on);
	assert_false(l.c.upstream_disk.is_on || l.c.telemetry.prometheus.is_on || l.c.health.listener_enabled);
	assert_string_equal(l.c.health.live_path, "/live");
	assert_string_equal(l.c.ca_subject.organization.items[0], "SPIFFE");
	unload(&l);
}

static void a_file_in_the_shape_of_spire_is_read(void **state)
{
	(void)state;
	struct loaded l = load(
		"server {\n\tbind_address = \"127.0.0.1\"\n\tbind_port = \"9081\"\n"
		"\tsocket_path = \"/tmp/s/api.sock\"\n\ttrust_domain = \"example.org\"\n\tdata_dir = \"./.data\"\n"
		"\tlog_level = \"DEBUG\"\n\tlog_format = \"json\"\n\tca_key_type = \"ec-p384\"\n\tca_ttl = \"48h\"\n"
		"\tdefault_x509_svid_ttl = \"1h\"\n\tagent_ttl = \"2h\"\n\tadmin_ids = [\"spiffe://example.org/a\"]\n"
		"\tratelimit { signing = false }\n\taudit_log_enabled = true\n\texperimental { require_pq_kem = false }\n"
		"\tca_subject { country = [\"DE\", \"FR\"], organization = [], common_name = \"x\" }\n}\n"
		"plugins {\n\tDataStore \"sql\" { plugin_data { database_type = \"sqlite3\" connection_string = \"./d\" } }\n"
		"\tKeyManager \"disk\" { plugin_data { keys_path = \"./k\" } }\n"
		"\tKeyManager \"aws_kms\" { enabled = false plugin_data { region = \"x\" } }\n"
		"\tNodeAttestor \"join_token\" { plugin_data {} }\n"
		"\tUpstreamAuthority \"disk\" { plugin_data { key_file_path = \"./u.key\" cert_file_path = \"./u.crt\" } }\n}\n"
		"telemetry { Prometheus { port = 9988 } }\nhealth_checks { listener_enabled = true bind_port = \"0\" }\n",
		NULL);
	assert_string_equal(said(&l), "");
	assert_int_equal(l.c.bind_port, 9081);
	assert_int_equal(l.c.log.level, WRIT_LOG_DEBUG);
	assert_int_equal(l.c.log.format, WRIT_LOG_JSON);
	assert_int_equal(l.c.ca_key_type, WRIT_SERVER_EC_P384);
	assert_int_equal(l.c.default_x509_svid_ttl_ms, 3600000);
	assert_int_equal(l.c.agent_ttl_ms, 7200000);
	assert_string_equal(l.c.admin_ids.items[0], "spiffe://example.org/a");
	assert_true(l.c.ratelimit.attestation && !l.c.ratelimit.signing);
	assert_int_equal(l.c.ca_subject.country.n, 2);
	assert_int_equal(l.c.ca_subject.organization.n, 0);
	assert_string_equal(l.c.sql.connection_string, "./d");
	assert_string_equal(l.c.key_disk.keys_path, "./k");
	assert_string_equal(l.c.upstream_disk.key_file_path, "./u.key");
	assert_null(l.c.upstream_disk.bundle_file_path);
	assert_true(l.c.telemetry.prometheus.is_on);
	assert_int_equal(l.c.telemetry.prometheus.port, 9988);
	assert_true(l.c.health.listener_enabled);
	assert_int_equal(l.c.health.bind_port, 0);
	unload(&l);
}

static void json_is_read_as_well(void **state)
{
	(void)state;
	struct loaded l = load("{\"server\": {\"trust_domain\": \"example.org\", \"bind_port\": 0}, \"plugins\": {"
			       "\"DataStore\": [{\"sql\": {\"plugin_data\": {\"database_type\": \"sqlite3\"}}}],"
			       "\"KeyManager\": {\"memory\": {}}, \"NodeAttestor\": {\"join_token\": {\"plugin_data\": {}}}}}",
		NULL);
	assert_string_equal(said(&l), "");
	assert_int_equal(l.c.bind_port, 0);
	assert_true(l.c.sql.is_on);
	unload(&l);
}

static void the_command_line_stands_above_the_file(void **state)
{
	(void)state;
	const struct writ_conf_override over[] = { { "trust_domain", "Other.org" }, { "bind_port", "99" },
		{ "log_level", "warn" }, { "admin_ids", "spiffe://o/a, spiffe://o/b" } };
	struct writ_conf_source source = { .overrides = over, .n_overrides = WRIT_COUNT(over) };
	struct loaded l = load("server { trust_domain = \"example.org\" bind_port = 1 }" PLUGINS, &source);
	assert_string_equal(said(&l), "command line: warning: trust_domain is taken as \"other.org\": trust domains are "
				      "lower case\n");
	assert_string_equal(l.c.trust_domain, "other.org");
	assert_int_equal(l.c.bind_port, 99);
	assert_int_equal(l.c.log.level, WRIT_LOG_WARN);
	assert_int_equal(l.c.admin_ids.n, 2);
	unload(&l);
	const struct writ_conf_override bad[] = { { "bind_port", "http" }, { "bind_prot", "1" } };
	source = (struct writ_conf_source){ .overrides = bad, .n_overrides = 2 };
	l = load("server { trust_domain = \"example.org\" }" PLUGINS, &source);
	assert_string_equal(said(&l),
		"command line: error: unknown key \"bind_prot\" in server: did you mean \"bind_port\"?\n"
		"command line: error: bind_port is \"http\", not a port from 0 to 65535\n");
	unload(&l);
}

static void lifetimes_fit_the_ca(void **state)
{
	static const struct {
		const char *keys, *want;
		int64_t svid_s, agent_s;
	} cases[] = {
		{ "ca_ttl = \"1h\"", "", 300, 600 },
		{ "ca_ttl = \"3m\"",
			"s:1:53: warning: default_x509_svid_ttl is cut from 5m to 30s, a sixth of ca_ttl (3m): SVIDs must not "
			"outlive the CA\n",
			30, 30 },
		{ "default_x509_svid_ttl = \"12h\"",
			"s:1:68: warning: default_x509_svid_ttl is cut from 12h to 4h, a sixth of ca_ttl (24h): SVIDs must not "
			"outlive the CA\n",
			14400, 14400 },
		{ "agent_ttl = \"5h\"",
			"s:1:56: warning: agent_ttl is cut from 5h to 4h, a sixth of ca_ttl (24h): SVIDs must not outlive the CA\n",
			300, 14400 },
	};
	(void)state;
	for (size_t i = 0; i < WRIT_COUNT(cases); i++) {
		char text[1024];
		(void)snprintf(text, sizeof(text), "server { trust_domain = \"example.org\" %s }\n" PLUGINS, cases[i].keys);
		memmove(text + 43, text + 38, strlen(text + 38) + 1);
		memcpy(text + 38, "     ", 5);
		struct loaded l = load(text, NULL);
		assert_string_equal(said(&l), cases[i].want);
		assert_int_equal(l.c.default_x509_svid_ttl_ms, cases[i].svid_s * 1000);
		assert_int_equal(l.c.agent_ttl_ms, cases[i].agent_s * 1000);
		unload(&l);
	}
}
