/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/kubelet.h"

#include <errno.h>
#include <jansson.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "runtime/doc.h"
#include "tls/web.h"

#define LOOPBACK   "127.0.0.1"
#define FILE_MAX   (256 * 1024)
#define CAS_MAX    64
#define CONNECT_MS 100 /* on loopback it is made or refused at once */

static bool wants(const struct writ_place *p)
{
	return p->container[0] && p->pod[0] && !p->rootless;
}

/* --- the way there --- */

struct certs {
	struct writ_cert *of[CAS_MAX];
	size_t n;
};

static void certs_done(struct certs *c)
{
	writ_certs_unref(c->of, c->n);
}

static writ_rc read_certs(const char *path, struct certs *ret, struct writ_err *err)
{
	WRIT_AUTO(writ_buf_done) struct writ_buf text = WRIT_BUF(FILE_MAX);
	writ_rc rc = writ_fs_read_linked(path, &text, err);
	if (rc == WRIT_OK)
		rc = writ_certs_parse_pem(writ_buf_str(&text), ret->of, CAS_MAX, &ret->n, err);
	return rc == WRIT_OK ? rc : writ_wrap(err, rc, "certificates of '%s'", path);
}

static writ_rc read_key(const char *path, struct writ_key **ret, struct writ_err *err)
{
	WRIT_AUTO(writ_buf_wipe) struct writ_buf text = WRIT_BUF(FILE_MAX);
	writ_rc rc = writ_fs_read_linked(path, &text, err);
	if (rc == WRIT_OK)
		rc = writ_key_from_pem(writ_buf_str(&text), ret, err);
	return rc == WRIT_OK ? rc : writ_wrap(err, rc, "key of '%s'", path);
}

static writ_rc read_token(const char *path, struct writ_buf *out, struct writ_err *err)
{
	WRIT_AUTO(writ_buf_wipe) struct writ_buf text = WRIT_BUF(WRIT_REACH_BEARER_MAX);
	writ_rc rc = writ_fs_read_linked(path, &text, err);
	if (rc == WRIT_OK)
		writ_buf_add_str(out, writ_str_trim(writ_buf_str(&text)));
	return rc == WRIT_OK ? rc : writ_wrap(err, rc, "token of the kubelet");
}

/* Asked on loopback, a kubelet shows a certificate for its node. */
static writ_rc certificate_name(
	const struct writ_kubelet *k, char out[WRIT_REACH_HOST_MAX], struct writ_err *err)
{
	if (k->node_name)
		(void)snprintf(out, WRIT_REACH_HOST_MAX, "%s", k->node_name);
	else if (gethostname(out, WRIT_REACH_HOST_MAX - 1) != 0)
		return writ_fail_errno(err, errno, "ask for the name of this machine");
	return WRIT_OK;
}

static writ_rc set_tls(const struct writ_kubelet *k, struct writ_reach *ret, struct writ_err *err)
{
	WRIT_AUTO(certs_done) struct certs cas = { .n = 0 };
	WRIT_AUTO(certs_done) struct certs chain = { .n = 0 };
	WRIT_AUTO(writ_key_unrefp) struct writ_key *key = NULL;
	char name[WRIT_REACH_HOST_MAX] = "";
	writ_rc rc = certificate_name(k, name, err);
	if (rc == WRIT_OK && !k->skip_verification)
		rc = read_certs(k->ca_path, &cas, err);
	if (rc == WRIT_OK && k->certificate_path)
		rc = read_certs(k->certificate_path, &chain, err);
	if (rc == WRIT_OK && k->certificate_path)
		rc = read_key(k->private_key_path, &key, err);
	if (rc == WRIT_OK && k->token_path)
		rc = read_token(k->token_path, &ret->bearer, err);
	if (rc != WRIT_OK)
		return rc;
	const struct writ_tls_web_config cfg = { .host = name,
		.cas = cas.of,
		.n_cas = cas.n,
		.chain = chain.of,
		.n_chain = chain.n,
		.key = key,
		.unverified = k->skip_verification };
	return writ_tls_web_new(&cfg, &ret->tls, err);
}

static writ_rc check_listener(const struct writ_kubelet *k, struct writ_err *err)
{
	uid_t uid;
	writ_rc rc = writ_tcp_listener_uid(k->port, &uid, err);
	if (rc == WRIT_OK && uid != k->owner)
		rc = writ_fail(err, WRIT_EDENIED,
			"who listens at " LOOPBACK
			":%u is uid %u, not the kubelet; with a check of its certificate "
			"(kubelet_ca_path) that would not matter",
			k->port, (unsigned)uid);
	return rc;
}

