/* SPDX-License-Identifier: Apache-2.0 */
/* k8s_psat: the agent shows the service account token that Kubernetes projected into its pod; the
 * cluster's API server says whose it is, and where that pod runs. The exchange is with SPIRE's
 * order: TokenReview, then the pod, then its node. */
#include "node/kube_config.h"
#include "node/kube_review.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "front/http.h"
#include "node/attestor.h"
#include "spiffe/json.h"

#include <string.h>

#define NAME        "k8s_psat"
#define DEADLINE_MS 9000
#define REVIEW_PATH "/apis/authentication.k8s.io/v1/tokenreviews"

/* One attestation, from the payload to the node. */
struct review {
	const struct writ_server_k8s_cluster *cluster;
	struct writ_kube_config api;
	struct writ_buf body; /* wiped: it has the token */
	struct writ_kube_subject who;
	char node[WRIT_KUBE_NAME_MAX + 1], node_ip[64], node_uid[WRIT_KUBE_UID_MAX + 1];
	int64_t deadline_ms; /* monotonic, for all requests together */
	void (*next)(struct writ_node_exchange *x, const struct writ_http_answer *a);
};

static const struct writ_server_k8s_psat *config_of(const struct writ_node_exchange *x)
{
	return &x->by->cfg->nodes.k8s_psat;
}

static const struct writ_server_k8s_cluster *cluster_at(
	const struct writ_server_k8s_psat *cfg, size_t i)
{
	return &((const struct writ_server_k8s_cluster *)cfg->clusters.items)[i];
}

/* A file that cannot be used is found out now, not when the first agent comes. */
static writ_rc open_it(struct writ_node_attestor *a, struct writ_err *err)
{
	const struct writ_server_k8s_psat *mine = &a->cfg->nodes.k8s_psat;
	for (size_t i = 0; i < mine->clusters.n; i++) {
		const struct writ_server_k8s_cluster *c = cluster_at(mine, i);
		struct writ_kube_config api;
		writ_rc rc =
			writ_kube_config_load(c->kube_config_file, WRIT_KUBE_POD_DIR, &api, err);
		if (rc != WRIT_OK)
			return writ_wrap(err, rc, "cluster \"%s\"", c->name);
		writ_kube_config_done(&api);
	}
	return WRIT_OK;
}

static const struct writ_server_k8s_cluster *find_cluster(
	const struct writ_server_k8s_psat *cfg, struct writ_str name)
{
	for (size_t i = 0; i < cfg->clusters.n; i++) {
		if (writ_str_eq(name, writ_cstr(cluster_at(cfg, i)->name)))
			return cluster_at(cfg, i);
	}
	return NULL;
}

static writ_rc read_payload(struct writ_node_exchange *x, const struct json_t *doc,
	struct review *r, struct writ_err *err)
{
	struct writ_str cluster = writ_json_text(doc, "cluster");
	/* A token read from a file may end with a line's end. */
	struct writ_str token = writ_str_trim(writ_json_text(doc, "token"));
	if (!cluster.n || !token.n)
		return writ_fail(err, WRIT_EINVAL, "missing %s in attestation data",
			cluster.n ? "token" : "cluster");
	r->cluster = find_cluster(config_of(x), cluster);
	if (!r->cluster)
		return writ_fail(
			err, WRIT_EINVAL, "not configured for cluster \"%.64s\"", cluster.p);
	writ_rc rc = writ_kube_token_check(token, x->now, err);
	if (rc == WRIT_OK)
		writ_kube_review_print(token, &r->cluster->audience, &r->body);
	return rc == WRIT_OK ? writ_buf_check(&r->body, "the token", err) : rc;
}

/* The file is read each time: what Kubernetes mounts into a pod changes every hour. */
static writ_rc begin(struct writ_node_exchange *x, struct writ_str payload, struct writ_err *err)
{
	WRIT_AUTO(writ_json_freep) struct json_t *doc = NULL;
	writ_rc rc = writ_json_parse(payload, &doc, err);
	if (rc != WRIT_OK)
		return rc;
	struct review *r = writ_alloc(sizeof(*r));
	r->body = WRIT_BUF(2 * WRIT_KUBE_TOKEN_MAX);
	x->state = r;
	rc = read_payload(x, doc, r, err);
	if (rc != WRIT_OK)
		return rc;
	rc = writ_kube_config_load(r->cluster->kube_config_file, WRIT_KUBE_POD_DIR, &r->api, err);
	if (rc != WRIT_OK) {
		WRIT_LOG_LIMITED(ERROR, "attest.k8s_psat_config",
			WRIT_KV("cluster", (const char *)r->cluster->name),
			WRIT_KV("error", (const char *)err->msg));
		return writ_fail(err, WRIT_EUNAVAIL,
			"the API server of cluster \"%s\" cannot be asked (the server's log has "
			"the reason)",
			r->cluster->name);
	}
	x->ask = true;
	return WRIT_OK;
}

