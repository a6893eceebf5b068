/* SPDX-License-Identifier: Apache-2.0 */
/* front: everything between a listening socket and a parser. Accepts, learns who calls, terminates
 * TLS, watches HTTP/2 frame headers, limits and shapes, relays plain bytes to a backend over a
 * socket pair, and can cut any connection at once. gRPC never owns a socket, a certificate or a
 * listener (docs/adr/0001). Loop thread only. */
#ifndef WRIT_FRONT_FRONT_H
#define WRIT_FRONT_FRONT_H

#include "front/limits.h"
#include "front/peer.h"
#include "loop/loop.h"
#include "tls/tls.h"

struct writ_front;
struct writ_conn;

struct writ_front_config {
	struct writ_loop *loop;
	const char *name;                /* for logs and metrics: "workload", "admin", "api" */
	struct writ_front_limits limits; /* WRIT_FRONT_LIMITS for the defaults */
	/* The TLS context in force, asked at each accept; the front takes its own reference. NULL:
	 * plain (Unix sockets). */
	struct writ_tls_ctx *(*tls)(void *arg);
	bool http2; /* guard HTTP/2 and hand over at the first SETTINGS; else raw bytes (the gate)
		     */
	/* http2: a connection is ready; fd is the backend's end of the socket pair (owned by the
	 * callee from now on), already holding the client's first bytes. writ_front_peer(f, fd)
	 * finds the peer from here on. */
	void (*ready)(void *arg, int fd, struct writ_peer *peer);
	/* raw: a peer passed the handshake; answer now or later with writ_front_backend or
	 * writ_front_refuse. */
	void (*open)(void *arg, struct writ_conn *c, struct writ_peer *peer);
	/* A connection ended (after ready or open). why is for the log. May be NULL. */
	void (*closed)(void *arg, struct writ_peer *peer, const char *why);
	/* A connection was refused or broke before ready: handshake failure, limit, bad preface.
	 * May be NULL. Rate-limit your log. */
	void (*refused)(void *arg, const char *addr, const struct writ_err *why);
	void *arg;
};

/* Listening sockets: bound and listening, CLOEXEC, non-blocking; owned by the front once it is
 * started with them. */
/* Unix: mode is set with fchmod before bind; the folder must exist and pass writ_fs_ensure_dir's
 * rules; a stale socket is removed only when nobody listens on it (connect is tried) and it is a
 * socket of ours. */
WRIT_MUST writ_rc writ_listen_unix(const char *path, mode_t mode, int *ret, struct writ_err *err);
/* addr: IP literal; port 0: the kernel picks, *port says which. */
WRIT_MUST writ_rc writ_listen_tcp(
	const char *addr, uint16_t port, int *ret, uint16_t *port_ret, struct writ_err *err);

/* Copies cfg. Several listeners: several fronts; budgets belong to a front. */
WRIT_MUST writ_rc writ_front_start(const struct writ_front_config *cfg, int listen_fd,
	struct writ_front **ret, struct writ_err *err);
void writ_front_stop_accepting(struct writ_front *f); /* closes the listener; connections go on */
size_t writ_front_count(const struct writ_front *f);
void writ_front_free(struct writ_front *f); /* cuts what is left */

/* http2: the peer behind the backend descriptor N of gRPC's peer string "fd:N". Borrowed: take a
 * reference to keep it. Right as long as a call of that connection is alive, since the number
 * cannot be used again before. NULL: never seen. */
struct writ_peer *writ_front_peer(struct writ_front *f, int fd);

/* raw: connects c to this connected, non-blocking descriptor (owned from now on). */
void writ_front_backend(struct writ_conn *c, int fd);
void writ_front_refuse(struct writ_conn *c, const char *why);

/* Cuts every connection for which match says true; the count. Both ends see it within a
 * millisecond. */
size_t writ_front_cut(struct writ_front *f, bool (*match)(void *arg, const struct writ_peer *p),
	void *arg, const char *why);
/* Re-verifies the certificate of each connection against these bundles and cuts those whose
 * authority no longer stands in them. Lifetimes were judged in the handshake: a connection may
 * outlive its certificate. */
size_t writ_front_reverify(struct writ_front *f, const struct writ_bundles *bundles);

/* For Unix peers: sends an HTTP/2 PING with 8 random bytes and reports whether the ACK came, by a
 * message whose SCM credentials name the peer, within timeout_ms. answered() is called exactly
 * once; false also when the connection ends. */
void writ_front_challenge(struct writ_front *f, struct writ_peer *p, int64_t timeout_ms,
	void (*answered)(void *arg, bool ok), void *arg);

struct writ_front_stats {
	uint64_t accepted, refused, handshakes_failed, killed, shaped, cut;
};
struct writ_front_stats writ_front_stats(const struct writ_front *f);

#endif
