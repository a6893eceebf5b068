/* SPDX-License-Identifier: Apache-2.0 */
#include "node/kube_review.h"

#include "base/mem.h"
#include "crypto/digest.h"

#include <inttypes.h>
#include <jansson.h>
#include <string.h>

#define ACCOUNT_PREFIX "system:serviceaccount:"
#define POD_NAME       "authentication.kubernetes.io/pod-name"
#define POD_UID        "authentication.kubernetes.io/pod-uid"

static void json_freep(json_t **j)
{
	json_decref(*j);
}

static bool is_word(const char *s, size_t max, const char *odd)
{
	size_t n = strlen(s);
	for (size_t i = 0; i < n; i++) {
		char c = s[i];
		bool alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z');
		if (!alnum && (i == 0 || !strchr(odd, c)))
			return false;
	}
	return n > 0 && n <= max;
}

bool writ_kube_is_name(const char *s)
{
	return is_word(s, WRIT_KUBE_NAME_MAX, "-.");
}

bool writ_kube_is_uid(const char *s)
{
	return is_word(s, WRIT_KUBE_UID_MAX, "-ABCDEF");
}

/* --- the token --- */

writ_rc writ_kube_token_check(struct writ_str token, int64_t now, struct writ_err *err)
{
	WRIT_AUTO(writ_buf_wipe) struct writ_buf text = WRIT_BUF(WRIT_KUBE_TOKEN_MAX);
	WRIT_AUTO(json_freep) json_t *claims = NULL;
	struct writ_str rest = token, head, body;
	char until[32];
	if (token.n > WRIT_KUBE_TOKEN_MAX)
		return writ_fail(
			err, WRIT_EINVAL, "the token is longer than %d bytes", WRIT_KUBE_TOKEN_MAX);
	if (writ_str_cut(&rest, '.', &head) && writ_str_cut(&rest, '.', &body) &&
		writ_base64url_decode(body, &text, NULL) == WRIT_OK)
		claims = json_loadb((const char *)text.p, text.n, JSON_REJECT_DUPLICATES, NULL);
	if (!json_is_object(claims))
		return writ_fail(err, WRIT_EINVAL,
			"the token is no JWT: a projected service account token is wanted");
	const json_t *exp = json_object_get(claims, "exp");
	if (json_is_integer(exp) && json_integer_value(exp) < now)
		return writ_fail(err, WRIT_EEXPIRED, "the token expired at %s",
			writ_format_time(json_integer_value(exp), until, sizeof(until)));
	return WRIT_OK;
}

void writ_kube_review_print(
	struct writ_str token, const struct writ_conf_strings *audiences, struct writ_buf *out)
{
	writ_buf_add_cstr(out,
		"{\"apiVersion\":\"authentication.k8s.io/v1\",\"kind\":\"TokenReview\","
		"\"spec\":{\"token\":\"");
	writ_buf_add_json(out, token);
	writ_buf_add_cstr(out, "\"");
	for (size_t i = 0; i < audiences->n; i++) {
		writ_buf_add_cstr(out, i ? ",\"" : ",\"audiences\":[\"");
		writ_buf_add_json(out, writ_cstr(audiences->items[i]));
		writ_buf_add_cstr(out, "\"");
	}
	writ_buf_add_cstr(out, audiences->n ? "]}}" : "}}");
}

/* --- the review --- */

static writ_rc copy_name(const char *what, const char *from, size_t n, bool is_uid, char *to,
	size_t cap, struct writ_err *err)
{
	if (n < cap) {
		memcpy(to, from, n);
		to[n] = 0;
		if (is_uid ? writ_kube_is_uid(to) : writ_kube_is_name(to))
			return WRIT_OK;
	}
	return writ_fail(err, WRIT_EPROTO, "the TokenReview's %s is not valid", what);
}

static writ_rc read_account(const json_t *user, struct writ_kube_subject *s, struct writ_err *err)
{
	struct writ_str name = writ_cstr(json_string_value(json_object_get(user, "username"))), ns;
	if (!writ_str_starts(name, WRIT_STR(ACCOUNT_PREFIX)))
		return writ_fail(err, WRIT_EDENIED, "the token is not one of a service account");
	name.p += sizeof(ACCOUNT_PREFIX) - 1;
	name.n -= sizeof(ACCOUNT_PREFIX) - 1;
	(void)writ_str_cut(&name, ':', &ns);
	writ_rc rc = copy_name("namespace", ns.p, ns.n, false, s->ns, sizeof(s->ns), err);
	return rc == WRIT_OK ? copy_name("service account", name.p, name.n, false, s->account,
				       sizeof(s->account), err)
			     : rc;
}

