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
	"plugins { DataStore \"sql\" { plugin_data { } } KeyManager \"memory\" { plugin_data = "   \
	"{} } "                                                                                    \
	"NodeAttestor \"join_token\" { plugin_data { } } }"

static void database_is_a_path_or_a_uri_that_is_one(void **state)
{
	(void)state;
	static const struct {
		const char *written, *path;
	} rows[] = { { "./d", "./d" }, { "/a/b?c", "/a/b?c" }, { "file:/a/b", "/a/b" },
		{ "file:///a/b", "/a/b" }, { "file:a", "a" }, { "file://host/a", NULL },
		{ "file:", NULL }, { "", NULL }, { ":memory:", NULL },
		{ "file::memory:?cache=shared", NULL }, { "file:/a%20b", NULL } };
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		char text[400];
		snprintf(text, sizeof(text),
			"server { trust_domain = \"a.b\" }\nplugins { DataStore \"sql\" { "
			"plugin_data { connection_string = \"%s\" } } KeyManager \"memory\" {} "
			"NodeAttestor \"join_token\" {} }",
			rows[i].written);
		struct loaded l = load(text, NULL);
		assert_int_equal(l.rc == WRIT_OK, rows[i].path != NULL);
		if (rows[i].path)
			assert_string_equal(l.c.sql.connection_string, rows[i].path);
		else
			assert_non_null(strstr(said(&l), "is not the path of a file"));
		unload(&l);
	}
}

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
	assert_false(l.c.upstream_disk.is_on || l.c.telemetry.prometheus.is_on ||
		l.c.health.listener_enabled);
	assert_string_equal(l.c.health.live_path, "/live");
	assert_string_equal(l.c.ca_subject.organization.items[0], "SPIFFE");
	unload(&l);
}

