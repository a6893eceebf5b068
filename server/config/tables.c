/* SPDX-License-Identifier: Apache-2.0 */
#include "config/tables.h"

#include "base/mem.h"

#define SECOND INT64_C(1000)
#define HOUR   (3600 * SECOND)
#define YEAR   (8760 * HOUR)

#define JWT_NOTE   "JWT-SVIDs are not issued yet"
#define CACHE_NOTE "entries are pushed as they change, there is no cache to tune"
#define PRUNE_NOTE "agents that are gone are not pruned yet, remove them with: writ agent evict"

static const struct writ_conf_choice key_types[] = {
	{ "ec-p256", WRIT_SERVER_EC_P256 },
	{ "ec-p384", WRIT_SERVER_EC_P384 },
	{ "rsa-2048", WRIT_SERVER_RSA_2048 },
	{ "rsa-4096", WRIT_SERVER_RSA_4096 },
	{ NULL, 0 },
};

#define SUBJECT(member) .offset = offsetof(struct writ_server_subject, member)

static const struct writ_conf_field subject_fields[] = {
	{ .key = "country",
		.type = WRIT_CONF_STRINGS,
		.def = "US",
		SUBJECT(country),
		.help = "Countries (C)." },
	{ .key = "organization",
		.type = WRIT_CONF_STRINGS,
		.def = "SPIFFE",
		SUBJECT(organization),
		.help = "Organizations (O)." },
	{ .key = "common_name",
		.type = WRIT_CONF_STRING,
		.max = 64,
		SUBJECT(common_name),
		.help = "Common name (CN)." },
};
static const struct writ_conf_table subject_table = { "server.ca_subject", subject_fields,
	WRIT_COUNT(subject_fields), sizeof(struct writ_server_subject) };

#define RATELIMIT(member) .offset = offsetof(struct writ_server_ratelimit, member)

static const struct writ_conf_field ratelimit_fields[] = {
	{ .key = "attestation",
		.type = WRIT_CONF_BOOL,
		.def = "true",
		RATELIMIT(attestation),
		.help = "Whether attestations from one address are limited." },
	{ .key = "signing",
		.type = WRIT_CONF_BOOL,
		.def = "true",
		RATELIMIT(signing),
		.help = "Whether signatures for one address are limited." },
};
static const struct writ_conf_table ratelimit_table = { "server.ratelimit", ratelimit_fields,
	WRIT_COUNT(ratelimit_fields), sizeof(struct writ_server_ratelimit) };

static const struct writ_conf_field experimental_fields[] = {
	WRIT_CONF_IGNORE("cache_reload_interval", "", CACHE_NOTE),
	WRIT_CONF_IGNORE("full_cache_reload_interval", "", CACHE_NOTE),
	WRIT_CONF_IGNORE("events_based_cache", "", CACHE_NOTE),
	WRIT_CONF_IGNORE("prune_events_older_than", "", CACHE_NOTE),
	WRIT_CONF_IGNORE("event_timeout", "", CACHE_NOTE),
	WRIT_CONF_IGNORE("sql_transaction_timeout", "", CACHE_NOTE),
	WRIT_CONF_IGNORE("named_pipe_name", "", "it is for Windows: use socket_path"),
	WRIT_CONF_REFUSE("auth_opa_policy_engine", "",
		"who may call what is fixed here, and your policy would be left out: remove it"),
	WRIT_CONF_REFUSE("require_pq_kem", "false",
		"the TLS library of this system has no post-quantum key exchange: remove it"),
	WRIT_CONF_REFUSE("agent_spiffe_id_as_selector", "false",
		"entries that rest on the selector spiffe_id would match no agent: remove it"),
	WRIT_CONF_REFUSE("wit_key_type", "", "WIT-SVIDs are not issued: remove it"),
	WRIT_CONF_REFUSE("wit_issuer", "", "WIT-SVIDs are not issued: remove it"),
	WRIT_CONF_REFUSE("feature_flags", "", "there are none of SPIRE's flags: remove it"),
};
static const struct writ_conf_table experimental_table = { "server.experimental",
	experimental_fields, WRIT_COUNT(experimental_fields), 0 };

#define AT(member) .offset = offsetof(struct writ_server_config, member)

