/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_runtime.h"

#include "check.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

struct talk {
	struct fake_runtime *f;
	int fd;
};

static void say(int fd, const char *p, size_t n)
{
	while (n > 0) {
		ssize_t put = send(fd, p, n, MSG_NOSIGNAL);
		if (put <= 0)
			return;
		p += put;
		n -= (size_t)put;
	}
}

static void say_text(int fd, const char *text)
{
	say(fd, text, strlen(text));
}

static void say_head(int fd, const char *status, size_t n)
{
	char head[256];
	(void)snprintf(head, sizeof(head),
		"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
		status, n);
	say_text(fd, head);
}

static void say_chunks(int fd, const char *body)
{
	size_t left = strlen(body);
	say_text(fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
	while (left > 0) {
		char size[16];
		size_t n = left < 1000 ? left : 1000;
		(void)snprintf(size, sizeof(size), "%zx\r\n", n);
		say_text(fd, size);
		say(fd, body, n);
		say_text(fd, "\r\n");
		body += n;
		left -= n;
	}
	say_text(fd, "0\r\n\r\n");
}

static void say_much(const struct fake_runtime *f, int fd)
{
	char blanks[65536];
	memset(blanks, ' ', sizeof(blanks));
	say_head(fd, "200 OK", (size_t)1 << 30);
	for (int i = 0; i < 16384 && !f->stop; i++) {
		if (send(fd, blanks, sizeof(blanks), MSG_NOSIGNAL) < 0)
			return;
	}
}

static void wait_for_end(const struct fake_runtime *f, int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	while (!f->stop && poll(&p, 1, 10) == 0)
		;
}

static void answer(struct fake_runtime *f, int fd)
{
	const char *body = f->body;
	size_t n = body ? strlen(body) : 0;
	switch ((enum fake_mood)f->mood) {
	case FAKE_ANSWERS:
		say_head(fd, "200 OK", n);
		say(fd, body, n);
		break;
	case FAKE_ANSWERS_CHUNKED: say_chunks(fd, body); break;
	case FAKE_HANGS: wait_for_end(f, fd); break;
	case FAKE_STALLS:
	case FAKE_TRUNCATES:
		say_head(fd, "200 OK", n);
		say(fd, body, n / 2);
		if (f->mood == FAKE_STALLS)
			wait_for_end(f, fd);
		break;
	case FAKE_CLOSES: break;
	case FAKE_GARBAGE: say_text(fd, "\x16\x03\x01 not HTTP at all\n\n\n"); break;
	case FAKE_ENDLESS: say_much(f, fd); break;
	case FAKE_MISSING:
		say_head(fd, "404 Not Found", 2);
		say_text(fd, "{}");
		break;
	case FAKE_BROKEN: say_head(fd, "500 Internal Server Error", 0); break;
	}
}

static void *talk_main(void *arg)
{
	struct talk *t = arg;
	char heard[4096];
	ssize_t n = recv(t->fd, heard, sizeof(heard) - 1, 0);
	if (n > 0) {
		heard[n] = '\0';
		pthread_mutex_lock(&t->f->lock);
		(void)sscanf(heard, "GET %255s", t->f->target);
		pthread_mutex_unlock(&t->f->lock);
		t->f->requests++;
		answer(t->f, t->fd);
	}
	close(t->fd);
	t->f->talks--;
	free(t);
	return NULL;
}

static void *fake_main(void *arg)
{
	struct fake_runtime *f = arg;
	struct pollfd p = { .fd = f->fd, .events = POLLIN };
	while (!f->stop) {
		pthread_t thread;
		if (poll(&p, 1, 10) != 1)
			continue;
		struct talk *t = calloc(1, sizeof(*t));
		t->f = f;
		t->fd = accept4(f->fd, NULL, NULL, SOCK_CLOEXEC);
		f->talks++;
		assert_int_equal(pthread_create(&thread, NULL, talk_main, t), 0);
		assert_int_equal(pthread_detach(thread), 0);
	}
	return NULL;
}

static void open_unix(struct fake_runtime *f, const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	(void)snprintf(f->path, sizeof(f->path), "%s", path);
	assert_true(strlen(path) < sizeof(sun.sun_path));
	memcpy(sun.sun_path, path, strlen(path));
	(void)unlink(path);
	f->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(f->fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	assert_int_equal(chmod(path, 0600), 0);
}

static void open_port(struct fake_runtime *f)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	socklen_t n = sizeof(sin);
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	f->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(f->fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	assert_int_equal(getsockname(f->fd, (struct sockaddr *)&sin, &n), 0);
	f->port = ntohs(sin.sin_port);
}

void fake_runtime_target(struct fake_runtime *f, char out[256])
{
	pthread_mutex_lock(&f->lock);
	memcpy(out, f->target, sizeof(f->target));
	pthread_mutex_unlock(&f->lock);
}

void fake_runtime_start(struct fake_runtime *f, const char *path)
{
	assert_int_equal(pthread_mutex_init(&f->lock, NULL), 0);
	if (path)
		open_unix(f, path);
	else
		open_port(f);
	assert_int_equal(listen(f->fd, 128), 0);
	assert_int_equal(pthread_create(&f->thread, NULL, fake_main, f), 0);
}

void fake_runtime_stop(struct fake_runtime *f)
{
	f->stop = true;
	pthread_join(f->thread, NULL);
	while (f->talks > 0)
		(void)poll(NULL, 0, 1);
	close(f->fd);
	pthread_mutex_destroy(&f->lock);
	if (f->path[0])
		(void)unlink(f->path);
}
