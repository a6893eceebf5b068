/* SPDX-License-Identifier: Apache-2.0 */
#include "link/sync.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rand.h"
#include "link/convert.h"
#include "rpc/rpc.h"

#include "spire/api/server/bundle/v1/bundle.pb-c.h"
#include "spire/api/server/entry/v1/entry.pb-c.h"
#include "writ/push/v1/push.pb-c.h"

#define WATCH_PATH   "/writ.push.v1.Push/Watch"
#define FETCH_PATH   "/writ.push.v1.Push/Fetch"
#define ENTRIES_PATH "/spire.api.server.entry.v1.Entry/GetAuthorizedEntries"
#define BUNDLE_PATH  "/spire.api.server.bundle.v1.Bundle/GetBundle"

#define DEADLINE_MS   20000
#define POLL_MS       5000
#define RETRY_MS      500
#define ANSWER_MAX    (64u * 1024 * 1024)
#define UNIMPLEMENTED 12
#define PAGES_MAX     10000
#define CLOCK_MAX_MS  253402300799000 /* the year 9999 */

struct writ_sync {
	struct writ_sync_config cfg;
	char *td;
	struct writ_channel *channel;
	struct writ_rpc *watch, *fetch, *entries, *bundle; /* NULL: none, or no longer ours */
	struct writ_timer *timer;                          /* the next poll, or another try */
	bool polling;
	/* What the server said last, and what we have. */
	uint64_t said_revision, said_bundle;
	uint64_t revision, epoch, bundle_sequence;
	bool have, have_bundle;
	/* The listing that is coming in, page by page. */
	bool again;
	unsigned pages;
	char *page;
	int64_t noticed_us, lag_us;
	/* What the server's clock said, and when that was by a clock that nobody sets. */
	int64_t server_ms, server_at_ms;
};

static void fetch_now(struct writ_sync *s);
static void poll_now(struct writ_sync *s);

static struct writ_rpc *call(struct writ_sync *s, const char *path, const ProtobufCMessage *m,
	const ProtobufCMessageDescriptor *out, int64_t deadline_ms,
	void (*in)(void *, struct writ_rpc *, const ProtobufCMessage *),
	void (*ended)(void *, struct writ_rpc *, const struct writ_rpc_status *))
{
	const struct writ_rpc_request req = {
		.path = path,
		.message = m,
		.out = out,
		.deadline_ms = deadline_ms,
		.max_response = ANSWER_MAX,
		.message_in = in,
		.ended = ended,
		.arg = s,
	};
	return writ_rpc_start(s->channel, &req);
}

static void put_entries(struct writ_sync *s, Spire__Api__Types__Entry *const *entries, size_t n)
{
	struct writ_err err = { 0 };
	for (size_t i = 0; i < n; i++) {
		writ_rc rc = writ_entry_from_message(entries[i], s->cfg.cache, &err);
		if (rc == WRIT_OK)
			continue;
		/* What is no longer one of ours must not stay as it was. */
		writ_cache_remove(s->cfg.cache, writ_cstr(entries[i]->id));
		if (rc != WRIT_EUNSUP)
			WRIT_LOG_LIMITED(WARN, "entry.skipped", WRIT_KV("entry", entries[i]->id),
				WRIT_KV("error", err.msg));
	}
}

static void take_bundle(struct writ_sync *s, const Spire__Api__Types__Bundle *m)
{
	WRIT_AUTO(writ_bundle_unrefp) struct writ_bundle *b = NULL;
	struct writ_err err = { 0 };
	if (writ_bundle_from_message(m, writ_cstr(s->td), &b, &err) != WRIT_OK) {
		WRIT_LOG_LIMITED(ERROR, "bundle.refused", WRIT_KV("error", err.msg));
		return;
	}
	const struct writ_bundle *old = writ_cache_bundle(s->cfg.cache);
	bool is_new = !old || !writ_bundle_same_cas(old, b) || !writ_bundle_same_taint(old, b);
	s->bundle_sequence = m->sequence_number;
	s->have_bundle = true;
	writ_cache_set_bundle(s->cfg.cache, b);
	if (is_new)
		s->cfg.bundle(s->cfg.arg, b);
}

static void done(struct writ_sync *s)
{
	s->lag_us = writ_mono_us() - s->noticed_us;
	s->cfg.synced(s->cfg.arg);
}

/* --- push --- */