/* --- asking --- */

static void on_answer(void *arg, const struct writ_http_answer *a)
{
	struct writ_node_exchange *x = arg;
	struct review *r = x->state;
	r->next(x, a);
}

static void request(struct writ_node_exchange *x, const char *method, const char *target,
	void (*next)(struct writ_node_exchange *x, const struct writ_http_answer *a))
{
	struct review *r = x->state;
	int64_t left = r->deadline_ms - writ_mono_ms();
	r->next = next;
	const struct writ_http_request q = { .loop = x->loop,
		.method = method,
		.host = r->api.host,
		.port = r->api.port,
		.target = target,
		.bearer = writ_strn(r->api.bearer.p, r->api.bearer.n),
		.body = writ_buf_str(&r->body),
		.tls = r->api.tls,
		.body_max = WRIT_KUBE_ANSWER_MAX,
		.deadline_ms = left > 1 ? left : 1,
		.done = on_answer,
		.arg = x };
	(void)writ_http_start(&q);
}

/* What is wrong between us and the API server is for our log; what is wrong with the token is for
 * the agent too. */
static void refuse(struct writ_node_exchange *x, const char *doing, const struct writ_err *why)
{
	const struct review *r = x->state;
	struct writ_err err = *why;
	bool ours = err.rc != WRIT_EDENIED && err.rc != WRIT_EEXPIRED;
	WRIT_LOG_LIMITED(WARN, "attest.k8s_psat_failed",
		WRIT_KV("cluster", (const char *)r->cluster->name), WRIT_KV("doing", doing),
		WRIT_KV("caller", (const char *)x->address),
		WRIT_KV("error", (const char *)err.msg));
	if (ours)
		writ_fail(&err, WRIT_EUNAVAIL,
			"%s: the API server of cluster \"%s\" gave no usable answer (the server's "
			"log has the reason)",
			doing, r->cluster->name);
	else
		(void)writ_wrap(&err, err.rc, "cluster \"%s\"", r->cluster->name);
	writ_node_asked(x, err.rc, &err);
}

static bool is_good(
	struct writ_node_exchange *x, const char *doing, const struct writ_http_answer *a)
{
	struct writ_err err = a->err;
	if (a->rc == WRIT_OK && a->status >= 200 && a->status <= 202)
		return true;
	if (a->rc == WRIT_OK)
		writ_fail(&err, WRIT_EUNAVAIL, "HTTP status %d", a->status);
	refuse(x, doing, &err);
	return false;
}

static bool contains(const struct writ_conf_strings *list, const char *ns, const char *account)
{
	WRIT_AUTO(writ_freep) char *both = writ_asprintf("%s:%s", ns, account);
	for (size_t i = 0; i < list->n; i++) {
		if (!strcmp(list->items[i], both))
			return true;
	}
	return false;
}

static void add_labels(struct writ_node_exchange *x, const char *kind,
	const struct writ_conf_strings *keys, const struct writ_kube_object *o)
{
	for (size_t i = 0; i < keys->n; i++) {
		const char *v = writ_kube_object_label(o, keys->items[i]);
		if (v)
			writ_node_select(x, "%s:%s:%s", kind, keys->items[i], v);
	}
}

static void know(struct writ_node_exchange *x)
{
	const struct review *r = x->state;
	const struct {
		const char *kind, *value;
	} rows[] = { { "cluster", r->cluster->name }, { "agent_ns", r->who.ns },
		{ "agent_sa", r->who.account }, { "agent_pod_name", r->who.pod },
		{ "agent_pod_uid", r->who.pod_uid }, { "agent_node_ip", r->node_ip },
		{ "agent_node_name", r->node }, { "agent_node_uid", r->node_uid } };
	for (size_t i = 0; i < WRIT_COUNT(rows); i++)
		writ_node_select(x, "%s:%s", rows[i].kind, rows[i].value);
	bool by_pod = r->cluster->use_pod_uid_for_agent_id;
	writ_buf_addf(&x->path, "/" NAME "/%s/%s%s", r->cluster->name, by_pod ? "pod/" : "",
		by_pod ? r->who.pod_uid : r->node_uid);
	x->can_reattest = true;
}

