/* SPDX-License-Identifier: Apache-2.0 */
#include "config/tables.h"

#include "base/mem.h"

#define JWT_NOTE    "JWT-SVIDs are not issued yet"
#define CACHE_NOTE  "identities are pushed and kept ready, there is no cache to tune"
#define BROKER_NOTE "the Broker API is not served"

static const struct writ_conf_choice key_types[] = {
	{ "ec-p256", WRIT_AGENT_EC_P256 },
	{ "rsa-2048", WRIT_AGENT_RSA_2048 },
	{ NULL, 0 },
};
static const struct writ_conf_choice bundle_formats[] = {
	{ "pem", WRIT_AGENT_BUNDLE_PEM },
	{ "spiffe", WRIT_AGENT_BUNDLE_SPIFFE },
	{ NULL, 0 },
};

static const struct writ_conf_field experimental_fields[] = {
	WRIT_CONF_IGNORE("sync_interval", "", "the server pushes changes"),
	WRIT_CONF_IGNORE("use_sync_authorized_entries", "true", "it is always used"),
	WRIT_CONF_IGNORE("jwt_svid_cache_hit_timeout", "", JWT_NOTE),
	WRIT_CONF_IGNORE("ratelimit", "", "limits are fixed; see max_connections_per_uid"),
	WRIT_CONF_IGNORE("broker", "", BROKER_NOTE),
	WRIT_CONF_IGNORE("named_pipe_name", "", "it is for Windows: use socket_path"),
	WRIT_CONF_IGNORE("admin_named_pipe_name", "", "it is for Windows: use admin_socket_path"),
	WRIT_CONF_REFUSE("require_pq_kem", "false",
		"the TLS library of this system has no post-quantum key exchange: remove it"),
	WRIT_CONF_REFUSE("feature_flags", "", "there are none of SPIRE's flags: remove it"),
};
static const struct writ_conf_table experimental_table = { "agent.experimental",
	experimental_fields, WRIT_COUNT(experimental_fields), 0 };

#define RULE(member) .offset = offsetof(struct writ_agent_run_rule, member)

static const struct writ_conf_field run_rule_fields[] = {
	{ .key = "uid",
		.type = WRIT_CONF_INT,
		.def = "-1",
		.min = -1,
		.max = UINT32_MAX - 1,
		RULE(uid),
		.help = "The user; -1: any member of the group." },
	{ .key = "gid",
		.type = WRIT_CONF_INT,
		.def = "-1",
		.min = -1,
		.max = UINT32_MAX - 1,
		RULE(gid),
		.help = "A group that the user has to be in; -1: not looked at." },
	{ .key = "prefix",
		.type = WRIT_CONF_STRING,
		.flags = WRIT_CONF_REQUIRED,
		.max = 2048,
		RULE(prefix),
		.help = "The identities: this path, such as \"/agents/dev\", and all below it." },
	{ .key = "children",
		.type = WRIT_CONF_BOOL,
		.def = "false",
		RULE(children),
		.help = "Whether writ run -children may give them to what the command starts, "
			"too." },
};
static const struct writ_conf_table run_rule_table = { "agent.run.allow", run_rule_fields,
	WRIT_COUNT(run_rule_fields), sizeof(struct writ_agent_run_rule) };

#define RUN(member) .offset = offsetof(struct writ_agent_run, member)

static const struct writ_conf_field run_fields[] = {
	{ .type = WRIT_CONF_PRESENT, RUN(is_on) },
	{ .key = "allow",
		.type = WRIT_CONF_BLOCK,
		.flags = WRIT_CONF_REPEATED,
		.block = &run_rule_table,
		RUN(allow),
		.help = "Who may run commands under which identities; nobody else may." },
};
static const struct writ_conf_table run_table = { "agent.run", run_fields, WRIT_COUNT(run_fields),
	sizeof(struct writ_agent_run) };

#define AT(member) .offset = offsetof(struct writ_agent_config, member)