static void on_page(void *arg, struct writ_rpc *r, const ProtobufCMessage *message)
{
	struct writ_sync *s = arg;
	const Writ__Push__V1__FetchResponse *m = (const void *)message;
	if (r != s->fetch)
		return;
	if (!s->pages++)
		writ_cache_begin(s->cfg.cache, m->full);
	put_entries(s, m->entries, m->n_entries);
	for (size_t i = 0; i < m->n_removed; i++)
		writ_cache_remove(s->cfg.cache, writ_cstr(m->removed[i]));
	if (m->bundle)
		take_bundle(s, m->bundle);
	writ_freep(&s->page);
	if (m->next_page[0] && s->pages < PAGES_MAX) {
		s->page = writ_strdup(m->next_page);
		return;
	}
	writ_cache_commit(s->cfg.cache);
	s->revision = m->revision;
	s->epoch = m->epoch;
	s->have = true;
}

static void forget_pages(struct writ_sync *s)
{
	if (s->pages && s->page)
		writ_cache_abort(s->cfg.cache);
	s->pages = 0;
	writ_freep(&s->page);
}

static bool is_behind(const struct writ_sync *s)
{
	return !s->have || !s->have_bundle || s->revision != s->said_revision ||
		s->bundle_sequence != s->said_bundle;
}

static void on_page_end(void *arg, struct writ_rpc *r, const struct writ_rpc_status *status)
{
	struct writ_sync *s = arg;
	if (r != s->fetch)
		return;
	s->fetch = NULL;
	if (status->rc != WRIT_OK) {
		forget_pages(s);
		writ_timer_start(s->timer, RETRY_MS);
		s->cfg.failed(s->cfg.arg, status);
		return;
	}
	if (s->page) {
		fetch_now(s);
		return;
	}
	s->pages = 0;
	done(s);
	if (s->again && is_behind(s))
		fetch_now(s);
}

static void fetch_now(struct writ_sync *s)
{
	Writ__Push__V1__FetchRequest req = WRIT__PUSH__V1__FETCH_REQUEST__INIT;
	if (s->fetch || !s->channel)
		return;
	if (!s->pages) {
		s->again = false;
		s->noticed_us = writ_mono_us();
	}
	req.since = s->have ? s->revision : 0;
	req.epoch = s->have ? s->epoch : 0;
	req.bundle = !s->pages && (!s->have_bundle || s->bundle_sequence != s->said_bundle);
	if (s->page)
		req.page = s->page;
	s->fetch = call(s, FETCH_PATH, &req.base, &writ__push__v1__fetch_response__descriptor,
		DEADLINE_MS, on_page, on_page_end);
}

static void take_clock(struct writ_sync *s, int64_t now_ms)
{
	int64_t ahead = 0;
	if (now_ms <= 0 || now_ms > CLOCK_MAX_MS)
		return;
	s->server_ms = now_ms;
	s->server_at_ms = writ_mono_ms();
	(void)writ_sync_clock(s, &ahead);
	if (ahead > WRIT_SVID_SKEW_MS || ahead < -WRIT_SVID_SKEW_MS)
		WRIT_LOG_LIMITED(WARN, "clock.differs", WRIT_KV("server_ahead_ms", ahead),
			WRIT_KV("consequence", "certificates begin and end at other times here"),
			WRIT_KV("do", "set both clocks by one time service"));
}

static void on_watch(void *arg, struct writ_rpc *r, const ProtobufCMessage *message)
{
	struct writ_sync *s = arg;
	const Writ__Push__V1__WatchResponse *m = (const void *)message;
	if (r != s->watch)
		return;
	s->said_revision = m->entries_revision;
	s->said_bundle = m->bundle_sequence;
	take_clock(s, m->now_ms);
	s->again = true;
	if (is_behind(s))
		fetch_now(s);
	else
		s->cfg.synced(s->cfg.arg);
}

static void on_watch_end(void *arg, struct writ_rpc *r, const struct writ_rpc_status *status)
{
	struct writ_sync *s = arg;
	if (r != s->watch)
		return;
	s->watch = NULL;
	if (status->code == UNIMPLEMENTED) {
		WRIT_LOG(INFO, "sync.polling", WRIT_KV("reason", "the server does not push"));
		s->polling = true;
		poll_now(s);
		return;
	}
	writ_timer_start(s->timer, RETRY_MS);
	s->cfg.failed(s->cfg.arg, status);
}

static void watch_now(struct writ_sync *s)
{
	Writ__Push__V1__WatchRequest req = WRIT__PUSH__V1__WATCH_REQUEST__INIT;
	s->watch = call(s, WATCH_PATH, &req.base, &writ__push__v1__watch_response__descriptor, 0,
		on_watch, on_watch_end);
}

