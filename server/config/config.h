/* SPDX-License-Identifier: Apache-2.0 */
/* config: writ-server's configuration, checked. Read-only once it is loaded. */
#ifndef WRIT_SERVER_CONFIG_H
#define WRIT_SERVER_CONFIG_H

#include "config/node.h"

#define WRIT_SERVER_CONFIG_PATH "/etc/writ/server.conf"

enum writ_server_key_type {
	WRIT_SERVER_EC_P256,
	WRIT_SERVER_EC_P384,
	WRIT_SERVER_RSA_2048,
	WRIT_SERVER_RSA_4096,
};

struct writ_server_subject {
	struct writ_conf_strings country, organization;
	char *common_name; /* NULL: none */
};

struct writ_server_ratelimit {
	bool attestation, signing;
};

/* Plugins: is_on tells which the file names; the others hold defaults. */
struct writ_server_sql { /* DataStore "sql" */
	bool is_on;
	int database_type;       /* sqlite3 is the only one */
	char *connection_string; /* path or file: URI; default data_dir/datastore.sqlite3 */
};

struct writ_server_key_disk { /* KeyManager "disk" */
	bool is_on;
	char *keys_path;
};

struct writ_server_key_memory { /* KeyManager "memory" */
	bool is_on;
};

struct writ_server_join_token { /* NodeAttestor "join_token" */
	bool is_on;
};

struct writ_server_upstream_disk { /* UpstreamAuthority "disk" */
	bool is_on;
	char *cert_file_path, *key_file_path;
	char *bundle_file_path; /* NULL: the certificate file is the root */
};

struct writ_server_config {
	char *trust_domain; /* lower case, checked */
	char *bind_address; /* an address or a name */
	uint16_t bind_port;
	char *socket_path, *data_dir;
	struct writ_conf_log log;
	char *audit_log_file;                                 /* NULL: with the log */
	int64_t issuance_record_max_mb, issuance_record_keep; /* 0: no bound */
	int64_t ca_ttl_ms, default_x509_svid_ttl_ms, default_jwt_svid_ttl_ms;
	int64_t agent_ttl_ms; /* ca_ttl / 6 unless written */
	int ca_key_type;      /* enum writ_server_key_type */
	bool disable_jwt_svids;
	struct writ_server_subject ca_subject;
	struct writ_server_ratelimit ratelimit;
	struct writ_conf_strings admin_ids; /* SPIFFE IDs, not parsed yet */
	struct writ_conf_health health;
	struct writ_conf_telemetry telemetry;
	const struct writ_conf_node *plugins; /* while loading; NULL then */
	struct writ_server_sql sql;
	struct writ_server_key_disk key_disk;
	struct writ_server_key_memory key_memory;
	struct writ_server_join_token join_token;
	struct writ_server_nodes nodes; /* the other node attestors */
	struct writ_server_upstream_disk upstream_disk;
};

/* Reads path; source (may be NULL) brings variables and what the command line says over the keys of
 * the `server` block. d gets every mistake and warning, whatever is returned. *ret is touched only
 * on success; the caller's then, until done. Blocks on the file. */
WRIT_MUST writ_rc writ_server_config_load(const char *path, const struct writ_conf_source *source,
	struct writ_conf_diags *d, struct writ_server_config *ret, struct writ_err *err);
void writ_server_config_done(struct writ_server_config *c);
void writ_server_config_print_help(struct writ_buf *out); /* for writ-server.conf(5) */

#endif
