/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config.h"

#include "base/mem.h"

#include <stdarg.h>
#include <setjmp.h>
#include <string.h>
#include <cmocka.h>

#include "conf_text.h"

struct loaded {
	struct writ_agent_config c;
	struct writ_err err;
	struct writ_conf_diags d;
	struct writ_buf text;
	writ_rc rc;
};

static struct loaded load(const char *text, const struct writ_conf_source *source)
{
	struct loaded l = { .d = WRIT_CONF_DIAGS("a"), .text = WRIT_BUF(1 << 18) };
	struct conf_text t = conf_text_open(text);
	l.rc = writ_agent_config_load(t.path, source, &l.d, &l.c, &l.err);
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
	writ_agent_config_done(&l->c);
	writ_conf_diags_done(&l->d);
	writ_buf_done(&l->text);
}

#define PLUGINS                                                                                    \
	"plugins { KeyManager \"disk\" { plugin_data { directory = \"d\" } } NodeAttestor "        \
	"\"join_token\" "                                                                          \
	"{ plugin_data { } } WorkloadAttestor \"unix\" { plugin_data { } } }"

static void defaults_are_those_of_the_design(void **state)
{
	(void)state;
	struct loaded l = load(
		"agent { trust_domain = \"example.org\" server_address = \"s\" }\n" PLUGINS, NULL);
	assert_string_equal(said(&l), "");
	assert_int_equal(l.c.server_port, 8081);
	assert_string_equal(l.c.socket_path, "/run/writ/agent/public/api.sock");
	assert_string_equal(l.c.admin_socket_path, "/run/writ/agent/private/admin.sock");
	assert_string_equal(l.c.data_dir, "/var/lib/writ/agent");
	assert_int_equal(l.c.max_connections_per_uid, 256);
	assert_int_equal(l.c.max_connections_per_process, 32);
	assert_true(l.c.discover_workload_path && l.c.unix_attestor.discover_workload_path);
	assert_int_equal(l.c.unix_attestor.workload_size_limit, 0);
	assert_int_equal(l.c.workload_x509_svid_key_type, WRIT_AGENT_EC_P256);
	assert_false(l.c.has_bootstrap);
	unload(&l);
}

static void a_file_in_the_shape_of_spire_is_read(void **state)
{
	(void)state;
	struct loaded l = load(
		"agent {\n\tdata_dir = \"./.data\"\n\tlog_level = \"DEBUG\"\n\tserver_address = "
		"\"127.0.0.1\"\n"
		"\tserver_port = \"9081\"\n\tsocket_path "
		"=\"/tmp/a/public/api.sock\"\n\ttrust_bundle_path = \"./ca.crt\"\n"
		"\ttrust_domain = \"example.org\"\n\trebootstrap_mode = "
		"\"never\"\n\trebootstrap_delay = \"10m\"\n"
		"\tsds = {}\n\tjoin_token = \"abc\"\n}\n"
		"plugins {\n\tNodeAttestor \"join_token\" {\n\t\tplugin_data {\n\t\t}\n\t}\n"
		"\tKeyManager \"disk\" { plugin_data { directory = \"./.data\" } }\n"
		"\tWorkloadAttestor \"systemd\" {}\n\tWorkloadAttestor \"unix\" { plugin_data { "
		"discover_workload_path = false workload_size_limit = -1 } }\n}\n",
		NULL);
	assert_string_equal(said(&l), "");
	assert_int_equal(l.c.server_port, 9081);
	assert_true(l.c.has_bootstrap && l.c.systemd_attestor.is_on && l.c.unix_attestor.is_on);
	assert_false(l.c.discover_workload_path);
	assert_int_equal(l.c.unix_attestor.workload_size_limit, -1);
	assert_string_equal(l.c.join_token, "abc");
	assert_string_equal(l.c.key_disk.directory, "./.data");
	unload(&l);
}

