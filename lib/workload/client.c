/* SPDX-License-Identifier: Apache-2.0 */
#include "workload/client.h"

#include "base/clock.h"
#include "base/limiter.h"
#include "base/mem.h"
#include "rpc/channel.h"
#include "workload/update.h"

#include "workloadapi.pb-c.h"

#define RETRY_FIRST_MS 200
#define RETRY_MAX_MS   5000
/* A stream that delivered and lived this long is renewed at once; an agent that ends each of them
 * right away is not chased in a busy loop. */
#define AT_ONCE_MS 1000

struct writ_wl {
	struct writ_wl_config cfg;
	char *path;
	struct writ_channel *channel;
	struct writ_rpc *stream;
	struct writ_timer *retry;
	struct writ_backoff backoff;
	int64_t began_ms;  /* monotonic: of this stream */
	bool delivered;    /* this stream has given a good answer */
	bool had_identity; /* some stream ever did */
	bool stopping;
	void (*stopped)(void *arg);
	void *stopped_arg;
};

static void connect_now(void *arg);

static void message_in(void *arg, struct writ_rpc *r, const ProtobufCMessage *m)
{
	struct writ_wl *w = arg;
	struct writ_wl_update *u;
	struct writ_err err = { 0 };
	(void)r;
	if (w->stopping)
		return;
	writ_rc rc = writ_wl_from_message(m, writ_wall_s(), &u, &err);
	if (rc != WRIT_OK) {
		/* WC-09: a bad answer is reported and dropped, what was good before stays. */
		if (w->cfg.failed)
			w->cfg.failed(w->cfg.arg, &err, false, false);
		return;
	}
	w->delivered = true;
	w->had_identity = true;
	writ_backoff_reset(&w->backoff);
	w->cfg.update(w->cfg.arg, u);
	writ_wl_update_unref(u);
}

static void finish_stop(void *arg)
{
	struct writ_wl *w = arg;
	void (*done)(void *) = w->stopped;
	void *done_arg = w->stopped_arg;
	writ_timer_free(w->retry);
	writ_free(w->path);
	writ_free(w);
	if (done)
		done(done_arg);
}

static void retry_later(struct writ_wl *w, bool at_once)
{
	writ_timer_start(w->retry, at_once ? 0 : writ_backoff_next(&w->backoff));
}

static void channel_closed(void *arg)
{
	struct writ_wl *w = arg;
	if (w->stopping)
		finish_stop(w);
}

static void drop_channel(struct writ_wl *w)
{
	struct writ_channel *c = writ_steal(w->channel);
	if (c)
		writ_channel_close(c, w->stopping ? channel_closed : NULL, w);
	else if (w->stopping)
		writ_timer_start(w->retry, 0); /* stop never completes inside itself */
}

static void ended(void *arg, struct writ_rpc *r, const struct writ_rpc_status *s)
{
	struct writ_wl *w = arg;
	struct writ_err err = { 0 };
	(void)r;
	w->stream = NULL;
	bool at_once = w->delivered && writ_mono_ms() - w->began_ms >= AT_ONCE_MS;
	if (w->stopping) {
		drop_channel(w);
		return;
	}
	if (s->rc == WRIT_OK)
		writ_fail(&err, WRIT_EUNAVAIL, "the agent ended the stream");
	else
		(void)writ_rpc_status_err(s, NULL, &err);
	bool denied = s->code == 7 && w->had_identity;
	bool final = s->code == 3 || s->code == 12; /* WC-04, WC-06: trying again cannot help */
	drop_channel(w);
	if (denied)
		w->had_identity = false;
	if (!final)
		retry_later(w, at_once);
	if (w->cfg.failed)
		w->cfg.failed(w->cfg.arg, &err, denied, final);
}

static void connect_now(void *arg)
{
	static const struct writ_rpc_header header = { "workload.spiffe.io", "true" };
	struct writ_wl *w = arg;
	struct writ_err err = { 0 };
	if (w->stopping) {
		finish_stop(w);
		return;
	}
	w->delivered = false;
	w->began_ms = writ_mono_ms();
	writ_rc rc = writ_channel_unix(w->cfg.loop, w->path, &w->channel, &err);
	if (rc != WRIT_OK) {
		retry_later(w, false);
		if (w->cfg.failed)
			w->cfg.failed(w->cfg.arg, &err, false, false);
		return;
	}
	X509SVIDRequest req = X509_SVIDREQUEST__INIT;
	const struct writ_rpc_request call = {
		.path = "/SpiffeWorkloadAPI/FetchX509SVID",
		.message = &req.base,
		.out = &x509_svidresponse__descriptor,
		.headers = &header,
		.n_headers = 1,
		.message_in = message_in,
		.ended = ended,
		.arg = w,
	};
	w->stream = writ_rpc_start(w->channel, &call);
}

struct writ_wl *writ_wl_start(const struct writ_wl_config *cfg)
{
	struct writ_wl *w = writ_alloc(sizeof(*w));
	w->cfg = *cfg;
	w->path = writ_strdup(cfg->socket_path);
	w->retry = writ_timer_new(cfg->loop, connect_now, w);
	writ_backoff_init(&w->backoff, RETRY_FIRST_MS, RETRY_MAX_MS);
	writ_timer_start(w->retry, 0);
	return w;
}

void writ_wl_stop(struct writ_wl *w, void (*done)(void *arg), void *arg)
{
	w->stopping = true;
	w->stopped = done;
	w->stopped_arg = arg;
	writ_timer_stop(w->retry);
	if (w->stream)
		writ_rpc_cancel(w->stream);
	else
		drop_channel(w);
}
