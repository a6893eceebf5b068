/* SPDX-License-Identifier: Apache-2.0 */
/* node: what the configuration says about node attestors, with SPIRE's key names; a member of
 * struct writ_server_config. */
#ifndef WRIT_SERVER_CONFIG_NODE_H
#define WRIT_SERVER_CONFIG_NODE_H

#include "conf/common.h"

enum writ_server_x509pop_mode { WRIT_X509POP_EXTERNAL_PKI, WRIT_X509POP_SPIFFE };

struct writ_server_x509pop { /* NodeAttestor "x509pop" */
	bool is_on;
	int mode; /* enum writ_server_x509pop_mode */
	char *ca_bundle_path;
	struct writ_conf_strings ca_bundle_paths; /* one of the two, in external_pki */
	char *spiffe_prefix;                      /* ends with '/' */
	char *agent_path_template;                /* checked */
	int64_t max_intermediates, max_rsa_key_size;
	bool verify_client_ip;
};

struct writ_server_sshpop { /* NodeAttestor "sshpop" */
	bool is_on;
	struct writ_conf_strings cert_authorities; /* lines of authorized_keys */
	char *cert_authorities_path;               /* at least one of the two */
	char *canonical_domain;                    /* NULL: none */
	char *agent_path_template;                 /* checked */
};

struct writ_server_http_challenge { /* NodeAttestor "http_challenge" */
	bool is_on;
	struct writ_conf_strings allowed_dns_patterns; /* checked; none: any name */
	uint16_t required_port;                        /* 0: any */
	bool allow_non_root_ports, tofu;
	bool allow_local_addresses; /* ours: loopback and link-local ones */
};

struct writ_server_k8s_cluster {
	char *name;                                          /* may stand in a SPIFFE ID */
	struct writ_conf_strings service_account_allow_list; /* "namespace:account" */
	struct writ_conf_strings audience;                   /* none: the API server's own */
	char *kube_config_file;                              /* NULL: as a pod of the cluster */
	struct writ_conf_strings allowed_node_label_keys, allowed_pod_label_keys;
	bool use_pod_uid_for_agent_id;
};

struct writ_server_k8s_psat { /* NodeAttestor "k8s_psat" */
	bool is_on;
	struct writ_conf_list clusters; /* struct writ_server_k8s_cluster */
};

struct writ_server_tpm_devid { /* NodeAttestor "tpm_devid" */
	bool is_on;
	char *devid_ca_path, *endorsement_ca_path;
};

struct writ_server_nodes {
	struct writ_server_x509pop x509pop;
	struct writ_server_sshpop sshpop;
	struct writ_server_http_challenge http_challenge;
	struct writ_server_k8s_psat k8s_psat;
	struct writ_server_tpm_devid tpm_devid;
};

/* The fields that an agent_path_template may use, up to NULL. */
extern const char *const writ_x509pop_path_fields[];
extern const char *const writ_sshpop_path_fields[];

#endif
