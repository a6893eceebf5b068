/* SPDX-License-Identifier: Apache-2.0 */
/* dial: the client's side of the front. Connects over TCP, completes TLS, verifies the server's
 * SPIFFE ID, and gives the plaintext end of a socket pair, relayed by the loop. Loop thread only.
 */
#ifndef WRIT_FRONT_DIAL_H
#define WRIT_FRONT_DIAL_H

#include "front/peer.h"
#include "loop/loop.h"
#include "tls/tls.h"

struct writ_dial;

struct writ_dial_config {
	struct writ_loop *loop;
	const char *host; /* name or IP literal; names are looked up off the loop */
	uint16_t port;
	struct writ_tls_ctx *tls; /* referenced */
	int64_t deadline_ms;      /* for look-up, connect and handshake together */
	/* Exactly once. rc WRIT_OK: fd is the caller's (non-blocking, CLOEXEC), peer is borrowed.
	 */
	void (*done)(
		void *arg, writ_rc rc, const struct writ_err *err, int fd, struct writ_peer *peer);
	/* After a good done: the connection ended, from either side. Then the dial is dead; free
	 * it. */
	void (*closed)(void *arg, const char *why);
	void *arg;
};

struct writ_dial *writ_dial_start(const struct writ_dial_config *cfg);
void writ_dial_free(struct writ_dial *d); /* cancels or cuts; no callback runs any more */

#endif
