/* SPDX-License-Identifier: Apache-2.0 */
#include "api/ratelimit.h"

#include "api/api.h"
#include "base/limiter.h"
#include "base/map.h"
#include "base/mem.h"
#include "spire/api/server/svid/v1/svid.pb-c.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdio.h>
#include <string.h>

#define KEY_MAX   80
#define SWEEP_MIN 256 /* sources, before the idle ones are looked for */

enum bucket { ATTEST, SIGN, JWT, WIT, PUBLISH_JWT, PUBLISH_WIT, STATUS };

struct source {
	struct writ_ratelimit *owner;
	struct writ_bucket bucket;
	struct writ_list waiting; /* first come, first served */
	size_t n_waiting;
	struct writ_timer *timer; /* NULL: nobody waits */
	char key[KEY_MAX];
};

struct waiter {
	struct writ_list node;
	struct source *source;
	struct writ_call *call;
	double n;
};

struct writ_ratelimit {
	struct writ_loop *loop;
	bool attestation, signing;
	struct writ_map sources;
	size_t n_waiting, sweep_at;
};

static double cost_of_batch(const ProtobufCMessage *m)
{
	const Spire__Api__Server__Svid__V1__BatchNewX509SVIDRequest *q = (const void *)m;
	return (double)q->n_params;
}

static const struct rate {
	enum bucket bucket;
	double per_s; /* and burst */
	enum { ALWAYS, IF_ATTESTATION, IF_SIGNING } when;
	double (*cost)(const ProtobufCMessage *m); /* NULL: 1 */
} rates[WRIT_RATES] = {
	[WRIT_RATE_ATTEST] = { ATTEST, 1, IF_ATTESTATION, NULL },
	[WRIT_RATE_SIGN] = { SIGN, 500, IF_SIGNING, NULL },
	[WRIT_RATE_SIGN_BATCH] = { SIGN, 500, IF_SIGNING, cost_of_batch },
	[WRIT_RATE_JWT] = { JWT, 500, IF_SIGNING, NULL },
	[WRIT_RATE_WIT] = { WIT, 500, IF_SIGNING, NULL },
	[WRIT_RATE_PUBLISH_JWT] = { PUBLISH_JWT, 500, ALWAYS, NULL },
	[WRIT_RATE_PUBLISH_WIT] = { PUBLISH_WIT, 500, ALWAYS, NULL },
	[WRIT_RATE_STATUS] = { STATUS, 10, ALWAYS, NULL },
};

struct writ_ratelimit *writ_ratelimit_new(struct writ_loop *loop, bool attestation, bool signing)
{
	struct writ_ratelimit *r = writ_alloc(sizeof(*r));
	r->loop = loop;
	r->attestation = attestation;
	r->signing = signing;
	r->sweep_at = SWEEP_MIN;
	return r;
}

static void source_free(struct source *s)
{
	assert(writ_list_empty(&s->waiting));
	writ_map_remove(&s->owner->sources, writ_cstr(s->key));
	writ_timer_free(s->timer);
	writ_free(s);
}

void writ_ratelimit_free(struct writ_ratelimit *r)
{
	struct source *s;
	if (!r)
		return;
	for (size_t i = 0; (s = writ_map_next(&r->sources, &i, NULL)) != NULL;)
		source_free(s);
	writ_map_done(&r->sources);
	writ_free(r);
}

static bool applies(const struct writ_ratelimit *r, const struct rate *rate)
{
	return rate->when == ALWAYS || (rate->when == IF_ATTESTATION && r->attestation) ||
		(rate->when == IF_SIGNING && r->signing);
}

/* An address whose bucket is full again is as one never seen. */
static void sweep(struct writ_ratelimit *r)
{
	struct source *s;
	if (writ_map_count(&r->sources) < r->sweep_at)
		return;
	for (size_t i = 0; (s = writ_map_next(&r->sources, &i, NULL)) != NULL;)
		if (!s->n_waiting && writ_bucket_wait_ms(&s->bucket, s->bucket.burst) == 0)
			source_free(s);
	size_t left = writ_map_count(&r->sources);
	r->sweep_at = left * 2 > SWEEP_MIN ? left * 2 : SWEEP_MIN;
}