static void the_command_line_stands_above_the_file(void **state)
{
	(void)state;
	const struct writ_conf_override over[] = { { "join_token_file", "/t" },
		{ "insecure_bootstrap", "true" } };
	struct writ_conf_source source = { .overrides = over, .n_overrides = WRIT_COUNT(over) };
	struct loaded l = load("{\"agent\": [{\"trust_domain\": \"a\", \"server_address\": "
			       "\"s\"}], \"plugins\": [{"
			       "\"KeyManager\": {\"disk\": {\"plugin_data\": {\"directory\": "
			       "\"d\"}}}, \"NodeAttestor\": "
			       "[{\"join_token\": {}}], \"WorkloadAttestor\": [{\"unix\": {}}, "
			       "{\"cgroup\": {}}]}]}",
		&source);
	assert_string_equal(said(&l), "");
	assert_true(l.c.insecure_bootstrap && l.c.has_bootstrap && l.c.cgroup_attestor.is_on);
	assert_string_equal(l.c.join_token_file, "/t");
	unload(&l);
}

/* Each is an agent block's inside, or a whole file when it starts with '!'. */
static const struct {
	const char *in, *want;
} bad[] = {
	{ "server_addres = \"x\"",
		"a:3:1: error: unknown key \"server_addres\" in agent: did you mean "
		"\"server_address\"?\n" },
	{ "server_port = 0", "a:3:15: error: server_port is \"0\", not a port from 1 to 65535\n" },
	{ "trust_bundle_path = \"a\" trust_bundle_url = \"https://x/y\"",
		"a:3:44: error: both trust_bundle_path and trust_bundle_url are set: remove "
		"one\n" },
	{ "trust_bundle_url = \"http://x/y\"",
		"a:3:20: error: trust_bundle_url does not start with https://: anybody on the way "
		"could put in a CA of his own\n" },
	{ "trust_bundle_path = \"a\" insecure_bootstrap = true",
		"a:3:46: error: insecure_bootstrap would set the trust bundle aside: remove "
		"one\n" },
	{ "trust_bundle_format = \"der\"",
		"a:3:23: error: trust_bundle_format is \"der\", not \"pem\" or \"spiffe\"\n" },
	{ "trust_bundle_unix_socket = \"/x\"",
		"a:3:1: error: \"trust_bundle_unix_socket\" in agent is not supported: use "
		"trust_bundle_path or trust_bundle_url\n" },
	{ "rebootstrap_mode = \"auto\" rebootstrap_delay = \"1m\"",
		"a:3:1: error: \"rebootstrap_mode\" in agent is not supported: a server with an "
		"unknown CA is never trusted anew by itself: remove it\n"
		"a:3:27: warning: \"rebootstrap_delay\" in agent has no effect: there is no "
		"re-bootstrap\n" },
	{ "join_token = \"a\" join_token_file = \"b\"",
		"a:3:36: error: both join_token and join_token_file are set: remove one\n" },
	{ "join_token = [\"secret\"]", "a:3:14: error: join_token is a list, not a string\n" },
	{ "socket_path = \"/run/x/api.sock\" admin_socket_path = \"/run/x/admin.sock\"",
		"a:3:53: error: admin_socket_path is in the folder of socket_path, which is open "
		"to all: give it a folder of its own\n" },
	{ "max_connections_per_uid = 0",
		"a:3:27: error: max_connections_per_uid is \"0\", not a number from 1 to 65536\n" },
	{ "max_connections_per_process = \"many\"",
		"a:3:31: error: max_connections_per_process is \"many\", not a number from 1 to "
		"65536\n" },
	{ "workload_x509_svid_key_type = \"ec-p384\"",
		"a:3:31: error: workload_x509_svid_key_type is \"ec-p384\", not \"ec-p256\" or "
		"\"rsa-2048\"\n" },
	{ "disable_workload_api = true",
		"a:3:1: error: \"disable_workload_api\" in agent is not supported: the Workload "
		"API would be served against your will: remove it, or do not start the agent\n" },
	{ "discover_workload_path = \"maybe\"",
		"a:3:26: error: discover_workload_path is \"maybe\", not true or false\n" },
	{ "sds { default_svid_name = \"x\" }",
		"a:3:1: warning: \"sds\" in agent has no effect: Envoy's secret discovery is not "
		"served\n" },
	{ "authorized_delegates = [\"spiffe://a.b/d\"] allow_unauthenticated_verifiers = true",
		"a:3:1: warning: \"authorized_delegates\" in agent has no effect: the delegated "
		"identity API is not served\n"
		"a:3:43: warning: \"allow_unauthenticated_verifiers\" in agent has no effect: "
		"bundles go to callers with an identity only\n" },
	{ "availability_target = \"24h\" x509_svid_cache_max_size = 10",
		"a:3:1: warning: \"availability_target\" in agent has no effect: renewal follows "
		"each certificate's real lifetime\n"
		"a:3:29: warning: \"x509_svid_cache_max_size\" in agent has no effect: identities "
		"are pushed and kept ready, there is no cache to tune\n" },
	{ "experimental { sync_interval = \"1s\" named_pipe_name = \"x\" }",
		"a:3:16: warning: \"sync_interval\" in agent.experimental has no effect: the "
		"server pushes changes\n"
		"a:3:37: warning: \"named_pipe_name\" in agent.experimental has no effect: it is "
		"for Windows: use socket_path\n" },
	{ "!agent {}",
		"a:1:1: error: trust_domain is missing in agent: Trust domain that this agent "
		"belongs to, such as \"example.org\".\n"
		"a:1:1: error: server_address is missing in agent: Address or name of the server.\n"
		"a:1:1: error: no KeyManager: add KeyManager \"disk\" { plugin_data { directory = "
		"\"...\" } }\n"
		"a:1:1: error: no NodeAttestor: add NodeAttestor \"join_token\" { }\n"
		"a:1:1: warning: no WorkloadAttestor: no workload will get an identity; add "
		"WorkloadAttestor \"unix\" { }\n" },
	{ "!plugins {}",
		"a:1:1: error: agent is missing in the file: write agent { trust_domain = "
		"\"example.org\" } and more\n"
		"a:1:1: error: no KeyManager: add KeyManager \"disk\" { plugin_data { directory = "
		"\"...\" } }\n"
		"a:1:1: error: no NodeAttestor: add NodeAttestor \"join_token\" { }\n"
		"a:1:1: warning: no WorkloadAttestor: no workload will get an identity; add "
		"WorkloadAttestor \"unix\" { }\n" },
	{ "!agent { trust_domain = \"a.b\" server_address = \"s\" }\nplugins { KeyManager \"disk\" "
	  "{ plugin_data { directory = \"d\" } } NodeAttestor \"aws_iid\" { plugin_data { "
	  "private_key_path = \"k\" } }\nWorkloadAttestor \"windows\" { plugin_data { } "
	  "}\nWorkloadAttestor \"macos\" { plugin_data { } } }",
		"a:2:78: error: NodeAttestor \"aws_iid\" is not supported: the agent could not "
		"join; there is \"join_token\", \"x509pop\", \"sshpop\", "
		"\"http_challenge\", \"k8s_psat\", \"tpm_devid\"\n"
		"a:3:18: warning: WorkloadAttestor \"windows\" is not supported: entries with its "
		"selectors will match no workload; there is \"unix\", \"systemd\", \"container\", "
		"\"slurm\", \"cgroup\", \"docker\", \"k8s\", \"process\", \"script\", \"lineage\"\n"
		"a:4:18: warning: WorkloadAttestor \"macos\" is not supported: entries with its "
		"selectors will match no workload; there is \"unix\", \"systemd\", \"container\", "
		"\"slurm\", \"cgroup\", \"docker\", \"k8s\", \"process\", \"script\", "
		"\"lineage\"\n" },
	{ "!agent { trust_domain = \"a.b\" server_address = \"s\" }\nplugins { KeyManager "
	  "\"memory\" {} NodeAttestor \"join_token\" {} WorkloadAttestor \"unix\" {}\nSVIDStore "
	  "\"aws_secretsmanager\" {} }",
		"a:2:1: warning: KeyManager \"memory\" forgets the agent's key: each start needs a "
		"new join token; KeyManager \"disk\" keeps it\n"
		"a:3:11: warning: SVIDStore \"aws_secretsmanager\" is not supported: identities "
		"are not stored anywhere else\n" },
	{ "!agent { trust_domain = \"a.b\" server_address = \"s\" }\nplugins { KeyManager \"disk\" "
	  "{} NodeAttestor \"join_token\" {} NodeAttestor \"aws_iid\" {} WorkloadAttestor "
	  "\"unix\" { plugin_data { discover = true } } }",
		"a:2:22: error: directory is missing in KeyManager \"disk\": Folder that the "
		"agent's key is kept in.\n"
		"a:2:74: error: NodeAttestor \"aws_iid\" is not supported: the agent could not "
		"join; there is \"join_token\", \"x509pop\", \"sshpop\", "
		"\"http_challenge\", \"k8s_psat\", \"tpm_devid\"\n"
		"a:2:127: error: unknown key \"discover\" in WorkloadAttestor \"unix\": there is "
		"\"discover_workload_path\", \"workload_size_limit\"\n" },
	{ "!agent { trust_domain = \"a.b\" server_address = \"s\" discover_workload_path = true "
	  "}\nplugins { KeyManager \"disk\" { plugin_data { directory = \"d\" } } NodeAttestor "
	  "\"join_token\" {} WorkloadAttestor \"unix\" { plugin_data { discover_workload_path = "
	  "false } } }",
		"a:1:76: error: discover_workload_path is set here and, to something else, in "
		"WorkloadAttestor \"unix\": remove one\n" },
	{ "!agent { trust_domain = \"spiffe://a.b\" server_address = \"\" }\nplugins { KeyManager "
	  "\"disk\" { plugin_data { directory = \"d\" } } NodeAttestor \"join_token\" {} "
	  "WorkloadAttestor \"unix\" { plugin_cmd = \"/x\" } }",
		"a:1:24: error: trust_domain is a name, not an ID: remove \"spiffe://\"\n"
		"a:1:56: error: server_address is empty\n"
		"a:2:111: warning: WorkloadAttestor \"unix\" is an external plugin, and those are "
		"not supported: entries with its selectors will match no workload; there is "
		"\"unix\", \"systemd\", \"container\", \"slurm\", \"cgroup\", \"docker\", \"k8s\", "
		"\"process\", \"script\", \"lineage\"\n" },
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
				"agent {\ntrust_domain = \"a.b\" server_address = "
				"\"s\"\n%s\n}\n" PLUGINS,
				bad[i].in);
		struct loaded l = load(text, NULL);
		assert_string_equal(said(&l), bad[i].want);
		assert_int_equal(l.rc, l.d.errors > 0 ? WRIT_EINVAL : WRIT_OK);
		assert_true(l.rc == WRIT_OK || l.c.trust_domain == NULL);
		unload(&l);
	}
}

