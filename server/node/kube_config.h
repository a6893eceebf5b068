/* SPDX-License-Identifier: Apache-2.0 */
/* kube_config: how to reach a cluster's API server, from a kubeconfig file (clientcmd's v1 Config,
 * in JSON), or from what Kubernetes mounts into each pod. Blocks on files. */
#ifndef WRIT_NODE_KUBE_CONFIG_H
#define WRIT_NODE_KUBE_CONFIG_H

#include "base/secret.h"
#include "tls/web.h"

#define WRIT_KUBE_POD_DIR "/var/run/secrets/kubernetes.io/serviceaccount"

struct writ_kube_config {
	char *host;
	uint16_t port;
	struct writ_secret bearer; /* may be empty: by certificate */
	struct writ_tls_ctx *tls;
};

/* path NULL: as a pod of the cluster, from pod_dir. The caller's, until done. */
WRIT_MUST writ_rc writ_kube_config_load(
	const char *path, const char *pod_dir, struct writ_kube_config *ret, struct writ_err *err);
void writ_kube_config_done(struct writ_kube_config *c);

#endif
