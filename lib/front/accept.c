/* SPDX-License-Identifier: Apache-2.0 */
/* From the listening socket to a connection that is counted and known. */
#include "front/conn.h"
#include "front/identity.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BATCH    64     /* connections accepted before others get their turn */
#define AGAIN_US 100000 /* when nothing can be accepted for want of memory */

void writ_front_tell_refused(struct writ_front *f, const char *addr, const struct writ_err *why)
{
	f->stats.refused++;
	if (f->cfg.refused)
		f->cfg.refused(f->cfg.arg, addr, why);
}

static void rest(struct writ_front *f)
{
	writ_watch_set(f->hub, &f->listener, 0);
	writ_due_set(f->hub, &f->accept_again, writ_hub_now_us(f->hub) + AGAIN_US);
}

void writ_front_on_accept_again(struct writ_due *d)
{
	struct writ_front *f = writ_container(d, struct writ_front, accept_again);
	if (f->spare_fd < 0)
		f->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (f->spare_fd < 0)
		rest(f);
	else
		writ_watch_set(f->hub, &f->listener, EPOLLIN);
}

/* Out of descriptors: the caller at the head of the queue is told so by closing it, with the spare
 * one. Left there, it would keep the listener readable and this thread spinning. False: nothing
 * more to do now. */
static bool refuse_one(struct writ_front *f, int errnum)
{
	struct writ_err err;
	if (f->spare_fd < 0) {
		rest(f);
		return false;
	}
	(void)close(f->spare_fd);
	int fd = accept4(f->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd >= 0)
		(void)close(fd);
	f->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	writ_fail(&err, WRIT_ELIMIT, "accept: %s", strerror(errnum));
	writ_front_tell_refused(f, "?", &err);
	return true;
}

static writ_rc claim_one(struct writ_front *f, struct writ_source_key key, uint32_t max,
	const char *whose, struct writ_source **ret, struct writ_err *err)
{
	if (writ_source_enter(&f->sources, key, max, writ_hub_now_us(f->hub), ret))
		return WRIT_OK;
	return writ_fail(
		err, WRIT_ELIMIT, "%s %u connections open, at most that many may be", whose, max);
}

static writ_rc enter(struct writ_front *f, const struct writ_peer *p, struct writ_source_key from,
	struct writ_claim *claim, struct writ_err *err)
{
	const struct writ_front_limits *l = &f->cfg.limits;
	struct writ_claim c = { .source = NULL };
	if (f->n_conns >= l->total)
		return writ_fail(err, WRIT_ELIMIT, "%zu connections are open, at most %u may be",
			f->n_conns, l->total);
	writ_rc rc = claim_one(f, from, l->per_uid,
		f->is_unix ? "this uid has" : "this address has", &c.source, err);
	if (rc == WRIT_OK && f->is_unix)
		rc = claim_one(f, writ_source_number(WRIT_SOURCE_PID, (uint32_t)p->pid),
			l->per_process, "this process has", &c.process, err);
	if (rc == WRIT_OK && f->is_unix && p->uid >= WRIT_UID_BLOCK)
		rc = claim_one(f, writ_source_number(WRIT_SOURCE_BLOCK, p->uid / WRIT_UID_BLOCK),
			l->per_block, "the uids that share the upper 16 bits of this one have",
			&c.block, err);
	if (rc == WRIT_OK)
		*claim = c;
	else
		writ_claim_leave(&f->sources, &c, writ_hub_now_us(f->hub));
	return rc;
}

/* A flood of callers who hang up at once fills the queue; those are passed over at the price of a
 * look. Raw bytes of a caller who has left still count. */
static bool has_left(const struct writ_front *f, int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLRDHUP };
	return (f->cfg.http2 || f->cfg.tls) && poll(&p, 1, 0) > 0 &&
		p.revents & (POLLRDHUP | POLLHUP | POLLERR);
}

/* From the cheap to the dear: who is refused has cost little. */
static writ_rc admit(struct writ_front *f, int fd, struct writ_peer *p, struct writ_source_key from,
	struct writ_claim *claim, struct writ_err *err)
{
	writ_rc rc = enter(f, p, from, claim, err);
	if (rc != WRIT_OK)
		return rc;
	if (has_left(f, fd))
		rc = writ_fail(err, WRIT_EUNAVAIL, "the peer has closed the connection already");
	else if (f->is_unix)
		rc = writ_peer_pin(fd, p, err);
	if (rc == WRIT_OK)
		return rc;
	int64_t now = writ_hub_now_us(f->hub);
	writ_debt_add(&claim->source->debt, f->cfg.limits.fault_ms * 1000,
		f->cfg.limits.debt_ms * 1000, now);
	writ_claim_leave(&f->sources, claim, now);
	return rc;
}

static void take(struct writ_front *f, int fd, const struct sockaddr *sa)
{
	struct writ_peer *p = NULL;
	struct writ_claim claim;
	struct writ_err err = { .rc = WRIT_OK };
	writ_rc rc = WRIT_OK;
	struct writ_source_key from = { .kind = WRIT_SOURCE_ADDR };
	f->stats.accepted++;
	if (f->is_unix)
		rc = writ_peer_learn_unix(fd, f->some_uids ? &f->overflow_uid : NULL, &p, &err);
	else
		p = writ_peer_learn_tcp(sa, from.id);
	if (rc == WRIT_OK && f->is_unix)
		from = writ_source_number(WRIT_SOURCE_UID, p->uid);
	if (rc == WRIT_OK)
		rc = admit(f, fd, p, from, &claim, &err);
	if (rc == WRIT_OK) {
		struct writ_conn *c = writ_conn_new(f, fd, p, &claim);
		if (c->state != WRIT_CONN_DELAYED)
			writ_conn_begin(c);
		return;
	}
	(void)close(fd);
	writ_front_tell_refused(f, p ? p->addr : "?", &err);
	writ_peer_unref(p);
}

void writ_front_on_listener(struct writ_watch *w, uint32_t events)
{
	struct writ_front *f = writ_container(w, struct writ_front, listener);
	(void)events;
	for (int i = 0; i < BATCH && f->listener.fd >= 0; i++) {
		struct sockaddr_storage sa = { .ss_family = AF_UNSPEC };
		socklen_t n = sizeof(sa);
		int fd = accept4(f->listen_fd, f->is_unix ? NULL : (struct sockaddr *)&sa,
			f->is_unix ? NULL : &n, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd >= 0) {
			take(f, fd, (struct sockaddr *)&sa);
			continue;
		}
		if (errno == EAGAIN)
			return;
		if (errno == EMFILE || errno == ENFILE) {
			if (!refuse_one(f, errno))
				return;
		} else if (errno == ENOMEM || errno == ENOBUFS) {
			rest(f);
			return;
		} /* else: that one connection is gone already */
	}
}
