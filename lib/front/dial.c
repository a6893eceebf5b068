/* SPDX-License-Identifier: Apache-2.0 */
#include "front/dial.h"

#include "base/mem.h"
#include "front/identity.h"
#include "front/relay.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ADDRS_MAX 16 /* addresses of one name that are tried */

/* A name being looked up. It outlives a dial that gives up: getaddrinfo() cannot be stopped. */
struct lookup {
	struct writ_job job;
	struct writ_dial *dial; /* NULL: nobody waits any more */
	char *host;
	char port[8];
	struct addrinfo *found;
	int result, errnum;
};

enum state { NEW, LOOKING_UP, CONNECTING, HANDSHAKE, UP, OVER, FREED };

struct writ_dial {
	struct writ_dial_config cfg;
	struct writ_hub *hub;
	enum state state;
	char *host, *name; /* name: "host:port", for texts */
	struct writ_task start;
	struct lookup *lookup;
	struct addrinfo *found, *next;
	int addrs_left;
	struct writ_watch watch; /* while connecting and in the handshake */
	int fd;
	struct writ_tls *tls;
	struct writ_due due;
	int64_t deadline_us;
	struct writ_relay relay;
	struct writ_peer *peer;
	struct writ_err err; /* of the last address tried; then why it ended */
	struct writ_later report, bury;
};

static void try_next(struct writ_dial *d);

static void free_dial(struct writ_dial *d)
{
	writ_peer_unref(d->peer);
	writ_tls_ctx_unref(d->cfg.tls);
	writ_free(d->host);
	writ_free(d->name);
	writ_free(d);
}

static void drop_socket(struct writ_dial *d)
{
	writ_watch_stop(d->hub, &d->watch);
	writ_tls_free(d->tls);
	d->tls = NULL;
	writ_closep(&d->fd);
	d->fd = -1;
}

static void clean(struct writ_dial *d)
{
	drop_socket(d);
	writ_due_stop(d->hub, &d->due);
	if (d->lookup)
		d->lookup->dial = NULL;
	d->lookup = NULL;
	if (d->found)
		freeaddrinfo(d->found);
	d->found = d->next = NULL;
}

/* Fails for good: the callback comes when the events at hand are done. */
static void give_up(struct writ_dial *d, writ_rc rc)
{
	writ_wrap(&d->err, rc, "connect to %s", d->name);
	clean(d);
	d->state = OVER;
	writ_later_ask(d->hub, &d->report);
}

static void failed(struct writ_dial *d)
{
	drop_socket(d);
	if (d->next && d->addrs_left > 0)
		try_next(d);
	else
		give_up(d, d->err.rc);
}

static void on_report(struct writ_later *l)
{
	struct writ_dial *d = writ_container(l, struct writ_dial, report);
	if (!d->peer) {
		d->cfg.done(d->cfg.arg, d->err.rc, &d->err, -1, NULL);
	} else {
		writ_peer_gone(d->peer);
		d->cfg.closed(d->cfg.arg, d->err.msg);
	}
}

static void on_due(struct writ_due *due)
{
	struct writ_dial *d = writ_container(due, struct writ_dial, due);
	static const char *const doing[] = { [LOOKING_UP] = "looking up the name",
		[CONNECTING] = "waiting for an answer",
		[HANDSHAKE] = "in the TLS handshake" };
	writ_fail(&d->err, WRIT_ETIMEOUT, "no success within %lld ms, at last %s",
		(long long)d->cfg.deadline_ms, doing[d->state]);
	if (writ_hub_now_us(d->hub) >= d->deadline_us || d->state == LOOKING_UP)
		give_up(d, WRIT_ETIMEOUT);
	else
		failed(d); /* this address had its share of the time */
}

/* --- established
 * ------------------------------------------------------------------------------------ */

static void on_relay_ended(struct writ_relay *r, enum writ_relay_end how, const char *why)
{
	struct writ_dial *d = writ_container(r, struct writ_dial, relay);
	(void)how;
	writ_fail(&d->err, WRIT_EUNAVAIL, "%s", why);
	d->state = OVER;
	writ_later_ask(d->hub, &d->report);
}

static const struct writ_relay_ops ops = { .ended = on_relay_ended };

