/* SPDX-License-Identifier: Apache-2.0 */
#include "front/guard.h"

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
	GOAWAY,
	WINDOW_UPDATE,
	CONTINUATION,
	KINDS
};
enum { END_STREAM = 1, ACK = 1, END_HEADERS = 4, PADDED = 8 };
enum { EQUAL, SHORTER, LONGER }; /* than the longest message that may pass, so far */

#define PREFACE     "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#define PREFACE_LEN (sizeof(PREFACE) - 1)
#define CALM        0x0b
#define ENTRY_PRICE 12 /* bytes of SETTINGS that cost one token: two entries */
#define ANY_STREAM  -1
#define PREFIX_LEN  5 /* of a gRPC message: a flag and four bytes of length */

/* The shape of each frame that a client may send. */
static const struct {
	int stream; /* 0: of the connection, 1: of a stream, ANY_STREAM */
	uint32_t min, max, multiple;
	const char *bad;
} shapes[KINDS] = {
	[DATA] = { 1, 0, UINT32_MAX, 1, "DATA without a stream" },
	[HEADERS] = { 1, 1, UINT32_MAX, 1, "malformed HEADERS" },
	[PRIORITY] = { 1, 5, 5, 1, "malformed PRIORITY" },
	[RST_STREAM] = { 1, 4, 4, 1, "malformed RST_STREAM" },
	[SETTINGS] = { 0, 0, UINT32_MAX, 6, "malformed SETTINGS" },
	[PUSH_PROMISE] = { 1, UINT32_MAX, 0, 1, "PUSH_PROMISE from a client" },
	[PING] = { 0, 8, 8, 1, "malformed PING" },
	[GOAWAY] = { 0, 8, UINT32_MAX, 1, "malformed GOAWAY" },
	[WINDOW_UPDATE] = { ANY_STREAM, 4, 4, 1, "malformed WINDOW_UPDATE" },
	[CONTINUATION] = { 1, 0, UINT32_MAX, 1, "malformed CONTINUATION" },
};

void writ_guard_init(struct writ_guard *g, const struct writ_front_limits *limits, int64_t now_us)
{
	*g = (struct writ_guard){ .limits = limits, .stream_data = limits->stream_data };
	writ_budget_init(&g->streams, limits->stream_burst, limits->stream_rate, now_us);
	writ_budget_init(&g->control, limits->control_burst, limits->control_rate, now_us);
}

void writ_guard_join(struct writ_guard *g, uint32_t *shared)
{
	g->shared = shared;
	*shared += g->n_open;
}

void writ_guard_leave(struct writ_guard *g)
{
	if (g->shared)
		*g->shared -= g->n_open;
	g->shared = NULL;
}

void writ_guard_done(struct writ_guard *g)
{
	writ_guard_leave(g);
	writ_free(g->open);
	g->open = NULL;
	g->n_open = g->cap_open = 0;
}

static uint32_t find_open(const struct writ_guard *g, uint32_t stream)
{
	uint32_t i = 0;
	while (i < g->n_open && g->open[i].number != stream)
		i++;
	return i;
}

static bool is_open(const struct writ_guard *g, uint32_t stream)
{
	return find_open(g, stream) < g->n_open;
}

static bool close_stream(struct writ_guard *g, uint32_t stream)
{
	uint32_t i = find_open(g, stream);
	if (i == g->n_open)
		return false;
	g->open[i] = g->open[--g->n_open];
	if (g->shared)
		--*g->shared;
	return true;
}

static void open_stream(struct writ_guard *g, uint32_t stream)
{
	if (g->n_open == g->cap_open) {
		g->cap_open = g->cap_open ? g->cap_open * 2 : 4;
		g->open = writ_realloc(g->open, g->cap_open * sizeof(*g->open));
	}
	g->open[g->n_open++] = (struct writ_guard_stream){ .number = stream };
	g->last_stream = stream;
	if (g->shared)
		++*g->shared;
}

/* Splits the nine bytes. The reserved bit of the stream number is ignored, as RFC 9113 4.1 says. */
static void read_header(struct writ_guard_frame *f)
{
	const uint8_t *h = f->header;
	f->length = (uint32_t)h[0] << 16 | (uint32_t)h[1] << 8 | h[2];
	f->type = h[3];
	f->flags = h[4];
	f->stream =
		(uint32_t)(h[5] & 0x7f) << 24 | (uint32_t)h[6] << 16 | (uint32_t)h[7] << 8 | h[8];
}

