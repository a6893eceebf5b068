/* SPDX-License-Identifier: Apache-2.0 */
/* guard: watches the HTTP/2 frames (RFC 9113) of one connection and says what may pass. It reads
 * frame headers and the lengths of gRPC's messages, never header blocks or what a message says.
 * Pure: bytes and the time go in (monotonic microseconds), a verdict comes out. How the stream was
 * cut into reads makes no difference to the verdicts or to where they fall. */
#ifndef WRIT_FRONT_GUARD_H
#define WRIT_FRONT_GUARD_H

#include "front/budget.h"
#include "front/limits.h"

#include <stddef.h>

enum writ_guard_verdict {
	WRIT_GUARD_PASS,  /* every byte may pass */
	WRIT_GUARD_PAUSE, /* only some: feed the rest again from resume_us on, and read nothing more
			     until then */
	WRIT_GUARD_KILL,  /* end the connection; why says why */
};

struct writ_guard_frame {
	uint8_t header[9];
	uint8_t have; /* bytes of the header */
	uint8_t type, flags, pad;
	uint32_t left; /* bytes of the payload still to come */
	uint32_t length, stream;
	uint32_t block; /* stream whose header block is open, 0: none */
};

struct writ_guard {
	const struct writ_front_limits *limits; /* borrowed */
	uint32_t stream_data;                   /* bytes of DATA on one stream; 0: any */
	struct writ_guard_frame up, down;
	struct writ_budget streams, control;
	struct writ_guard_stream {
		uint32_t number, data; /* data: bytes of DATA seen */
		uint32_t left;         /* bytes of its message still to come */
		uint8_t head, cut;     /* bytes of the message's prefix seen, and how it compares */
	} * open;                      /* owned: the open streams */
	uint32_t n_open, cap_open;
	uint32_t *shared; /* borrowed: open streams of all connections of its source; NULL: not
			     counted */
	uint32_t last_stream;
	uint32_t block_bytes, continuations;
	uint32_t pauses;
	uint8_t preface;   /* bytes of the client's preface seen */
	bool settings;     /* the first frame was accepted */
	bool started;      /* preface and the whole first SETTINGS have passed */
	bool down_started; /* the server's first frame has passed */
	bool challenged;   /* challenge holds the payload of our own PING */
	bool answered;     /* its ACK came */
	bool idle_words;   /* what went up last was whole frames that no server waits for: ACKs of
			      SETTINGS and of our own PING */
	uint8_t challenge[8], ping[8];
	int64_t resume_us;
	const char *why; /* static */
};

void writ_guard_init(struct writ_guard *g, const struct writ_front_limits *limits, int64_t now_us);
/* Counts its streams in *shared, too, until writ_guard_leave. */
void writ_guard_join(struct writ_guard *g, uint32_t *shared);
void writ_guard_leave(struct writ_guard *g); /* idempotent */
void writ_guard_done(struct writ_guard *g);
/* Client to server. *pass: how many of the n bytes may pass now; all with PASS. The length of a
 * message that is longer than limits->message is changed into one byte more than that: gRPC makes
 * room for what is announced before it looks at its own limit, and refuses this one all the same.
 */
enum writ_guard_verdict writ_guard_up(
	struct writ_guard *g, uint8_t *p, size_t n, int64_t now_us, size_t *pass);
/* Server to client: everything passes; the frames are only counted. With to_boundary it stops where
 * a frame of ours may be put in. Returns the bytes looked at. */
size_t writ_guard_down(
	struct writ_guard *g, const uint8_t *p, size_t n, int64_t now_us, bool to_boundary);
/* May a frame of ours be sent to the client right after what went down so far? */
bool writ_guard_at_boundary(const struct writ_guard *g);

/* Frames of our own. out gets WRIT_GUARD_FRAME bytes. */
#define WRIT_GUARD_FRAME 17
void writ_guard_ping(struct writ_guard *g, const uint8_t payload[8], uint8_t out[WRIT_GUARD_FRAME]);
void writ_guard_goaway(
	const struct writ_guard *g, uint8_t out[WRIT_GUARD_FRAME]); /* ENHANCE_YOUR_CALM */

/* How long the connection's budgets need to pay back what it spent. */
int64_t writ_guard_owed_us(struct writ_guard *g, int64_t now_us);

#endif
