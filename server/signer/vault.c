/* SPDX-License-Identifier: Apache-2.0 */
#include "signer/vault.h"

#include "base/clock.h"
#include "base/fdpass.h"
#include "base/mem.h"

#include <errno.h>
#include <string.h>

static const char types[] = "CUKGXIDRSFL";

writ_rc writ_vault_parse(struct writ_str frame, struct writ_vault_msg *ret, struct writ_err *err)
{
	if (frame.n < 2 || !frame.p[0] || !strchr(types, frame.p[0]))
		return writ_fail(err, WRIT_EPROTO, "a message of an unknown type");
	size_t n = (uint8_t)frame.p[1];
	if (n > WRIT_VAULT_NAME_MAX || frame.n - 2 < n)
		return writ_fail(err, WRIT_EPROTO, "a message with a name of %zu bytes", n);
	ret->type = (enum writ_vault_type)frame.p[0];
	ret->name = writ_strn(frame.p + 2, n);
	ret->data = writ_strn(frame.p + 2 + n, frame.n - 2 - n);
	return WRIT_OK;
}

writ_rc writ_vault_print(const struct writ_vault_msg *m, struct writ_buf *out, struct writ_err *err)
{
	if (m->name.n > WRIT_VAULT_NAME_MAX || m->data.n > WRIT_VAULT_MAX - m->name.n - 2)
		return writ_fail(err, WRIT_ELIMIT,
			"'" WRIT_FMT "': %zu bytes, at most %zu are passed on", WRIT_ARG(m->name),
			m->data.n, WRIT_VAULT_MAX - m->name.n - 2);
	size_t start = writ_frame_start(out);
	writ_buf_add_byte(out, (uint8_t)m->type);
	writ_buf_add_byte(out, (uint8_t)m->name.n);
	writ_buf_add_str(out, m->name);
	writ_buf_add_str(out, m->data);
	return writ_frame_end(out, start, err);
}

/* The last byte of a frame carries the descriptor: a read ends behind one, so a reader that works
 * off each frame before it reads on never holds two. */
static writ_rc send_last(int fd, char last, int fd_out, struct writ_err *err)
{
	if (writ_fdpass_send(fd, &last, 1, fd_out) != 1)
		return writ_fail_errno(err, errno, "send a descriptor");
	return WRIT_OK;
}

writ_rc writ_vault_send(int fd, const struct writ_vault_msg *m, int fd_out, struct writ_err *err)
{
	WRIT_AUTO(writ_buf_wipe) struct writ_buf out = WRIT_BUF(WRIT_VAULT_MAX + WRIT_FRAME_HEAD);
	writ_rc rc = writ_vault_print(m, &out, err);
	struct writ_str bytes = writ_buf_str(&out);
	if (!rc && fd_out >= 0)
		bytes.n--;
	if (!rc)
		rc = writ_frame_send(fd, bytes, -1, writ_mono_ms() + WRIT_VAULT_WAIT_MS, err);
	return rc || fd_out < 0 ? rc : send_last(fd, bytes.p[bytes.n], fd_out, err);
}

void writ_vault_link_init(struct writ_vault_link *l, int fd)
{
	*l = (struct writ_vault_link){ .fd = fd,
		.in = WRIT_BUF(WRIT_VAULT_MAX + WRIT_FRAME_HEAD),
		.passed = -1,
		.server = -1,
		.record = -1 };
}

void writ_vault_link_done(struct writ_vault_link *l)
{
	writ_buf_wipe(&l->in);
	writ_closep(&l->passed);
	writ_closep(&l->server);
	writ_closep(&l->record);
	writ_vault_link_init(l, -1);
}

writ_rc writ_vault_next(struct writ_vault_link *l, int64_t deadline_ms, struct writ_vault_msg *ret,
	struct writ_str *frame, struct writ_err *err)
{
	for (;;) {
		writ_rc rc = writ_frame_recv(l->fd, &l->in, &l->passed, deadline_ms, frame, err);
		if (!rc)
			rc = writ_vault_parse(*frame, ret, err);
		if (rc || (ret->type != WRIT_VAULT_SERVER && ret->type != WRIT_VAULT_RECORD))
			return rc;
		int *to = ret->type == WRIT_VAULT_SERVER ? &l->server : &l->record;
		writ_closep(to);
		*to = writ_steal_fd(l->passed);
		writ_frame_drop(&l->in, *frame);
	}
}

bool writ_vault_name_ok(struct writ_str name)
{
	for (size_t i = 0; i < name.n; i++)
		if (!name.p[i] || !strchr("0123456789abcdef", name.p[i]))
			return false;
	return name.n > 0 && name.n <= WRIT_VAULT_NAME_MAX;
}