static const struct writ_conf_field agent_fields[] = {
	{ .key = "trust_domain",
		.type = WRIT_CONF_STRING,
		.flags = WRIT_CONF_REQUIRED,
		AT(trust_domain),
		.help = "Trust domain that this agent belongs to, such as \"example.org\"." },
	{ .key = "server_address",
		.type = WRIT_CONF_STRING,
		.flags = WRIT_CONF_REQUIRED,
		.max = 253,
		AT(server_address),
		.help = "Address or name of the server." },
	{ .key = "server_port",
		.type = WRIT_CONF_PORT,
		.def = "8081",
		.min = 1,
		AT(server_port),
		.help = "Port of the server." },
	{ .key = "socket_path",
		.type = WRIT_CONF_PATH,
		.def = "/run/writ/agent/public/api.sock",
		.max = WRIT_CONF_SOCKET_MAX,
		AT(socket_path),
		.help = "Unix socket of the Workload API, for everybody on this machine." },
	{ .key = "admin_socket_path",
		.type = WRIT_CONF_PATH,
		.def = "/run/writ/agent/private/admin.sock",
		.max = WRIT_CONF_SOCKET_MAX,
		AT(admin_socket_path),
		.help = "Unix socket for operators, in a folder of its own." },
	{ .key = "data_dir",
		.type = WRIT_CONF_PATH,
		.def = "/var/lib/writ/agent",
		AT(data_dir),
		.help = "Folder for the agent's state." },
	WRIT_CONF_LOG_ROWS(struct writ_agent_config),
	{ .key = "audit_log_file",
		.type = WRIT_CONF_PATH,
		AT(audit_log_file),
		.help = "File for audit records: every decision about a caller, and every question "
			"of an "
			"operator. Without it the log has them, as far as its quotas go." },
	{ .key = "trust_bundle_path",
		.type = WRIT_CONF_PATH,
		AT(trust_bundle_path),
		.help = "File with the server's CA certificates, for the first contact." },
	{ .key = "trust_bundle_url",
		.type = WRIT_CONF_STRING,
		AT(trust_bundle_url),
		.help = "Not supported: fetch the bundle yourself, and set trust_bundle_path." },
	{ .key = "trust_bundle_format",
		.type = WRIT_CONF_ENUM,
		.def = "pem",
		.choices = bundle_formats,
		AT(trust_bundle_format),
		.help = "Form of that bundle." },
	{ .key = "insecure_bootstrap",
		.type = WRIT_CONF_BOOL,
		.def = "false",
		AT(insecure_bootstrap),
		.help = "Whether to trust whatever answers at the first contact. Not for "
			"production." },
	{ .key = "join_token",
		.type = WRIT_CONF_STRING,
		.flags = WRIT_CONF_SECRET,
		.max = 256,
		AT(join_token),
		.help = "Token from: writ token generate. Better in a file: join_token_file." },
	{ .key = "join_token_file",
		.type = WRIT_CONF_PATH,
		AT(join_token_file),
		.help = "File with such a token." },
	{ .key = "workload_x509_svid_key_type",
		.type = WRIT_CONF_ENUM,
		.def = "ec-p256",
		.choices = key_types,
		AT(workload_x509_svid_key_type),
		.help = "Type of the workloads' keys." },
	{ .key = "discover_workload_path",
		.type = WRIT_CONF_BOOL,
		.def = "true",
		AT(discover_workload_path),
		.help = "Whether a caller's executable and its hash are read for selectors." },
	{ .key = "max_connections_per_uid",
		.type = WRIT_CONF_INT,
		.def = "256",
		.min = 1,
		.max = 65536,
		AT(max_connections_per_uid),
		.help = "Connections that one user may have to the Workload API." },
	{ .key = "max_connections_per_process",
		.type = WRIT_CONF_INT,
		.def = "32",
		.min = 1,
		.max = 65536,
		AT(max_connections_per_process),
		.help = "Connections that one process may have to the Workload API." },
	{ .key = "allow_foreign_namespaces",
		.type = WRIT_CONF_BOOL,
		.def = "false",
		AT(allow_foreign_namespaces),
		.help = "Start inside a container, to serve only the processes in there." },
	{ .key = "disable_sds_api",
		.type = WRIT_CONF_BOOL,
		.def = "false",
		AT(disable_sds_api),
		.help = "Taken, without effect: Envoy's secret discovery is not served." },
	{ .key = "run",
		.type = WRIT_CONF_BLOCK,
		.block = &run_table,
		AT(run),
		.help = "Lets users start commands under identities of their own: writ run." },
	WRIT_CONF_REFUSE("disable_workload_api", "false",
		"the Workload API would be served against your will: remove it, or do not start "
		"the agent"),
	WRIT_CONF_REFUSE(
		"trust_bundle_unix_socket", "", "use trust_bundle_path or trust_bundle_url"),
	WRIT_CONF_REFUSE("trust_bundle_spiffe_workload_api", "",
		"use trust_bundle_path or trust_bundle_url"),
	WRIT_CONF_REFUSE("rebootstrap_mode", "never",
		"a server with an unknown CA is never trusted anew by itself: remove it"),
	WRIT_CONF_IGNORE("rebootstrap_delay", "10m", "there is no re-bootstrap"),
	WRIT_CONF_IGNORE(
		"availability_target", "", "renewal follows each certificate's real lifetime"),
	WRIT_CONF_IGNORE("x509_svid_cache_max_size", "", CACHE_NOTE),
	WRIT_CONF_IGNORE("jwt_svid_cache_max_size", "", JWT_NOTE),
	WRIT_CONF_IGNORE("allow_unauthenticated_verifiers", "false",
		"bundles go to callers with an identity only"),
	WRIT_CONF_IGNORE("allowed_foreign_jwt_claims", "", JWT_NOTE),
	WRIT_CONF_IGNORE("authorized_delegates", "", "the delegated identity API is not served"),
	WRIT_CONF_IGNORE("log_selectors", "", "the log line of a denied caller has its selectors"),
	WRIT_CONF_IGNORE("sds", "", "Envoy's secret discovery is not served"),
	{ .key = "experimental",
		.type = WRIT_CONF_BLOCK,
		.block = &experimental_table,
		.help = "SPIRE's experimental keys." },
	WRIT_CONF_PROFILING_ROWS,
};
static const struct writ_conf_table agent_table = { "agent", agent_fields, WRIT_COUNT(agent_fields),
	sizeof(struct writ_agent_config) };

