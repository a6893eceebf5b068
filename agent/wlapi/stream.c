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
#define AGAIN_MAX     3 /* looks for one message */

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
	writ_attest_wait_forget(&s->wait);
	if (s->proof)
		writ_proof_forget(s->proof);
	unwatch(s);
	writ_free(s->versions);
	writ_bundle_unref(s->bundle);
	writ_facts_unref(s->facts);
	writ_caller_unref(s->caller);
	writ_free(s);
}

static void wait_for(struct stream *s, int64_t ms)
{
	if (!s->waits)
		s->wait_until_ms = writ_mono_ms() + ms;
	s->waits = true;
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

static void on_proved(void *arg, writ_rc rc, const struct writ_err *err);

/* The proof of who calls comes right before the keys leave. */
static void deliver(struct stream *s)
{
	struct writ_err err = { 0 };
	s->waits = false;
	if (!s->kind->is_news(s))
		return;
	if (!s->proven) {
		s->proof = writ_caller_prove(writ_rpc_server_front(s->w->server),
			writ_call_peer(s->call), s->facts, on_proved, s);
		return;
	}
	if (!s->sent)
		writ__grant(s);
	if (s->kind->send(s, &err) != WRIT_OK) {
		fail(s, WRIT_EUNAVAIL, err.msg);
		return;
	}
	s->sent = s->sending = true;
	s->again = 0;
	remember(s);
}

static void deliver_when_ready(struct stream *s, size_t n)
{
	size_t ready = s->kind->wants_svids ? count_ready(s) : n;
	if (ready == n || (ready && !is_patient(s)))
		deliver(s);
	else if (is_patient(s))
		wait_for(s, s->sent ? NEXT_WAIT_MS : FIRST_WAIT_MS);
	else if (!s->sent)
		fail(s, WRIT_EUNAVAIL, "the server has not issued this identity yet");
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

static unsigned wanted(const struct stream *s)
{
	return writ_cache_wants(s->w->cfg.cache);
}

/* Entries that came since ask for selectors that nobody asked for when the caller was looked at.
 * True: they are being found. */
static bool look_deeper(struct stream *s)
{
	if (!writ_list_empty(&s->wait.node))
		return true;
	if (!(wanted(s) & ~s->facts->flags))
		return false;
	struct writ_facts *f = writ_caller_attest(s->caller, wanted(s), &s->wait);
	if (!f)
		return true;
	writ_facts_ref(f);
	writ_facts_unref(s->facts);
	s->facts = f;
	s->proven = false; /* that was of the others */
	return false;
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
	s->stale = s->sending || !s->facts;
	if (s->stale || s->proof) /* what has changed since the proof began is seen after it */
		return;
	if (!writ_cache_is_synced(cache)) {
		if (is_patient(s))
			wait_for(s, SYNC_WAIT_MS);
		else
			fail(s, WRIT_EUNAVAIL, "the agent has not reached its server yet");
		return;
	}
	if (look_deeper(s))
		return;
	size_t n = writ__match(s, found);
	rewatch(s, found, n);
	if (!n) {
		no_match(s);
		return;
	}
	deliver_when_ready(s, n);
}

static void on_writable(struct writ_call *c)
{
	struct stream *s = writ_call_user(c);
	s->sending = false;
	if (s->stale)
		look_at(s);
}

static void deny_caller(struct stream *s, writ_rc rc, const struct writ_err *err)
{
	s->w->stats.denied_attest++;
	if (rc == WRIT_EUNAUTH || rc == WRIT_EDENIED || rc == WRIT_ETIMEOUT) {
		writ__deny(s, err);
		return;
	}
	WRIT_LOG_LIMITED(ERROR, "workload.attest_failed", WRIT_KV("error", err->msg));
	fail(s, WRIT_EUNAVAIL, "workload attestation failed");
}

static void have_facts(struct stream *s, struct writ_facts *facts)
{
	if (!s->facts && !s->sent)
		writ_metric_observe_us(&s->w->attest_seconds, writ_mono_us() - s->started_us);
	writ_facts_ref(facts);
	writ_facts_unref(s->facts);
	s->facts = facts;
	look_at(s);
}

static void on_attested(struct writ_attest_wait *w, writ_rc rc, const struct writ_err *err,
	struct writ_facts *facts)
{
	struct stream *s = writ_container(w, struct stream, wait);
	if (rc == WRIT_OK)
		have_facts(s, facts);
	else
		deny_caller(s, rc, err);
}

/* Is another look worth it, after a check that failed? */
static bool may_look_again(struct stream *s, writ_rc rc)
{
	/* What was known of the program before it called may be out of date. */
	bool old = rc == WRIT_EUNAUTH && !s->sent && s->known_before;
	s->known_before = s->known_before && !old;
	/* It is the same program, with whose file somebody does something. */
	return old || (rc == WRIT_EEXPIRED && s->again++ < AGAIN_MAX);
}

static void look_again(struct stream *s)
{
	writ_caller_outdated(s->caller, s->facts);
	writ_facts_unref(writ_steal(s->facts));
	struct writ_facts *f = writ_caller_attest(s->caller, wanted(s), &s->wait);
	if (f) /* another stream was faster */
		have_facts(s, f);
}

static void on_proved(void *arg, writ_rc rc, const struct writ_err *err)
{
	struct stream *s = arg;
	s->proof = NULL;
	if (writ_call_cancelled(s->call) || writ_call_peer(s->call)->closed)
		return; /* its end is on the way */
	if (rc == WRIT_OK) {
		s->proven = true;
		look_at(s);
		s->proven = false;
	} else if (may_look_again(s, rc)) {
		look_again(s);
	} else if (rc == WRIT_EEXPIRED || (rc == WRIT_ETIMEOUT && s->sent)) {
		/* It may stand still for good reasons; who comes again is served again. */
		fail(s, WRIT_EUNAVAIL, err->msg);
	} else {
		deny_caller(s, rc, err);
	}
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
	writ_list_init(&s->wait.node);
	s->wait.done = on_attested;
	writ_rc rc = writ_caller_of(
		w->cfg.env, writ_rpc_server_front(w->server), writ_call_peer(c), &caller, &err);
	if (rc != WRIT_OK) {
		deny_caller(s, rc, &err);
		return;
	}
	s->caller = writ_caller_ref(caller);
	struct writ_facts *facts = writ_caller_attest(caller, wanted(s), &s->wait);
	s->known_before = facts != NULL;
	if (facts)
		have_facts(s, facts);
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