static writ_rc read_node(struct writ_node_exchange *x, struct writ_str body, struct writ_err *err)
{
	struct review *r = x->state;
	struct writ_kube_object *o;
	writ_rc rc = writ_kube_object_parse(body, &o, err);
	if (rc != WRIT_OK)
		return rc;
	const char *uid = writ_kube_object_text(o, "metadata", "uid");
	const char *name = writ_kube_object_text(o, "metadata", "name");
	if (!uid || !writ_kube_is_uid(uid) || !name || strcmp(name, r->node) != 0)
		rc = writ_fail(err, WRIT_EPROTO, "the node has no UID, or is another one");
	else
		memcpy(r->node_uid, uid, strlen(uid) + 1);
	if (rc == WRIT_OK)
		add_labels(x, "agent_node_label", &r->cluster->allowed_node_label_keys, o);
	writ_kube_object_free(o);
	return rc;
}

static void on_node(struct writ_node_exchange *x, const struct writ_http_answer *a)
{
	struct writ_err err;
	if (!is_good(x, "get the node", a))
		return;
	if (read_node(x, a->body, &err) != WRIT_OK) {
		refuse(x, "get the node", &err);
		return;
	}
	know(x);
	writ_node_asked(x, WRIT_OK, NULL);
}

static writ_rc judge_pod(struct review *r, const struct writ_kube_object *o, struct writ_err *err)
{
	const char *uid = writ_kube_object_text(o, "metadata", "uid");
	const char *node = writ_kube_object_text(o, "spec", "nodeName");
	const char *ip = writ_kube_object_text(o, "status", "hostIP");
	if (!uid || strcmp(uid, r->who.pod_uid) != 0)
		return writ_fail(err, WRIT_EDENIED,
			"pod UID mismatch for pod \"%s\": token bound to pod UID \"%s\"",
			r->who.pod, r->who.pod_uid);
	if (!node || !writ_kube_is_name(node))
		return writ_fail(err, WRIT_EPROTO, "the pod has no node");
	memcpy(r->node, node, strlen(node) + 1);
	if (ip && strlen(ip) < sizeof(r->node_ip))
		memcpy(r->node_ip, ip, strlen(ip) + 1);
	return WRIT_OK;
}

static void on_pod(struct writ_node_exchange *x, const struct writ_http_answer *a)
{
	struct review *r = x->state;
	struct writ_kube_object *o = NULL;
	struct writ_err err;
	if (!is_good(x, "get the pod", a))
		return;
	writ_rc rc = writ_kube_object_parse(a->body, &o, &err);
	if (rc == WRIT_OK)
		rc = judge_pod(r, o, &err);
	if (rc == WRIT_OK)
		add_labels(x, "agent_pod_label", &r->cluster->allowed_pod_label_keys, o);
	writ_kube_object_free(o);
	if (rc != WRIT_OK) {
		refuse(x, "get the pod", &err);
		return;
	}
	WRIT_AUTO(writ_freep) char *target = writ_asprintf("/api/v1/nodes/%s", r->node);
	request(x, "GET", target, on_node);
}

static void on_review(struct writ_node_exchange *x, const struct writ_http_answer *a)
{
	static const char doing[] = "validate the token with the TokenReview API";
	struct review *r = x->state;
	struct writ_err err;
	if (!is_good(x, doing, a))
		return;
	writ_rc rc = writ_kube_review_parse(a->body, &r->cluster->audience, &r->who, &err);
	if (rc == WRIT_OK &&
		!contains(&r->cluster->service_account_allow_list, r->who.ns, r->who.account))
		rc = writ_fail(&err, WRIT_EDENIED, "\"%s:%s\" is not an allowed service account",
			r->who.ns, r->who.account);
	if (rc != WRIT_OK) {
		refuse(x, doing, &err);
		return;
	}
	writ_buf_wipe(&r->body);
	WRIT_AUTO(writ_freep)
	char *target = writ_asprintf("/api/v1/namespaces/%s/pods/%s", r->who.ns, r->who.pod);
	request(x, "GET", target, on_pod);
}

static void ask(struct writ_node_exchange *x)
{
	struct review *r = x->state;
	r->deadline_ms = writ_mono_ms() + DEADLINE_MS;
	request(x, "POST", REVIEW_PATH, on_review);
}

static void end(struct writ_node_exchange *x)
{
	struct review *r = x->state;
	writ_kube_config_done(&r->api);
	writ_buf_wipe(&r->body);
	writ_free(r);
}

const struct writ_node_attestor_vt writ_node_k8s_psat = {
	.name = NAME,
	.payload_max = WRIT_KUBE_TOKEN_MAX + 1024,
	.is_on = offsetof(struct writ_server_config, nodes.k8s_psat.is_on),
	.size = sizeof(struct writ_node_attestor),
	.open = open_it,
	.begin = begin,
	.ask = ask,
	.end = end,
};
