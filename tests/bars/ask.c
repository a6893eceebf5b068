/* SPDX-License-Identifier: Apache-2.0 */
#include "ask.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define HEAD    9 /* bytes of a frame's header */
#define WINDOW  (64 * 1024)
#define PING    6
#define ACK     1
#define STREAM1 1

enum { DATA = 0, HEADERS = 1, RST_STREAM = 3, SETTINGS = 4, GOAWAY = 7, END_STREAM = 1 };

struct reader {
	int fd;
	bool answers, over; /* over: a status, or the end */
	bool until_ping, keeps_ping, pinged;
	uint8_t payload[8];
	const char *wanted;
	bool found;
	size_t n;
	uint8_t in[WINDOW];
};

int64_t ask_now_us(void)
{
	struct timespec t;
	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int ask_connect(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof(a.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(a.sun_path, path, strlen(path));
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&a, sizeof(a)) == 0)
		return fd;
	int e = errno;
	(void)close(fd);
	errno = e;
	return -1;
}

static uint8_t *put_frame(uint8_t *at, size_t n, uint8_t type, uint8_t flags, uint32_t stream)
{
	const uint8_t head[HEAD] = { (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n, type, flags,
		(uint8_t)(stream >> 24), (uint8_t)(stream >> 16), (uint8_t)(stream >> 8),
		(uint8_t)stream };
	memcpy(at, head, HEAD);
	return at + HEAD;
}

/* A literal that is never indexed (RFC 7541, 6.2.3). */
static uint8_t *put_field(uint8_t *at, const char *name, const char *value)
{
	const char *both[] = { name, value };
	*at++ = 0x10;
	for (int i = 0; i < 2; i++) {
		size_t n = strlen(both[i]);
		*at++ = (uint8_t)n;
		memcpy(at, both[i], n);
		at += n;
	}
	return at;
}

size_t ask_again_bytes(uint8_t *out, uint32_t stream)
{
	static const char *const fields[][2] = { { ":method", "POST" }, { ":scheme", "http" },
		{ ":path", "/SpiffeWorkloadAPI/FetchX509SVID" }, { ":authority", "localhost" },
		{ "content-type", "application/grpc" }, { "te", "trailers" },
		{ "workload.spiffe.io", "true" } };
	uint8_t *at = out + HEAD;
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		at = put_field(at, fields[i][0], fields[i][1]);
	(void)put_frame(out, (size_t)(at - out) - HEAD, HEADERS, 4, stream);
	at = put_frame(at, 5, DATA, END_STREAM, stream);
	memset(at, 0, 5);
	return (size_t)(at + 5 - out);
}

size_t ask_bytes(uint8_t *out)
{
	static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
	memcpy(out, preface, sizeof(preface) - 1);
	uint8_t *at = put_frame(out + sizeof(preface) - 1, 0, SETTINGS, 0, 0);
	return (size_t)(at - out) + ask_again_bytes(at, STREAM1);
}

bool ask_send(int fd)
{
	uint8_t out[ASK_MAX];
	size_t n = ask_bytes(out);
	return send(fd, out, n, MSG_NOSIGNAL) == (ssize_t)n;
}

static void acknowledge(const struct reader *r, uint8_t type, const uint8_t *payload, size_t n)
{
	uint8_t out[HEAD + 8];
	memcpy(put_frame(out, n, type, ACK, 0), payload, n);
	(void)!send(r->fd, out, HEAD + n, MSG_NOSIGNAL);
}

static void have_ping(struct reader *r, const uint8_t *payload)
{
	if (!r->keeps_ping)
		acknowledge(r, PING, payload, 8);
	memcpy(r->payload, payload, 8);
	r->pinged = true;
}

static void digest_frame(struct reader *r, const uint8_t *f, size_t n)
{
	uint8_t type = f[3], flags = f[4];
	bool asks = r->answers && !(flags & ACK);
	if (asks && type == SETTINGS)
		acknowledge(r, SETTINGS, f, 0);
	if (asks && type == PING && n == 8)
		have_ping(r, f + HEAD);
	if (type == DATA && r->wanted && memmem(f + HEAD, n, r->wanted, strlen(r->wanted)))
		r->found = true;
	if (type == RST_STREAM || type == GOAWAY || (type == HEADERS && flags & END_STREAM))
		r->over = true;
}

static void digest(struct reader *r)
{
	size_t at = 0;
	while (r->n - at >= HEAD) {
		const uint8_t *f = r->in + at;
		size_t n = (size_t)f[0] << 16 | (size_t)f[1] << 8 | f[2];
		if (r->n - at < HEAD + n)
			break;
		digest_frame(r, f, n);
		at += HEAD + n;
	}
	r->n -= at;
	memmove(r->in, r->in + at, r->n);
}

/* False: it is over, or the time is. */
static bool read_some(struct reader *r, int64_t end_us)
{
	int64_t left = end_us - ask_now_us();
	struct pollfd p = { .fd = r->fd, .events = POLLIN };
	struct timespec t = { left / 1000000, left % 1000000 * 1000 };
	if (left <= 0 || ppoll(&p, 1, &t, NULL) <= 0)
		return false;
	ssize_t k = recv(r->fd, r->in + r->n, sizeof(r->in) - r->n, 0);
	if (k <= 0) {
		r->over = true;
		return false;
	}
	r->n += (size_t)k;
	digest(r);
	return !r->over && !r->found && !(r->until_ping && r->pinged);
}

static void read_until(struct reader *r, int64_t end_us)
{
	r->n = 0;
	r->over = r->found = r->pinged = false;
	while (read_some(r, end_us))
		;
}

enum ask_got ask_wait(int fd, const char *wanted, int timeout_ms, bool answers)
{
	static struct reader r;
	r.fd = fd;
	r.answers = answers;
	r.wanted = wanted;
	read_until(&r, ask_now_us() + (int64_t)timeout_ms * 1000);
	if (r.found)
		return ASK_SERVED;
	return r.over ? ASK_REFUSED : ASK_SILENT;
}

enum ask_got ask(int fd, const char *wanted, int timeout_ms)
{
	return ask_send(fd) ? ask_wait(fd, wanted, timeout_ms, true) : ASK_REFUSED;
}

void ask_answer_for(int fd, int64_t us)
{
	static struct reader r;
	r.fd = fd;
	r.answers = true;
	r.wanted = NULL;
	read_until(&r, ask_now_us() + us);
}

bool ask_answer_ping(int fd, int timeout_ms)
{
	static struct reader r;
	r.fd = fd;
	r.answers = r.until_ping = true;
	read_until(&r, ask_now_us() + (int64_t)timeout_ms * 1000);
	return r.pinged;
}

bool ask_await_ping(int fd, int timeout_ms, uint8_t payload[8])
{
	static struct reader r;
	r.fd = fd;
	r.answers = r.until_ping = r.keeps_ping = true;
	read_until(&r, ask_now_us() + (int64_t)timeout_ms * 1000);
	memcpy(payload, r.payload, 8);
	return r.pinged;
}

void ask_acknowledge(int fd, const uint8_t payload[8])
{
	const struct reader r = { .fd = fd };
	acknowledge(&r, PING, payload, 8);
}

bool ask_send_again(int fd)
{
	uint8_t out[ASK_MAX];
	size_t n = ask_again_bytes(out, 3);
	return send(fd, out, n, MSG_NOSIGNAL) == (ssize_t)n;
}

enum ask_got ask_again(int fd, const char *wanted, int timeout_ms)
{
	return ask_send_again(fd) ? ask_wait(fd, wanted, timeout_ms, true) : ASK_REFUSED;
}
