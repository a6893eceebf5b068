/* SPDX-License-Identifier: Apache-2.0 */
/* vault: what monitor and signer say to each other about keys and set-up: one type byte, a name,
 * data. The monitor understands nothing of the data; it only keeps it. Source of the format:
 * docs/protocol/signer.txt. */
#ifndef WRIT_SIGNER_VAULT_H
#define WRIT_SIGNER_VAULT_H

#include "signer/frame.h"

#define WRIT_VAULT_MAX      (64 * 1024) /* a frame */
#define WRIT_VAULT_NAME_MAX 64
#define WRIT_VAULT_KEYS_MAX 16   /* keys kept at the same time */
#define WRIT_VAULT_WAIT_MS  5000 /* for an answer */

/* Where a started signer finds its descriptors. */
enum { WRIT_SIGNER_FD_SERVER = 3, WRIT_SIGNER_FD_RECORD = 4, WRIT_SIGNER_FD_MONITOR = 5 };
/* How a signer ends, for whoever started it. */
enum {
	WRIT_SIGNER_EXIT_DONE = 0, /* the monitor is gone */
	WRIT_SIGNER_EXIT_FAILED = 1,
	WRIT_SIGNER_EXIT_SETUP =
		2, /* keys or configuration are no good: the next one would end the same way */
	WRIT_SIGNER_EXIT_PROTOCOL = 3 /* what the server sent was no request */
};

enum writ_vault_type {
	/* monitor to signer, in this order, at the start */
	WRIT_VAULT_CONFIG =
		'C', /* name: "trust_domain", "key_manager", "record_max"; data: the value */
	WRIT_VAULT_UPSTREAM = 'U', /* name: "cert", "key", "bundle"; data: PEM */
	WRIT_VAULT_KEY = 'K',      /* name: authority; data: what WRIT_VAULT_STORE gave */
	WRIT_VAULT_GO = 'G',
	/* later, at any time */
	WRIT_VAULT_SERVER = 'X', /* a descriptor comes along: the socket to a new serving process */
	WRIT_VAULT_RECORD = 'I', /* a descriptor comes along: the issuance record from here on */
	WRIT_VAULT_DONE = 'D',   /* answer to STORE and FORGET, in order; data: "" or why not */
	/* signer to monitor */
	WRIT_VAULT_READY = 'R',  /* locked in, requests are answered */
	WRIT_VAULT_STORE = 'S',  /* name: authority; data: keep this, replacing what was there */
	WRIT_VAULT_FORGET = 'F', /* name: authority */
	WRIT_VAULT_LONG = 'L',   /* the issuance record is longer than record_max */
};

struct writ_vault_msg {
	enum writ_vault_type type;
	struct writ_str name, data; /* borrowed */
};

WRIT_MUST writ_rc writ_vault_parse(
	struct writ_str frame, struct writ_vault_msg *ret, struct writ_err *err);
/* Appends the frame. */
WRIT_MUST writ_rc writ_vault_print(
	const struct writ_vault_msg *m, struct writ_buf *out, struct writ_err *err);
/* Prints and sends; no copy of the data stays in memory. fd_out: a descriptor to send along, or -1.
 */
WRIT_MUST writ_rc writ_vault_send(
	int fd, const struct writ_vault_msg *m, int fd_out, struct writ_err *err);
/* One end of the socket, with what has come in. */
struct writ_vault_link {
	int fd;             /* borrowed */
	struct writ_buf in; /* wiped at the end */
	int passed; /* a descriptor that came along and belongs to a frame still in `in`, or -1 */
	int server; /* the newest one of a WRIT_VAULT_SERVER, until somebody takes it; or -1 */
	int record; /* the newest one of a WRIT_VAULT_RECORD, likewise */
};
void writ_vault_link_init(struct writ_vault_link *l, int fd);
void writ_vault_link_done(struct writ_vault_link *l);
/* The next message, waiting until the deadline (monotonic ms); the caller drops *frame afterwards.
 * What comes with a descriptor is noted in l->server or l->record and passed over. */
WRIT_MUST writ_rc writ_vault_next(struct writ_vault_link *l, int64_t deadline_ms,
	struct writ_vault_msg *ret, struct writ_str *frame, struct writ_err *err);
/* Is it a name that may become a file name: 1 to 64 of [0-9a-f]? */
bool writ_vault_name_ok(struct writ_str name);

#endif
