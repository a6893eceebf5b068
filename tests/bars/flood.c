/* SPDX-License-Identifier: Apache-2.0 */
/* flood: an attacker who floods one listener for some seconds, or until SIGTERM, and prints what
 * became of its connections as a line of JSON; see bar10.py.
 *
 * usage: flood PROBE unix:PATH|tcp:PORT SECONDS [CONNECTIONS [again]]
 * CONNECTIONS are held at a time; again: whoever is cut off connects anew at once. */
#include "flood.h"

#include "base/mem.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define CHUNK   (32 * 1024)
#define EVENTS  256
#define AT_ONCE 64 /* connections made before the others get their turn */
#define DRIP_S  0.3

struct conn {
	int fd;
	SSL *tls;
	bool secure; /* the handshake is over, or there is none */
	uint64_t at; /* bytes sent */
	double wake;
	uint32_t mask;
};

static struct flood {
	const struct probe *probe;
	union {
		struct sockaddr any;
		struct sockaddr_un un;
		struct sockaddr_in in;
	} to;
	socklen_t to_len;
	SSL_CTX *tls;
	struct conn *conns;
	size_t n, max;
	bool again;
	int epfd;
	uint64_t made, failed, cut, calmed, bytes, most;
	double first_cut;
} flood;

static double now_s(void)
{
	struct timespec t;
	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void watch(struct conn *c, int op, uint32_t mask)
{
	struct epoll_event e = { .events = mask, .data.ptr = c };
	if (op == EPOLL_CTL_MOD && c->mask == mask)
		return;
	(void)epoll_ctl(flood.epfd, op, c->fd, &e);
	c->mask = mask;
}

static void drop(struct conn *c, double begin)
{
	if (!flood.probe->hangs_up) {
		flood.cut++;
		if (flood.first_cut < 0)
			flood.first_cut = now_s() - begin;
	}
	SSL_free(c->tls);
	(void)close(c->fd);
	c->tls = NULL;
	c->fd = -1;
	flood.n--;
}

static bool begin_conn(struct conn *c, double now)
{
	bool tcp = flood.to.any.sa_family == AF_INET;
	*c = (struct conn){ .wake = now, .secure = !tcp || flood.probe->bare };
	c->fd = socket(
		flood.to.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | (tcp ? 0 : SOCK_NONBLOCK), 0);
	if (c->fd < 0 || connect(c->fd, &flood.to.any, flood.to_len) != 0) {
		if (c->fd >= 0)
			(void)close(c->fd);
		c->fd = -1;
		flood.failed++;
		return false;
	}
	if (!c->secure) {
		c->tls = SSL_new(flood.tls);
		if (!c->tls || SSL_set_fd(c->tls, c->fd) != 1)
			exit(1);
		SSL_set_connect_state(c->tls);
	}
	flood.made++;
	flood.n++;
	watch(c, EPOLL_CTL_ADD, EPOLLIN | EPOLLOUT);
	return true;
}

/* Looks for the GOAWAY that tells a client to calm down: the last thing the guard says. */
static void look(const uint8_t *p, size_t n)
{
	static const uint8_t head[] = { 0, 0, 8, 7, 0, 0, 0, 0, 0 };
	if (n < 17)
		return;
	p += n - 17;
	flood.calmed += memcmp(p, head, sizeof(head)) == 0 && p[16] == 0x0b;
}

/* False: it is over. */
static bool take(struct conn *c)
{
	uint8_t text[16384];
	ssize_t n;
	if (c->tls) {
		n = SSL_read(c->tls, text, sizeof(text));
		if (n <= 0)
			return SSL_get_error(c->tls, (int)n) == SSL_ERROR_WANT_READ;
	} else {
		n = recv(c->fd, text, sizeof(text), MSG_DONTWAIT);
		if (n <= 0)
			return n < 0 && errno == EAGAIN;
	}
	look(text, (size_t)n);
	return true;
}

/* Sends what comes next. False: it is over. */
static bool give(struct conn *c, double now)
{
	uint8_t text[CHUNK];
	if (now < c->wake)
		return true;
	size_t n = probe_fill(flood.probe, c->at, text, flood.probe->drips ? 1 : sizeof(text));
	if (!n) {
		watch(c, EPOLL_CTL_MOD, EPOLLIN);
		return !flood.probe->hangs_up;
	}
	ssize_t k = c->tls ? SSL_write(c->tls, text, (int)n)
			   : send(c->fd, text, n, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (k > 0) {
		c->at += (uint64_t)k;
		flood.bytes += (uint64_t)k;
		c->wake = flood.probe->drips ? now + DRIP_S : now;
		return true;
	}
	if (!c->tls)
		return errno == EAGAIN;
	int e = SSL_get_error(c->tls, (int)k);
	return e == SSL_ERROR_WANT_WRITE || e == SSL_ERROR_WANT_READ;
}

static bool shake(struct conn *c)
{
	int rc = SSL_do_handshake(c->tls);
	if (rc == 1) {
		c->secure = true;
		watch(c, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
		return true;
	}
	watch(c, EPOLL_CTL_MOD, EPOLLIN);
	return SSL_get_error(c->tls, rc) == SSL_ERROR_WANT_READ &&
		!(flood.probe->hello && SSL_get_state(c->tls) != TLS_ST_CW_CLNT_HELLO);
}

static void serve(const struct epoll_event *e, double begin, double now)
{
	struct conn *c = e->data.ptr;
	bool goes_on = true;
	if (c->fd < 0)
		return;
	if (!c->secure) {
		goes_on = shake(c);
	} else {
		if (e->events & EPOLLOUT)
			goes_on = give(c, now);
		if (e->events & ~(uint32_t)EPOLLOUT)
			goes_on = take(c) && goes_on;
	}
	if (!goes_on)
		drop(c, begin);
}

static void connect_some(double now)
{
	static size_t next;
	int tried = 0;
	for (size_t i = 0; i < flood.max && tried < AT_ONCE && flood.n < flood.max; i++) {
		struct conn *c = &flood.conns[next++ % flood.max];
		if (c->fd >= 0 || (!flood.again && flood.made >= flood.max))
			continue;
		tried++;
		if (!begin_conn(c, now))
			return;
	}
}

static volatile sig_atomic_t enough;

static void on_term(int signum)
{
	(void)signum;
	enough = 1;
}

static void run(double seconds)
{
	double begin = now_s(), now;
	while (!enough && (now = now_s()) < begin + seconds) {
		struct epoll_event events[EVENTS];
		connect_some(now);
		if (flood.n > flood.most)
			flood.most = flood.n;
		int n = epoll_wait(flood.epfd, events, EVENTS, flood.probe->drips ? 20 : 1);
		for (int i = 0; i < n; i++)
			serve(&events[i], begin, now);
	}
	printf("{\"made\":%lu,\"failed\":%lu,\"cut\":%lu,\"calmed\":%lu,\"most\":%lu,\"held\":%zu,"
	       "\"mb\":%.1f,\"first_cut_s\":%.3f}\n",
		flood.made, flood.failed, flood.cut, flood.calmed, flood.most, flood.n,
		(double)flood.bytes / 1e6, flood.first_cut);
}

static bool aim(const char *target)
{
	if (strncmp(target, "unix:", 5) == 0) {
		flood.to.un.sun_family = AF_UNIX;
		(void)snprintf(
			flood.to.un.sun_path, sizeof(flood.to.un.sun_path), "%s", target + 5);
		flood.to_len = sizeof(flood.to.un);
		return true;
	}
	flood.to.in = (struct sockaddr_in){ .sin_family = AF_INET,
		.sin_port = htons((uint16_t)strtoul(target + 4, NULL, 10)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	flood.to_len = sizeof(flood.to.in);
	flood.tls = SSL_CTX_new(TLS_client_method());
	if (!flood.tls)
		return false;
	static const uint8_t h2[] = { 2, 'h', '2' };
	(void)SSL_CTX_set_mode(
		flood.tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	return SSL_CTX_set_alpn_protos(flood.tls, h2, sizeof(h2)) == 0;
}

int main(int argc, char **argv)
{
	flood.probe = argc > 3 ? probe_find(argv[1]) : NULL;
	if (!flood.probe || !aim(argv[2])) {
		(void)fprintf(stderr,
			"usage: flood PROBE unix:PATH|tcp:PORT SECONDS [CONNECTIONS "
			"[again]]\nprobes: ");
		probe_list(stderr);
		return 2;
	}
	const struct sigaction ignore = { .sa_handler = SIG_IGN };
	const struct sigaction term = { .sa_handler = on_term };
	struct rlimit files;
	(void)sigaction(SIGTERM, &term, NULL);
	(void)sigaction(SIGPIPE, &ignore, NULL); /* OpenSSL writes with write(2) */
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
	flood.max = argc > 4 ? strtoul(argv[4], NULL, 10) : 1;
	flood.again = argc > 5;
	flood.first_cut = -1;
	flood.epfd = epoll_create1(EPOLL_CLOEXEC);
	flood.conns = writ_alloc(flood.max * sizeof(*flood.conns));
	for (size_t i = 0; i < flood.max; i++)
		flood.conns[i].fd = -1;
	run(strtod(argv[3], NULL));
	return 0;
}
