/* SPDX-License-Identifier: Apache-2.0 */
/* http_challenge: the agent says a host name, and is asked over plain HTTP, at that name, for a
 * nonce that it just got. Who the server is sent to by a stranger: to one path, with GET, without
 * redirects, not to this machine; and of what answers there, or does not, the stranger learns one
 * bit. */
#include "spiffe/http_challenge.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/rand.h"
#include "base/secret.h"
#include "config/host_pattern.h"
#include "crypto/digest.h"
#include "front/http.h"
#include "node/attestor.h"

#include <string.h>

#define NAME        "http_challenge"
#define NONCE_BYTES 32
#define NONCE_LEN   44 /* base64url with padding, as SPIRE sends it */
#define BODY_MAX    64
#define DEADLINE_MS 10000

struct attestor {
	struct writ_node_attestor base;
	struct writ_host_pattern **patterns;
};

struct attempt {
	struct writ_http_claim claim; /* its host in lower case */
	char nonce[NONCE_LEN + 1];
};

static const struct attestor *self(const struct writ_node_exchange *x)
{
	return (const struct attestor *)x->by;
}

static const struct writ_server_http_challenge *config_of(const struct writ_node_attestor *a)
{
	return &a->cfg->nodes.http_challenge;
}

static void close_it(struct writ_node_attestor *a)
{
	struct attestor *h = (struct attestor *)a;
	for (size_t i = 0; i < config_of(a)->allowed_dns_patterns.n; i++)
		writ_host_pattern_free(h->patterns[i]);
	writ_free(h->patterns);
}

static writ_rc open_it(struct writ_node_attestor *a, struct writ_err *err)
{
	struct attestor *h = (struct attestor *)a;
	const struct writ_conf_strings *list = &config_of(a)->allowed_dns_patterns;
	writ_rc rc = WRIT_OK;
	h->patterns = writ_alloc_array(list->n + 1, sizeof(struct writ_host_pattern *));
	for (size_t i = 0; rc == WRIT_OK && i < list->n; i++)
		rc = writ_host_pattern_new(list->items[i], &h->patterns[i], err);
	return rc;
}

static writ_rc check_port(
	const struct writ_server_http_challenge *cfg, uint16_t port, struct writ_err *err)
{
	if (cfg->required_port && port != cfg->required_port)
		return writ_fail(
			err, WRIT_EINVAL, "port %u is not allowed to be used by this server", port);
	if (!cfg->allow_non_root_ports && port >= 1024)
		return writ_fail(err, WRIT_EINVAL, "port %u is not allowed to be >= 1024", port);
	return WRIT_OK;
}

static writ_rc check_host(const struct attestor *h, const char *host, struct writ_err *err)
{
	size_t n = config_of(&h->base)->allowed_dns_patterns.n;
	if (!strcmp(host, "localhost") || writ_str_ends(writ_cstr(host), WRIT_STR(".localhost")))
		return writ_fail(err, WRIT_EDENIED, "you can not use localhost as a hostname");
	for (size_t i = 0; i < n; i++) {
		if (writ_host_pattern_match(h->patterns[i], host))
			return WRIT_OK;
	}
	return n ? writ_fail(err, WRIT_EDENIED,
			   "the requested hostname is not allowed to connect: \"%s\" as a whole "
			   "matches none of allowed_dns_patterns",
			   host)
		 : WRIT_OK;
}

static void make_nonce(char out[NONCE_LEN + 1])
{
	uint8_t bytes[NONCE_BYTES];
	struct writ_buf text = WRIT_BUF(NONCE_LEN);
	writ_rand(bytes, sizeof(bytes));
	writ_base64url_add(&text, bytes, sizeof(bytes));
	writ_buf_add_byte(&text, '=');
	memcpy(out, text.p, NONCE_LEN);
	writ_buf_done(&text);
}

