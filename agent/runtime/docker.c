/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/docker.h"

#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "runtime/doc.h"
#include "runtime/trusted_socket.h"

#define NOT_FOUND 404
#define DIGEST    "sha256:"

static bool is_podman(const struct writ_place *p)
{
	return strcmp(p->runtime, "podman") == 0;
}

static bool wants_docker(const struct writ_place *p)
{
	return p->container[0] && !p->rootless && strcmp(p->runtime, "docker") == 0;
}

static bool wants_podman(const struct writ_place *p)
{
	return p->container[0] && !p->rootless && is_podman(p);
}

static bool wants_rootless(const struct writ_place *p)
{
	return p->container[0] && p->rootless && is_podman(p);
}

static writ_rc reach(
	const void *self, const struct writ_place *p, struct writ_reach *ret, struct writ_err *err)
{
	const struct writ_docker *d = self;
	writ_rc rc = writ_trusted_connect(d->socket, d->owner, &ret->socket, err);
	if (rc != WRIT_OK)
		return rc;
	ret->has_socket = true;
	(void)snprintf(ret->host, sizeof(ret->host), "localhost");
	ret->port = 80;
	(void)snprintf(ret->target, sizeof(ret->target), "%s%s/containers/%s/json",
		d->version ? "/v" : "", d->version ? d->version : "", p->container);
	return WRIT_OK;
}

/* The template was checked to have one %d when the configuration was read. */
static writ_rc reach_rootless(
	const void *self, const struct writ_place *p, struct writ_reach *ret, struct writ_err *err)
{
	struct writ_docker d = *(const struct writ_docker *)self;
	const char *mark = strstr(d.socket, "%d");
	char path[PATH_MAX];
	if (!mark)
		return writ_fail(err, WRIT_EINVAL, "'%s' has no %%d for the user ID", d.socket);
	(void)snprintf(path, sizeof(path), "%.*s%u%s", (int)(mark - d.socket), d.socket, p->owner,
		mark + 2);
	d.socket = path;
	d.owner = p->owner;
	return reach(&d, p, ret, err);
}

static writ_rc check_status(int status, const struct writ_place *p, struct writ_err *err)
{
	if (status == NOT_FOUND)
		return writ_fail(err, WRIT_ENOENT, "there is no container %.12s", p->container);
	if (status != 200)
		return writ_fail(err, status >= 500 ? WRIT_EUNAVAIL : WRIT_EDENIED,
			"it answers with status %d", status);
	return WRIT_OK;
}

/* A runtime that restarted, or that answers for somebody else, knows another process. */
static writ_rc check_process(const struct writ_docker *d, const struct json_t *doc,
	const struct writ_place *p, struct writ_err *err)
{
	const json_t *pid = writ_doc_at(doc, "State.Pid");
	if (!writ_str_eq(writ_doc_text(doc, "Id"), writ_cstr(p->container)))
		return writ_fail(err, WRIT_EUNAUTH,
			"it was asked about container %.12s and answers about another one",
			p->container);
	if (!json_is_true(writ_doc_at(doc, "State.Running")) || !json_is_integer(pid) ||
		json_integer_value(pid) <= 0)
		return writ_fail(err, WRIT_EUNAUTH, "it says that container %.12s does not run",
			p->container);
	return d->pid_check(d->trust, (uint64_t)json_integer_value(pid), p, err);
}

static void add_image(struct writ_doc_out *out, const struct json_t *doc)
{
	struct writ_str image = writ_doc_text(doc, "Image");
	char digest[sizeof(DIGEST) + WRIT_PLACE_ID_LEN];
	writ_doc_add(out, "image_id", writ_doc_text(doc, "Config.Image"));
	if (writ_str_starts(image, WRIT_STR(DIGEST)))
		image = writ_strn(image.p + sizeof(DIGEST) - 1, image.n - sizeof(DIGEST) + 1);
	if (image.n != WRIT_PLACE_ID_LEN)
		return;
	(void)snprintf(digest, sizeof(digest), DIGEST WRIT_FMT, WRIT_ARG(image));
	writ_doc_add(out, "image_config_digest", writ_cstr(digest));
}

static void add_env(struct writ_doc_out *out, const struct json_t *doc)
{
	const json_t *env = writ_doc_at(doc, "Config.Env");
	for (size_t i = 0; i < json_array_size(env); i++) {
		const json_t *one = json_array_get(env, i);
		writ_doc_add(
			out, "env", writ_strn(json_string_value(one), json_string_length(one)));
	}
}

static writ_rc judge_as(const struct writ_docker *d, const struct writ_place *p, int status,
	struct writ_str body, struct writ_doc_out *out, struct writ_err *err)
{
	WRIT_AUTO(writ_doc_freep) struct json_t *doc = NULL;
	writ_rc rc = check_status(status, p, err);
	if (rc == WRIT_OK)
		rc = writ_doc_parse(body, &doc, err);
	if (rc == WRIT_OK)
		rc = check_process(d, doc, p, err);
	if (rc != WRIT_OK)
		return rc;
	writ_doc_add_each(out, "label", writ_doc_at(doc, "Config.Labels"));
	add_env(out, doc);
	add_image(out, doc);
	if (out->failed != WRIT_OK && err)
		*err = out->err;
	return out->failed;
}

static writ_rc judge(const void *self, const struct writ_place *p, int status, struct writ_str body,
	struct writ_answer *answer, struct writ_err *err)
{
	struct writ_doc_out out = { .answer = answer, .type = WRIT_STR("docker"), .prefix = "" };
	return judge_as(self, p, status, body, &out, err);
}

static writ_rc judge_rootless(const void *self, const struct writ_place *p, int status,
	struct writ_str body, struct writ_answer *answer, struct writ_err *err)
{
	char prefix[32];
	(void)snprintf(prefix, sizeof(prefix), "uid:%u:", p->owner);
	struct writ_doc_out out = {
		.answer = answer, .type = WRIT_STR("podman-rootless"), .prefix = prefix
	};
	return judge_as(self, p, status, body, &out, err);
}

const struct writ_runtime_vt writ_runtime_docker = {
	.name = "docker",
	.types = WRIT_DOCKER_TYPES,
	.answer_max = WRIT_DOCKER_ANSWER_MAX,
	.wants = wants_docker,
	.reach = reach,
	.judge = judge,
};

const struct writ_runtime_vt writ_runtime_podman = {
	.name = "podman",
	.types = WRIT_DOCKER_TYPES,
	.answer_max = WRIT_DOCKER_ANSWER_MAX,
	.wants = wants_podman,
	.reach = reach,
	.judge = judge,
};

const struct writ_runtime_vt writ_runtime_rootless = {
	.name = "podman-rootless",
	.types = "podman-rootless:uid",
	.answer_max = WRIT_DOCKER_ANSWER_MAX,
	.wants = wants_rootless,
	.reach = reach_rootless,
	.judge = judge_rootless,
};