static writ_rc connect_in_time(int fd, uint16_t port, struct writ_err *err)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	int errnum = 0;
	socklen_t n = sizeof(errnum);
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (connect(fd, (struct sockaddr *)&sin, sizeof(sin)) == 0)
		return WRIT_OK;
	if (errno != EINPROGRESS)
		errnum = errno;
	else if (poll(&p, 1, CONNECT_MS) != 1)
		errnum = ETIMEDOUT;
	else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &errnum, &n) != 0)
		errnum = errno;
	return errnum ? writ_fail_errno(err, errnum, "connect to " LOOPBACK ":%u", port) : WRIT_OK;
}

/* Looked at on both sides of the connection: who listens before and after it was the one who took
 * it, unless he could die and come back in between. */
static writ_rc connect_loopback(
	const struct writ_kubelet *k, struct writ_reach *ret, struct writ_err *err)
{
	writ_rc rc = check_listener(k, err);
	if (rc != WRIT_OK)
		return rc;
	ret->socket = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (ret->socket < 0)
		return writ_fail_errno(err, errno, "make a socket for the kubelet");
	ret->has_socket = true;
	rc = connect_in_time(ret->socket, k->port, err);
	return rc == WRIT_OK ? check_listener(k, err) : rc;
}

static writ_rc reach(
	const void *self, const struct writ_place *p, struct writ_reach *ret, struct writ_err *err)
{
	const struct writ_kubelet *k = self;
	bool vouched = !k->plain && !k->skip_verification;
	writ_rc rc = k->plain ? WRIT_OK : set_tls(k, ret, err);
	(void)p;
	(void)snprintf(ret->host, sizeof(ret->host), "%s",
		vouched && k->node_name ? k->node_name : LOOPBACK);
	(void)snprintf(ret->target, sizeof(ret->target), "/pods");
	ret->port = k->port;
	if (rc == WRIT_OK && !vouched)
		rc = connect_loopback(k, ret, err);
	return rc;
}

/* --- what it says --- */

static bool is_uid(struct writ_str uid, const char *wanted)
{
	char plain[2][33];
	const struct writ_str both[] = { uid, writ_cstr(wanted) };
	for (size_t s = 0; s < 2; s++) {
		size_t n = 0;
		for (size_t i = 0; i < both[s].n; i++) {
			if (both[s].p[i] == '-')
				continue;
			if (n == 32)
				return false;
			plain[s][n++] = both[s].p[i];
		}
		plain[s][n] = '\0';
	}
	return plain[0][0] != '\0' && strcmp(plain[0], plain[1]) == 0;
}

/* "containerd://<id>" */
static bool is_container(const json_t *status, const char *id)
{
	struct writ_str url = writ_doc_text(status, "containerID");
	const char *mark = url.n > 3 ? memmem(url.p, url.n, "://", 3) : NULL;
	if (!mark)
		return false;
	size_t before = (size_t)(mark - url.p) + 3;
	return writ_str_eq(writ_strn(url.p + before, url.n - before), writ_cstr(id));
}

static const json_t *find_status(const json_t *pod, const char *id)
{
	static const char *const lists[] = { "status.containerStatuses",
		"status.initContainerStatuses" };
	for (size_t l = 0; l < WRIT_COUNT(lists); l++) {
		const json_t *all = writ_doc_at(pod, lists[l]);
		for (size_t i = 0; i < json_array_size(all); i++)
			if (is_container(json_array_get(all, i), id))
				return json_array_get(all, i);
	}
	return NULL;
}

static const json_t *find_pod(const json_t *doc, const struct writ_place *p, struct writ_err *err)
{
	const json_t *items = writ_doc_at(doc, "items");
	const json_t *found = NULL;
	for (size_t i = 0; i < json_array_size(items); i++) {
		const json_t *pod = json_array_get(items, i);
		if (!is_uid(writ_doc_text(pod, "metadata.uid"), p->pod))
			continue;
		if (found) {
			writ_fail(err, WRIT_EPROTO, "it lists pod %s twice", p->pod);
			return NULL;
		}
		found = pod;
	}
	if (!found)
		writ_fail(err, WRIT_ENOENT, "it does not list pod %s", p->pod);
	return found;
}

static void add_images(struct writ_doc_out *out, const char *key, const json_t *status)
{
	writ_doc_add(out, key, writ_doc_text(status, "imageID"));
	writ_doc_add(out, key, writ_doc_text(status, "image"));
}

static void add_statuses(
	struct writ_doc_out *out, const char *key, const char *count, const json_t *all)
{
	char n[24];
	(void)snprintf(n, sizeof(n), "%zu", json_array_size(all));
	writ_doc_add(out, count, writ_cstr(n));
	for (size_t i = 0; i < json_array_size(all); i++)
		add_images(out, key, json_array_get(all, i));
}