static const struct writ_conf_field file_fields[] = {
	{ .key = "agent",
		.type = WRIT_CONF_BLOCK,
		.flags = WRIT_CONF_REQUIRED,
		.block = &agent_table,
		.help = "write agent { trust_domain = \"example.org\" } and more" },
	{ .key = "health_checks",
		.type = WRIT_CONF_BLOCK,
		.block = &writ_conf_health_table,
		AT(health) },
	{ .key = "telemetry",
		.type = WRIT_CONF_BLOCK,
		.block = &writ_conf_telemetry_table,
		AT(telemetry) },
	{ .key = "plugins",
		.type = WRIT_CONF_NODE,
		AT(plugins),
		.help = "What the agent is made of: see below." },
};
const struct writ_conf_table writ_agent_config_table = { "", file_fields, WRIT_COUNT(file_fields),
	sizeof(struct writ_agent_config) };

#define DISK(member) .offset = offsetof(struct writ_agent_key_disk, member)

static const struct writ_conf_field key_disk_fields[] = {
	{ .type = WRIT_CONF_PRESENT, DISK(is_on) },
	{ .key = "directory",
		.type = WRIT_CONF_PATH,
		.flags = WRIT_CONF_REQUIRED,
		DISK(directory),
		.help = "Folder that the agent's key is kept in." },
};
static const struct writ_conf_table key_disk_table = { "KeyManager \"disk\"", key_disk_fields,
	WRIT_COUNT(key_disk_fields), sizeof(struct writ_agent_key_disk) };

static const struct writ_conf_field plain_fields[] = {
	{ .type = WRIT_CONF_PRESENT, .offset = offsetof(struct writ_agent_plugin, is_on) },
};
static const struct writ_conf_table key_memory_table = { "KeyManager \"memory\"", plain_fields,
	WRIT_COUNT(plain_fields), sizeof(struct writ_agent_plugin) };
static const struct writ_conf_table join_token_table = { "NodeAttestor \"join_token\"",
	plain_fields, WRIT_COUNT(plain_fields), sizeof(struct writ_agent_plugin) };
static const struct writ_conf_table container_table = { "WorkloadAttestor \"container\"",
	plain_fields, WRIT_COUNT(plain_fields), sizeof(struct writ_agent_plugin) };
static const struct writ_conf_table slurm_table = { "WorkloadAttestor \"slurm\"", plain_fields,
	WRIT_COUNT(plain_fields), sizeof(struct writ_agent_plugin) };
static const struct writ_conf_table cgroup_table = { "WorkloadAttestor \"cgroup\"", plain_fields,
	WRIT_COUNT(plain_fields), sizeof(struct writ_agent_plugin) };
static const struct writ_conf_table script_table = { "WorkloadAttestor \"script\"", plain_fields,
	WRIT_COUNT(plain_fields), sizeof(struct writ_agent_plugin) };
static const struct writ_conf_table lineage_table = { "WorkloadAttestor \"lineage\"", plain_fields,
	WRIT_COUNT(plain_fields), sizeof(struct writ_agent_plugin) };
