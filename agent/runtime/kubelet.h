/* SPDX-License-Identifier: Apache-2.0 */
/* kubelet: what this node's kubelet says of a container and its pod, GET /pods (a v1.PodList). Over
 * TLS with a token or a client certificate; or, without a check of its certificate, only on
 * loopback and only when root's process listens there. */
#ifndef WRIT_RUNTIME_KUBELET_H
#define WRIT_RUNTIME_KUBELET_H

#include "runtime/runtime.h"

#include <sys/types.h>

#define WRIT_KUBELET_ANSWER_MAX (4 * 1024 * 1024)
#define WRIT_KUBELET_TYPES                                                                         \
	"k8s:ns k8s:sa k8s:pod-name k8s:pod-uid k8s:pod-label k8s:pod-owner k8s:pod-owner-uid "    \
	"k8s:pod-image k8s:pod-image-count k8s:pod-init-image k8s:pod-init-image-count "           \
	"k8s:node-name k8s:container-name k8s:container-image"

struct writ_kubelet {
	const char *node_name; /* NULL: asked at 127.0.0.1, as the machine's own name */
	uint16_t port;
	bool plain;                   /* the read-only port */
	bool skip_verification;       /* of its certificate */
	const char *ca_path;          /* PEM */
	const char *token_path;       /* NULL: none */
	const char *certificate_path; /* NULL: none; PEM, with private_key_path */
	const char *private_key_path;
	bool no_container_selectors; /* of the pod only */
	uid_t owner;                 /* of who listens on loopback, where nothing else vouches: 0 */
};

extern const struct writ_runtime_vt writ_runtime_kubelet; /* self: struct writ_kubelet */

/* Who listens at 127.0.0.1:port here; from /proc/net/tcp and tcp6. WRIT_ENOENT: nobody that can be
 * seen. WRIT_EDENIED: several users do. */
WRIT_MUST writ_rc writ_tcp_listener_uid(uint16_t port, uid_t *ret, struct writ_err *err);

#endif