static void a_file_in_the_shape_of_spire_is_read(void **state)
{
	(void)state;
	struct loaded l =
		load("server {\n\tbind_address = \"127.0.0.1\"\n\tbind_port = \"9081\"\n"
		     "\tsocket_path = \"/tmp/s/api.sock\"\n\ttrust_domain = "
		     "\"example.org\"\n\tdata_dir = \"./.data\"\n"
		     "\tlog_level = \"DEBUG\"\n\tlog_format = \"json\"\n\tca_key_type = "
		     "\"ec-p384\"\n\tca_ttl = \"48h\"\n"
		     "\tdefault_x509_svid_ttl = \"1h\"\n\tagent_ttl = \"2h\"\n\tadmin_ids = "
		     "[\"spiffe://example.org/a\"]\n"
		     "\tratelimit { signing = false }\n\taudit_log_enabled = true\n\texperimental "
		     "{ require_pq_kem = false }\n"
		     "\tca_subject { country = [\"DE\", \"FR\"], organization = [], common_name = "
		     "\"x\" }\n}\n"
		     "plugins {\n\tDataStore \"sql\" { plugin_data { database_type = \"sqlite3\" "
		     "connection_string = \"./d\" } }\n"
		     "\tKeyManager \"disk\" { plugin_data { keys_path = \"./k\" } }\n"
		     "\tKeyManager \"aws_kms\" { enabled = false plugin_data { region = \"x\" } }\n"
		     "\tNodeAttestor \"join_token\" { plugin_data {} }\n"
		     "\tUpstreamAuthority \"disk\" { plugin_data { key_file_path = \"./u.key\" "
		     "cert_file_path = \"./u.crt\" } }\n}\n"
		     "telemetry { Prometheus { port = 9988 } }\nhealth_checks { listener_enabled = "
		     "true bind_port = \"0\" }\n",
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
	struct loaded l = load(
		"{\"server\": {\"trust_domain\": \"example.org\", \"bind_port\": 0}, \"plugins\": {"
		"\"DataStore\": [{\"sql\": {\"plugin_data\": {\"database_type\": \"sqlite3\"}}}],"
		"\"KeyManager\": {\"memory\": {}}, \"NodeAttestor\": {\"join_token\": "
		"{\"plugin_data\": {}}}}}",
		NULL);
	assert_string_equal(said(&l), "");
	assert_int_equal(l.c.bind_port, 0);
	assert_true(l.c.sql.is_on);
	unload(&l);
}

static void the_command_line_stands_above_the_file(void **state)
{
	(void)state;
	const struct writ_conf_override over[] = { { "trust_domain", "Other.org" },
		{ "bind_port", "99" }, { "log_level", "warn" },
		{ "admin_ids", "spiffe://o/a, spiffe://o/b" } };
	struct writ_conf_source source = { .overrides = over, .n_overrides = WRIT_COUNT(over) };
	struct loaded l =
		load("server { trust_domain = \"example.org\" bind_port = 1 }" PLUGINS, &source);
	assert_string_equal(said(&l),
		"command line: warning: trust_domain is taken as \"other.org\": trust domains are "
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
		"command line: error: unknown key \"bind_prot\" in server: did you mean "
		"\"bind_port\"?\n"
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
			"s:1:48: warning: default_x509_svid_ttl is cut from 5m to 30s, a sixth of "
			"ca_ttl (3m): SVIDs must not "
			"outlive the CA\n",
			30, 30 },
		{ "default_x509_svid_ttl = \"12h\"",
			"s:1:63: warning: default_x509_svid_ttl is cut from 12h to 4h, a sixth of "
			"ca_ttl (24h): SVIDs must not "
			"outlive the CA\n",
			14400, 14400 },
		{ "agent_ttl = \"5h\"",
			"s:1:51: warning: agent_ttl is cut from 5h to 4h, a sixth of ca_ttl (24h): "
			"SVIDs must not outlive the CA\n",
			300, 14400 },
	};
	(void)state;
	for (size_t i = 0; i < WRIT_COUNT(cases); i++) {
		char text[1024];
		(void)snprintf(text, sizeof(text),
			"server { trust_domain = \"example.org\" %s }\n" PLUGINS, cases[i].keys);
		struct loaded l = load(text, NULL);
		assert_string_equal(said(&l), cases[i].want);
		assert_int_equal(l.c.default_x509_svid_ttl_ms, cases[i].svid_s * 1000);
		assert_int_equal(l.c.agent_ttl_ms, cases[i].agent_s * 1000);
		unload(&l);
	}
}