static const char *check_shape(const struct writ_guard *g, const struct writ_guard_frame *f)
{
	if (f->length > g->limits->frame)
		return "frame too long";
	if (!g->settings && (f->type != SETTINGS || f->flags & ACK))
		return "the first frame is not SETTINGS";
	if (f->block && (f->type != CONTINUATION || f->stream != f->block))
		return "header block interrupted";
	if (f->type >= KINDS)
		return NULL;
	bool stream_ok =
		shapes[f->type].stream == ANY_STREAM || (f->stream != 0) == shapes[f->type].stream;
	if (!stream_ok || f->length < shapes[f->type].min || f->length > shapes[f->type].max ||
		f->length % shapes[f->type].multiple)
		return shapes[f->type].bad;
	return NULL;
}

/* What a client sends in one request is bounded here where the parser behind does not do it. */
static bool too_much_data(const struct writ_guard *g, const struct writ_guard_frame *f)
{
	uint32_t i = find_open(g, f->stream), max = g->stream_data;
	return max && i < g->n_open && f->length > max - g->open[i].data;
}

static const char *check_limits(const struct writ_guard *g, const struct writ_guard_frame *f)
{
	switch (f->type) {
	case DATA: return too_much_data(g, f) ? "request too long" : NULL;
	case SETTINGS:
		if (f->flags & ACK && f->length)
			return "SETTINGS acknowledged with a payload";
		return f->length > g->limits->settings ? "SETTINGS frame too long" : NULL;
	case HEADERS:
		if (f->stream % 2 == 0)
			return "stream number of a server";
		if (f->length > g->limits->header_block)
			return "header block too long";
		return f->stream > g->last_stream && g->n_open >= g->limits->streams
			? "too many open streams"
			: NULL;
	case CONTINUATION:
		if (!f->block)
			return "CONTINUATION without HEADERS";
		if (g->continuations >= g->limits->continuations)
			return "too many CONTINUATION frames";
		return f->length > g->limits->header_block - g->block_bytes
			? "header block too long"
			: NULL;
	default: return NULL;
	}
}

/* What a frame costs: of the stream budget and of the control budget. */
static void price(const struct writ_guard *g, const struct writ_guard_frame *f, uint32_t *streams,
	uint32_t *control)
{
	*streams = 0;
	*control = 1;
	switch (f->type) {
	case DATA: /* nobody who calls pads; and data for a stream that is gone is thrown away at a
		      cost */
		*control = f->length == 0 || f->flags & PADDED || !is_open(g, f->stream);
		return;
	case HEADERS:
		*streams = f->stream > g->last_stream;
		*control = !*streams;
		return;
	case RST_STREAM: /* late, the server having ended it: no stream is thrown away */
		*streams = is_open(g, f->stream);
		*control = !*streams;
		return;
	case SETTINGS: *control = 1 + f->length / ENTRY_PRICE; return;
	case CONTINUATION: /* has limits of its own */ *control = 0; return;
	default: return;
	}
}

static void accept_frame(struct writ_guard *g, struct writ_guard_frame *f)
{
	if (f->type == DATA && g->stream_data && is_open(g, f->stream))
		g->open[find_open(g, f->stream)].data += f->length;
	if (f->type == HEADERS) {
		if (f->stream > g->last_stream)
			open_stream(g, f->stream);
		g->block_bytes = f->length;
		g->continuations = 0;
	} else if (f->type == CONTINUATION) {
		g->block_bytes += f->length;
		g->continuations++;
	} else if (f->type == RST_STREAM) {
		(void)close_stream(g, f->stream);
	} else if (f->type == SETTINGS) {
		g->settings = true;
	}
	if (f->type == HEADERS || f->type == CONTINUATION)
		f->block = f->flags & END_HEADERS ? 0 : f->stream;
}

static enum writ_guard_verdict kill(struct writ_guard *g, const char *why)
{
	g->why = why;
	return WRIT_GUARD_KILL;
}

static enum writ_guard_verdict slow_down(
	struct writ_guard *g, uint32_t streams, uint32_t control, int64_t now_us)
{
	if (++g->pauses > g->limits->pauses)
		return kill(g, "flood went on after being slowed down");
	int64_t a = streams ? writ_budget_ready_us(&g->streams, streams, now_us) : 0;
	int64_t b = control ? writ_budget_ready_us(&g->control, control, now_us) : 0;
	g->resume_us = a > b ? a : b;
	return WRIT_GUARD_PAUSE;
}

/* Takes the whole price or nothing. */
static bool pay(struct writ_guard *g, uint32_t streams, uint32_t control, int64_t now_us)
{
	if (!writ_budget_has(&g->streams, streams, now_us) && streams)
		return false;
	if (!writ_budget_has(&g->control, control, now_us) && control)
		return false;
	if (streams)
		writ_budget_take(&g->streams, streams, now_us);
	if (control)
		writ_budget_take(&g->control, control, now_us);
	return true;
}

