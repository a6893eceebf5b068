/* SPDX-License-Identifier: Apache-2.0 */
/* writ doctor: is everything here as it should be, and if not, what would mend it. */
#include "doctor.h"
#include "print.h"
#include "session.h"

#include "base/mem.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define TIMEOUT_MS 3000
#define TEXT_MAX   1024

static const struct writ_option options[] = {
	{ "config", NULL, WRIT_OPT_LIST, "FILE",
		"configuration of a daemon (agent.conf, server.conf and gate-*.conf in /etc/writ, "
		"where they are)" },
	{ "socketPath", "socket-path", WRIT_OPT_STRING, "PATH",
		"the Workload API (SPIFFE_ENDPOINT_SOCKET, else " WRIT_AGENT_SOCKET_DEFAULT ")" },
	WRIT_OPT_AGENT_ADMIN,
	{ "timeout", NULL, WRIT_OPT_STRING, "DURATION", "how long to wait for each answer (3s)" },
	WRIT_OPT_OUTPUT,
	WRIT_OPT_O,
};

static const struct writ_check checks[] = {
	{ "programs and configuration", writ_check_programs },
	{ "programs and configuration", writ_check_files },
	{ "kernel", writ_check_release },
	{ "kernel", writ_check_pidfd },
	{ "kernel", writ_check_cgroups },
	{ "kernel", writ_check_limits },
	{ "kernel", writ_check_namespaces },
	{ "kernel", writ_check_addresses },
	{ "kernel", writ_check_clock },
	{ "agent", writ_check_agent },
	{ "agent", writ_check_agent_svid },
	{ "agent", writ_check_agent_ca },
	{ "agent", writ_check_agent_sight },
	{ "server", writ_check_server_link },
	{ "server", writ_check_server_clock },
	{ "server", writ_check_server },
	{ "server", writ_check_store },
	{ "workload api, for this process", writ_check_workload_socket },
	{ "workload api, for this process", writ_check_identity },
	{ "gates", writ_check_gates },
};

static const char *const words[WRIT_FOUND_KINDS] = { "ok", "none", "warn", "FAIL" };

void writ_found(
	struct writ_doctor *d, enum writ_finding status, const char *fix, const char *fmt, ...)
{
	char text[TEXT_MAX];
	va_list ap;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	d->count[status]++;
	/* Paths and answers of others are in it. */
	json_array_append_new(d->list,
		json_pack("{s:s,s:s,s:s,s:s}", "group", d->group, "status", words[status], "text",
			writ_safe(text), "fix", fix ? writ_safe(fix) : ""));
}

static const char *text_of(const json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key));
}

static void print(const struct writ_doctor *d)
{
	const char *group = "";
	size_t i;
	json_t *one;
	json_array_foreach(d->list, i, one)
	{
		const char *status = text_of(one, "status"), *fix = text_of(one, "fix");
		if (strcmp(text_of(one, "group"), group) != 0)
			puts(group = text_of(one, "group"));
		printf("  %-4s  %s\n", strcmp(status, "none") == 0 ? "-" : status,
			text_of(one, "text"));
		if (*fix)
			printf("        fix: %s\n", fix);
	}
	printf("%zu ok, %zu warning%s, %zu failure%s\n", d->count[WRIT_FOUND_OK],
		d->count[WRIT_FOUND_WARN], d->count[WRIT_FOUND_WARN] == 1 ? "" : "s",
		d->count[WRIT_FOUND_FAIL], d->count[WRIT_FOUND_FAIL] == 1 ? "" : "s");
}

static void print_json(const struct writ_doctor *d)
{
	writ_print_json_value(json_pack("{s:O,s:I,s:I,s:I}", "checks", d->list, "ok",
		(json_int_t)d->count[WRIT_FOUND_OK], "warnings",
		(json_int_t)d->count[WRIT_FOUND_WARN], "failures",
		(json_int_t)d->count[WRIT_FOUND_FAIL]));
}

static writ_rc run_doctor(struct writ_invocation *in, struct writ_err *err)
{
	struct writ_doctor d = { .in = in, .timeout_ms = TIMEOUT_MS };
	const char *timeout = writ_arg(&in->args, "timeout");
	bool json;
	writ_rc rc = writ_output_is_json(&in->args, &json, err);
	if (rc == WRIT_OK && timeout)
		rc = writ_parse_duration_ms(writ_cstr(timeout), &d.timeout_ms, err);
	if (rc != WRIT_OK)
		return rc;
	d.list = json_array();
	for (size_t i = 0; i < WRIT_COUNT(checks); i++) {
		d.group = checks[i].group;
		checks[i].run(&d);
	}
	in->next = NULL; /* left behind by what did not work */
	in->exit_code = d.count[WRIT_FOUND_FAIL] ? 1 : 0;
	if (json)
		print_json(&d);
	else
		print(&d);
	json_decref(d.list);
	if (d.agent)
		writ_check_agent_done(&d);
	return WRIT_OK;
}

static const struct writ_command commands[] = {
	{ .words = "doctor",
		.summary = "Check this machine, its daemons and the way to them",
		.options = options,
		.n_options = WRIT_COUNT(options),
		.run = run_doctor,
		.detail = "Looks and changes nothing. Exit status 1 when a check failed; warnings "
			  "do not count. What only operators may see is checked when root or a "
			  "member of writ-admin asks. Without daemons it checks the rest." },
};
const struct writ_command_group writ_commands_doctor = { "Health of a machine", commands,
	WRIT_COUNT(commands) };
