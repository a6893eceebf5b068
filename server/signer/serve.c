/* SPDX-License-Identifier: Apache-2.0 */
#include "signer/serve.h"

#include "base/clock.h"
#include "base/mem.h"
#include "signer/lockin.h"
#include "signer/signer.h"
#include "signer/upstream.h"
#include "signer/vault.h"
#include "signer/warmup.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

/* The server reads its answers at once; one that does not is stuck or hostile. */
#define REPLY_WAIT_MS 30000

/* What the monitor sends before WRIT_VAULT_GO. */
struct setup {
	struct writ_buf text[6];
	struct writ_buf keys[WRIT_VAULT_KEYS_MAX];
	size_t n_keys;
};

enum { TRUST_DOMAIN, KEY_MANAGER, RECORD_MAX, CERT, KEY, BUNDLE };

static const struct {
	enum writ_vault_type type;
	const char *name;
} fields[] = {
	[TRUST_DOMAIN] = { WRIT_VAULT_CONFIG, "trust_domain" },
	[KEY_MANAGER] = { WRIT_VAULT_CONFIG, "key_manager" },
	[RECORD_MAX] = { WRIT_VAULT_CONFIG, "record_max" },
	[CERT] = { WRIT_VAULT_UPSTREAM, "cert" },
	[KEY] = { WRIT_VAULT_UPSTREAM, "key" },
	[BUNDLE] = { WRIT_VAULT_UPSTREAM, "bundle" },
};

struct process {
	struct writ_signer_fds fds;
	struct writ_vault_link monitor;
	struct writ_record record;
	uint64_t record_max;
	struct writ_keys *keys;
	struct writ_upstream upstream;
	struct writ_signer *signer;
	struct writ_buf in, out; /* talk with the server */
};

static void setup_done(struct setup *s)
{
	for (size_t i = 0; i < WRIT_COUNT(s->text); i++)
		writ_buf_wipe(&s->text[i]);
	for (size_t i = 0; i < s->n_keys; i++)
		writ_buf_wipe(&s->keys[i]);
}

static writ_rc setup_add(struct setup *s, const struct writ_vault_msg *m, struct writ_err *err)
{
	if (m->type == WRIT_VAULT_KEY && s->n_keys < WRIT_VAULT_KEYS_MAX) {
		s->keys[s->n_keys] = WRIT_BUF(WRIT_VAULT_MAX);
		writ_buf_add_str(&s->keys[s->n_keys++], m->data);
		return WRIT_OK;
	}
	for (size_t i = 0; i < WRIT_COUNT(fields); i++) {
		if (m->type != fields[i].type || !writ_str_eq(m->name, writ_cstr(fields[i].name)))
			continue;
		writ_buf_reset(&s->text[i]);
		writ_buf_add_str(&s->text[i], m->data);
		return WRIT_OK;
	}
	return writ_fail(
		err, WRIT_EPROTO, "set-up: '" WRIT_FMT "' is not expected", WRIT_ARG(m->name));
}

static writ_rc setup_read(struct writ_vault_link *l, struct setup *s, struct writ_err *err)
{
	for (size_t i = 0; i < WRIT_COUNT(s->text); i++)
		s->text[i] = WRIT_BUF(WRIT_VAULT_MAX);
	int64_t deadline = writ_mono_ms() + WRIT_VAULT_WAIT_MS;
	for (;;) {
		struct writ_vault_msg m;
		struct writ_str frame;
		writ_rc rc = writ_vault_next(l, deadline, &m, &frame, err);
		if (rc)
			return rc;
		bool go = m.type == WRIT_VAULT_GO;
		rc = go ? WRIT_OK : setup_add(s, &m, err);
		writ_wipe(l->in.p, WRIT_FRAME_HEAD + frame.n - m.data.n);
		writ_frame_drop(&l->in, frame);
		if (rc || go)
			return rc;
	}
}

static writ_rc apply(struct process *p, const struct setup *s, struct writ_err *err)
{
	struct writ_signer_config c = { .trust_domain = writ_buf_cstr(&s->text[TRUST_DOMAIN]),
		.record = &p->record };
	writ_rc rc =
		writ_keys_open(writ_buf_str(&s->text[KEY_MANAGER]), &p->monitor, &p->keys, err);
	if (!rc && s->text[CERT].n) {
		rc = writ_upstream_open(&p->upstream, writ_buf_str(&s->text[CERT]),
			writ_buf_str(&s->text[KEY]), writ_buf_str(&s->text[BUNDLE]), writ_wall_s(),
			err);
		if (rc)
			return writ_wrap(err, rc, "UpstreamAuthority \"disk\"");
		c.upstream = &p->upstream;
	}
	c.keys = p->keys;
	if (!rc)
		rc = writ_signer_new(&c, &p->signer, err);
	for (size_t i = 0; i < s->n_keys && !rc; i++) {
		rc = writ_signer_adopt(p->signer, writ_buf_str(&s->keys[i]), err);
		if (rc)
			return writ_wrap(err, rc, "a CA key that was kept");
	}
	return rc;
}

static writ_rc open_record(struct process *p, const struct setup *s, struct writ_err *err)
{
	struct writ_str max = writ_buf_str(&s->text[RECORD_MAX]);
	writ_rc rc = max.n ? writ_parse_u64(max, 0, INT64_MAX, &p->record_max, err) : WRIT_OK;
	return rc ? rc : writ_record_init(&p->record, p->fds.record, p->record_max, err);
}

