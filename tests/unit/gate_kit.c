/* SPDX-License-Identifier: Apache-2.0 */
#include "gate_kit.h"

#include "check.h"

#include "base/clock.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE_MS 10000
#define CONNS       64

struct tool {
	int listener, wake[2];
	uint16_t port;
	pthread_t thread;
	int connections; /* atomic */
	struct {
		int fd;
		char held[65536];
		size_t n, off;
		bool ended;
	} conns[CONNS];
};

static void hang_up(struct tool *t, size_t i)
{
	close(t->conns[i].fd);
	t->conns[i].fd = -1;
}

static void serve(struct tool *t, size_t i, short events)
{
	__typeof__(t->conns[0]) *c = &t->conns[i];
	if (c->off < c->n && (events & POLLOUT)) {
		ssize_t k = send(c->fd, c->held + c->off, c->n - c->off, MSG_NOSIGNAL);
		c->off += k > 0 ? (size_t)k : 0;
		if (k < 0 && errno != EAGAIN)
			hang_up(t, i);
	} else if (c->off == c->n && !c->ended && (events & (POLLIN | POLLHUP))) {
		ssize_t k = recv(c->fd, c->held, sizeof(c->held), 0);
		c->off = 0;
		c->n = k > 0 ? (size_t)k : 0;
		if (k == 0) {
			memcpy(c->held, "bye", 3);
			c->n = 3;
			c->ended = true;
		} else if (k < 0 && errno != EAGAIN) {
			hang_up(t, i);
		}
	} else if (c->ended && c->off == c->n) {
		hang_up(t, i);
	}
}

static void take(struct tool *t)
{
	int fd = accept4(t->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0)
		return;
	__atomic_add_fetch(&t->connections, 1, __ATOMIC_SEQ_CST);
	for (size_t i = 0; i < CONNS; i++) {
		if (t->conns[i].fd < 0) {
			t->conns[i].fd = fd;
			t->conns[i].n = t->conns[i].off = 0;
			t->conns[i].ended = false;
			return;
		}
	}
	close(fd);
}

static void *tool_main(void *arg)
{
	struct tool *t = arg;
	for (;;) {
		struct pollfd p[CONNS + 2] = { { t->listener, POLLIN, 0 },
			{ t->wake[0], POLLIN, 0 } };
		for (size_t i = 0; i < CONNS; i++) {
			bool writes = t->conns[i].off < t->conns[i].n || t->conns[i].ended;
			p[i + 2] = (struct pollfd){ t->conns[i].fd, writes ? POLLOUT : POLLIN, 0 };
		}
		(void)poll(p, CONNS + 2, -1);
		if (p[1].revents)
			return NULL;
		for (size_t i = 0; i < CONNS; i++) {
			if (t->conns[i].fd >= 0 && p[i + 2].revents)
				serve(t, i, p[i + 2].revents);
		}
		if (p[0].revents)
			take(t);
	}
}