static writ_rc begin(struct writ_node_exchange *x, struct writ_str payload, struct writ_err *err)
{
	const struct attestor *h = self(x);
	struct attempt *t = writ_alloc(sizeof(*t));
	x->state = t;
	writ_rc rc = writ_http_claim_parse(payload, &t->claim, err);
	if (rc == WRIT_OK)
		rc = check_port(config_of(&h->base), t->claim.port, err);
	if (rc == WRIT_OK)
		rc = writ_host_fold(writ_cstr(t->claim.host), t->claim.host, err);
	if (rc == WRIT_OK)
		rc = check_host(h, t->claim.host, err);
	if (rc != WRIT_OK)
		return rc;
	make_nonce(t->nonce);
	writ_http_nonce_print(t->nonce, &x->challenge);
	return WRIT_OK;
}

/* What the agent answers says nothing; that it does, says that its port listens. */
static writ_rc respond(struct writ_node_exchange *x, struct writ_str answer, struct writ_err *err)
{
	(void)answer, (void)err;
	x->ask = true;
	return WRIT_OK;
}

static void know(struct writ_node_exchange *x, const struct attempt *t)
{
	const struct writ_server_http_challenge *cfg = config_of(x->by);
	writ_buf_addf(&x->path, "/" NAME "/%s", t->claim.host);
	writ_node_select(x, "hostname:%s", t->claim.host);
	x->can_reattest = !cfg->tofu;
	x->first_only = cfg->tofu;
}

static writ_rc judge(
	const struct attempt *t, const struct writ_http_answer *a, struct writ_err *err)
{
	if (a->rc != WRIT_OK) {
		*err = a->err;
		return a->rc;
	}
	if (a->status != 200)
		return writ_fail(err, WRIT_EDENIED, "HTTP status %d", a->status);
	struct writ_str got = writ_str_trim(a->body);
	if (got.n != NONCE_LEN || !writ_ct_eq(got.p, t->nonce, NONCE_LEN))
		return writ_fail(
			err, WRIT_EDENIED, "expected nonce was not found in HTTP response");
	return WRIT_OK;
}

static void on_answer(void *arg, const struct writ_http_answer *a)
{
	struct writ_node_exchange *x = arg;
	const struct attempt *t = x->state;
	struct writ_err err = { .rc = WRIT_OK };
	if (judge(t, a, &err) == WRIT_OK) {
		know(x, t);
		writ_node_asked(x, WRIT_OK, NULL);
		return;
	}
	WRIT_LOG_LIMITED(WARN, "attest.http_challenge_failed", WRIT_KV("host", t->claim.host),
		WRIT_KV("port", (int)t->claim.port), WRIT_KV("caller", (const char *)x->address),
		WRIT_KV("error", (const char *)err.msg));
	/* Not more: a stranger must not scan our network with our eyes. */
	writ_fail(&err, WRIT_EDENIED,
		"challenge verification failed: the nonce was not served at http://%s:%u (the "
		"server's log has the reason)",
		t->claim.host, t->claim.port);
	writ_node_asked(x, err.rc, &err);
}

static void ask(struct writ_node_exchange *x)
{
	const struct attempt *t = x->state;
	char target[WRIT_HTTP_CHALLENGE_PATH_MAX];
	writ_http_claim_path(t->claim.agent, target);
	const struct writ_http_request q = { .loop = x->loop,
		.method = "GET",
		.host = t->claim.host,
		.port = t->claim.port,
		.target = target,
		.body_max = BODY_MAX,
		.deadline_ms = DEADLINE_MS,
		.distrust_host = !config_of(x->by)->allow_local_addresses,
		.done = on_answer,
		.arg = x };
	(void)writ_http_start(&q);
}

static void end(struct writ_node_exchange *x)
{
	writ_free(x->state);
}

const struct writ_node_attestor_vt writ_node_http_challenge = {
	.name = NAME,
	.payload_max = WRIT_HTTP_CHALLENGE_PAYLOAD_MAX,
	.answer_max = 4096,
	.is_on = offsetof(struct writ_server_config, nodes.http_challenge.is_on),
	.size = sizeof(struct attestor),
	.open = open_it,
	.close = close_it,
	.begin = begin,
	.respond = respond,
	.ask = ask,
	.end = end,
};