static void add_owners(struct writ_doc_out *out, const json_t *owners)
{
	static const struct {
		const char *key, *member;
	} rows[] = { { "pod-owner", "name" }, { "pod-owner-uid", "uid" } };
	for (size_t i = 0; i < json_array_size(owners) * WRIT_COUNT(rows); i++) {
		const json_t *one = json_array_get(owners, i / WRIT_COUNT(rows));
		struct writ_str kind = writ_doc_text(one, "kind");
		struct writ_str value = writ_doc_text(one, rows[i % WRIT_COUNT(rows)].member);
		WRIT_AUTO(writ_buf_done) struct writ_buf text = WRIT_BUF(WRIT_SELECTOR_VALUE_MAX);
		if (kind.n == 0 || value.n == 0)
			continue;
		writ_buf_addf(&text, WRIT_FMT ":" WRIT_FMT, WRIT_ARG(kind), WRIT_ARG(value));
		if (!text.failed)
			writ_doc_add(out, rows[i % WRIT_COUNT(rows)].key, writ_buf_str(&text));
	}
}

static void add_pod(struct writ_doc_out *out, const json_t *pod)
{
	static const struct {
		const char *key, *path;
	} rows[] = {
		{ "sa", "spec.serviceAccountName" },
		{ "ns", "metadata.namespace" },
		{ "node-name", "spec.nodeName" },
		{ "pod-uid", "metadata.uid" },
		{ "pod-name", "metadata.name" },
	};
	for (size_t i = 0; i < WRIT_COUNT(rows); i++)
		writ_doc_add(out, rows[i].key, writ_doc_text(pod, rows[i].path));
	add_statuses(
		out, "pod-image", "pod-image-count", writ_doc_at(pod, "status.containerStatuses"));
	add_statuses(out, "pod-init-image", "pod-init-image-count",
		writ_doc_at(pod, "status.initContainerStatuses"));
	writ_doc_add_each(out, "pod-label", writ_doc_at(pod, "metadata.labels"));
	add_owners(out, writ_doc_at(pod, "metadata.ownerReferences"));
}

static writ_rc check_status(int status, struct writ_err *err)
{
	if (status == 200)
		return WRIT_OK;
	return writ_fail(err, status >= 500 ? WRIT_EUNAVAIL : WRIT_EDENIED,
		"it answers with status %d%s", status,
		status == 401 || status == 403
			? ": may the agent's token or certificate read nodes/proxy?"
			: "");
}

/* The cgroup has said which pod it is; its containers come into the list a bit later. */
static writ_rc find(const struct writ_kubelet *k, const json_t *doc, const struct writ_place *p,
	const json_t **pod, const json_t **container, struct writ_err *err)
{
	struct writ_err why;
	*pod = find_pod(doc, p, &why);
	*container = *pod ? find_status(*pod, p->container) : NULL;
	if (*pod && !*container)
		writ_fail(&why, WRIT_ENOENT, "it does not list container %.12s in pod %s",
			p->container, p->pod);
	if (*container || (*pod && k->no_container_selectors))
		return WRIT_OK;
	if (err)
		*err = why;
	return why.rc;
}

static writ_rc judge(const void *self, const struct writ_place *p, int status, struct writ_str body,
	struct writ_answer *answer, struct writ_err *err)
{
	const struct writ_kubelet *k = self;
	struct writ_doc_out out = { .answer = answer, .type = WRIT_STR("k8s"), .prefix = "" };
	WRIT_AUTO(writ_doc_freep) struct json_t *doc = NULL;
	const json_t *pod = NULL;
	const json_t *container = NULL;
	writ_rc rc = check_status(status, err);
	if (rc == WRIT_OK)
		rc = writ_doc_parse(body, &doc, err);
	if (rc == WRIT_OK)
		rc = find(k, doc, p, &pod, &container, err);
	if (rc != WRIT_OK)
		return rc;
	add_pod(&out, pod);
	if (!k->no_container_selectors) {
		writ_doc_add(&out, "container-name", writ_doc_text(container, "name"));
		add_images(&out, "container-image", container);
	}
	if (out.failed != WRIT_OK && err)
		*err = out.err;
	return out.failed;
}

const struct writ_runtime_vt writ_runtime_kubelet = {
	.name = "k8s",
	.types = WRIT_KUBELET_TYPES,
	.answer_max = WRIT_KUBELET_ANSWER_MAX,
	.wants = wants,
	.reach = reach,
	.judge = judge,
};
