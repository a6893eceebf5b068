/* SPDX-License-Identifier: Apache-2.0 */
/* The machine is the one that answers at its name: the server's nonce is served over plain HTTP, on
 * one path, from before the payload until the attestation is over. */
#include "spiffe/http_challenge.h"

#include "base/mem.h"
#include "front/httpd.h"
#include "node/prover.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 16

struct http_challenge {
	struct writ_prover base;
	/* Between start and stop. */
	struct writ_httpd *httpd;
	uint16_t port; /* that listens */
	char path[WRIT_HTTP_CHALLENGE_PATH_MAX];
	char nonce[WRIT_HTTP_CHALLENGE_NONCE_MAX + 1]; /* "": not known yet */
};

static struct http_challenge *self(struct writ_prover *p)
{
	return writ_container(p, struct http_challenge, base);
}

static const struct writ_agent_http_challenge *config_of(const struct writ_prover *p)
{
	return &p->cfg->nodes.http_challenge;
}

static writ_rc check(const struct writ_agent_config *cfg, struct writ_err *err)
{
	const char *name = cfg->nodes.http_challenge.agentname;
	return writ_http_claim_is_agent(writ_cstr(name))
		? WRIT_OK
		: writ_fail(err, WRIT_EINVAL,
			  "agentname is '%s': write a letter, then letters, digits and dashes",
			  name);
}

static void stop(struct writ_prover *p)
{
	struct http_challenge *h = self(p);
	writ_httpd_stop(writ_steal(h->httpd));
	*h->nonce = 0;
}

static void handle(
	void *arg, const struct writ_httpd_request *req, struct writ_httpd_answer *answer)
{
	const struct http_challenge *h = arg;
	if (!*h->nonce || !writ_str_eq(req->path, writ_cstr(h->path)))
		return;
	answer->status = 200;
	answer->type = "text/plain; charset=utf-8";
	writ_buf_add_cstr(&answer->body, h->nonce);
	writ_buf_add_byte(&answer->body, '\n');
}

/* Both families where the kernel has both. */
static int listen_on(int family, uint16_t port, uint16_t *bound)
{
	struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	struct sockaddr_in four = { .sin_family = AF_INET, .sin_port = htons(port) };
	const void *any = family == AF_INET6 ? (const void *)&six : (const void *)&four;
	socklen_t n = family == AF_INET6 ? sizeof(six) : sizeof(four);
	int on = 1, off = 0;
	WRIT_AUTO(writ_closep)
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
		(family == AF_INET6 &&
			setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) != 0) ||
		bind(fd, any, n) != 0 || listen(fd, BACKLOG) != 0)
		return -1;
	n = sizeof(six);
	if (getsockname(fd, (struct sockaddr *)&six, &n) != 0)
		return -1;
	*bound = ntohs(six.sin6_port); /* at the same place in both */
	return writ_steal_fd(fd);
}

static writ_rc start(struct writ_prover *p, struct writ_loop *loop, struct writ_err *err)
{
	struct http_challenge *h = self(p);
	const struct writ_agent_http_challenge *cfg = config_of(p);
	writ_http_claim_path(cfg->agentname, h->path);
	int fd = listen_on(AF_INET6, cfg->port, &h->port);
	if (fd < 0 && errno == EAFNOSUPPORT)
		fd = listen_on(AF_INET, cfg->port, &h->port);
	if (fd < 0)
		return writ_fail_errno(err, errno, "listen on port %u%s", cfg->port,
			errno == EACCES ? " (ports below 1024 need CAP_NET_BIND_SERVICE)" : "");
	return writ_httpd_start(loop, fd, handle, h, &h->httpd, err);
}

static writ_rc payload(struct writ_prover *p, struct writ_buf *out, struct writ_err *err)
{
	const struct writ_agent_http_challenge *cfg = config_of(p);
	struct writ_http_claim c = { .port = cfg->advertised_port };
	if (!c.port)
		c.port = self(p)->port;
	memcpy(c.agent, cfg->agentname, strlen(cfg->agentname) + 1);
	if (cfg->hostname)
		memcpy(c.host, cfg->hostname, strlen(cfg->hostname) + 1);
	else if (gethostname(c.host, sizeof(c.host) - 1) != 0)
		return writ_fail_errno(err, errno, "find out this machine's name");
	writ_http_claim_print(&c, out);
	return WRIT_OK;
}

static writ_rc answer(struct writ_prover *p, struct writ_str challenge, struct writ_buf *out,
	struct writ_err *err)
{
	struct http_challenge *h = self(p);
	writ_rc rc = writ_http_nonce_parse(challenge, h->nonce, err);
	if (rc != WRIT_OK)
		return writ_wrap(err, WRIT_EPROTO, "the server's challenge");
	writ_buf_add_byte(out, '\n'); /* something: the nonce is served now */
	return WRIT_OK;
}

const struct writ_prover_vt writ_prover_http_challenge = {
	.name = "http_challenge",
	.on_loop = true,
	.is_on = offsetof(struct writ_agent_config, nodes.http_challenge.is_on),
	.size = sizeof(struct http_challenge),
	.check = check,
	.start = start,
	.payload = payload,
	.answer = answer,
	.stop = stop,
};