static const struct writ_conf_field server_fields[] = {
	{ .key = "trust_domain",
		.type = WRIT_CONF_STRING,
		.flags = WRIT_CONF_REQUIRED,
		AT(trust_domain),
		.help = "Trust domain that this server issues identities for, such as "
			"\"example.org\"." },
	{ .key = "bind_address",
		.type = WRIT_CONF_STRING,
		.def = "0.0.0.0",
		.max = 253,
		AT(bind_address),
		.help = "Address or name to listen on for agents." },
	{ .key = "bind_port",
		.type = WRIT_CONF_PORT,
		.def = "8081",
		AT(bind_port),
		.help = "Port to listen on for agents; 0 takes a free one." },
	{ .key = "socket_path",
		.type = WRIT_CONF_PATH,
		.def = "/run/writ/server/private/api.sock",
		.max = WRIT_CONF_SOCKET_MAX,
		AT(socket_path),
		.help = "Unix socket for operators." },
	{ .key = "data_dir",
		.type = WRIT_CONF_PATH,
		.def = "/var/lib/writ/server",
		AT(data_dir),
		.help = "Folder for the server's state." },
	WRIT_CONF_LOG_ROWS(struct writ_server_config),
	{ .key = "audit_log_file",
		.type = WRIT_CONF_PATH,
		AT(audit_log_file),
		.help = "File for audit records; without it they go where the log goes." },
	WRIT_CONF_IGNORE("audit_log_enabled", "true",
		"audit records are always written, see audit_log_file"),
	{ .key = "issuance_record_max_mb",
		.type = WRIT_CONF_INT,
		.def = "64",
		.min = 0,
		.max = 1024 * 1024,
		AT(issuance_record_max_mb),
		.help = "MiB of issued.jsonl, the record of all certificates, from which on it "
			"gets a "
			"number and a new one begins; 0: never." },
	{ .key = "issuance_record_keep",
		.type = WRIT_CONF_INT,
		.def = "0",
		.min = 0,
		.max = 1000000,
		AT(issuance_record_keep),
		.help = "How many numbered files of that record are kept; 0: all. One that may "
			"name "
			"certificates which have not ended is never removed." },
	{ .key = "ca_ttl",
		.type = WRIT_CONF_DURATION,
		.def = "24h",
		.min = 60 * SECOND,
		.max = 10 * YEAR,
		AT(ca_ttl_ms),
		.help = "Lifetime of the CA's certificates and keys." },
	{ .key = "default_x509_svid_ttl",
		.type = WRIT_CONF_DURATION,
		.def = "300s",
		.min = 60 * SECOND,
		.max = 24 * HOUR,
		AT(default_x509_svid_ttl_ms),
		.help = "Lifetime of an X509-SVID whose entry names none." },
	{ .key = "default_jwt_svid_ttl",
		.type = WRIT_CONF_DURATION,
		.def = "300s",
		.min = 10 * SECOND,
		.max = 24 * HOUR,
		AT(default_jwt_svid_ttl_ms),
		.help = "Lifetime of a JWT-SVID whose entry names none." },
	{ .key = "agent_ttl",
		.type = WRIT_CONF_DURATION,
		.min = 10 * SECOND,
		.max = 10 * YEAR,
		AT(agent_ttl_ms),
		.help = "Lifetime of an agent's SVID; ca_ttl / 6 when not set." },
	{ .key = "ca_key_type",
		.type = WRIT_CONF_ENUM,
		.def = "ec-p256",
		.choices = key_types,
		AT(ca_key_type),
		.help = "Type of the CA's keys." },
	{ .key = "ca_subject",
		.type = WRIT_CONF_BLOCK,
		.block = &subject_table,
		AT(ca_subject),
		.help = "Subject of the CA's certificates." },
	{ .key = "ratelimit",
		.type = WRIT_CONF_BLOCK,
		.block = &ratelimit_table,
		AT(ratelimit),
		.help = "Limits on what one address may ask for." },
	{ .key = "admin_ids",
		.type = WRIT_CONF_STRINGS,
		AT(admin_ids),
		.help = "SPIFFE IDs whose holders are administrators over TCP." },
	{ .key = "disable_jwt_svids",
		.type = WRIT_CONF_BOOL,
		.def = "false",
		AT(disable_jwt_svids),
		.help = "Whether JWT-SVIDs are refused." },
	WRIT_CONF_IGNORE("jwt_key_type", "", JWT_NOTE),
	WRIT_CONF_IGNORE("jwt_issuer", "", JWT_NOTE),
	WRIT_CONF_IGNORE("prune_attested_nodes_expired_for", "", PRUNE_NOTE),
	WRIT_CONF_IGNORE("prune_attested_nodes_batch_size", "", PRUNE_NOTE),
	WRIT_CONF_IGNORE("prune_tofu_nodes", "false", PRUNE_NOTE),
	WRIT_CONF_IGNORE("max_attested_node_info_staleness", "0s", CACHE_NOTE),
	WRIT_CONF_REFUSE("proxy_protocol_trusted_cidrs", "",
		"connections through that proxy would fail: let it pass TCP through unchanged"),
	WRIT_CONF_REFUSE("federation", "",
		"identities of other trust domains would not be trusted, nor ours by them: remove "
		"it"),
	{ .key = "experimental",
		.type = WRIT_CONF_BLOCK,
		.block = &experimental_table,
		.help = "SPIRE's experimental keys." },
	WRIT_CONF_PROFILING_ROWS,
};
static const struct writ_conf_table server_table = { "server", server_fields,
	WRIT_COUNT(server_fields), sizeof(struct writ_server_config) };

