/* SPDX-License-Identifier: Apache-2.0 */
/* kube_review: what is said to Kubernetes' API server about a token, and what it answers
 * (authentication.k8s.io/v1 TokenReview; v1 Pod and Node). Pure; any thread. Names and UIDs are
 * checked to be such: they go into URLs and SPIFFE IDs. */
#ifndef WRIT_NODE_KUBE_REVIEW_H
#define WRIT_NODE_KUBE_REVIEW_H

#include "base/buf.h"
#include "conf/common.h"

#define WRIT_KUBE_TOKEN_MAX  (16 * 1024)
#define WRIT_KUBE_ANSWER_MAX (1024 * 1024) /* a pod may have 256 KiB of annotations, and more */
#define WRIT_KUBE_NAME_MAX   253
#define WRIT_KUBE_UID_MAX    128

/* A look at a token before anybody is asked: a JWT, and one whose time is not over (WRIT_EEXPIRED).
 * Nothing of it is believed. */
WRIT_MUST writ_rc writ_kube_token_check(struct writ_str token, int64_t now, struct writ_err *err);

/* The TokenReview to send. No audiences: those of the API server. */
void writ_kube_review_print(
	struct writ_str token, const struct writ_conf_strings *audiences, struct writ_buf *out);

/* Whose token it is. */
struct writ_kube_subject {
	char ns[WRIT_KUBE_NAME_MAX + 1], account[WRIT_KUBE_NAME_MAX + 1];
	char pod[WRIT_KUBE_NAME_MAX + 1], pod_uid[WRIT_KUBE_UID_MAX + 1];
};
/* WRIT_EDENIED: not authenticated, for other audiences, or not a pod's token of a service account.
 * WRIT_EUNAVAIL: the API server could not tell. WRIT_EPROTO: no TokenReview. */
WRIT_MUST writ_rc writ_kube_review_parse(struct writ_str body,
	const struct writ_conf_strings *audiences, struct writ_kube_subject *ret,
	struct writ_err *err);

/* A Pod or Node. */
struct writ_kube_object;
WRIT_MUST writ_rc writ_kube_object_parse(
	struct writ_str body, struct writ_kube_object **ret, struct writ_err *err);
void writ_kube_object_free(struct writ_kube_object *o); /* NULL is fine */
/* Borrowed; NULL when it is not there or not text. group: "metadata", "spec", "status". */
const char *writ_kube_object_text(
	const struct writ_kube_object *o, const char *group, const char *name);
const char *writ_kube_object_label(const struct writ_kube_object *o, const char *key);

bool writ_kube_is_name(const char *s); /* of an object: RFC 1123 subdomain */
bool writ_kube_is_uid(const char *s);

#endif
