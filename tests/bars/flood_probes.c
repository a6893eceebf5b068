/* SPDX-License-Identifier: Apache-2.0 */
#include "flood.h"

#include "base/mem.h"

#include <string.h>

enum {
	DATA,
	HEADERS,
	PRIORITY,
	RST_STREAM,
	SETTINGS,
	PUSH_PROMISE,
	PING,
	WINDOW_UPDATE = 8,
	CONTINUATION,
	UNKNOWN = 0x20
};
enum { END_STREAM = 1, ACK = 1, END_HEADERS = 4 };

#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#define PLACES  4

static struct text {
	uint8_t p[20000];
	size_t n;
	size_t places[PLACES]; /* of stream numbers */
	size_t n_places;
} begin, unit, *to;

static void add(const void *p, size_t n)
{
	if (n)
		memcpy(to->p + to->n, p, n);
	to->n += n;
}

static void add_frame(
	uint8_t type, uint8_t flags, bool each, uint8_t stream, const void *p, size_t n)
{
	const uint8_t head[9] = { (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n, type, flags, 0,
		0, 0, stream };
	if (each)
		to->places[to->n_places++] = to->n + 5;
	add(head, sizeof(head));
	add(p, n);
}

static size_t put_header(uint8_t *out, const char *name, const char *value)
{
	size_t n = strlen(name), v = strlen(value);
	out[0] = 0;
	out[1] = (uint8_t)n;
	memcpy(out + 2, name, n);
	out[2 + n] = (uint8_t)v;
	memcpy(out + 3 + n, value, v);
	return 3 + n + v;
}

static size_t put_request(uint8_t *out)
{
	static const char *const fields[][2] = { { ":method", "POST" }, { ":scheme", "http" },
		{ ":path", "/SpiffeWorkloadAPI/FetchX509SVID" }, { ":authority", "localhost" },
		{ "content-type", "application/grpc" }, { "te", "trailers" },
		{ "workload.spiffe.io", "true" } };
	size_t n = 0;
	for (size_t i = 0; i < WRIT_COUNT(fields); i++)
		n += put_header(out + n, fields[i][0], fields[i][1]);
	return n;
}

static void headers(uint8_t flags, bool each)
{
	uint8_t block[512];
	add_frame(HEADERS, flags, each, 1, block, put_request(block));
}

static void start(void)
{
	add(PREFACE, sizeof(PREFACE) - 1);
	add_frame(SETTINGS, 0, false, 0, NULL, 0);
}

static void start_open(void)
{
	start();
	headers(END_HEADERS, false);
}

static void start_block(void)
{
	start();
	headers(0, false);
}

static void start_stalled(void)
{
	static const uint8_t no_window[] = { 0, 4, 0, 0, 0, 0 };
	add(PREFACE, sizeof(PREFACE) - 1);
	add_frame(SETTINGS, 0, false, 0, no_window, sizeof(no_window));
}

static void u_open(void)
{
	headers(END_HEADERS, true);
}

static void u_reset(void)
{
	static const uint8_t cancel[4] = { 0, 0, 0, 8 };
	headers(END_HEADERS, true);
	add_frame(RST_STREAM, 0, true, 1, cancel, sizeof(cancel));
}

static void u_provoke(void)
{
	static const uint8_t zero[4];
	headers(END_HEADERS, true);
	add_frame(WINDOW_UPDATE, 0, true, 1, zero, sizeof(zero));
}

static void u_call(void)
{
	static const uint8_t empty[5];
	headers(END_HEADERS, true);
	add_frame(DATA, END_STREAM, true, 1, empty, sizeof(empty));
}

/* Puts a long header in the table, then names it as often as a frame allows. */
static void u_bomb(void)
{
	uint8_t block[16384];
	size_t n = put_request(block);
	static const uint8_t insert[] = { 0x40, 1, 'x', 0x7f, 0xa1, 0x1e };
	memcpy(block + n, insert, sizeof(insert));
	n += sizeof(insert);
	memset(block + n, 'a', 4000); /* 127 + 0x21 + (0x1e << 7) */
	n += 4000;
	memset(block + n, 0xbe, sizeof(block) - n);
	add_frame(HEADERS, END_HEADERS | END_STREAM, true, 1, block, sizeof(block));
}

static void u_continuation(void)
{
	uint8_t block[1000];
	size_t n = 0;
	while (n + 8 < sizeof(block))
		n += put_header(block + n, "a", "b");
	add_frame(CONTINUATION, 0, false, 1, block, n);
}

static void u_ping(void)
{
	add_frame(PING, 0, false, 0, "12345678", 8);
}

static void u_ping_ack(void)
{
	add_frame(PING, ACK, false, 0, "12345678", 8);
}

static void u_settings(void)
{
	static const uint8_t window[] = { 0, 4, 0, 0, 0xff, 0xff };
	add_frame(SETTINGS, 0, false, 0, window, sizeof(window));
}

static void u_window(void)
{
	static const uint8_t one[] = { 0, 0, 0, 1 };
	add_frame(WINDOW_UPDATE, 0, false, 1, one, sizeof(one));
}

static void u_empty(void)
{
	add_frame(DATA, 0, false, 1, NULL, 0);
}

static void u_priority(void)
{
	static const uint8_t weight[5] = { 0, 0, 0, 0, 16 };
	add_frame(PRIORITY, 0, false, 1, weight, sizeof(weight));
}

static void u_unknown(void)
{
	add_frame(UNKNOWN, 0, false, 0, "x", 1);
}

static void u_oversize(void)
{
	static const uint8_t head[9] = { 0xff, 0xff, 0xff, DATA, 0, 0, 0, 0, 1 };
	add(head, sizeof(head));
}

static void u_push(void)
{
	add_frame(PUSH_PROMISE, END_HEADERS, false, 1, "\0\0\0\2", 4);
}

static void u_junk(void)
{
	uint32_t x = 1;
	while (to->n < 4096) {
		x = x * 1664525 + 1013904223;
		to->p[to->n++] = (uint8_t)(x >> 24);
	}
}

static void u_http1(void)
{
	static const char text[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
	add(text, sizeof(text) - 1);
}

static const struct probe probes[] = {
	{ .name = "reset", .begin = start, .unit = u_reset },
	{ .name = "open", .begin = start, .unit = u_open },
	{ .name = "hold", .begin = start, .unit = u_open, .times = 190 },
	{ .name = "provoked_reset", .begin = start, .unit = u_provoke },
	{ .name = "calls", .begin = start, .unit = u_call },
	{ .name = "stalled", .begin = start_stalled, .unit = u_call },
	{ .name = "header_bomb", .begin = start, .unit = u_bomb },
	{ .name = "continuation", .begin = start_block, .unit = u_continuation },
	{ .name = "ping", .begin = start, .unit = u_ping },
	{ .name = "settings", .begin = start, .unit = u_settings },
	{ .name = "window_update", .begin = start_open, .unit = u_window },
	{ .name = "empty_data", .begin = start_open, .unit = u_empty },
	{ .name = "priority", .begin = start_open, .unit = u_priority },
	{ .name = "unknown", .begin = start, .unit = u_unknown },
	{ .name = "ping_ack", .begin = start, .unit = u_ping_ack },
	{ .name = "oversize", .begin = start, .unit = u_oversize },
	{ .name = "push_promise", .begin = start, .unit = u_push },
	{ .name = "junk", .begin = start, .unit = u_junk },
	{ .name = "bad_preface", .unit = u_http1 },
	{ .name = "connect", .hangs_up = true, .bare = true },
	{ .name = "hello", .hangs_up = true, .hello = true },
	{ .name = "handshake", .hangs_up = true },
	{ .name = "silent", .bare = true },
	{ .name = "silent_open", .begin = start_open },
	{ .name = "drip", .begin = start, .drips = true },
	{ .name = "drip_open", .begin = start_open, .drips = true },
};

static void make(struct text *t, void (*of)(void))
{
	to = t;
	if (of)
		of();
}

const struct probe *probe_find(const char *name)
{
	for (size_t i = 0; i < WRIT_COUNT(probes); i++) {
		if (strcmp(probes[i].name, name) != 0)
			continue;
		make(&begin, probes[i].begin);
		make(&unit, probes[i].unit);
		return &probes[i];
	}
	return NULL;
}

void probe_list(FILE *f)
{
	for (size_t i = 0; i < WRIT_COUNT(probes); i++)
		(void)fprintf(f, "%s%s", probes[i].name, i + 1 < WRIT_COUNT(probes) ? " " : "\n");
}

static void number(uint64_t k)
{
	uint32_t stream = ((uint32_t)k * 2 + 1) & 0x7fffffff;
	for (size_t i = 0; i < unit.n_places; i++) {
		uint8_t *p = unit.p + unit.places[i];
		p[0] = (uint8_t)(stream >> 24);
		p[1] = (uint8_t)(stream >> 16);
		p[2] = (uint8_t)(stream >> 8);
		p[3] = (uint8_t)stream;
	}
}

size_t probe_fill(const struct probe *p, uint64_t at, uint8_t *out, size_t max)
{
	size_t n = 0;
	if (p->times) {
		uint64_t end = begin.n + (uint64_t)p->times * unit.n;
		max = end - at < max ? (size_t)(end - at) : max;
	}
	if (at < begin.n) {
		n = begin.n - at < max ? begin.n - at : max;
		memcpy(out, begin.p + at, n);
	}
	while (unit.n && n < max) {
		uint64_t from = at + n - begin.n;
		size_t off = from % unit.n, k = unit.n - off < max - n ? unit.n - off : max - n;
		number(from / unit.n);
		memcpy(out + n, unit.p + off, k);
		n += k;
	}
	return n;
}