/* Each is a server block's inside, or a whole file when it starts with '!'. */
static const struct {
	const char *in, *want;
} bad[] = {
	{ "bind_adress = \"127.0.0.1\"",
		"s:3:1: error: unknown key \"bind_adress\" in server: did you mean "
		"\"bind_address\"?\n" },
	{ "bind_port = 99999",
		"s:3:13: error: bind_port is \"99999\", not a port from 0 to 65535\n" },
	{ "bind_port = \"http\"",
		"s:3:13: error: bind_port is \"http\", not a port from 0 to 65535\n" },
	{ "bind_port = [8081]",
		"s:3:13: error: bind_port is a list, not a port from 0 to 65535\n" },
	{ "trust_domain = \"b.c\"",
		"s:3:1: error: \"trust_domain\" is set twice: it was set in line 2 already\n" },
	{ "log_level = \"LOUD\"",
		"s:3:13: error: log_level is \"LOUD\", not \"DEBUG\", \"INFO\", \"WARN\", "
		"\"WARNING\" or \"ERROR\"\n" },
	{ "log_format = \"xml\"",
		"s:3:14: error: log_format is \"xml\", not \"text\" or \"json\"\n" },
	{ "ca_ttl = 24",
		"s:3:10: error: ca_ttl is a number, not a duration from \"1m\" to \"87600h\": "
		"write it in quotes, with a unit\n" },
	{ "ca_ttl = \"1 day\"",
		"s:3:10: error: ca_ttl is \"1 day\", not a duration from \"1m\" to \"87600h\"\n" },
	{ "ca_ttl = \"30s\"",
		"s:3:10: error: ca_ttl is \"30s\", not a duration from \"1m\" to \"87600h\"\n" },
	{ "default_x509_svid_ttl = \"30s\"",
		"s:3:25: error: default_x509_svid_ttl is \"30s\", not a duration from \"1m\" to "
		"\"24h\"\n" },
	{ "default_x509_svid_ttl = \"48h\"",
		"s:3:25: error: default_x509_svid_ttl is \"48h\", not a duration from \"1m\" to "
		"\"24h\"\n" },
	{ "ca_key_type = \"ed25519\"",
		"s:3:15: error: ca_key_type is \"ed25519\", not \"ec-p256\", \"ec-p384\", "
		"\"rsa-2048\" or \"rsa-4096\"\n" },
	{ "ca_subject { country = \"US\" org = [\"x\"] }",
		"s:3:29: error: unknown key \"org\" in server.ca_subject: there is \"country\", "
		"\"organization\", \"common_name\"\n" },
	{ "ca_subject = \"CN=x\"", "s:3:14: error: ca_subject is a string, not a block\n" },
	{ "ratelimit { attestation = \"off\" }",
		"s:3:27: error: attestation is \"off\", not true or false\n" },
	{ "admin_ids = [\"admin\"]",
		"s:3:13: error: admin_ids has \"admin\", which is no SPIFFE ID: write "
		"spiffe://domain/path\n" },
	{ "admin_ids = [{}]",
		"s:3:14: error: admin_ids has a block in its list: expected strings only\n" },
	{ "socket_path = "
	  "\"/a/very/long/path/that/no/unix/socket/address/can/ever/hold/because/it/is/over/one/"
	  "hundred/and/seven/bytes/x.sock\"",
		"s:3:15: error: socket_path is too long: 113 bytes, at most 107\n" },
	{ "socket_path = \"\"", "s:3:15: error: socket_path is empty\n" },
	{ "federation { bundle_endpoint { address = \"0.0.0.0\" port = 8443 } }",
		"s:3:1: error: \"federation\" in server is not supported: identities of other "
		"trust domains would not be trusted, nor ours by them: remove it\n" },
	{ "proxy_protocol_trusted_cidrs = [\"10.0.0.0/8\"]",
		"s:3:1: error: \"proxy_protocol_trusted_cidrs\" in server is not supported: "
		"connections through that proxy would fail: let it pass TCP through unchanged\n" },
	{ "jwt_issuer = \"https://x\"",
		"s:3:1: warning: \"jwt_issuer\" in server has no effect: JWT-SVIDs are not issued "
		"yet\n" },
	{ "audit_log_enabled = false",
		"s:3:1: warning: \"audit_log_enabled\" in server has no effect: audit records are "
		"always written, see audit_log_file\n" },
	{ "profiling_enabled = true",
		"s:3:1: warning: \"profiling_enabled\" in server has no effect: use perf(1) "
		"instead\n" },
	{ "experimental { auth_opa_policy_engine { local { rego_path = \"x\" } } "
	  "events_based_cache = true }",
		"s:3:16: error: \"auth_opa_policy_engine\" in server.experimental is not "
		"supported: who may call what is fixed here, and your policy would be left out: "
		"remove it\n"
		"s:3:69: warning: \"events_based_cache\" in server.experimental has no effect: "
		"entries are pushed as they change, there is no cache to tune\n" },
	{ "experimental { require_pq_kem = true feature_flags = [\"wit-svid\"] "
	  "cache_relod_interval = \"5s\" }",
		"s:3:16: error: \"require_pq_kem\" in server.experimental is not supported: the "
		"TLS library of this system has no post-quantum key exchange: remove it\n"
		"s:3:38: error: \"feature_flags\" in server.experimental is not supported: there "
		"are none of SPIRE's flags: remove it\n"
		"s:3:67: error: unknown key \"cache_relod_interval\" in server.experimental: did "
		"you mean \"cache_reload_interval\"?\n" },
	{ "bind_port = 8081\nbind_port = 8082",
		"s:4:1: error: \"bind_port\" is set twice: it was set in line 3 already\n" },
	{ "data_dir = /var/lib", "s:3:12: error: unexpected \"/\": put quotes around a path\n" },
	{ "!",
		"s:1:1: error: server is missing in the file: write server { trust_domain = "
		"\"example.org\" } and more\n"
		"s:1:1: error: no DataStore: add DataStore \"sql\" { plugin_data { database_type = "
		"\"sqlite3\" } }\n"
		"s:1:1: error: no KeyManager: add KeyManager \"disk\" { plugin_data { keys_path = "
		"\"...\" } }\n"
		"s:1:1: warning: no NodeAttestor: no new agent can join; add NodeAttestor "
		"\"join_token\" { }\n" },
	{ "!server {}",
		"s:1:1: error: trust_domain is missing in server: Trust domain that this server "
		"issues identities for, such as \"example.org\".\n"
		"s:1:1: error: no DataStore: add DataStore \"sql\" { plugin_data { database_type = "
		"\"sqlite3\" } }\n"
		"s:1:1: error: no KeyManager: add KeyManager \"disk\" { plugin_data { keys_path = "
		"\"...\" } }\n"
		"s:1:1: warning: no NodeAttestor: no new agent can join; add NodeAttestor "
		"\"join_token\" { }\n" },
	{ "!server = 1\nplugins {}",
		"s:1:10: error: server is a number, not a block\n"
		"s:2:1: error: no DataStore: add DataStore \"sql\" { plugin_data { database_type = "
		"\"sqlite3\" } }\n"
		"s:2:1: error: no KeyManager: add KeyManager \"disk\" { plugin_data { keys_path = "
		"\"...\" } }\n"
		"s:2:1: warning: no NodeAttestor: no new agent can join; add NodeAttestor "
		"\"join_token\" { }\n" },
	{ "!sever { trust_domain = \"a.b\" }",
		"s:1:1: error: unknown key \"sever\" in the file: did you mean \"server\"?\n"
		"s:1:1: error: server is missing in the file: write server { trust_domain = "
		"\"example.org\" } and more\n"
		"s:1:1: error: no DataStore: add DataStore \"sql\" { plugin_data { database_type = "
		"\"sqlite3\" } }\n"
		"s:1:1: error: no KeyManager: add KeyManager \"disk\" { plugin_data { keys_path = "
		"\"...\" } }\n"
		"s:1:1: warning: no NodeAttestor: no new agent can join; add NodeAttestor "
		"\"join_token\" { }\n" },
	{ "!server { trust_domain = \"\" }",
		"s:1:1: error: no DataStore: add DataStore \"sql\" { plugin_data { database_type = "
		"\"sqlite3\" } }\n"
		"s:1:1: error: no KeyManager: add KeyManager \"disk\" { plugin_data { keys_path = "
		"\"...\" } }\n"
		"s:1:1: warning: no NodeAttestor: no new agent can join; add NodeAttestor "
		"\"join_token\" { }\n"
		"s:1:25: error: trust_domain is empty\n" },
	{ "!server { trust_domain = \"a b\" }\nplugins { DataStore \"sql\" { plugin_data { "
	  "database_type = \"postgres\" connection_string = \"x\" } } KeyManager \"memory\" {} }",
		"s:1:25: error: trust_domain \"a b\" has characters other than a-z, 0-9, \".\", "
		"\"-\" and \"_\"\n"
		"s:2:1: warning: no NodeAttestor: no new agent can join; add NodeAttestor "
		"\"join_token\" { }\n"
		"s:2:59: error: database_type is \"postgres\", not \"sqlite3\"\n" },
	{ "!server { trust_domain = \"a.b\" }\nplugins { DataStore \"sql\" { plugin_data { "
	  "connection_string = \"file:/d?cache=shared\" } }\nKeyManager \"memory\" {}\n"
	  "NodeAttestor \"join_token\" {} }",
		"s:2:11: error: connection_string is not the path of a file: write it like "
		"\"/var/lib/writ/server/datastore.sqlite3\", without parameters\n" },
	{ "!server { trust_domain = \"a.b\" }\nplugins { DataStore \"sql\" {} KeyManager "
	  "\"memory\" {}\nKeyManager \"disk\" { plugin_data { keys_path = \"k\" } } }",
		"s:2:1: warning: no NodeAttestor: no new agent can join; add NodeAttestor "
		"\"join_token\" { }\n"
		"s:3:12: error: KeyManager \"disk\" is one too many: at most 1 of this type, "
		"remove it or set enabled = false\n" },
	{ "!server { trust_domain = \"a.b\" }\nplugins { DataStore \"sql\" {} KeyManager \"disk\" "
	  "{ plugin_data { directory = \"k\" } } NodeAttestor \"aws_iid\" { plugin_data { "
	  "ca_bundle_path = \"c\" } } }",
		"s:2:50: error: keys_path is missing in KeyManager \"disk\": Folder that the "
		"CA's keys are kept in, less a \".json\" at its end.\n"
		"s:2:64: error: unknown key \"directory\" in KeyManager \"disk\": there is "
		"\"keys_path\"\n"
		"s:2:97: error: NodeAttestor \"aws_iid\" is not supported: agents that rely on it "
		"could not join; there is \"join_token\", \"x509pop\", \"sshpop\", "
		"\"http_challenge\", "
		"\"k8s_psat\", \"tpm_devid\"\n" },
	{ "!server { trust_domain = \"a.b\" }\nplugins { DataStore \"sql\" {} KeyManager "
	  "\"memory\" "
	  "{}\nNodeAttestor \"x509pop\" { plugin_data {\nca_bundle_path = \"c\" ca_bundle_paths = "
	  "[ "
	  "\"d\" ]\nagent_path_template = \"/x/{{ .Subject.Country }}\" } }\nNodeAttestor "
	  "\"sshpop\" { plugin_data {\nagent_path_template = \"/a b/{{ .Hostname\" } } }",
		"s:4:40: error: both ca_bundle_path and ca_bundle_paths are set: remove one\n"
		"s:5:30: error: agent_path_template: \".Subject.Country\" is not a field: there "
		"are "
		".PluginName, .Fingerprint, .SerialNumber, .SerialNumberHex, .TrustDomain, "
		".Subject.CommonName, .Subject.SerialNumber, .Issuer.CommonName, .SVIDPathTrimmed, "
		".URISanSelectors.NAME (no functions)\n"
		"s:6:14: error: sshpop needs cert_authorities or cert_authorities_path: nobody's "
		"certificate could count\n"
		"s:7:26: error: agent_path_template: \" \" cannot stand in a SPIFFE ID: letters, "
		"digits, '.', '-', '_' and '/' can\n" },
	{ "!server { trust_domain = \"a.b\" }\nplugins { DataStore \"sql\" {} KeyManager "
	  "\"memory\" {}\nNodeAttestor \"http_challenge\" { plugin_data { allowed_dns_patterns = "
	  "[\"\\\\d+\"] tofu = false } }\nNodeAttestor \"k8s_psat\" { plugin_data { clusters = "
	  "{\n\"a b\" = { service_account_allow_list = [\"spire\"] }\n\"c\" = { }\n} } "
	  "}\nNodeAttestor \"tpm_devid\" { plugin_data { devid_ca_path = \"x\" } } }",
		"s:3:14: error: allowed_dns_patterns has \"\\\\d+\": \"\\d\" is not known here: "
		"write [0-9], [[:alnum:]_] and the like\ns:3:14: error: you can not turn off trust "
		"on first use (tofu) when non-root ports are allowed: any user of a machine could "
		"attest as its agent\ns:4:14: error: clusters has \"a b\", which cannot stand in a "
		"SPIFFE ID: use letters, digits, dots, dashes and underscores\ns:4:14: error: "
		"service_account_allow_list has \"spire\": write \"namespace:account\"\ns:6:1: "
		"error: service_account_allow_list is missing in NodeAttestor "
		"\"k8s_psat\".clusters: Service accounts of agents, each with its namespace: "
		"\"spire:spire-agent\".\ns:8:28: error: endorsement_ca_path is missing in "
		"NodeAttestor \"tpm_devid\": PEM file with the TPM makers' CAs, with those between "
		"them and the endorsement certificates.\n" },
	{ "!server { trust_domain = \"a.b\" }\nplugins { DataStore \"sql\" { plugin_data { "
	  "max_open_conns = 5 } } KeyManager \"aws_kms\" { plugin_data { region = \"x\" } "
	  "}\nUpstreamAuthority \"vault\" {} BundlePublisher \"aws_s3\" {}\nCredentialComposer "
	  "\"uniqueid\" {} }",
		"s:2:1: warning: no NodeAttestor: no new agent can join; add NodeAttestor "
		"\"join_token\" { }\n"
		"s:2:43: warning: \"max_open_conns\" in DataStore \"sql\" has no effect: SQLite "
		"needs no connection pool\n"
		"s:2:77: error: KeyManager \"aws_kms\" is not supported: the CA's keys would be "
		"elsewhere than you want them; there is \"disk\", \"memory\"\n"
		"s:3:19: error: UpstreamAuthority \"vault\" is not supported: the CA would be its "
		"own root instead; there is \"disk\"\n"
		"s:3:46: warning: BundlePublisher \"aws_s3\" is not supported: bundles are not "
		"sent anywhere\n"
		"s:4:20: error: CredentialComposer \"uniqueid\" is not supported: identities would "
		"be issued without what it adds\n" },
	{ "!server { trust_domain = \"a.b\" }\nplugins { DataStore \"sql\" {} KeyManager "
	  "\"memory\" {} UpstreamAuthority \"disk\" { plugin_data { ttl = \"1h\" } } }",
		"s:2:1: warning: no NodeAttestor: no new agent can join; add NodeAttestor "
		"\"join_token\" { }\n"
		"s:2:80: error: cert_file_path is missing in UpstreamAuthority \"disk\": PEM file "
		"with the certificate, and its chain, that signs this server's CA.\n"
		"s:2:80: error: key_file_path is missing in UpstreamAuthority \"disk\": PEM file "
		"with that certificate's key.\n"
		"s:2:94: error: unknown key \"ttl\" in UpstreamAuthority \"disk\": there is "
		"\"cert_file_path\", \"key_file_path\", \"bundle_file_path\"\n" },
	{ "!server { trust_domain = \"a.b\" }\nplugins { DataStore \"sql\" {} KeyManager \"hsm\" { "
	  "plugin_cmd = \"/bin/x\" plugin_checksum = \"00\" } }",
		"s:2:1: warning: no NodeAttestor: no new agent can join; add NodeAttestor "
		"\"join_token\" { }\n"
		"s:2:41: error: KeyManager \"hsm\" is an external plugin, and those are not "
		"supported: the CA's keys would be elsewhere than you want them; there is "
		"\"disk\", \"memory\"\n" },
	{ "!server { trust_domain = \"a.b\" }\nplugins { DataStore \"sql\" {} KeyManager "
	  "\"memory\" {} }\ntelemetry { Prometheus { host = \"0.0.0.0\" tls { use_spire_svid = "
	  "true } } Statsd = [{ address = \"x\" }] }",
		"s:2:1: warning: no NodeAttestor: no new agent can join; add NodeAttestor "
		"\"join_token\" { }\n"
		"s:3:13: error: port is missing in telemetry.Prometheus: Port of the metrics "
		"listener; 0 takes a free one.\n"
		"s:3:43: error: \"tls\" in telemetry.Prometheus is not supported: metrics would be "
		"readable without it: leave host at localhost and put writ-gate in front\n"
		"s:3:75: warning: \"Statsd\" in telemetry has no effect: metrics are there in "
		"Prometheus' form only, use Prometheus { host, port }\n" },
	{ "!server { trust_domain = \"a.b\" }\nplugins { DataStore \"sql\" {} KeyManager "
	  "\"memory\" {} }\nhealth_checks { listener_enabled = 1 bind_port = 70000 }",
		"s:2:1: warning: no NodeAttestor: no new agent can join; add NodeAttestor "
		"\"join_token\" { }\n"
		"s:3:36: error: listener_enabled is a number, not true or false\n"
		"s:3:50: error: bind_port is \"70000\", not a port from 0 to 65535\n" },
	{ "!server { trust_domain = \"a.b\" \n",
		"s:1:8: error: the block that starts here is not closed: add }\n" },
	{ "!{\"server\": {\"trust_domain\": \"a.b\",}}",
		"s:1:34: error: JSON has no comma after the last value: remove it\n" },
};

