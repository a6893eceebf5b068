/* SPDX-License-Identifier: Apache-2.0 */
/* node: what the configuration says about node attestors, with SPIRE's key names; a member of
 * struct writ_agent_config. */
#ifndef WRIT_AGENT_CONFIG_NODE_H
#define WRIT_AGENT_CONFIG_NODE_H

#include "conf/common.h"

struct writ_agent_x509pop { /* NodeAttestor "x509pop" */
	bool is_on;
	char *private_key_path, *certificate_path;
	char *intermediates_path; /* NULL: none but those in certificate_path */
};

struct writ_agent_sshpop { /* NodeAttestor "sshpop" */
	bool is_on;
	char *host_key_path, *host_cert_path;
};

struct writ_agent_http_challenge { /* NodeAttestor "http_challenge" */
	bool is_on;
	char *hostname; /* NULL: the machine's */
	char *agentname;
	uint16_t port;            /* 0: any */
	uint16_t advertised_port; /* 0: the same */
};

struct writ_agent_k8s_psat { /* NodeAttestor "k8s_psat" */
	bool is_on;
	char *cluster, *token_path;
};

struct writ_agent_tpm_devid { /* NodeAttestor "tpm_devid" */
	bool is_on;
	char *devid_cert_path, *devid_priv_path, *devid_pub_path;
	char *devid_password, *owner_hierarchy_password, *endorsement_hierarchy_password;
	char *tpm_device_path; /* NULL: found */
	char *tpm_tcti;        /* ours; NULL: the device */
};

struct writ_agent_nodes {
	struct writ_agent_x509pop x509pop;
	struct writ_agent_sshpop sshpop;
	struct writ_agent_http_challenge http_challenge;
	struct writ_agent_k8s_psat k8s_psat;
	struct writ_agent_tpm_devid tpm_devid;
};

#endif
