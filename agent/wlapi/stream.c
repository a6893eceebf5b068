/* SPDX-License-Identifier: Apache-2.0 */
/* A stream's life: attest, match, wait for what is not ready, send, and again at each change.
 * "Latest state wins": nothing is queued, a slow reader gets what holds when it reads. */
#include "wlapi/wlapi_impl.h"

#include "base/clock.h"
#include "base/mem.h"

#include <string.h>

#define SYNC_WAIT_MS  3000  /* of a call that came before the first sync */
#define FIRST_WAIT_MS 10000 /* for SVIDs that are not there yet */
#define NEXT_WAIT_MS  1000  /* the same on a stream that has something already */
#define PATIENCE_MS   200
#define SWEEP_TURN    64

static void unwatch(struct stream *s)
{
	for (size_t i = 0; i < s->n; i++)
		writ_cache_unwatch(s->w->cfg.cache, s->entries[i]);
	writ_freep(&s->entries);
	s->n = 0;
}

/* The call is over, whoever ended it. */
static void on_end(struct writ_call *c)
{
	struct stream *s = writ_call_user(c);
	writ_list_remove(&s->node);
	s->w->n_streams--;
	if (s->attesting)
		writ_caller_forget(s->attesting);
	unwatch(s);
	writ_free(s->versions);
	writ_bundle_unref(s->bundle);
	if (s->attested)
		writ_facts_done(&s->facts);
	writ_caller_unref(s->caller);
	writ_free(s);
}

static void wait_for(struct stream *s, int64_t ms)
{
	if (!s->waits)
		s->wait_until_ms = writ_mono_ms() + ms;
	s->waits = true;
	s->fresh = false;
	if (!writ_timer_active(s->w->patience))
		writ_timer_start(s->w->patience, PATIENCE_MS);
}

static bool is_patient(const struct stream *s)
{
	return !s->waits || writ_mono_ms() < s->wait_until_ms;
}

/* Watches what matches now. The new ones are watched before the old ones are let go, so that what
 * stays keeps its SVID. */
static void rewatch(struct stream *s, struct writ_entry *const *found, size_t n)
{
	if (n == s->n && (!n || memcmp(found, s->entries, n * sizeof(struct writ_entry *)) == 0))
		return;
	struct writ_entry **kept = n ? writ_memdup(found, n * sizeof(struct writ_entry *)) : NULL;
	for (size_t i = 0; i < n; i++)
		writ_cache_watch(s->w->cfg.cache, kept[i]);
	unwatch(s);
	s->entries = kept;
	s->n = n;
}

static size_t count_ready(const struct stream *s)
{
	int64_t now = writ_wall_s();
	size_t n = 0;
	for (size_t i = 0; i < s->n; i++)
		n += writ_entry_is_ready(s->entries[i], now);
	return n;
}

static void fail(struct stream *s, writ_rc rc, const char *text)
{
	struct writ_err err = { 0 };
	(void)writ_fail(&err, rc, "%s", text);
	writ_call_fail(s->call, &err);
}

static void remember(struct stream *s)
{
	struct writ_bundle *b = writ_cache_bundle(s->w->cfg.cache);
	writ_bundle_ref(b);
	writ_bundle_unref(s->bundle);
	s->bundle = b;
	s->versions = writ_realloc(s->versions, (s->n ? s->n : 1) * sizeof(uint64_t));
	for (size_t i = 0; i < s->n; i++)
		s->versions[i] = s->entries[i]->version;
	s->n_versions = s->n;
	s->waits = false;
}

/* The last look at the caller comes right before the keys leave. */
static void deliver(struct stream *s)
{
	struct writ_err err = { 0 };
	if (!s->kind->is_news(s)) {
		s->waits = false;
		return;
	}
	bool just_now = s->fresh;
	s->fresh = false;
	if (writ_caller_recheck(s->w->cfg.env, s->caller, &s->facts, just_now, &err) != WRIT_OK) {
		s->w->stats.denied_attest++;
		writ__deny(s, &err);
		return;
	}
	if (!s->sent)
		writ__grant(s);
	if (s->kind->send(s, &err) != WRIT_OK) {
		fail(s, WRIT_EUNAVAIL, err.msg);
		return;
	}
	s->sent = s->sending = true;
	remember(s);
	writ_caller_rest(s->caller);
}

static void no_match(struct stream *s)
{
	struct writ_err why = { 0 };
	(void)writ_fail(&why, WRIT_EDENIED,
		s->run_child
			? "it is in a launch that means its command alone (see writ run -children)"
			: s->sent ? "no entry matches it any more"
				  : "no entry matches it");
	s->w->stats.denied_no_match++;
	writ__deny(s, &why);
}