static void who_may_run_what_is_a_list_of_rules(void **state)
{
	(void)state;
	struct loaded l =
		load("agent { trust_domain = \"example.org\" server_address = \"s\" run { "
		     "allow = [ { uid = 1000, prefix = \"/a/b\" }, { gid = 50, prefix = "
		     "\"/c\", children = true } ] } }\n" PLUGINS,
			NULL);
	assert_string_equal(said(&l), "");
	const struct writ_agent_run_rule *r = l.c.run.allow.items;
	assert_true(l.c.run.is_on);
	assert_int_equal(l.c.run.allow.n, 2);
	assert_int_equal(r[0].uid, 1000);
	assert_int_equal(r[0].gid, -1);
	assert_string_equal(r[0].prefix, "/a/b");
	assert_false(r[0].children);
	assert_int_equal(r[1].uid, -1);
	assert_int_equal(r[1].gid, 50);
	assert_string_equal(r[1].prefix, "/c");
	assert_true(r[1].children);
	unload(&l);
}

#define RUNTIMES(text)                                                                             \
	"agent { trust_domain = \"a.b\" server_address = \"s\" }\nplugins { KeyManager \"disk\" "  \
	"{ "                                                                                       \
	"plugin_data { directory = \"d\" } } NodeAttestor \"join_token\" {}\n" text " }"

