/* SPDX-License-Identifier: Apache-2.0 */
/* asks: questions to runtimes about callers, with an end to each: what has not come by then is not
 * known. Equal questions are asked once; answers live for a few seconds; a runtime that fails is
 * left alone for a while. Whoever is not asked about waits for nothing. Loop thread. */
#ifndef WRIT_RUNTIME_ASKS_H
#define WRIT_RUNTIME_ASKS_H

#include "loop/loop.h"
#include "runtime/runtime.h"

#define WRIT_ASKS_ROWS_MAX 8

struct writ_asks_row {
	const struct writ_runtime_vt *vt;
	const void *self; /* borrowed */
	unsigned wanted;  /* enum writ_attest_flag: asked only when an entry wants its selectors */
	/* A runtime that does not know the container yet is asked again. */
	int64_t retry_ms;
	unsigned retries;
};

struct writ_asks_config {
	struct writ_loop *loop;
	const struct writ_asks_row *rows; /* copied */
	size_t n_rows;
	int64_t deadline_ms; /* of one request; 0: WRIT_ASKS_DEADLINE_MS */
	int64_t cache_ms;    /* how long an answer holds; 0: WRIT_ASKS_CACHE_MS */
	int64_t rest_ms;     /* how long a failing runtime is left alone; 0: WRIT_ASKS_REST_MS */
	void (*gone)(
		void *arg); /* after free, once no job reads what self points to; may be NULL */
	void *arg;
};

#define WRIT_ASKS_DEADLINE_MS 500
#define WRIT_ASKS_CACHE_MS    5000
#define WRIT_ASKS_REST_MS     2000

struct writ_asks; /* all of them */
struct writ_ask;  /* one that waits */

struct writ_asks *writ_asks_new(const struct writ_asks_config *cfg);
/* What is under way ends now, as not known; nothing is asked any more. */
void writ_asks_stop(struct writ_asks *a);
/* Every ask is over, or was cancelled. Jobs that still look at a disk end by themselves. */
void writ_asks_free(struct writ_asks *a);

/* Is anybody to be asked for what these flags want? If not, there is no need for a place. */
bool writ_asks_would(const struct writ_asks *a, unsigned flags);
/* What do runtimes say of this caller? flags: enum writ_attest_flag, what entries want. WRIT_OK:
 * answer has it already, which may be nothing; done is not called. WRIT_EBUSY: done is called once,
 * never inside this call, and adds through writ_ask_take. The answer is not sealed. */
WRIT_MUST writ_rc writ_asks_start(struct writ_asks *a, const struct writ_place *place,
	unsigned flags, struct writ_answer *answer, void (*done)(void *arg), void *arg,
	struct writ_ask **ret);
/* In done: adds selectors and notes. The ask is gone after done. */
void writ_ask_take(struct writ_ask *k, struct writ_answer *answer);
void writ_ask_cancel(struct writ_ask *k); /* done is not called any more; NULL is fine */

#endif
