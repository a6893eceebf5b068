/* SPDX-License-Identifier: Apache-2.0 */
/* What writ doctor checks of the gates of this machine: both of their ends. */
#include "doctor.h"
#include "reach.h"

#include "base/mem.h"
#include "gate/config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* What systemctl calls the gate of a file that is named as its unit expects; else the program. */
static void how_to_start(const char *path, char *out, size_t n)
{
	const char *base = strrchr(path, '/');
	struct writ_str s = writ_cstr(base ? base + 1 : path);
	if (writ_str_starts(s, WRIT_STR("gate-")) && writ_str_ends(s, WRIT_STR(".conf")) &&
		strncmp(path, "/etc/writ/", 10) == 0)
		(void)snprintf(out, n,
			"systemctl start writ-gate@%.*s; journalctl -u writ-gate@%.*s says why it "
			"ended",
			(int)s.n - 10, s.p + 5, (int)s.n - 10, s.p + 5);
	else
		(void)snprintf(out, n, "writ-gate run -config %s", path);
}

static bool reaches(const struct writ_doctor *d, const struct writ_gate_address *a, int *errnum)
{
	return writ_reach((const struct sockaddr *)&a->addr, a->len, d->timeout_ms, errnum);
}

static void check_listener(
	struct writ_doctor *d, const char *path, const struct writ_gate_address *a)
{
	char fix[512];
	int errnum;
	how_to_start(path, fix, sizeof(fix));
	if (!a->port)
		writ_found(d, WRIT_FOUND_NONE, NULL,
			"%s: %s is any free port, so nobody knows where to look", path, a->text);
	else if (reaches(d, a, &errnum))
		writ_found(d, WRIT_FOUND_OK, NULL, "%s: something listens at %s", path, a->text);
	else
		writ_found(d, WRIT_FOUND_FAIL, fix, "%s: the gate at %s cannot be reached: %s",
			path, a->text, strerror(errnum));
}

static void check_target(struct writ_doctor *d, const char *path, const struct writ_gate_address *a)
{
	char fix[512];
	int errnum;
	if (reaches(d, a, &errnum)) {
		writ_found(
			d, WRIT_FOUND_OK, NULL, "%s: its target %s can be reached", path, a->text);
		return;
	}
	/* A gate has a user of its own, who may be let in where this one is not. */
	if (errnum == EACCES || errnum == EPERM) {
		writ_found(d, WRIT_FOUND_NONE, "run writ doctor as root",
			"%s: its target %s is closed to this user", path, a->text);
		return;
	}
	(void)snprintf(
		fix, sizeof(fix), "start the tool behind the gate, or mend target in %s", path);
	writ_found(d, WRIT_FOUND_FAIL, fix, "%s: its target %s cannot be reached: %s", path,
		a->text, strerror(errnum));
}

static void check_gate(struct writ_doctor *d, const char *path)
{
	const struct writ_conf_source source = { .env = NULL };
	struct writ_conf_diags diags = WRIT_CONF_DIAGS(path);
	struct writ_gate_config c = { 0 };
	struct writ_err err = { 0 };
	writ_rc rc = writ_gate_config_load(path, &source, NULL, 0, &diags, &c, &err);
	writ_conf_diags_done(&diags);
	if (rc != WRIT_OK) {
		writ_found(d, WRIT_FOUND_NONE, NULL,
			"%s is not valid: where its gate listens is not known", path);
		return;
	}
	check_listener(d, path, &c.listen);
	check_target(d, path, &c.target);
	writ_gate_config_done(&c);
}

void writ_check_gates(struct writ_doctor *d)
{
	writ_each_config(d, "writ-gate", check_gate);
}