/* Its source has as many streams as it may: the next one waits for the end of another. */
static bool is_crowded(const struct writ_guard *g, const struct writ_guard_frame *f)
{
	return f->type == HEADERS && f->stream > g->last_stream && g->shared &&
		g->limits->source_streams && *g->shared >= g->limits->source_streams;
}

/* The whole header is there. Nothing has changed yet when it does not pass. */
static enum writ_guard_verdict judge(struct writ_guard *g, int64_t now_us)
{
	struct writ_guard_frame *f = &g->up;
	uint32_t streams, control;
	read_header(f);
	const char *bad = check_shape(g, f);
	if (!bad)
		bad = check_limits(g, f);
	if (bad)
		return kill(g, bad);
	price(g, f, &streams, &control);
	if (is_crowded(g, f))
		return slow_down(g, streams, control, now_us);
	if (!pay(g, streams, control, now_us))
		return slow_down(g, streams, control, now_us);
	if (g->pauses && writ_budget_recovered(&g->streams, now_us) &&
		writ_budget_recovered(&g->control, now_us))
		g->pauses = 0;
	accept_frame(g, f);
	return WRIT_GUARD_PASS;
}

static void end_frame(struct writ_guard *g)
{
	struct writ_guard_frame *f = &g->up;
	bool idle = f->type == SETTINGS && f->flags & ACK;
	if (f->type == SETTINGS)
		g->started = true;
	if (f->type == PING && f->flags & ACK && g->challenged &&
		memcmp(g->ping, g->challenge, 8) == 0) {
		g->challenged = false;
		g->answered = idle = true;
	}
	g->idle_words = g->idle_words && idle;
}

/* One byte of a length, the highest first. It is compared with the longest that may pass on the
 * way, because the bytes before it may have passed already. */
static void pass_length(struct writ_guard_stream *s, uint8_t *byte, uint32_t most)
{
	uint8_t top = (uint8_t)(most >> 8 * (PREFIX_LEN - 1 - s->head));
	if (s->cut == LONGER || (s->cut == EQUAL && *byte > top)) {
		s->cut = LONGER;
		*byte = top;
	} else if (*byte < top) {
		s->cut = SHORTER;
	}
	s->left = s->left << 8 | *byte;
}

static void pass_messages(struct writ_guard_stream *s, uint8_t *p, size_t n, uint32_t most)
{
	while (n) {
		size_t k = 1;
		if (s->head == PREFIX_LEN) {
			k = n < s->left ? n : s->left;
			s->left -= (uint32_t)k;
		} else {
			if (!s->head)
				s->cut = EQUAL;
			else
				pass_length(s, p, most);
			s->head++;
		}
		if (s->head == PREFIX_LEN && !s->left)
			s->head = 0;
		p += k;
		n -= k;
	}
}

/* The n bytes at offset at of a DATA frame, less its padding (RFC 9113 6.1). */
static void pass_data(struct writ_guard *g, uint8_t *p, size_t n, size_t at)
{
	struct writ_guard_frame *f = &g->up;
	uint32_t i = find_open(g, f->stream);
	if (f->flags & PADDED && at == 0) {
		f->pad = *p++;
		n--;
		at++;
	}
	size_t end = f->flags & PADDED ? f->length - f->pad : f->length;
	if (f->flags & PADDED && f->pad >= f->length)
		end = 0;
	if (i < g->n_open && at < end)
		pass_messages(&g->open[i], p, n < end - at ? n : end - at, g->limits->message + 1);
}

/* Payload: only a PING's and the lengths of messages are looked at. */
static size_t pass_payload(struct writ_guard *g, uint8_t *p, size_t n)
{
	struct writ_guard_frame *f = &g->up;
	size_t k = n < f->left ? n : f->left;
	if (f->type == PING)
		memcpy(g->ping + (8 - f->left), p, k);
	if (f->type == DATA && g->limits->message)
		pass_data(g, p, k, f->length - f->left);
	f->left -= (uint32_t)k;
	if (!f->left)
		end_frame(g);
	return k;
}

static size_t pass_preface(struct writ_guard *g, const uint8_t *p, size_t n)
{
	size_t k = n < PREFACE_LEN - g->preface ? n : PREFACE_LEN - g->preface;
	for (size_t i = 0; i < k; i++) {
		if (p[i] != (uint8_t)PREFACE[g->preface])
			return i;
		g->preface++;
	}
	return k;
}