static const struct writ_conf_field file_fields[] = {
	{ .key = "server",
		.type = WRIT_CONF_BLOCK,
		.flags = WRIT_CONF_REQUIRED,
		.block = &server_table,
		.help = "write server { trust_domain = \"example.org\" } and more" },
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
		.help = "What the server is made of: see below." },
};
const struct writ_conf_table writ_server_config_table = { "", file_fields, WRIT_COUNT(file_fields),
	sizeof(struct writ_server_config) };

static const struct writ_conf_choice database_types[] = { { "sqlite3", 0 }, { NULL, 0 } };

#define SQL(member)    .offset = offsetof(struct writ_server_sql, member)
#define NO_POOL        "SQLite needs no connection pool"
#define OTHER_DATABASE "only sqlite3 is there, and it has no such thing"

static const struct writ_conf_field sql_fields[] = {
	{ .type = WRIT_CONF_PRESENT, SQL(is_on) },
	{ .key = "database_type",
		.type = WRIT_CONF_ENUM,
		.def = "sqlite3",
		.choices = database_types,
		SQL(database_type),
		.help = "Kind of database." },
	{ .key = "connection_string",
		.type = WRIT_CONF_STRING,
		SQL(connection_string),
		.flags = WRIT_CONF_SECRET,
		.help = "Path of the database, or a file: URI; datastore.sqlite3 in data_dir when "
			"not set." },
	WRIT_CONF_IGNORE("ro_connection_string", "", OTHER_DATABASE),
	WRIT_CONF_IGNORE("root_ca_path", "", OTHER_DATABASE),
	WRIT_CONF_IGNORE("client_cert_path", "", OTHER_DATABASE),
	WRIT_CONF_IGNORE("client_key_path", "", OTHER_DATABASE),
	WRIT_CONF_IGNORE("max_open_conns", "", NO_POOL),
	WRIT_CONF_IGNORE("max_idle_conns", "", NO_POOL),
	WRIT_CONF_IGNORE("conn_max_lifetime", "", NO_POOL),
	WRIT_CONF_REFUSE("disable_migration", "false",
		"the schema is always brought up to date at start: remove it"),
};
static const struct writ_conf_table sql_table = { "DataStore \"sql\"", sql_fields,
	WRIT_COUNT(sql_fields), sizeof(struct writ_server_sql) };

#define DISK(member) .offset = offsetof(struct writ_server_key_disk, member)

static const struct writ_conf_field key_disk_fields[] = {
	{ .type = WRIT_CONF_PRESENT, DISK(is_on) },
	{ .key = "keys_path",
		.type = WRIT_CONF_PATH,
		.flags = WRIT_CONF_REQUIRED,
		DISK(keys_path),
		.help = "Folder that the CA's keys are kept in, less a \".json\" at its "
			"end." },
};
static const struct writ_conf_table key_disk_table = { "KeyManager \"disk\"", key_disk_fields,
	WRIT_COUNT(key_disk_fields), sizeof(struct writ_server_key_disk) };

static const struct writ_conf_field key_memory_fields[] = {
	{ .type = WRIT_CONF_PRESENT, .offset = offsetof(struct writ_server_key_memory, is_on) },
};
static const struct writ_conf_table key_memory_table = { "KeyManager \"memory\"", key_memory_fields,
	WRIT_COUNT(key_memory_fields), sizeof(struct writ_server_key_memory) };