static const struct writ_conf_table process_table = { "WorkloadAttestor \"process\"", plain_fields,
	WRIT_COUNT(plain_fields), sizeof(struct writ_agent_plugin) };

#define UNIX(member) .offset = offsetof(struct writ_agent_unix, member)

static const struct writ_conf_field unix_fields[] = {
	{ .type = WRIT_CONF_PRESENT, UNIX(is_on) },
	{ .key = "discover_workload_path",
		.type = WRIT_CONF_BOOL,
		.def = "true",
		UNIX(discover_workload_path),
		.help = "The same as discover_workload_path of the agent; set one of them." },
	{ .key = "workload_size_limit",
		.type = WRIT_CONF_INT,
		.def = "0",
		.min = INT64_MIN + 1,
		.max = INT64_MAX,
		UNIX(workload_size_limit),
		.help = "Largest file that is hashed, in bytes; 0: 256 MiB, negative: no "
			"hash." },
};
static const struct writ_conf_table unix_table = { "WorkloadAttestor \"unix\"", unix_fields,
	WRIT_COUNT(unix_fields), sizeof(struct writ_agent_unix) };

static const struct writ_conf_plugin_type plugin_types[] = {
	{ .type = "KeyManager",
		.min = 1,
		.max = 1,
		.severity = WRIT_CONF_ERROR,
		.missing = "add KeyManager \"disk\" { plugin_data { directory = \"...\" } }",
		.missing_severity = WRIT_CONF_ERROR,
		.note = "the agent's key would be elsewhere than you want it" },
	{ .type = "NodeAttestor",
		.min = 1,
		.max = 1,
		.severity = WRIT_CONF_ERROR,
		.missing = "add NodeAttestor \"join_token\" { }",
		.missing_severity = WRIT_CONF_ERROR,
		.note = "the agent could not join" },
	/* Fewer selectors give fewer identities, never more. */
	{ .type = "WorkloadAttestor",
		.min = 1,
		.severity = WRIT_CONF_WARNING,
		.missing = "no workload will get an identity; add WorkloadAttestor \"unix\" { }",
		.missing_severity = WRIT_CONF_WARNING,
		.note = "entries with its selectors will match no workload" },
	{ .type = "SVIDStore",
		.severity = WRIT_CONF_WARNING,
		.note = "identities are not stored anywhere else" },
};

#define ROW(member) offsetof(struct writ_agent_config, member)

static const struct writ_conf_plugin_row plugin_rows[] = {
	{ "KeyManager", "disk", &key_disk_table, ROW(key_disk) },
	{ "KeyManager", "memory", &key_memory_table, ROW(key_memory) },
	{ "NodeAttestor", "join_token", &join_token_table, ROW(join_token_attestor) },
	{ "NodeAttestor", "x509pop", &writ_agent_x509pop_table, ROW(nodes.x509pop) },
	{ "NodeAttestor", "sshpop", &writ_agent_sshpop_table, ROW(nodes.sshpop) },
	{ "NodeAttestor", "http_challenge", &writ_agent_http_challenge_table,
		ROW(nodes.http_challenge) },
	{ "NodeAttestor", "k8s_psat", &writ_agent_k8s_psat_table, ROW(nodes.k8s_psat) },
	{ "NodeAttestor", "tpm_devid", &writ_agent_tpm_devid_table, ROW(nodes.tpm_devid) },
	{ "WorkloadAttestor", "unix", &unix_table, ROW(unix_attestor) },
	{ "WorkloadAttestor", "systemd", &writ_agent_systemd_table, ROW(systemd_attestor) },
	{ "WorkloadAttestor", "container", &container_table, ROW(container_attestor) },
	{ "WorkloadAttestor", "slurm", &slurm_table, ROW(slurm_attestor) },
	{ "WorkloadAttestor", "cgroup", &cgroup_table, ROW(cgroup_attestor) },
	{ "WorkloadAttestor", "docker", &writ_agent_docker_table, ROW(docker_attestor) },
	{ "WorkloadAttestor", "k8s", &writ_agent_k8s_table, ROW(k8s_attestor) },
	{ "WorkloadAttestor", "process", &process_table, ROW(process_attestor) },
	{ "WorkloadAttestor", "script", &script_table, ROW(script_attestor) },
	{ "WorkloadAttestor", "lineage", &lineage_table, ROW(lineage_attestor) },
};
const struct writ_conf_plugin_set writ_agent_config_plugins = { plugin_types,
	WRIT_COUNT(plugin_types), plugin_rows, WRIT_COUNT(plugin_rows) };