static writ_rc read_extra(const json_t *user, const char *key, bool is_uid, char *to, size_t cap,
	struct writ_err *err)
{
	const json_t *list = json_object_get(json_object_get(user, "extra"), key);
	const char *text =
		json_array_size(list) == 1 ? json_string_value(json_array_get(list, 0)) : NULL;
	if (!text)
		return writ_fail(err, WRIT_EDENIED,
			"the token is not bound to a pod: a projected service account token is "
			"wanted");
	return copy_name(is_uid ? "pod UID" : "pod name", text, strlen(text), is_uid, to, cap, err);
}

/* An API server that knows nothing of audiences leaves the list out. */
static bool is_for(const json_t *status, const struct writ_conf_strings *audiences)
{
	const json_t *list = json_object_get(status, "audiences");
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *a = json_string_value(json_array_get(list, i));
		for (size_t k = 0; a && k < audiences->n; k++) {
			if (!strcmp(a, audiences->items[k]))
				return true;
		}
	}
	return audiences->n == 0;
}

writ_rc writ_kube_review_parse(struct writ_str body, const struct writ_conf_strings *audiences,
	struct writ_kube_subject *ret, struct writ_err *err)
{
	WRIT_AUTO(json_freep)
	json_t *root = json_loadb(body.p, body.n, JSON_REJECT_DUPLICATES, NULL);
	const json_t *status = json_object_get(root, "status");
	const json_t *user = json_object_get(status, "user");
	const char *error = json_string_value(json_object_get(status, "error"));
	struct writ_kube_subject s = { .ns = "" };
	if (!json_is_object(status))
		return writ_fail(err, WRIT_EPROTO, "the answer is no TokenReview");
	if (error && *error)
		return writ_fail(err, WRIT_EUNAVAIL,
			"token review API response contains an error: %.200s", error);
	if (!json_is_true(json_object_get(status, "authenticated")))
		return writ_fail(
			err, WRIT_EDENIED, "token not authenticated according to TokenReview API");
	if (!is_for(status, audiences))
		return writ_fail(err, WRIT_EDENIED,
			"token review API did not validate audience: the token is for another "
			"audience than this server's");
	writ_rc rc = read_account(user, &s, err);
	if (rc == WRIT_OK)
		rc = read_extra(user, POD_NAME, false, s.pod, sizeof(s.pod), err);
	if (rc == WRIT_OK)
		rc = read_extra(user, POD_UID, true, s.pod_uid, sizeof(s.pod_uid), err);
	if (rc == WRIT_OK)
		*ret = s;
	return rc;
}

/* --- objects --- */

/* jansson's own object behind our name. */
static json_t *json_of(const struct writ_kube_object *o)
{
	union {
		const struct writ_kube_object *in;
		json_t *out;
	} u = { .in = o };
	return u.out;
}

writ_rc writ_kube_object_parse(
	struct writ_str body, struct writ_kube_object **ret, struct writ_err *err)
{
	json_t *root = json_loadb(body.p, body.n, JSON_REJECT_DUPLICATES, NULL);
	if (!json_is_object(json_object_get(root, "metadata"))) {
		json_decref(root);
		return writ_fail(err, WRIT_EPROTO, "the answer is no object of Kubernetes");
	}
	union {
		json_t *in;
		struct writ_kube_object *out;
	} u = { .in = root };
	*ret = u.out;
	return WRIT_OK;
}

void writ_kube_object_free(struct writ_kube_object *o)
{
	if (o)
		json_decref(json_of(o));
}

const char *writ_kube_object_text(
	const struct writ_kube_object *o, const char *group, const char *name)
{
	return json_string_value(json_object_get(json_object_get(json_of(o), group), name));
}

const char *writ_kube_object_label(const struct writ_kube_object *o, const char *key)
{
	const json_t *meta = json_object_get(json_of(o), "metadata");
	return json_string_value(json_object_get(json_object_get(meta, "labels"), key));
}