static void each_mistake_says_what_where_and_what_to_do(void **state)
{
	(void)state;
	for (size_t i = 0; i < WRIT_COUNT(bad); i++) {
		char text[4096];
		if (bad[i].in[0] == '!')
			(void)snprintf(text, sizeof(text), "%s", bad[i].in + 1);
		else
			(void)snprintf(text, sizeof(text),
				"server {\ntrust_domain = \"a.b\"\n%s\n}\n" PLUGINS, bad[i].in);
		struct loaded l = load(text, NULL);
		assert_string_equal(said(&l), bad[i].want);
		assert_int_equal(l.rc, l.d.errors > 0 ? WRIT_EINVAL : WRIT_OK);
		assert_true(l.rc == WRIT_OK || l.c.trust_domain == NULL);
		unload(&l);
	}
}

static void secrets_are_not_repeated(void **state)
{
	(void)state;
	struct loaded l =
		load("server { trust_domain = \"a\" }\nplugins { DataStore \"sql\" { plugin_data { "
		     "connection_string = [\"password=hunter2\"] } } KeyManager \"memory\" {} }",
			NULL);
	assert_int_equal(l.rc, WRIT_EINVAL);
	assert_null(strstr(said(&l), "hunter2"));
	unload(&l);
}

static void the_manual_names_every_key(void **state)
{
	(void)state;
	struct writ_buf out = WRIT_BUF(1 << 18);
	writ_server_config_print_help(&out);
	const char *text = writ_buf_cstr(&out);
	assert_non_null(strstr(text, "server.bind_port (a port from 0 to 65535; default 8081)\n"));
	assert_non_null(strstr(text, "server.federation (refused)\n"));
	assert_non_null(strstr(text, "KeyManager \"disk\"\n\nkeys_path (a path; required)\n"));
	assert_null(strstr(text, "(null)"));
	writ_buf_done(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(database_is_a_path_or_a_uri_that_is_one),
		cmocka_unit_test(defaults_are_those_of_the_design),
		cmocka_unit_test(a_file_in_the_shape_of_spire_is_read),
		cmocka_unit_test(json_is_read_as_well),
		cmocka_unit_test(the_command_line_stands_above_the_file),
		cmocka_unit_test(lifetimes_fit_the_ca),
		cmocka_unit_test(each_mistake_says_what_where_and_what_to_do),
		cmocka_unit_test(secrets_are_not_repeated),
		cmocka_unit_test(the_manual_names_every_key),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
