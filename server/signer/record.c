/* SPDX-License-Identifier: Apache-2.0 */
#include "signer/record.h"

#include "base/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

writ_rc writ_record_init(struct writ_record *r, int fd, uint64_t max, struct writ_err *err)
{
	*r = (struct writ_record){
		.fd = fd, .long_at = max, .in = WRIT_BUF(WRIT_RECORD_BATCH_MAX)
	};
	off_t end = lseek(fd, 0, SEEK_END);
	char last = '\n';
	if (end < 0 || (end > 0 && pread(fd, &last, 1, end - 1) != 1))
		return writ_fail_errno(err, errno, "issuance record: look at its end");
	r->half = last != '\n';
	r->size = (uint64_t)end;
	return WRIT_OK;
}

int writ_record_change(struct writ_record *r, int fd, uint64_t max)
{
	int before = r->fd;
	r->fd = fd;
	r->half = false;
	r->size = 0;
	r->long_at = max;
	return before;
}

bool writ_record_is_long(struct writ_record *r)
{
	if (!r->long_at || r->size < r->long_at)
		return false;
	r->long_at = r->size + r->size / 8 + 1;
	return true;
}

void writ_record_done(struct writ_record *r)
{
	writ_buf_done(&r->in);
}

static void add_text(struct writ_buf *out, const char *name, const char *value)
{
	writ_buf_addf(out, ",\"%s\":\"", name);
	writ_buf_add_json(out, writ_cstr(value));
	writ_buf_add_byte(out, '"');
}

static void add_hex(struct writ_buf *out, const char *name, const uint8_t *p, size_t n)
{
	char hex[2 * WRIT_SPKI_MAX + 1];
	writ_hex(p, n, hex);
	writ_buf_addf(out, ",\"%s\":\"%s\"", name, hex);
}

static void add_time(struct writ_buf *out, const char *name, int64_t t)
{
	char text[32];
	writ_buf_addf(out, "%s\":\"%s\"", name, writ_format_time(t, text, sizeof(text)));
}

void writ_record_add(struct writ_record *r, const struct writ_record_line *l)
{
	const uint8_t *serial = l->serial;
	size_t n = WRIT_SERIAL_LEN;
	while (n > 1 && !*serial) {
		serial++;
		n--;
	}
	add_time(&r->in, "{\"time", writ_wall_s());
	add_hex(&r->in, "serial", serial, n);
	add_text(&r->in, "spiffe_id", l->spiffe_id);
	add_text(&r->in, "entry_id", l->entry_id);
	add_text(&r->in, "agent_id", l->agent_id);
	add_hex(&r->in, "key_sha256", l->key_sha256, 32);
	add_time(&r->in, ",\"not_before", l->not_before);
	add_time(&r->in, ",\"not_after", l->not_after);
	add_text(&r->in, "authority", l->authority);
	writ_buf_add_cstr(&r->in, l->ca ? ",\"ca\":true}\n" : "}\n");
}

void writ_record_drop(struct writ_record *r)
{
	writ_buf_reset(&r->in);
}

/* Only ever appends: a line cut short by a full disk stays, ended, and its certificates never left.
 */
static int write_all(struct writ_record *r, const uint8_t *p, size_t n)
{
	if (r->half) {
		if (write(r->fd, "\n", 1) != 1)
			return errno ? errno : EIO;
		r->half = false;
	}
	while (n) {
		ssize_t k = write(r->fd, p, n);
		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return k < 0 ? errno : ENOSPC;
		r->half = p[k - 1] != '\n';
		p += k;
		n -= (size_t)k;
		r->size += (uint64_t)k;
	}
	return fdatasync(r->fd) == 0 ? 0 : errno;
}

writ_rc writ_record_commit(struct writ_record *r, struct writ_err *err)
{
	writ_rc rc = writ_buf_check(&r->in, "issuance record of one batch", err);
	errno = 0;
	int e = rc ? 0 : write_all(r, r->in.p, r->in.n);
	writ_record_drop(r);
	if (e == EDQUOT || e == EFBIG)
		return writ_fail(err, WRIT_ELIMIT, "issuance record: %s; make room", strerror(e));
	return e ? writ_fail_errno(err, e, "issuance record; nothing was issued") : rc;
}
