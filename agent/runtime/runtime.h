/* SPDX-License-Identifier: Apache-2.0 */
/* runtime: what can be asked about a caller's container or unit, as tables. reach and judge may
 * look at disks and take time: they run in jobs, several at once, and touch nothing that changes.
 * What lies between them, the request itself, is asks.h's: bounded in time and size. */
#ifndef WRIT_RUNTIME_RUNTIME_H
#define WRIT_RUNTIME_RUNTIME_H

#include "runtime/place.h"

#include <sys/types.h>

struct writ_loop;
struct writ_tls_ctx;
struct writ_cgroup_trust;

#define WRIT_REACH_TARGET_MAX 256
#define WRIT_REACH_HOST_MAX   256
#define WRIT_REACH_BEARER_MAX (16 * 1024)

/* One request, as runtimes take it. */
struct writ_reach {
	bool has_socket;
	int socket;  /* owned; connected */
	uid_t owner; /* who has to answer; of ways that can tell */
	char host[WRIT_REACH_HOST_MAX];
	uint16_t port;
	char target[WRIT_REACH_TARGET_MAX];
	struct writ_tls_ctx *tls; /* owned reference; NULL: plain */
	struct writ_buf bearer;   /* owned; wiped */
};
void writ_reach_init(struct writ_reach *r);
void writ_reach_done(struct writ_reach *r); /* idempotent */

/* How a request travels. What comes back has an HTTP answer's form; status is 200 where there is
 * none. */
struct writ_http_answer;
struct writ_runtime_way {
	/* Takes over what r holds. done: once, never inside start; the talk is gone after it. */
	void *(*start)(struct writ_loop *loop, struct writ_reach *r, size_t answer_max,
		int64_t deadline_ms, void (*done)(void *arg, const struct writ_http_answer *a),
		void *arg);
	void (*cancel)(void *talk); /* done does not come any more */
};

struct writ_runtime_vt {
	const char *name;                   /* for notes */
	const char *types;                  /* the selectors it gives */
	size_t answer_max;                  /* bytes of its answer */
	const struct writ_runtime_way *way; /* NULL: an HTTP request, GET target */
	bool (*wants)(const struct writ_place *p);
	WRIT_MUST writ_rc (*reach)(const void *self, const struct writ_place *p,
		struct writ_reach *ret, struct writ_err *err);
	/* Adds selectors, all or none. WRIT_ENOENT: the runtime does not know the container (yet).
	 * WRIT_EUNAUTH: what it says is not about this caller. WRIT_EPROTO, WRIT_ELIMIT: not what
	 * such a runtime sends. */
	WRIT_MUST writ_rc (*judge)(const void *self, const struct writ_place *p, int status,
		struct writ_str body, struct writ_answer *answer, struct writ_err *err);
};

/* Is process pid in the container of p, by its own cgroup? For what a runtime says of pids. */
WRIT_MUST writ_rc writ_runtime_pid_check(const struct writ_cgroup_trust *trust, uint64_t pid,
	const struct writ_place *p, struct writ_err *err);

#endif
