/* SPDX-License-Identifier: Apache-2.0 */
/* The relay's system calls. */
#include "front/relay_impl.h"

#include "base/mem.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

size_t writ_side_waiting(const struct writ_relay_side *s)
{
	return s->out.n - s->out_off;
}

/* Room for the credentials and nothing else: a descriptor that somebody passes is never installed
 * here. */
static bool sender_is_peer(const struct writ_relay *r, struct msghdr *m)
{
	if (m->msg_flags & MSG_CTRUNC)
		return false;
	struct cmsghdr *c = CMSG_FIRSTHDR(m);
	if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_CREDENTIALS ||
		c->cmsg_len != CMSG_LEN(sizeof(struct ucred)))
		return false;
	struct ucred cred;
	memcpy(&cred, CMSG_DATA(c), sizeof(cred));
	return cred.pid == r->pid;
}

static ssize_t read_unix(const struct writ_relay *r, uint8_t *p, size_t cap, bool *honest)
{
	union {
		char bytes[CMSG_SPACE(sizeof(struct ucred))];
		struct cmsghdr align;
	} control;
	struct iovec iov = { p, cap };
	struct msghdr m = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes) };
	ssize_t n = recvmsg(r->near.fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	*honest = n <= 0 || sender_is_peer(r, &m);
	return n;
}

static enum writ_got read_tls(struct writ_relay *r, uint8_t *p, size_t cap, size_t *n)
{
	struct writ_err err = { .rc = WRIT_OK };
	enum writ_tls_io io = writ_tls_read(r->tls, p, cap, n, &err);
	r->tls_read_wants_write = io == WRIT_TLS_WANT_WRITE;
	if (io == WRIT_TLS_DONE)
		return WRIT_GOT_BYTES;
	if (io == WRIT_TLS_EOF)
		return WRIT_GOT_END;
	if (io != WRIT_TLS_FAILED)
		return WRIT_GOT_NOTHING;
	writ_relay_end(r, err.rc == WRIT_ELIMIT ? WRIT_RELAY_KILLED : WRIT_RELAY_CLOSED, err.msg);
	return WRIT_GOT_DEAD;
}

enum writ_got writ_relay_read_near(struct writ_relay *r, uint8_t *p, size_t cap, size_t *n)
{
	bool honest = true;
	if (r->tls)
		return read_tls(r, p, cap, n);
	ssize_t k =
		r->is_unix ? read_unix(r, p, cap, &honest) : recv(r->near.fd, p, cap, MSG_DONTWAIT);
	if (!honest) {
		writ_relay_end(r, WRIT_RELAY_KILLED,
			"a message was written by another process than the one that connected");
		return WRIT_GOT_DEAD;
	}
	if (k == 0)
		return WRIT_GOT_END;
	if (k > 0) {
		*n = (size_t)k;
		return WRIT_GOT_BYTES;
	}
	if (errno == EAGAIN || errno == EINTR)
		return WRIT_GOT_NOTHING;
	writ_relay_end(r, WRIT_RELAY_CLOSED, strerror(errno));
	return WRIT_GOT_DEAD;
}

enum writ_got writ_relay_read_far(struct writ_relay *r, uint8_t *p, size_t cap, size_t *n)
{
	ssize_t k = recv(r->far.fd, p, cap, MSG_DONTWAIT);
	writ_hub_stir(r->hub, 1);
	if (k > 0) {
		*n = (size_t)k;
		return WRIT_GOT_BYTES;
	}
	if (k < 0 && (errno == EAGAIN || errno == EINTR))
		return WRIT_GOT_NOTHING;
	/* A backend that closes with bytes unread gives ECONNRESET here, after all that it had
	 * written. */
	return WRIT_GOT_END;
}

/* As many as the peer takes now. False: it takes no more for ever, and the relay has ended. */
static bool put_near(struct writ_relay *r, const uint8_t *p, size_t n, size_t *put)
{
	*put = 0;
	while (*put < n) {
		struct writ_err err = { .rc = WRIT_OK };
		size_t k = 0;
		if (r->tls) {
			enum writ_tls_io io = writ_tls_write(r->tls, p + *put, n - *put, &k, &err);
			if (io == WRIT_TLS_WANT_READ || io == WRIT_TLS_WANT_WRITE)
				return true;
			if (io != WRIT_TLS_DONE) {
				writ_relay_end(r, WRIT_RELAY_CLOSED, err.msg);
				return false;
			}
			*put += k;
			continue;
		}
		ssize_t sent = send(r->near.fd, p + *put, n - *put, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (sent >= 0)
			*put += (size_t)sent;
		if (sent >= 0 || errno == EAGAIN || errno == EINTR)
			return true; /* a short write means that the socket is full */
		writ_relay_end(r, WRIT_RELAY_CLOSED, strerror(errno));
		return false;
	}
	return true;
}

static size_t put_far(struct writ_relay *r, const uint8_t *p, size_t n)
{
	ssize_t sent = n ? send(r->far.fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT) : 0;
	if (n)
		writ_hub_stir(r->hub, 1);
	if (sent >= 0)
		return (size_t)sent;
	if (errno != EAGAIN && errno != EINTR)
		r->far.broken = true; /* it may still have written something: that is read first */
	return 0;
}

static void keep(struct writ_relay *r, struct writ_relay_side *s, const uint8_t *p, size_t n)
{
	if (!n)
		return;
	writ_buf_add(&s->out, p, n);
	if (s->out.failed)
		writ_relay_end(r, WRIT_RELAY_CLOSED, "a direction's buffer is full");
}

static void drained(struct writ_relay_side *s)
{
	if (s->out_off < s->out.n)
		return;
	writ_buf_wipe(&s->out);
	s->out_off = 0;
}

void writ_relay_write_near(struct writ_relay *r, const uint8_t *p, size_t n)
{
	size_t put = 0;
	if (writ_side_waiting(&r->near) || put_near(r, p, n, &put))
		keep(r, &r->near, p + put, n - put);
}

void writ_relay_flush_near(struct writ_relay *r)
{
	size_t put = 0;
	if (!put_near(r, r->near.out.p + r->near.out_off, writ_side_waiting(&r->near), &put))
		return;
	r->near.out_off += put;
	drained(&r->near);
	if (!writ_side_waiting(&r->near) && r->far.ended)
		writ_relay_far_ended(r);
}

void writ_relay_write_far(struct writ_relay *r, const uint8_t *p, size_t n)
{
	if (r->far.broken)
		return;
	if (r->far.fd >= 0 && writ_side_waiting(&r->far))
		writ_relay_flush_far(r);
	size_t put = r->far.fd >= 0 && !writ_side_waiting(&r->far) ? put_far(r, p, n) : 0;
	if (!r->far.broken)
		keep(r, &r->far, p + put, n - put);
}

void writ_relay_flush_far(struct writ_relay *r)
{
	r->far.out_off += put_far(r, r->far.out.p + r->far.out_off, writ_side_waiting(&r->far));
	if (r->far.broken)
		r->far.out_off = r->far.out.n;
	drained(&r->far);
	if (!writ_side_waiting(&r->far) && r->near.ended)
		writ_relay_near_ended(r);
}
