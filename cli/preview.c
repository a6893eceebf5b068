/* SPDX-License-Identifier: Apache-2.0 */
/* writ entry preview */
#include "preview.h"

#include "print.h"

#include "rpc/rpc.h"

#include "writ/agent/v1/admin.pb-c.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define R(name) Writ__Agent__V1__##name

static size_t count_places(const R(PreviewResponse) * r)
{
	size_t n = 0;
	for (size_t i = 0; i < r->n_processes; i++) {
		bool seen = false;
		for (size_t k = 0; k < i && !seen; k++)
			seen = strcmp(r->processes[i]->cgroup, r->processes[k]->cgroup) == 0;
		n += !seen;
	}
	return n;
}

static void print(const R(PreviewResponse) * r)
{
	for (size_t i = 0; i < r->n_processes; i++) {
		const R(Process) *p = r->processes[i];
		if (!i)
			printf("%7s  %6s  %-32s  %s\n", "PID", "UID", "PROGRAM", "CGROUP");
		printf("%7d  %6u  %-32s  %s\n", p->pid, p->uid,
			p->binary[0] ? writ_safe(p->binary) : "-", writ_safe(p->cgroup));
	}
	printf("%" PRIu64 " of %" PRIu64 " processes match now", r->matches, r->looked_at);
	if (count_places(r) > 1)
		printf(", in %zu different cgroups: an entry would be for all of them",
			count_places(r));
	putchar('\n');
	if (r->matches > r->n_processes)
		printf("%" PRIu64 " of them are not shown; -max N\n", r->matches - r->n_processes);
	if (r->unsure)
		printf("%" PRIu64 " more may match, but what decides it was withheld:\n",
			r->unsure);
	for (size_t i = 0; i < r->n_withheld; i++)
		printf("  %s\n", writ_safe(r->withheld[i]));
	if (r->unseen)
		printf("%" PRIu64 " processes could not be looked at\n", r->unseen);
	for (size_t i = 0; i < r->n_unknown; i++)
		printf("warning: %s\n", writ_safe(r->unknown[i]));
	if (!r->complete)
		puts("warning: there are more processes than were looked at");
}

writ_rc writ_preview_run(struct writ_invocation *in, struct writ_err *err)
{
	struct writ_session s = { 0 };
	R(PreviewRequest) q = WRIT__AGENT__V1__PREVIEW_REQUEST__INIT;
	char *selectors[WRIT_ARGS_MAX];
	const char *text, *max_text = writ_arg(&in->args, "max");
	ProtobufCMessage *m = NULL;
	uint64_t max = 0;
	writ_rc rc = WRIT_OK;
	q.selectors = selectors;
	while ((text = writ_arg_at(&in->args, "selector", q.n_selectors)) != NULL)
		selectors[q.n_selectors++] = (char *)(uintptr_t)text;
	if (!q.n_selectors)
		return writ_fail(err, WRIT_EINVAL,
			"which processes? at least one -selector, like -selector unix:uid:1000");
	if (max_text)
		rc = writ_parse_u64(writ_cstr(max_text), 1, 1000, &max, err);
	if (rc != WRIT_OK)
		return writ_wrap(err, rc, "-max");
	q.max = (uint32_t)max;
	rc = writ_session_open_agent(in, &s, err);
	if (rc == WRIT_OK)
		rc = writ_session_call(&s, "/writ.agent.v1.Admin/Preview", &q.base,
			&writ__agent__v1__preview_response__descriptor, &m, err);
	if (rc == WRIT_OK && s.json)
		writ_print_json(m);
	else if (rc == WRIT_OK)
		print((const void *)m);
	if (m)
		writ_pb_free(m);
	writ_session_close(&s);
	return rc;
}
