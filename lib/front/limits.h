/* SPDX-License-Identifier: Apache-2.0 */
/* limits: every named maximum of the front, measured in docs/adr/0002. Budgets belong to a front.
 */
#ifndef WRIT_FRONT_LIMITS_H
#define WRIT_FRONT_LIMITS_H

#include <stdint.h>

struct writ_front_limits {
	uint32_t per_uid;     /* connections of one uid (Unix) or one address (TCP) */
	uint32_t per_process; /* connections of one pid (Unix) */
	uint32_t per_block;   /* of the uids of one block, see source.h; 0: a quarter of total */
	uint32_t total;       /* 0: (RLIMIT_NOFILE - 64) / 4, and at most half of it for one */
	int64_t start_ms;     /* accept to first SETTINGS, TLS handshake included */
	int64_t backend_ms;   /* raw: open() to writ_front_backend */
	int64_t idle_ms;      /* without an open stream; 0: for ever */
	uint32_t handshakes_per_s; /* TLS handshakes of the whole front; more wait */
	uint32_t frame;            /* bytes of one frame */
	uint32_t settings;         /* bytes of one SETTINGS frame */
	uint32_t header_block;     /* bytes of HEADERS with its CONTINUATIONs */
	uint32_t continuations;    /* frames of one header block */
	uint32_t streams;          /* open at once, counted in both directions */
	uint32_t source_streams;   /* the same over all connections of a uid or address; 0: any */
	uint32_t stream_data;      /* bytes of DATA that a client may send on one stream; 0: any */
	uint32_t message;          /* bytes of one gRPC message of a client; 0: any */
	uint32_t stranger_data;    /* the same for a TLS peer without a certificate; 0: as above */
	uint32_t stream_burst,
		stream_rate; /* new streams and client RSTs; repaid when the server ends a stream */
	uint32_t control_burst, control_rate; /* PING, SETTINGS, PRIORITY, WINDOW_UPDATE, empty
						 DATA, unknown frames */
	uint32_t pauses;                      /* shaped this often without recovery: closed */
	int64_t debt_ms;  /* what a new connection inherits of its uid's debt, at most */
	int64_t fault_ms; /* debt for a connection that ended before it was ready, or was killed */
};

#define WRIT_FRONT_LIMITS                                                                          \
	((struct writ_front_limits){ .per_uid = 256,                                               \
		.per_process = 32,                                                                 \
		.start_ms = 5000,                                                                  \
		.backend_ms = 5000,                                                                \
		.idle_ms = 0,                                                                      \
		.handshakes_per_s = 200,                                                           \
		.frame = 16384,                                                                    \
		.settings = 240,                                                                   \
		.header_block = 16384,                                                             \
		.continuations = 8,                                                                \
		.streams = 200,                                                                    \
		.source_streams = 768,                                                             \
		.stream_burst = 512,                                                               \
		.stream_rate = 512,                                                                \
		.control_burst = 512,                                                              \
		.control_rate = 128,                                                               \
		.pauses = 90,                                                                      \
		.debt_ms = 2000,                                                                   \
		.fault_ms = 5 })

#endif