static int start(struct process *p, struct writ_err *err)
{
	WRIT_AUTO(setup_done) struct setup s = { 0 };
	writ_vault_link_init(&p->monitor, p->fds.monitor);
	if (setup_read(&p->monitor, &s, err) || open_record(p, &s, err))
		return WRIT_SIGNER_EXIT_FAILED;
	if (apply(p, &s, err))
		return WRIT_SIGNER_EXIT_SETUP;
	if (writ_signer_warm_up(err) || writ_signer_lock_in(err))
		return WRIT_SIGNER_EXIT_SETUP;
	const struct writ_vault_msg ready = { WRIT_VAULT_READY, { "", 0 }, { "", 0 } };
	return writ_vault_send(p->fds.monitor, &ready, -1, err) ? WRIT_SIGNER_EXIT_FAILED : -1;
}

static void hang_up(struct process *p)
{
	writ_closep(&p->fds.server);
	p->fds.server = -1;
	writ_buf_reset(&p->in);
	writ_buf_reset(&p->out);
}

/* Answers the first request in p->in; WRIT_ENOENT: there is no whole one. */
static writ_rc answer_one(struct process *p, struct writ_err *err)
{
	struct writ_str request;
	writ_rc rc = writ_frame_peek(&p->in, WRIT_FRAME_MAX, &request, err);
	if (rc)
		return rc;
	size_t start_at = writ_frame_start(&p->out);
	rc = writ_signer_handle(p->signer, request, &p->out, err);
	if (!rc)
		rc = writ_frame_end(&p->out, start_at, err);
	if (rc)
		return WRIT_EPROTO;
	writ_frame_drop(&p->in, request);
	rc = writ_frame_send(p->fds.server, writ_buf_str(&p->out), p->fds.monitor,
		writ_mono_ms() + REPLY_WAIT_MS, err);
	writ_buf_reset(&p->out);
	return rc;
}

/* Only a hint: the monitor looks for itself, and until another file comes this one is good. */
static void tell_length(struct process *p)
{
	const struct writ_vault_msg is_long = { WRIT_VAULT_LONG, { "", 0 }, { "", 0 } };
	if (writ_record_is_long(&p->record))
		(void)!writ_vault_send(p->fds.monitor, &is_long, -1, NULL);
}

/* -1: go on; else the exit status. */
static int from_server(struct process *p, struct writ_err *err)
{
	writ_rc rc = writ_frame_fill(p->fds.server, &p->in, NULL, err);
	while (!rc)
		rc = answer_one(p, err);
	tell_length(p);
	if (rc == WRIT_EPROTO)
		return WRIT_SIGNER_EXIT_PROTOCOL;
	if (rc != WRIT_ENOENT && rc != WRIT_EBUSY)
		hang_up(p); /* its successor comes with a socket of its own */
	return -1;
}

static int from_monitor(struct process *p, struct writ_err *err)
{
	/* The deadline has passed already: take what is there, never wait. */
	struct writ_vault_msg m;
	struct writ_str frame;
	writ_rc rc = writ_frame_fill(p->fds.monitor, &p->monitor.in, &p->monitor.passed, err);
	if (rc == WRIT_EBUSY)
		return -1;
	if (rc)
		return rc == WRIT_EUNAVAIL ? WRIT_SIGNER_EXIT_DONE : WRIT_SIGNER_EXIT_FAILED;
	rc = writ_vault_next(&p->monitor, writ_mono_ms(), &m, &frame, err);
	if (rc == WRIT_ETIMEOUT)
		return -1;
	if (!rc)
		(void)writ_fail(err, WRIT_EPROTO, "the monitor sent '%c' unasked", (int)m.type);
	return WRIT_SIGNER_EXIT_FAILED;
}

/* A new serving process takes the place of the one before. */
static void take_server(struct process *p)
{
	if (p->monitor.server < 0)
		return;
	hang_up(p);
	p->fds.server = writ_steal_fd(p->monitor.server);
}

/* What was answered is in the file before, and synced. */
static void take_record(struct process *p)
{
	if (p->monitor.record < 0)
		return;
	p->fds.record = writ_steal_fd(p->monitor.record);
	close(writ_record_change(&p->record, p->fds.record, p->record_max));
}

static int run(struct process *p, struct writ_err *err)
{
	int status = start(p, err);
	while (status < 0) {
		take_server(p);
		take_record(p);
		struct pollfd ready[2] = { { .fd = p->fds.monitor, .events = POLLIN },
			{ .fd = p->fds.server, .events = POLLIN } };
		if (poll(ready, 2, -1) < 0 && errno != EINTR) {
			(void)writ_fail_errno(err, errno, "wait for requests");
			return WRIT_SIGNER_EXIT_FAILED;
		}
		if (ready[0].revents)
			status = from_monitor(p, err);
		else if (ready[1].revents)
			status = from_server(p, err);
	}
	return status;
}

int writ_signer_serve(struct writ_signer_fds fds, struct writ_err *err)
{
	struct process p = { .fds = fds,
		.in = WRIT_BUF(WRIT_FRAME_MAX + WRIT_FRAME_HEAD),
		.out = WRIT_BUF(WRIT_FRAME_MAX + WRIT_FRAME_HEAD) };
	int status = run(&p, err);
	writ_signer_free(p.signer);
	writ_keys_close(p.keys);
	writ_upstream_done(&p.upstream);
	writ_record_done(&p.record);
	writ_vault_link_done(&p.monitor);
	writ_buf_done(&p.in);
	writ_buf_done(&p.out);
	writ_closep(&p.fds.server);
	writ_closep(&p.fds.record);
	writ_closep(&p.fds.monitor);
	return status;
}
