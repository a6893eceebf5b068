/* SPDX-License-Identifier: Apache-2.0 */
#include "front/conn.h"
#include "front/identity.h"
#include "front/registry.h"

#include "base/clock.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static uint32_t default_total(void)
{
	struct rlimit r;
	if (getrlimit(RLIMIT_NOFILE, &r) != 0 || r.rlim_cur <= 64 + 4)
		return 1;
	rlim_t n = (r.rlim_cur - 64) / 4;
	return n > UINT32_MAX ? UINT32_MAX : (uint32_t)n;
}

static uint32_t at_most(uint32_t n, uint32_t max)
{
	return n < max || !max ? n : max;
}

/* Where descriptors are few, nobody may have them all. */
static void share_descriptors(struct writ_front_limits *l)
{
	l->total = default_total();
	l->per_uid = at_most(l->per_uid, l->total / 2);
	l->per_process = at_most(l->per_process, l->per_uid);
}

/* A quarter: a user's range begins anywhere, so it lies in two blocks. */
static void share_blocks(struct writ_front_limits *l)
{
	if (!l->per_block)
		l->per_block = l->total < 4 ? 1 : l->total / 4;
}

static writ_rc learn_listener(struct writ_front *f, int fd, struct writ_err *err)
{
	int domain = 0;
	socklen_t n = sizeof(domain);
	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &n) != 0)
		return writ_fail_errno(err, errno, "listening socket");
	f->is_unix = domain == AF_UNIX;
	if (!f->is_unix && !f->cfg.tls)
		return writ_fail(err, WRIT_EINVAL, "%s: a TCP port without TLS", f->cfg.name);
	if (f->is_unix)
		f->some_uids = writ_overflow_uid(&f->overflow_uid);
	return WRIT_OK;
}

static void on_bury(struct writ_later *l)
{
	struct writ_front *f = writ_container(l, struct writ_front, bury);
	struct writ_hub *h = f->hub;
	WRIT_LIST_EACH (it, &f->conns)
		writ_conn_free(writ_container(it, struct writ_conn, node));
	writ_sources_done(&f->sources);
	writ_free(f);
	writ_hub_put(h);
}

writ_rc writ_front_start(const struct writ_front_config *cfg, int listen_fd,
	struct writ_front **ret, struct writ_err *err)
{
	struct writ_front *f = writ_alloc(sizeof(*f));
	f->cfg = *cfg;
	f->listener = (struct writ_watch){ .fd = -1, .ready = writ_front_on_listener };
	f->listen_fd = listen_fd;
	f->spare_fd = -1;
	f->accept_again.fire = writ_front_on_accept_again;
	f->handshake_due.fire = writ_handshake_on_due;
	if (!f->cfg.limits.total)
		share_descriptors(&f->cfg.limits);
	share_blocks(&f->cfg.limits);
	writ_list_init(&f->conns);
	writ_list_init(&f->handshake_turns);
	writ_sources_init(&f->sources);
	writ_later_init(&f->bury, on_bury);
	writ_bucket_init(&f->handshakes, cfg->limits.handshakes_per_s,
		cfg->limits.handshakes_per_s / 4.0 + 1);
	writ_rc rc = learn_listener(f, listen_fd, err);
	if (rc == WRIT_OK)
		rc = writ_hub_get(cfg->loop, &f->hub, err);
	if (rc == WRIT_OK)
		rc = writ_watch_start(f->hub, &f->listener, listen_fd, EPOLLIN, err);
	if (rc != WRIT_OK) {
		writ_hub_put(f->hub);
		writ_free(f);
		return rc;
	}
	f->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	*ret = f;
	return WRIT_OK;
}

void writ_front_stop_accepting(struct writ_front *f)
{
	writ_watch_stop(f->hub, &f->listener);
	writ_due_stop(f->hub, &f->accept_again);
	writ_closep(&f->listen_fd);
	f->listen_fd = -1;
	writ_closep(&f->spare_fd);
	f->spare_fd = -1;
}

size_t writ_front_count(const struct writ_front *f)
{
	return f->n_conns;
}

void writ_front_free(struct writ_front *f)
{
	if (!f)
		return;
	f->dead = true;
	writ_front_stop_accepting(f);
	WRIT_LIST_EACH (it, &f->conns) {
		struct writ_conn *c = writ_container(it, struct writ_conn, node);
		writ_conn_end(c, WRIT_RELAY_CUT, WRIT_ECANCELED, "the front is closed");
	}
	writ_due_stop(f->hub, &f->handshake_due);
	writ_registry_forget(f);
	/* Events that are being handed out may still point to what is in here. */
	writ_later_ask(f->hub, &f->bury);
}

struct writ_peer *writ_front_peer(struct writ_front *f, int fd)
{
	return writ_registry_get(f, fd);
}

size_t writ_front_cut(struct writ_front *f, bool (*match)(void *arg, const struct writ_peer *p),
	void *arg, const char *why)
{
	size_t n = 0;
	WRIT_LIST_EACH (it, &f->conns) {
		struct writ_conn *c = writ_container(it, struct writ_conn, node);
		if (c->state == WRIT_CONN_DEAD || !match(arg, c->peer))
			continue;
		writ_conn_end(c, WRIT_RELAY_CUT, WRIT_EDENIED, why);
		n++;
	}
	return n;
}

size_t writ_front_reverify(struct writ_front *f, const struct writ_bundles *bundles)
{
	size_t n = 0;
	int64_t now = writ_wall_s();
	WRIT_LIST_EACH (it, &f->conns) {
		struct writ_conn *c = writ_container(it, struct writ_conn, node);
		struct writ_err err = { .rc = WRIT_OK };
		if (c->state == WRIT_CONN_DEAD || !c->relay.tls || !c->peer->cert)
			continue;
		int64_t end = writ_cert_not_after(c->peer->cert);
		if (writ_tls_reverify(c->relay.tls, bundles, now < end ? now : end - 1, &err) ==
			WRIT_OK)
			continue;
		writ_conn_end(c, WRIT_RELAY_CUT, WRIT_EDENIED, err.msg);
		n++;
	}
	return n;
}

struct writ_front_stats writ_front_stats(const struct writ_front *f)
{
	return f->stats;
}