/* --- polling, for a server that does not push --- */

static void on_entries(void *arg, struct writ_rpc *r, const ProtobufCMessage *message)
{
	struct writ_sync *s = arg;
	const Spire__Api__Server__Entry__V1__GetAuthorizedEntriesResponse *m =
		(const void *)message;
	if (r != s->entries)
		return;
	writ_cache_begin(s->cfg.cache, true);
	put_entries(s, m->entries, m->n_entries);
	writ_cache_commit(s->cfg.cache);
}

static void on_entries_end(void *arg, struct writ_rpc *r, const struct writ_rpc_status *status)
{
	struct writ_sync *s = arg;
	if (r != s->entries)
		return;
	s->entries = NULL;
	writ_timer_start(s->timer, writ_jitter(POLL_MS, 100));
	if (status->rc != WRIT_OK)
		s->cfg.failed(s->cfg.arg, status);
	else
		done(s);
}

static void on_bundle(void *arg, struct writ_rpc *r, const ProtobufCMessage *message)
{
	struct writ_sync *s = arg;
	if (r == s->bundle)
		take_bundle(s, (const void *)message);
}

static void on_bundle_end(void *arg, struct writ_rpc *r, const struct writ_rpc_status *status)
{
	struct writ_sync *s = arg;
	if (r != s->bundle)
		return;
	s->bundle = NULL;
	if (status->rc != WRIT_OK)
		s->cfg.failed(s->cfg.arg, status);
}

static void poll_now(struct writ_sync *s)
{
	Spire__Api__Types__EntryMask mask = SPIRE__API__TYPES__ENTRY_MASK__INIT;
	Spire__Api__Server__Entry__V1__GetAuthorizedEntriesRequest entries =
		SPIRE__API__SERVER__ENTRY__V1__GET_AUTHORIZED_ENTRIES_REQUEST__INIT;
	Spire__Api__Server__Bundle__V1__GetBundleRequest bundle =
		SPIRE__API__SERVER__BUNDLE__V1__GET_BUNDLE_REQUEST__INIT;
	mask.spiffe_id = mask.selectors = mask.revision_number = mask.store_svid = mask.hint =
		mask.created_at = mask.additional_attributes = true;
	entries.output_mask = &mask;
	s->noticed_us = writ_mono_us();
	if (!s->bundle)
		s->bundle =
			call(s, BUNDLE_PATH, &bundle.base, &spire__api__types__bundle__descriptor,
				DEADLINE_MS, on_bundle, on_bundle_end);
	if (!s->entries)
		s->entries = call(s, ENTRIES_PATH, &entries.base,
			&spire__api__server__entry__v1__get_authorized_entries_response__descriptor,
			DEADLINE_MS, on_entries, on_entries_end);
}

/* --- */

static void on_timer(void *arg)
{
	struct writ_sync *s = arg;
	if (!s->channel)
		return;
	if (s->polling)
		poll_now(s);
	else if (!s->watch)
		watch_now(s);
	else if (is_behind(s))
		fetch_now(s);
}

struct writ_sync *writ_sync_new(const struct writ_sync_config *cfg)
{
	struct writ_sync *s = writ_alloc(sizeof(*s));
	s->cfg = *cfg;
	s->td = writ_strndup(cfg->td.p, cfg->td.n);
	s->timer = writ_timer_new(cfg->loop, on_timer, s);
	return s;
}

void writ_sync_free(struct writ_sync *s)
{
	writ_timer_free(s->timer);
	writ_free(s->page);
	writ_free(s->td);
	writ_free(s);
}

void writ_sync_up(struct writ_sync *s, struct writ_channel *c)
{
	s->channel = c;
	s->polling = false; /* the server may be another one by now */
	watch_now(s);
}

void writ_sync_down(struct writ_sync *s)
{
	s->channel = NULL;
	s->watch = s->fetch = s->entries = s->bundle = NULL;
	forget_pages(s);
	writ_timer_stop(s->timer);
}

int64_t writ_sync_lag_us(const struct writ_sync *s)
{
	return s->lag_us;
}

bool writ_sync_clock(const struct writ_sync *s, int64_t *ret_ahead_ms)
{
	if (s->server_ms)
		*ret_ahead_ms = s->server_ms + (writ_mono_ms() - s->server_at_ms) - writ_wall_ms();
	return s->server_ms != 0;
}