static const struct writ_conf_field join_token_fields[] = {
	{ .type = WRIT_CONF_PRESENT, .offset = offsetof(struct writ_server_join_token, is_on) },
};
static const struct writ_conf_table join_token_table = { "NodeAttestor \"join_token\"",
	join_token_fields, WRIT_COUNT(join_token_fields), sizeof(struct writ_server_join_token) };

#define UPSTREAM(member) .offset = offsetof(struct writ_server_upstream_disk, member)

static const struct writ_conf_field upstream_disk_fields[] = {
	{ .type = WRIT_CONF_PRESENT, UPSTREAM(is_on) },
	{ .key = "cert_file_path",
		.type = WRIT_CONF_PATH,
		.flags = WRIT_CONF_REQUIRED,
		UPSTREAM(cert_file_path),
		.help = "PEM file with the certificate, and its chain, that signs this server's "
			"CA." },
	{ .key = "key_file_path",
		.type = WRIT_CONF_PATH,
		.flags = WRIT_CONF_REQUIRED,
		UPSTREAM(key_file_path),
		.help = "PEM file with that certificate's key." },
	{ .key = "bundle_file_path",
		.type = WRIT_CONF_PATH,
		UPSTREAM(bundle_file_path),
		.help = "PEM file with the roots; needed when the certificate is not a root "
			"itself." },
};
static const struct writ_conf_table upstream_disk_table = { "UpstreamAuthority \"disk\"",
	upstream_disk_fields, WRIT_COUNT(upstream_disk_fields),
	sizeof(struct writ_server_upstream_disk) };

static const struct writ_conf_plugin_type plugin_types[] = {
	{ .type = "DataStore",
		.min = 1,
		.max = 1,
		.severity = WRIT_CONF_ERROR,
		.missing = "add DataStore \"sql\" { plugin_data { database_type = \"sqlite3\" } }",
		.missing_severity = WRIT_CONF_ERROR,
		.note = "there would be no registry" },
	{ .type = "KeyManager",
		.min = 1,
		.max = 1,
		.severity = WRIT_CONF_ERROR,
		.missing = "add KeyManager \"disk\" { plugin_data { keys_path = \"...\" } }",
		.missing_severity = WRIT_CONF_ERROR,
		.note = "the CA's keys would be elsewhere than you want them" },
	{ .type = "NodeAttestor",
		.min = 1,
		.severity = WRIT_CONF_ERROR,
		.missing = "no new agent can join; add NodeAttestor \"join_token\" { }",
		.missing_severity = WRIT_CONF_WARNING,
		.note = "agents that rely on it could not join" },
	{ .type = "UpstreamAuthority",
		.max = 1,
		.severity = WRIT_CONF_ERROR,
		.note = "the CA would be its own root instead" },
	{ .type = "CredentialComposer",
		.severity = WRIT_CONF_ERROR,
		.note = "identities would be issued without what it adds" },
	{ .type = "Notifier",
		.severity = WRIT_CONF_WARNING,
		.note = "bundles are not sent anywhere" },
	{ .type = "BundlePublisher",
		.severity = WRIT_CONF_WARNING,
		.note = "bundles are not sent anywhere" },
};

#define ROW(member) offsetof(struct writ_server_config, member)

static const struct writ_conf_plugin_row plugin_rows[] = {
	{ "DataStore", "sql", &sql_table, ROW(sql) },
	{ "KeyManager", "disk", &key_disk_table, ROW(key_disk) },
	{ "KeyManager", "memory", &key_memory_table, ROW(key_memory) },
	{ "NodeAttestor", "join_token", &join_token_table, ROW(join_token) },
	{ "NodeAttestor", "x509pop", &writ_server_x509pop_table, ROW(nodes.x509pop) },
	{ "NodeAttestor", "sshpop", &writ_server_sshpop_table, ROW(nodes.sshpop) },
	{ "NodeAttestor", "http_challenge", &writ_server_http_challenge_table,
		ROW(nodes.http_challenge) },
	{ "NodeAttestor", "k8s_psat", &writ_server_k8s_psat_table, ROW(nodes.k8s_psat) },
	{ "NodeAttestor", "tpm_devid", &writ_server_tpm_devid_table, ROW(nodes.tpm_devid) },
	{ "UpstreamAuthority", "disk", &upstream_disk_table, ROW(upstream_disk) },
};
const struct writ_conf_plugin_set writ_server_config_plugins = { plugin_types,
	WRIT_COUNT(plugin_types), plugin_rows, WRIT_COUNT(plugin_rows) };
