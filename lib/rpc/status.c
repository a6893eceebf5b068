/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/client.h"

#include "base/clock.h"
#include "rpc/rpc.h"

#include <string.h>

#define CALL_MS  30000 /* of a call without a deadline of its own */
#define GRACE_MS 2000  /* for gRPC's own report that the deadline passed */

writ_rc writ_rpc_status_err(const struct writ_rpc_status *s, const char *what, struct writ_err *err)
{
	if (s->rc == WRIT_OK)
		return WRIT_OK;
	return writ_fail(err, s->rc, "%s%s%s: %s", what ? what : "", what ? ": " : "",
		writ_grpc_status_name(s->code), s->message ? s->message : "");
}

/* A call that somebody waits for. It may outlive the waiting. */
struct waiting {
	struct writ_channel *channel; /* NULL: nobody waits any more */
	bool done;
	struct writ_rpc_status status;
	ProtobufCMessage *answer;
};

static void wait_free(struct waiting *w)
{
	writ_pb_free(w->answer);
	writ_free(w);
}

static void wait_message(void *arg, struct writ_rpc *r, const ProtobufCMessage *m)
{
	struct waiting *w = arg;
	(void)m;
	writ_pb_free(w->answer);
	w->answer = writ_rpc_take(r);
}

static void wait_ended(void *arg, struct writ_rpc *r, const struct writ_rpc_status *status)
{
	struct waiting *w = arg;
	struct writ_channel *c = w->channel;
	(void)r;
	if (!c) {
		wait_free(w);
		return;
	}
	writ_free(c->last_text);
	writ_free(c->last_details);
	c->last_text = writ_strdup(status->message);
	c->last_details =
		status->n_details > 0 ? writ_memdup(status->details, status->n_details) : NULL;
	w->status = *status;
	w->status.message = c->last_text;
	w->status.details = c->last_details;
	w->done = true;
}

static writ_rc outcome(
	struct waiting *w, const char *path, ProtobufCMessage **ret, struct writ_err *err)
{
	writ_rc rc = writ_rpc_status_err(&w->status, path, err);
	if (rc != WRIT_OK)
		return rc;
	if (!w->answer)
		return writ_fail(
			err, WRIT_EPROTO, "%s: the server said OK without an answer", path);
	*ret = writ_steal(w->answer);
	return WRIT_OK;
}

writ_rc writ_rpc_call(struct writ_channel *c, const char *path, const ProtobufCMessage *in,
	const ProtobufCMessageDescriptor *out, int64_t deadline_ms, ProtobufCMessage **ret,
	struct writ_rpc_status *status, struct writ_err *err)
{
	struct waiting *w = writ_alloc(sizeof(*w));
	struct writ_rpc_request req = { .path = path,
		.message = in,
		.out = out,
		.deadline_ms = deadline_ms > 0 ? deadline_ms : CALL_MS,
		.message_in = wait_message,
		.ended = wait_ended,
		.arg = w };
	w->channel = c;
	struct writ_rpc *r = writ_rpc_start(c, &req);
	if (!writ_loop_run_until(c->loop, &w->done, writ_mono_ms() + req.deadline_ms + GRACE_MS)) {
		w->channel = NULL;
		writ_rpc_cancel(r);
		if (status)
			*status =
				(struct writ_rpc_status){ WRIT_ETIMEOUT, 4, "no answer", NULL, 0 };
		return writ_fail(err, WRIT_ETIMEOUT, "%s: no answer within %lld ms", path,
			(long long)req.deadline_ms);
	}
	if (status)
		*status = w->status;
	writ_rc rc = outcome(w, path, ret, err);
	wait_free(w);
	return rc;
}
