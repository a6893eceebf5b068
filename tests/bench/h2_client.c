/* SPDX-License-Identifier: Apache-2.0 */
#include "h2_client.h"

#include "base/clock.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum {
	DATA = 0,
	HEADERS = 1,
	RST_STREAM = 3,
	SETTINGS = 4,
	PING = 6,
	GOAWAY = 7,
	WINDOW_UPDATE = 8
};

static uint8_t *put_frame(uint8_t *at, size_t len, uint8_t type, uint8_t flags, uint32_t stream)
{
	*at++ = (uint8_t)(len >> 16);
	*at++ = (uint8_t)(len >> 8);
	*at++ = (uint8_t)len;
	*at++ = type;
	*at++ = flags;
	*at++ = (uint8_t)(stream >> 24);
	*at++ = (uint8_t)(stream >> 16);
	*at++ = (uint8_t)(stream >> 8);
	*at++ = (uint8_t)stream;
	return at;
}

/* A header field never indexed, both strings literal (RFC 7541 6.2.3). */
static uint8_t *put_field(uint8_t *at, const char *name, const char *value)
{
	size_t n = strlen(name), v = strlen(value);
	*at++ = 0x10;
	*at++ = (uint8_t)n;
	memcpy(at, name, n);
	at += n;
	*at++ = (uint8_t)v;
	memcpy(at, value, v);
	return at + v;
}

static size_t request(uint8_t *out, const char *method, const char *header)
{
	static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
	uint8_t block[1024], *b = block, *at = out;
	memcpy(at, preface, sizeof(preface) - 1);
	at += sizeof(preface) - 1;
	/* INITIAL_WINDOW_SIZE 4 MiB, and as much for the connection: no WINDOW_UPDATEs later. */
	at = put_frame(at, 6, SETTINGS, 0, 0);
	memcpy(at, "\x00\x04\x00\x40\x00\x00", 6);
	at = put_frame(at + 6, 4, WINDOW_UPDATE, 0, 0);
	memcpy(at, "\x00\x3f\x00\x00", 4);
	at += 4;
	b = put_field(b, ":method", "POST");
	b = put_field(b, ":scheme", "http");
	b = put_field(b, ":path", method);
	b = put_field(b, ":authority", "localhost");
	b = put_field(b, "content-type", "application/grpc");
	b = put_field(b, "te", "trailers");
	if (header)
		b = put_field(b, header, "true");
	at = put_frame(at, (size_t)(b - block), HEADERS, 0x4, 1);
	memcpy(at, block, (size_t)(b - block));
	at += b - block;
	at = put_frame(at, 5, DATA, 0x1, 1);
	memset(at, 0, 5);
	return (size_t)(at + 5 - out);
}

int h2_open(struct h2 *h, const char *socket_path, const char *method, const char *header)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	uint8_t out[2048];
	memset(h, 0, offsetof(struct h2, in));
	h->n = h->message_left = h->n_prefix = h->last_size = 0;
	h->messages = 0;
	h->ended = false;
	strncat(a.sun_path, socket_path, sizeof(a.sun_path) - 1);
	h->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (h->fd < 0)
		return -1;
	if (connect(h->fd, (const struct sockaddr *)&a, sizeof(a)) != 0) {
		h2_close(h);
		return -1;
	}
	size_t n = request(out, method, header);
	return send(h->fd, out, n, MSG_NOSIGNAL) == (ssize_t)n ? 0 : -1;
}

static void digest_data(struct h2 *h, const uint8_t *p, size_t n)
{
	while (n) {
		if (h->message_left) {
			size_t k = n < h->message_left ? n : h->message_left;
			h->message_left -= k;
			p += k;
			n -= k;
			if (!h->message_left)
				h->messages++;
			continue;
		}
		h->prefix[h->n_prefix++] = *p++;
		n--;
		if (h->n_prefix < 5)
			continue;
		h->n_prefix = 0;
		h->message_left = (size_t)h->prefix[1] << 24 | (size_t)h->prefix[2] << 16 |
			(size_t)h->prefix[3] << 8 | h->prefix[4];
		h->last_size = h->message_left;
		if (!h->message_left)
			h->messages++;
	}
}

static void answer(struct h2 *h, uint8_t type, const uint8_t *payload, size_t n)
{
	uint8_t out[9 + 8];
	uint8_t *at = put_frame(out, n, type, 0x1, 0);
	if (n > 0)
		memcpy(at, payload, n);
	(void)!send(h->fd, out, 9 + n, MSG_NOSIGNAL);
}

static void digest_frame(struct h2 *h, const uint8_t *f, size_t len)
{
	uint8_t type = f[3], flags = f[4];
	if (type == DATA)
		digest_data(h, f + 9, len);
	else if (type == SETTINGS && !(flags & 1))
		answer(h, SETTINGS, NULL, 0);
	else if (type == PING && !(flags & 1) && len == 8)
		answer(h, PING, f + 9, 8);
	if (type == RST_STREAM || type == GOAWAY ||
		((type == DATA || type == HEADERS) && (flags & 0x1)))
		h->ended = true;
}

bool h2_read(struct h2 *h, int timeout_ms)
{
	struct pollfd p = { .fd = h->fd, .events = POLLIN };
	if (poll(&p, 1, timeout_ms) <= 0)
		return false;
	ssize_t k = recv(h->fd, h->in + h->n, sizeof(h->in) - h->n, 0);
	if (k <= 0) {
		h->ended = true;
		return false;
	}
	h->n += (size_t)k;
	size_t at = 0;
	while (h->n - at >= 9) {
		size_t len = (size_t)h->in[at] << 16 | (size_t)h->in[at + 1] << 8 | h->in[at + 2];
		if (h->n - at < 9 + len)
			break;
		digest_frame(h, h->in + at, len);
		at += 9 + len;
	}
	memmove(h->in, h->in + at, h->n - at);
	h->n -= at;
	return true;
}

bool h2_wait(struct h2 *h, uint64_t messages, int timeout_ms)
{
	int64_t until = writ_mono_ms() + timeout_ms;
	while (h->messages < messages && !h->ended) {
		int64_t left = until - writ_mono_ms();
		if (left <= 0 || (!h2_read(h, (int)left) && h->ended))
			break;
	}
	return h->messages >= messages;
}

void h2_close(struct h2 *h)
{
	if (h->fd >= 0)
		close(h->fd);
	h->fd = -1;
}