static const char *node_seven(void *arg, const char *name)
{
	(void)arg;
	return strcmp(name, "MY_NODE_NAME") == 0 ? "node-7" : NULL;
}

static void runtimes_take_spires_keys(void **state)
{
	(void)state;
	struct loaded l = load(RUNTIMES("WorkloadAttestor \"docker\" { plugin_data { "
					"docker_socket_path = \"unix:///d.sock\" docker_version = "
					"\"1.41\" use_new_container_locator = true } } "
					"WorkloadAttestor \"k8s\" { plugin_data { "
					"kubelet_read_only_port = 10255 certificate_path = \"c\" "
					"private_key_path = \"k\" poll_retry_interval = \"1s\" } } "
					"WorkloadAttestor \"systemd\" { plugin_data { "
					"system_bus_socket_path = \"unix:///bus\" } } "
					"WorkloadAttestor \"slurm\" {}"),
		NULL);
	assert_string_equal(said(&l), "");
	assert_true(l.c.slurm_attestor.is_on && !l.c.container_attestor.is_on);
	assert_string_equal(l.c.docker_attestor.docker_socket_path, "/d.sock");
	assert_string_equal(l.c.systemd_attestor.system_bus_socket_path, "/bus");
	assert_string_equal(l.c.docker_attestor.podman_socket_path, "/run/podman/podman.sock");
	assert_string_equal(
		l.c.docker_attestor.podman_socket_path_template, "/run/user/%d/podman/podman.sock");
	assert_int_equal(l.c.k8s_attestor.kubelet_read_only_port, 10255);
	assert_int_equal(l.c.k8s_attestor.kubelet_secure_port, 10250);
	assert_int_equal(l.c.k8s_attestor.poll_retry_interval_ms, 1000);
	assert_null(l.c.k8s_attestor.token_path);
	writ_agent_take_node_name(&l.c.k8s_attestor, node_seven);
	assert_string_equal(l.c.k8s_attestor.node_name, "node-7");
	unload(&l);
}