static struct writ_peer *make_peer(const struct writ_dial *d)
{
	struct sockaddr_storage sa = { .ss_family = AF_UNSPEC };
	socklen_t n = sizeof(sa);
	uint8_t source[16];
	const char *id = writ_tls_peer_id(d->tls);
	(void)getpeername(d->fd, (struct sockaddr *)&sa, &n);
	struct writ_peer *p = writ_peer_learn_tcp((struct sockaddr *)&sa, source);
	if (id) {
		p->cert = writ_cert_ref(writ_tls_peer_cert(d->tls));
		writ_free(p->spiffe_id);
		p->spiffe_id = writ_strdup(id);
	}
	return p;
}

static void established(struct writ_dial *d)
{
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) != 0) {
		give_up(d, writ_fail_errno(&d->err, errno, "make a socket pair"));
		return;
	}
	d->peer = make_peer(d);
	writ_watch_stop(d->hub, &d->watch);
	writ_relay_init(&d->relay, d->hub, &ops, writ_steal_fd(d->fd), writ_steal(d->tls));
	clean(d);
	writ_rc rc = writ_relay_attach(&d->relay, pair[0], &d->err);
	d->state = UP;
	d->cfg.done(d->cfg.arg, WRIT_OK, NULL, pair[1],
		d->peer); /* may free d: that is carried out later */
	if (d->state != UP)
		return;
	if (rc == WRIT_OK)
		rc = writ_relay_start(&d->relay, true, &d->err);
	if (rc != WRIT_OK) {
		writ_relay_stop(&d->relay);
		on_relay_ended(&d->relay, WRIT_RELAY_CLOSED, "no room for another socket");
	}
}

static void step(struct writ_dial *d)
{
	switch (writ_tls_handshake(d->tls, &d->err)) {
	case WRIT_TLS_DONE: established(d); return;
	case WRIT_TLS_WANT_READ: writ_watch_set(d->hub, &d->watch, EPOLLIN); return;
	case WRIT_TLS_WANT_WRITE: writ_watch_set(d->hub, &d->watch, EPOLLOUT); return;
	default: failed(d); return;
	}
}

