/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/diag.h"

#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define TEXT_MAX  1024
#define QUOTE_MAX 64 /* bytes of the original that a message shows */

static const char *const severity_names[] = {
	[WRIT_CONF_ERROR] = "error",
	[WRIT_CONF_WARNING] = "warning",
};

void writ_conf_diags_done(struct writ_conf_diags *d)
{
	for (size_t i = 0; i < d->n; i++)
		writ_free(d->items[i].text);
	*d = WRIT_CONF_DIAGS(d->file);
}

static bool is_after(const struct writ_conf_diag *a, struct writ_conf_pos pos)
{
	if (a->pos.line != pos.line)
		return a->pos.line > pos.line;
	return a->pos.column > pos.column;
}

void writ_conf_diag_add(struct writ_conf_diags *d, enum writ_conf_severity severity,
	struct writ_conf_pos pos, const char *fmt, ...)
{
	size_t *count = severity == WRIT_CONF_ERROR ? &d->errors : &d->warnings;
	if ((*count)++ >= WRIT_CONF_DIAGS_MAX)
		return;
	char text[TEXT_MAX];
	va_list ap;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	size_t at = d->n++;
	while (at > 0 && is_after(&d->items[at - 1], pos)) {
		d->items[at] = d->items[at - 1];
		at--;
	}
	d->items[at] = (struct writ_conf_diag){ severity, pos, writ_strdup(text) };
}

static void print_one(
	const struct writ_conf_diags *d, const struct writ_conf_diag *item, struct writ_buf *out)
{
	if (item->pos.line == 0)
		writ_buf_add_cstr(out, "command line");
	else
		writ_buf_addf(out, "%s:%u:%u", d->file, item->pos.line, item->pos.column);
	writ_buf_addf(out, ": %s: %s", severity_names[item->severity], item->text);
}

static void print_rest(size_t all, const char *what, struct writ_buf *out)
{
	if (all > WRIT_CONF_DIAGS_MAX)
		writ_buf_addf(out, "%zu more %s\n", all - WRIT_CONF_DIAGS_MAX, what);
}

void writ_conf_diags_print(const struct writ_conf_diags *d, struct writ_buf *out)
{
	for (size_t i = 0; i < d->n; i++) {
		print_one(d, &d->items[i], out);
		writ_buf_add_byte(out, '\n');
	}
	print_rest(d->errors, "errors", out);
	print_rest(d->warnings, "warnings", out);
}

writ_rc writ_conf_diags_check(const struct writ_conf_diags *d, struct writ_err *err)
{
	if (d->errors == 0)
		return WRIT_OK;
	size_t i = 0;
	while (d->items[i].severity != WRIT_CONF_ERROR)
		i++;
	struct writ_buf text = WRIT_BUF(2 * TEXT_MAX);
	print_one(d, &d->items[i], &text);
	if (d->errors > 1)
		writ_buf_addf(&text, " (and %zu more)", d->errors - 1);
	writ_rc rc = writ_fail(err, WRIT_EINVAL, "%s", writ_buf_cstr(&text));
	writ_buf_done(&text);
	return rc;
}

struct writ_conf_quoted writ_conf_quote(struct writ_str s)
{
	struct writ_conf_quoted q;
	bool is_cut = s.n > QUOTE_MAX;
	if (is_cut) {
		s.n = QUOTE_MAX;
		while (s.n > 0 && ((unsigned char)s.p[s.n] & 0xc0) == 0x80)
			s.n--;
	}
	struct writ_buf b = WRIT_BUF(8 * QUOTE_MAX);
	writ_buf_add_json(&b, s);
	/* Escapes make it longer: cut again, and not inside of one. */
	size_t max = sizeof(q.text) - sizeof("\"...\"");
	struct writ_str escaped = writ_buf_str(&b);
	if (escaped.n > max) {
		is_cut = true;
		escaped.n = max - 6;
		while (escaped.n > 0 && ((unsigned char)escaped.p[escaped.n] & 0xc0) == 0x80)
			escaped.n--;
		for (size_t i = escaped.n > 6 ? escaped.n - 6 : 0; i < escaped.n; i++)
			if (escaped.p[i] == '\\')
				escaped.n = i;
	}
	(void)snprintf(q.text, sizeof(q.text), "\"" WRIT_FMT "%s\"", WRIT_ARG(escaped),
		is_cut ? "..." : "");
	writ_buf_done(&b);
	return q;
}