static void mistakes_about_runtimes_are_told(void **state)
{
	(void)state;
	struct loaded l =
		load(RUNTIMES("WorkloadAttestor \"docker\" { plugin_data { "
			      "docker_socket_path = \"tcp://h:1\" docker_version = "
			      "\"../x\" podman_socket_path_template = \"unix:///r/%s\" "
			      "sigstore { ignore_tlog = true } } } WorkloadAttestor \"k8s\" { "
			      "plugin_data { "
			      "certificate_path = \"c\" disable_kubelet_client = true } }"),
			NULL);
	static const char *const want[] = { "docker_socket_path is not \"unix:///path\"",
		"docker_version is a number", "needs one %d, for the user ID",
		"image signatures are not checked",
		"certificate_path and private_key_path of WorkloadAttestor \"k8s\" go together",
		"without the kubelet nothing is known of pods" };
	for (size_t i = 0; i < WRIT_COUNT(want); i++)
		if (!strstr(said(&l), want[i]))
			fail_msg("no '%s' in %s", want[i], said(&l));
	assert_int_equal(l.rc, WRIT_EINVAL);
	unload(&l);
}

static void the_manual_names_every_key(void **state)
{
	(void)state;
	struct writ_buf out = WRIT_BUF(1 << 18);
	writ_agent_config_print_help(&out);
	const char *text = writ_buf_cstr(&out);
	assert_non_null(strstr(
		text, "agent.max_connections_per_uid (a number from 1 to 65536; default 256)\n"));
	assert_non_null(strstr(text, "agent.rebootstrap_mode (refused)\n"));
	assert_null(strstr(text, "(null)"));
	writ_buf_done(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_are_those_of_the_design),
		cmocka_unit_test(a_file_in_the_shape_of_spire_is_read),
		cmocka_unit_test(the_command_line_stands_above_the_file),
		cmocka_unit_test(each_mistake_says_what_where_and_what_to_do),
		cmocka_unit_test(who_may_run_what_is_a_list_of_rules),
		cmocka_unit_test(runtimes_take_spires_keys),
		cmocka_unit_test(mistakes_about_runtimes_are_told),
		cmocka_unit_test(the_manual_names_every_key),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
