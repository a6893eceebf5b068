/* SPDX-License-Identifier: Apache-2.0 */
/* api: what the handlers of the server's gRPC methods share: the program they work on, what is
 * known of a call, and memory that goes with it. Loop thread. */
#ifndef WRIT_API_API_H
#define WRIT_API_API_H

#include "base/log.h"
#include "ca/ca.h"
#include "config/config.h"
#include "node/attestor.h"
#include "registry/request.h"
#include "registry/view.h"
#include "rpc/rpc.h"

#define WRIT_API_NOTES      4
#define WRIT_API_MEMORY_MAX (24 * 1024 * 1024) /* of one call */

struct writ_ratelimit;
struct writ_server_metrics;
struct writ_health_watchers;
struct writ_api_chunk;

/* Who may call; the numbers are ours. */
enum writ_who {
	WRIT_WHO_ANY = 1,
	WRIT_WHO_LOCAL = 2, /* the admin socket */
	WRIT_WHO_ADMIN = 4, /* a SPIFFE ID in admin_ids, or of an entry with the admin flag */
	WRIT_WHO_AGENT = 8,
	WRIT_WHO_DOWNSTREAM = 16, /* a SPIFFE ID of an entry with the downstream flag */
	WRIT_WHO_QUIET = 32,      /* no audit record when all went well */
};

struct writ_api {
	struct writ_loop *loop;
	const struct writ_server_config *config;
	struct writ_str td; /* our trust domain */
	struct writ_registry *registry;
	struct writ_ca *ca;
	struct writ_node_attestors nodes;
	unsigned node_asks; /* of them under way */
	struct writ_audit *audit;
	struct writ_ratelimit *ratelimit;
	struct writ_server_metrics *metrics;
	struct writ_bundle *bundle;     /* as it is handed out; NULL: none yet */
	struct writ_rpc_server *remote; /* NULL: does not listen yet */
	struct writ_health_watchers *health;
	int64_t started_s;
};

/* The program of a listener, for writ_call_program. */
struct writ_api_listener {
	struct writ_api *api;
	bool local;
};

/* What is known of a call once it was let in or refused. */
struct writ_api_call {
	struct writ_api *api;
	bool local;
	unsigned as;                          /* the right that let it in; 0: it was refused */
	const char *spiffe_id;                /* of the caller; "" when there is none */
	const char *serial;                   /* of its certificate, decimal; "" */
	const char *reason;                   /* why it was refused, for the audit; NULL */
	void *state;                          /* the rate limiter's, then the handler's */
	bool full;                            /* the answer grew over WRIT_API_MEMORY_MAX */
	struct writ_api_chunk *chunks;        /* memory of the call, newest first */
	size_t used, total;                   /* of the newest chunk; of all */
	struct writ_kv notes[WRIT_API_NOTES]; /* for the audit record */
	size_t n_notes;
};
struct writ_api_call *writ_api_call(const struct writ_call *c); /* after `before` has run */

/* Zeroed, goes with the call, never NULL. Over the bound it marks the call as full: stop building
 * then, writ_api_reply will refuse. */
void *writ_api_alloc(struct writ_call *c, size_t n);
/* For streams: gives back what was allocated since the mark. */
struct writ_api_mark {
	struct writ_api_chunk *chunk;
	size_t used, total;
};
struct writ_api_mark writ_api_mark(const struct writ_call *c);
void writ_api_rewind(struct writ_call *c, struct writ_api_mark mark);
char *writ_api_dup(struct writ_call *c, struct writ_str s);
char *writ_api_printf(struct writ_call *c, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* A message of that kind with default values. */
void *writ_api_new(struct writ_call *c, const ProtobufCMessageDescriptor *d);
void writ_api_reply(struct writ_call *c, const ProtobufCMessage *m);
/* With m where rc is WRIT_OK, else with err. */
void writ_api_end(
	struct writ_call *c, writ_rc rc, const ProtobufCMessage *m, const struct writ_err *err);
void writ_api_call_done(struct writ_call *c); /* from `after` */

/* An error with a text as SPIRE's clients know it. */
void writ_api_fail(struct writ_call *c, writ_rc rc, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* PermissionDenied with PermissionDeniedDetails (reason: its number). */
void writ_api_deny(struct writ_call *c, const char *message, int reason);

/* Remembers something for the audit record of this call. value has to live as long as the call. */
void writ_api_note(struct writ_call *c, const char *key, struct writ_str value);

/* The hooks of both listeners. */
void writ_api_before(struct writ_call *c);
void writ_api_after(struct writ_call *c, int status, const char *message, int64_t took_us);

/* Cuts every connection that presents this SPIFFE ID; the count. */
size_t writ_api_cut(struct writ_api *api, struct writ_str spiffe_id, const char *why);

#endif