void writ_ratelimit_source(const char *addr, char out[WRIT_RATE_SOURCE_MAX])
{
	char host[INET6_ADDRSTRLEN + 2];
	struct in6_addr in6;
	const char *port = strrchr(addr, ':');
	int n = port ? (int)(port - addr) : (int)strlen(addr);
	snprintf(out, WRIT_RATE_SOURCE_MAX, "%.*s", n, addr);
	if (*addr != '[' || n < 3 || n > INET6_ADDRSTRLEN)
		return;
	snprintf(host, sizeof(host), "%.*s", n - 2, addr + 1);
	if (inet_pton(AF_INET6, host, &in6) != 1 || IN6_IS_ADDR_V4MAPPED(&in6))
		return;
	memset(in6.s6_addr + 8, 0, 8);
	(void)inet_ntop(AF_INET6, &in6, out, WRIT_RATE_SOURCE_MAX);
}

static struct source *find(
	struct writ_ratelimit *r, const struct rate *rate, const struct writ_peer *p)
{
	char key[KEY_MAX], from[WRIT_RATE_SOURCE_MAX];
	writ_ratelimit_source(p->addr, from);
	snprintf(key, sizeof(key), "%d/%s", (int)rate->bucket, from);
	struct source *s = writ_map_get(&r->sources, writ_cstr(key));
	if (s)
		return s;
	sweep(r);
	s = writ_alloc(sizeof(*s));
	s->owner = r;
	memcpy(s->key, key, sizeof(key));
	writ_bucket_init(&s->bucket, rate->per_s, rate->per_s);
	writ_list_init(&s->waiting);
	writ_map_put(&r->sources, writ_cstr(s->key), s);
	return s;
}

static void drop(struct waiter *w)
{
	writ_list_remove(&w->node);
	w->source->n_waiting--;
	w->source->owner->n_waiting--;
}

static void serve(void *arg)
{
	struct source *s = arg;
	while (!writ_list_empty(&s->waiting)) {
		struct waiter *w = writ_container(s->waiting.next, struct waiter, node);
		if (!writ_bucket_take(&s->bucket, w->n)) {
			writ_timer_start(s->timer, writ_bucket_wait_ms(&s->bucket, w->n));
			return;
		}
		drop(w);
		writ_call_on_end(w->call, NULL);
		writ_call_run(w->call);
	}
	writ_timer_free(s->timer);
	s->timer = NULL;
}

/* The caller gave up, or its deadline passed. */
static void gone(struct writ_call *c)
{
	drop(writ_api_call(c)->state);
}

static void wait_for_turn(struct source *s, struct writ_call *c, double n)
{
	struct writ_ratelimit *r = s->owner;
	struct waiter *w = writ_call_alloc(c, sizeof(*w));
	if (!w || s->n_waiting == WRIT_RATE_WAITING_MAX || r->n_waiting == WRIT_RATE_TOTAL_MAX) {
		writ_api_fail(c, WRIT_ELIMIT, "rate limit: too many calls of this address wait");
		return;
	}
	*w = (struct waiter){ .source = s, .call = c, .n = n };
	writ_list_push(&s->waiting, &w->node);
	s->n_waiting++;
	r->n_waiting++;
	writ_api_call(c)->state = w;
	writ_call_on_end(c, gone);
	if (s->timer)
		return;
	s->timer = writ_timer_new(r->loop, serve, s);
	writ_timer_start(s->timer, writ_bucket_wait_ms(&s->bucket, n));
}

void writ_ratelimit_pass(struct writ_ratelimit *r, struct writ_call *c)
{
	const struct writ_rpc_method *m = writ_call_method(c);
	const struct rate *rate = &rates[m->rate];
	if (m->rate == WRIT_RATE_NONE || !applies(r, rate)) {
		writ_call_run(c);
		return;
	}
	double n = rate->cost ? rate->cost(writ_call_request(c)) : 1;
	if (n > rate->per_s) {
		writ_api_fail(
			c, WRIT_ELIMIT, "rate (%.0f) exceeds burst size (%.0f)", n, rate->per_s);
		return;
	}
	struct source *s = find(r, rate, writ_call_peer(c));
	if (writ_list_empty(&s->waiting) && writ_bucket_take(&s->bucket, n))
		writ_call_run(c);
	else
		wait_for_turn(s, c, n);
}