struct tool *tool_start(const char *unix_path, uint16_t port)
{
	struct tool *t = writ_alloc(sizeof(*t));
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(port) };
	socklen_t n = sizeof(in);
	const int on = 1;
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	for (size_t i = 0; i < CONNS; i++)
		t->conns[i].fd = -1;
	t->listener = socket(unix_path ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	(void)setsockopt(t->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (unix_path) {
		snprintf(un.sun_path, sizeof(un.sun_path), "%s", unix_path);
		assert_int_equal(bind(t->listener, (struct sockaddr *)&un, sizeof(un)), 0);
	} else {
		assert_int_equal(bind(t->listener, (struct sockaddr *)&in, sizeof(in)), 0);
		assert_int_equal(getsockname(t->listener, (struct sockaddr *)&in, &n), 0);
		t->port = ntohs(in.sin_port);
	}
	assert_int_equal(listen(t->listener, 64), 0);
	assert_int_equal(pipe2(t->wake, O_CLOEXEC), 0);
	assert_int_equal(pthread_create(&t->thread, NULL, tool_main, t), 0);
	return t;
}

uint16_t tool_port(const struct tool *t)
{
	return t->port;
}

int tool_connections(struct tool *t)
{
	return __atomic_load_n(&t->connections, __ATOMIC_SEQ_CST);
}

void tool_stop(struct tool *t)
{
	assert_int_equal(write(t->wake[1], "x", 1), 1);
	pthread_join(t->thread, NULL);
	for (size_t i = 0; i < CONNS; i++)
		writ_closep(&t->conns[i].fd);
	close(t->listener);
	close(t->wake[0]);
	close(t->wake[1]);
	writ_free(t);
}

void gate_start(struct gate *g, const char *const *flags, bool not_yet)
{
	const char *argv[32] = { WRIT_GATE, "run" };
	int out[2], err[2];
	size_t n = 2;
	for (; *flags; flags++)
		argv[n++] = *flags;
	argv[n] = NULL;
	*g = (struct gate){ 0 };
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	assert_int_equal(pipe2(err, O_CLOEXEC), 0);
	g->pid = fork();
	if (g->pid == 0) {
		dup2(out[1], STDOUT_FILENO);
		dup2(err[1], STDERR_FILENO);
		execv(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	close(out[1]);
	close(err[1]);
	g->out = out[0];
	g->err = err[0];
	if (!not_yet)
		gate_wait_listening(g);
}

void gate_wait_listening(struct gate *g)
{
	char text[256] = "";
	size_t n = 0;
	struct pollfd p = { g->out, POLLIN, 0 };
	while (!strchr(text, '\n')) {
		ssize_t k = poll(&p, 1, PATIENCE_MS) == 1
			? read(g->out, text + n, sizeof(text) - n - 1)
			: 0;
		if (k <= 0) {
			(void)gate_stop(g, SIGKILL);
			fail_msg("the gate did not start: %s", g->said);
		}
		n += (size_t)k;
	}
	unsigned port = 0;
	assert_int_equal(sscanf(text, "listening on port %u", &port), 1);
	g->port = (uint16_t)port;
}

int gate_stop(struct gate *g, int signum)
{
	int status = 0;
	size_t n = 0;
	if (signum)
		kill(g->pid, signum);
	for (ssize_t k; n < sizeof(g->said) - 1 &&
		(k = read(g->err, g->said + n, sizeof(g->said) - 1 - n)) > 0;)
		n += (size_t)k;
	g->said[n] = '\0';
	assert_int_equal(waitpid(g->pid, &status, 0), g->pid);
	close(g->out);
	close(g->err);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

bool caller_open(struct caller *c, uint16_t port, const struct fake_svid *s)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(port) };
	const struct timeval patience = { .tv_sec = PATIENCE_MS / 1000 };
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	c->ctx = SSL_CTX_new(TLS_client_method());
	if (s) {
		assert_int_equal(SSL_CTX_use_certificate(c->ctx, writ_cert_x509(s->cert)), 1);
		assert_int_equal(SSL_CTX_use_PrivateKey(c->ctx, writ_key_evp(s->key)), 1);
	}
	c->ssl = SSL_new(c->ctx);
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	(void)setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	(void)setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (connect(c->fd, (struct sockaddr *)&in, sizeof(in)) != 0)
		return false;
	assert_int_equal(SSL_set_fd(c->ssl, c->fd), 1);
	return SSL_connect(c->ssl) == 1;
}

bool caller_ping(struct caller *c)
{
	char text[4];
	int n = 0;
	if (SSL_write(c->ssl, "ping", 4) != 4)
		return false;
	while (n < 4) {
		int k = SSL_read(c->ssl, text + n, 4 - n);
		if (k <= 0)
			return false;
		n += k;
	}
	return memcmp(text, "ping", 4) == 0;
}

void caller_close(struct caller *c)
{
	SSL_free(c->ssl);
	SSL_CTX_free(c->ctx);
	close(c->fd);
}
