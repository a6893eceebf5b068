/* SPDX-License-Identifier: Apache-2.0 */
/* What writ doctor checks of a server's datastore. The server's program looks: it knows the files.
 */
#include "child.h"
#include "doctor.h"

#include "base/clock.h"
#include "base/mem.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FIX_RESTORE                                                                                \
	"systemctl stop writ-server; put the last backup of its folder in place; start it (see "   \
	"BACKUPS in writ-server(8))"

/* The child's one line, as far as it came in time; whether the child has ended by then. */
static bool hear(struct writ_child *c, int64_t timeout_ms, char *text, size_t size)
{
	int64_t until = writ_mono_ms() + timeout_ms, left;
	size_t n = 0;
	struct pollfd p = { .fd = c->out, .events = POLLIN };
	while (n + 1 < size && (left = until - writ_mono_ms()) > 0) {
		if (poll(&p, 1, (int)left) <= 0)
			continue;
		ssize_t got = read(c->out, text + n, size - 1 - n);
		if (got <= 0)
			break;
		n += (size_t)got;
	}
	text[n] = '\0';
	text[strcspn(text, "\n")] = '\0';
	while (!writ_child_poll(c) && writ_mono_ms() < until)
		(void)poll(NULL, 0, 5);
	return c->ended;
}

/* Exit codes of writ-server check-store, as writ_rc_exit gives them. */
static void judge(struct writ_doctor *d, const char *path, int code, const char *text)
{
	if (!*text)
		writ_found(d, WRIT_FOUND_NONE, NULL,
			"%s cannot be used: where the datastore is, is not known", path);
	else if (code == 0)
		writ_found(d, WRIT_FOUND_OK, NULL, "datastore %s", text);
	else if (code == writ_rc_exit(WRIT_EDENIED))
		writ_found(d, WRIT_FOUND_NONE, "run writ doctor as root", "datastore %s", text);
	else if (code == writ_rc_exit(WRIT_ELIMIT))
		writ_found(d, WRIT_FOUND_NONE, NULL, "datastore %s", text);
	else if (code == writ_rc_exit(WRIT_ENOENT))
		writ_found(d, WRIT_FOUND_WARN,
			"start writ-server, which makes one, if it is new; else restore the last "
			"backup first",
			"datastore %s", text);
	else if (code == writ_rc_exit(WRIT_EPRECOND))
		writ_found(d, WRIT_FOUND_FAIL,
			"the writ-server that fits it, or another file in "
			"connection_string",
			"datastore %s", text);
	else
		writ_found(d, WRIT_FOUND_FAIL, FIX_RESTORE, "datastore %s", text);
}

static void check_store(struct writ_doctor *d, const char *path)
{
	WRIT_AUTO(writ_freep) char *program = NULL;
	char text[768], fix[512];
	struct writ_err err = { 0 };
	writ_rc rc = writ_sibling("writ-server", &program, &err);
	const char *const argv[] = { program, "check-store", "-config", path, NULL };
	const struct writ_child_spec spec = {
		.argv = argv, .log = "/dev/null", .pipe_output = true
	};
	struct writ_child c = { .out = -1 };
	if (rc == WRIT_OK)
		rc = writ_child_start(&spec, &c, &err);
	if (rc != WRIT_OK) {
		writ_found(
			d, WRIT_FOUND_NONE, NULL, "the datastore was not looked at: %s", err.msg);
		return;
	}
	bool ended = hear(&c, d->timeout_ms, text, sizeof(text));
	int code = ended ? writ_child_exit_code(&c) : -1;
	writ_child_end(&c, 100);
	if (ended) {
		judge(d, path, code, text);
		return;
	}
	(void)snprintf(fix, sizeof(fix), "writ-server check-store -config %s takes its time", path);
	writ_found(d, WRIT_FOUND_WARN, fix,
		"the look at the datastore of %s was not over in time (-timeout)", path);
}

void writ_check_store(struct writ_doctor *d)
{
	writ_each_config(d, "writ-server", check_store);
}