/* Takes what it can of the header, but leaves the last byte: it passes with the verdict. */
static size_t pass_header(struct writ_guard_frame *f, const uint8_t *p, size_t n)
{
	size_t k = n < 8U - f->have ? n : 8U - f->have;
	memcpy(f->header + f->have, p, k);
	f->have = (uint8_t)(f->have + k);
	return k;
}

enum writ_guard_verdict writ_guard_up(
	struct writ_guard *g, uint8_t *p, size_t n, int64_t now_us, size_t *pass)
{
	struct writ_guard_frame *f = &g->up;
	size_t i = 0;
	enum writ_guard_verdict v = WRIT_GUARD_PASS;
	g->idle_words = g->started && !f->have && !f->left;
	while (i < n && v == WRIT_GUARD_PASS) {
		if (g->preface < PREFACE_LEN) {
			size_t k = pass_preface(g, p + i, n - i);
			i += k;
			if (i < n && g->preface < PREFACE_LEN)
				v = kill(g, "not an HTTP/2 preface");
		} else if (f->left) {
			i += pass_payload(g, p + i, n - i);
		} else if (f->have < 8) {
			i += pass_header(f, p + i, n - i);
		} else {
			f->header[8] = p[i];
			v = judge(g, now_us);
			if (v != WRIT_GUARD_PASS)
				break;
			i++;
			f->have = 0;
			f->left = f->length;
			if (!f->left)
				end_frame(g);
		}
	}
	g->idle_words = g->idle_words && !f->have && !f->left;
	*pass = i;
	return v;
}

/* The server's frames pay back: data and headers for what the client must acknowledge, an end for
 * the stream that was opened. PING ACKs pay nothing, or a flood of PINGs would pay for itself; nor
 * does a reset, which a client can provoke. */
static void account_down(struct writ_guard *g, const struct writ_guard_frame *f, int64_t now_us)
{
	switch (f->type) {
	case DATA:
	case HEADERS:
		writ_budget_repay(&g->control, 2);
		if (f->flags & END_STREAM && close_stream(g, f->stream))
			writ_budget_repay(&g->streams, 1);
		return;
	case RST_STREAM:
		if (close_stream(g, f->stream))
			writ_budget_take(&g->streams, 1, now_us);
		return;
	case PING:
	case SETTINGS:
		if (!(f->flags & ACK))
			writ_budget_repay(&g->control, 1);
		return;
	default: return;
	}
}

bool writ_guard_at_boundary(const struct writ_guard *g)
{
	return g->down_started && !g->down.have && !g->down.left && !g->down.block;
}

size_t writ_guard_down(
	struct writ_guard *g, const uint8_t *p, size_t n, int64_t now_us, bool to_boundary)
{
	struct writ_guard_frame *f = &g->down;
	size_t i = 0;
	while (i < n && !(to_boundary && writ_guard_at_boundary(g))) {
		if (f->left) {
			size_t k = n - i < f->left ? n - i : f->left;
			f->left -= (uint32_t)k;
			i += k;
			continue;
		}
		size_t k = n - i < 9U - f->have ? n - i : 9U - f->have;
		memcpy(f->header + f->have, p + i, k);
		f->have = (uint8_t)(f->have + k);
		i += k;
		if (f->have < 9)
			continue;
		f->have = 0;
		read_header(f);
		f->left = f->length;
		g->down_started = true;
		if (f->type == HEADERS || f->type == CONTINUATION)
			f->block = f->flags & END_HEADERS ? 0 : f->stream;
		account_down(g, f, now_us);
	}
	return i;
}

void writ_guard_ping(struct writ_guard *g, const uint8_t payload[8], uint8_t out[WRIT_GUARD_FRAME])
{
	static const uint8_t header[9] = { 0, 0, 8, PING };
	memcpy(out, header, sizeof(header));
	memcpy(out + 9, payload, 8);
	memcpy(g->challenge, payload, 8);
	g->challenged = true;
	g->answered = false;
	writ_budget_repay(&g->control, 1);
}

void writ_guard_goaway(const struct writ_guard *g, uint8_t out[WRIT_GUARD_FRAME])
{
	const uint32_t last = g->last_stream;
	const uint8_t frame[WRIT_GUARD_FRAME] = { 0, 0, 8, GOAWAY, 0, 0, 0, 0, 0,
		(uint8_t)(last >> 24), (uint8_t)(last >> 16), (uint8_t)(last >> 8), (uint8_t)last,
		0, 0, 0, CALM };
	memcpy(out, frame, sizeof(frame));
}

int64_t writ_guard_owed_us(struct writ_guard *g, int64_t now_us)
{
	int64_t a = writ_budget_owed_us(&g->streams, now_us),
		b = writ_budget_owed_us(&g->control, now_us);
	return a > b ? a : b;
}