static void look_at(struct stream *s)
{
	struct writ_entry *found[WRIT_MATCHES_MAX];
	const struct writ_cache *cache = s->w->cfg.cache;
	s->round = s->w->round;
	if (writ_call_cancelled(s->call)) { /* its status is still on the way out */
		s->waits = false;
		return;
	}
	s->stale = s->sending || !s->attested;
	if (s->stale)
		return;
	if (!writ_cache_is_synced(cache)) {
		if (is_patient(s))
			wait_for(s, SYNC_WAIT_MS);
		else
			fail(s, WRIT_EUNAVAIL, "the agent has not reached its server yet");
		return;
	}
	size_t n = writ__match(s, found);
	rewatch(s, found, n);
	if (!n) {
		no_match(s);
		return;
	}
	size_t ready = s->kind->wants_svids ? count_ready(s) : n;
	if (ready == n || (ready && !is_patient(s))) {
		deliver(s);
	} else if (is_patient(s)) {
		wait_for(s, s->sent ? NEXT_WAIT_MS : FIRST_WAIT_MS);
	} else if (!s->sent) {
		fail(s, WRIT_EUNAVAIL, "the server has not issued this identity yet");
	}
}

static void on_writable(struct writ_call *c)
{
	struct stream *s = writ_call_user(c);
	s->sending = false;
	if (s->stale)
		look_at(s);
}

static void have_facts(struct stream *s, writ_rc rc, const struct writ_err *err)
{
	writ_metric_observe_us(&s->w->attest_seconds, writ_mono_us() - s->started_us);
	if (rc == WRIT_OK) {
		s->attested = true;
		look_at(s);
		return;
	}
	s->w->stats.denied_attest++;
	if (rc == WRIT_EUNAUTH || rc == WRIT_EDENIED) {
		writ__deny(s, err);
		return;
	}
	WRIT_LOG_LIMITED(ERROR, "workload.attest_failed", WRIT_KV("error", err->msg));
	fail(s, WRIT_EUNAVAIL, "workload attestation failed");
}

static void on_attested(void *arg, writ_rc rc, const struct writ_err *err, struct writ_facts *facts)
{
	struct stream *s = arg;
	s->attesting = NULL;
	if (rc == WRIT_OK) {
		s->facts = *facts;
		*facts = (struct writ_facts){ .answer = { .nnotes = 0 } };
		writ_answer_init(&facts->answer);
	}
	have_facts(s, rc, err);
}

void writ__stream_open(struct writ_call *c, const struct stream_kind *kind)
{
	struct writ_wlapi *w = writ_call_program(c);
	struct stream *s = writ_alloc(sizeof(*s));
	struct writ_err err = { 0 };
	struct writ_caller *caller = NULL;
	s->w = w;
	s->call = c;
	s->kind = kind;
	s->round = w->round;
	s->started_us = writ_mono_us();
	writ_list_push(&w->streams, &s->node);
	w->n_streams++;
	writ_call_set_user(c, s);
	writ_call_on_end(c, on_end);
	writ_call_on_writable(c, on_writable);
	writ_rc rc = writ_caller_of(
		w->cfg.env, writ_rpc_server_front(w->server), writ_call_peer(c), &caller, &err);
	if (rc == WRIT_OK) {
		s->caller = writ_caller_ref(caller);
		rc = writ_caller_attest(w->cfg.env, caller, writ_cache_wants(w->cfg.cache),
			&s->facts, on_attested, s, &s->attesting, &err);
		s->fresh = rc == WRIT_OK;
	}
	if (rc != WRIT_EBUSY)
		have_facts(s, rc, &err);
}

/* --- changes, and waiting --- */

void writ__stream_sweep(struct writ_task *t)
{
	struct writ_wlapi *w = writ_container(t, struct writ_wlapi, sweep);
	w->sweep_posted = false;
	for (int i = 0; i < SWEEP_TURN && !writ_list_empty(&w->streams); i++) {
		struct stream *s = writ_container(w->streams.next, struct stream, node);
		if (s->round == w->round)
			return;
		writ_list_remove(&s->node);
		writ_list_push(&w->streams, &s->node);
		look_at(s);
	}
	if (w->stopping || writ_list_empty(&w->streams))
		return;
	w->sweep_posted = true;
	writ_loop_post(w->cfg.loop, &w->sweep);
}

void writ__stream_patience(void *arg)
{
	struct writ_wlapi *w = arg;
	bool more = false;
	int64_t now = writ_mono_ms();
	WRIT_LIST_EACH (it, &w->streams) {
		struct stream *s = writ_container(it, struct stream, node);
		if (!s->waits)
			continue;
		if (now < s->wait_until_ms)
			more = true;
		else
			look_at(s);
	}
	if (more && !w->stopping)
		writ_timer_start(w->patience, PATIENCE_MS);
}