static void connected(struct writ_dial *d)
{
	int errnum = 0, on = 1;
	socklen_t n = sizeof(errnum);
	if (getsockopt(d->fd, SOL_SOCKET, SO_ERROR, &errnum, &n) != 0)
		errnum = errno;
	if (errnum) {
		writ_fail_errno(&d->err, errnum, "TCP");
		failed(d);
		return;
	}
	(void)setsockopt(d->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	d->state = HANDSHAKE;
	if (writ_tls_new(d->cfg.tls, d->fd, &d->tls, &d->err) == WRIT_OK)
		step(d);
	else
		failed(d);
}

static void on_socket(struct writ_watch *w, uint32_t events)
{
	struct writ_dial *d = writ_container(w, struct writ_dial, watch);
	(void)events;
	if (d->state == CONNECTING)
		connected(d);
	else
		step(d);
}

/* --- finding a way
 * ---------------------------------------------------------------------------------- */

/* A server that vanishes is noticed after half a minute. */
static int open_socket(int family)
{
	static const struct {
		int level, name, value;
	} options[] = {
		{ SOL_SOCKET, SO_KEEPALIVE, 1 },
		{ IPPROTO_TCP, TCP_KEEPIDLE, 15 },
		{ IPPROTO_TCP, TCP_KEEPINTVL, 5 },
		{ IPPROTO_TCP, TCP_KEEPCNT, 3 },
		{ IPPROTO_TCP, TCP_USER_TIMEOUT, 30000 },
	};
	int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	for (size_t i = 0; fd >= 0 && i < WRIT_COUNT(options); i++)
		(void)setsockopt(
			fd, options[i].level, options[i].name, &options[i].value, sizeof(int));
	return fd;
}

static void try_next(struct writ_dial *d)
{
	const struct addrinfo *a = d->next;
	int64_t now = writ_hub_now_us(d->hub);
	int64_t share = (d->deadline_us - now) / d->addrs_left;
	d->next = a->ai_next;
	d->addrs_left--;
	d->state = CONNECTING;
	d->fd = open_socket(a->ai_family);
	if (d->fd < 0 || (connect(d->fd, a->ai_addr, a->ai_addrlen) != 0 && errno != EINPROGRESS)) {
		writ_fail_errno(&d->err, errno, "TCP");
		failed(d); /* at most ADDRS_MAX deep */
		return;
	}
	writ_due_set(d->hub, &d->due, d->addrs_left ? now + share : d->deadline_us);
	if (writ_watch_start(d->hub, &d->watch, d->fd, EPOLLOUT, &d->err) != WRIT_OK)
		failed(d);
}

static void found(struct writ_dial *d, struct lookup *l)
{
	d->lookup = NULL;
	d->found = l->found;
	l->found = NULL;
	if (l->result != 0 || !d->found) {
		writ_fail(&d->err, WRIT_EUNAVAIL, "look up the name: %s",
			l->result == EAI_SYSTEM ? strerror(l->errnum) : gai_strerror(l->result));
		give_up(d, WRIT_EUNAVAIL);
		return;
	}
	d->next = d->found;
	for (const struct addrinfo *a = d->found; a && d->addrs_left < ADDRS_MAX; a = a->ai_next)
		d->addrs_left++;
	try_next(d);
}

static void look_up(struct lookup *l, int flags)
{
	const struct addrinfo hints = { .ai_flags = flags | AI_NUMERICSERV,
		.ai_socktype = SOCK_STREAM };
	l->result = getaddrinfo(l->host, l->port, &hints, &l->found);
	l->errnum = errno;
}

static void on_work(struct writ_job *j)
{
	look_up(writ_container(j, struct lookup, job), AI_ADDRCONFIG);
}

static void on_looked_up(struct writ_job *j)
{
	struct lookup *l = writ_container(j, struct lookup, job);
	if (l->dial)
		found(l->dial, l);
	if (l->found)
		freeaddrinfo(l->found);
	writ_free(l->host);
	writ_free(l);
}

static void on_bury(struct writ_later *later)
{
	struct writ_dial *d = writ_container(later, struct writ_dial, bury);
	struct writ_hub *h = d->hub;
	free_dial(d);
	writ_hub_put(h);
}

/* A literal needs no thread. */
static void start_lookup(struct writ_dial *d)
{
	struct lookup *l = writ_alloc(sizeof(*l));
	l->dial = d;
	l->host = writ_strdup(d->host);
	(void)snprintf(l->port, sizeof(l->port), "%u", d->cfg.port);
	l->job.work = on_work;
	l->job.done = on_looked_up;
	d->lookup = l;
	look_up(l, AI_NUMERICHOST);
	if (l->result == 0)
		on_looked_up(&l->job);
	else
		writ_job_run(d->cfg.loop, &l->job);
}

static void on_start(struct writ_task *t)
{
	struct writ_dial *d = writ_container(t, struct writ_dial, start);
	if (d->state == FREED) {
		free_dial(d);
		return;
	}
	writ_rc rc = writ_hub_get(d->cfg.loop, &d->hub, &d->err);
	d->state = rc == WRIT_OK ? LOOKING_UP : OVER;
	if (rc != WRIT_OK) {
		d->cfg.done(d->cfg.arg, rc, &d->err, -1, NULL); /* may free d */
		return;
	}
	d->deadline_us = writ_hub_now_us(d->hub) + d->cfg.deadline_ms * 1000;
	writ_due_set(d->hub, &d->due, d->deadline_us);
	start_lookup(d);
}

struct writ_dial *writ_dial_start(const struct writ_dial_config *cfg)
{
	struct writ_dial *d = writ_alloc(sizeof(*d));
	d->cfg = *cfg;
	d->cfg.tls = writ_tls_ctx_ref(cfg->tls);
	d->host = writ_strdup(cfg->host);
	d->cfg.host = d->host;
	d->name = strchr(cfg->host, ':') ? writ_asprintf("[%s]:%u", cfg->host, cfg->port)
					 : writ_asprintf("%s:%u", cfg->host, cfg->port);
	d->watch = (struct writ_watch){ .fd = -1, .ready = on_socket };
	d->fd = -1;
	d->due.fire = on_due;
	writ_later_init(&d->report, on_report);
	writ_later_init(&d->bury, on_bury);
	d->start.run = on_start;
	writ_loop_post(cfg->loop, &d->start);
	return d;
}

void writ_dial_free(struct writ_dial *d)
{
	if (!d || d->state == FREED)
		return;
	enum state before = d->state;
	d->state = FREED;
	if (before == NEW)
		return; /* on_start is under way */
	if (!d->hub) {
		free_dial(d);
		return;
	}
	clean(d);
	if (d->peer) {
		writ_relay_stop(&d->relay);
		writ_peer_gone(d->peer);
	}
	writ_later_stop(&d->report);
	/* Events that are being handed out may still point to what is in here. */
	writ_later_ask(d->hub, &d->bury);
}
