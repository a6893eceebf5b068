/* SPDX-License-Identifier: Apache-2.0 */
/* writ explain: why a process has an identity, or none. */
#include "mend.h"
#include "print.h"
#include "session.h"

#include "base/clock.h"
#include "base/interp.h"
#include "base/mem.h"
#include "rpc/rpc.h"

#include <inttypes.h>
#include <jansson.h>
#include <pwd.h>
#include <string.h>

#define SERVICE "/writ.agent.v1.Admin/"
#define R(name) Writ__Agent__V1__##name

#define SHOWN_WHOLE 3 /* entries with their selectors */
#define SHOWN_MORE  5 /* further ones, a line each */

static const struct writ_option options[] = {
	{ "pid", NULL, WRIT_OPT_STRING, "N", "look at this process now, as if it had called" },
	{ "selector", NULL, WRIT_OPT_LIST, "TYPE:VALUE",
		"look for a process with these selectors and no others" },
	{ "max", NULL, WRIT_OPT_STRING, "N", "entries, or decisions, to ask for (20)" },
	{ "all", NULL, WRIT_OPT_FLAG, NULL,
		"show the selectors of every entry that was asked for" },
	{ "denied", NULL, WRIT_OPT_FLAG, NULL, "without a trace number: only denials" },
	WRIT_OPT_AGENT_ADMIN,
	WRIT_OPT_TIMEOUT,
	WRIT_OPT_OUTPUT,
	WRIT_OPT_O,
};

/* "label     text": the label once, blanks on the lines below it. */
static void label(const char *text)
{
	printf("%-10s", text);
}

static const char *user_of(uint32_t uid, char *buf, size_t n)
{
	const struct passwd *p = getpwuid(uid);
	snprintf(buf, n, p ? " (%s)" : "%s", p ? writ_safe(p->pw_name) : "");
	return buf;
}

static void print_process(const R(Process) * p)
{
	char user[80];
	label("process");
	printf("pid %d  uid %u%s  gid %u", p->pid, p->uid, user_of(p->uid, user, sizeof(user)),
		p->gid);
	if (p->binary[0])
		printf("  %s", writ_safe(p->binary));
	if (p->cgroup[0])
		printf("  %s", writ_safe(p->cgroup));
	putchar('\n');
}

static const char *ago(int64_t at_ms, char *buf, size_t n)
{
	char text[32];
	int64_t ms = writ_wall_ms() - at_ms;
	snprintf(buf, n, "%s ago",
		writ_format_duration(ms < 1000 ? 0 : ms / 1000 * 1000, text, sizeof(text)));
	return buf;
}

static void print_decision(const R(Decision) * d)
{
	char when[48];
	label("decision");
	printf("%s  %s %s, %s%s%s\n", writ_safe(d->trace), d->granted ? "granted" : "denied",
		ago(d->at_ms, when, sizeof(when)), writ_safe(d->method), d->granted ? "" : ": ",
		writ_safe(d->reason));
	if (d->process)
		print_process(d->process);
	for (size_t i = 0; i < d->n_entries; i++) {
		label(i ? "" : "got");
		printf("%s\n", writ_safe(d->entries[i]));
	}
}

static void print_found(const R(ExplainResponse) * r)
{
	for (size_t i = 0; i < r->n_found; i++) {
		const R(Found) *f = r->found[i];
		label(i ? "" : "found");
		printf("%-40s  %s%s\n", writ_safe(f->selector),
			f->attestor[0] ? "by " : "by no attestor", writ_safe(f->attestor));
	}
	if (!r->n_found)
		puts("found     no selectors");
	if (r->selectors_cut)
		puts("          ... and more than the record could keep");
	for (size_t i = 0; i < r->n_withheld; i++) {
		label(i ? "" : "withheld");
		printf("%s\n", writ_safe(r->withheld[i]));
	}
}

static void print_part(const R(Part) * p)
{
	const char *path = strncmp(p->instead, "unix:path:", 10) == 0 ? p->instead + 10 : "";
	printf("          %-7s  %s", p->has ? "ok" : "missing", writ_safe(p->selector));
	if (p->instead[0])
		printf("    it has %s%s", writ_safe(p->instead),
			writ_interp_of(writ_cstr(path)) == WRIT_INTERP_NONE
				? ""
				: "  (an interpreter: every script has this path)");
	else if (p->others)
		printf("    it has %u other%s of this kind", p->others, p->others == 1 ? "" : "s");
	else if (p->why[0])
		printf("    %s", writ_safe(p->why));
	else if (!p->has)
		fputs("    it has none of this kind", stdout);
	putchar('\n');
}

static void print_svid(const R(Candidate) * e)
{
	char left[32];
	int64_t ms = (e->svid_expires_at - writ_wall_s()) * 1000;
	if (e->shadowed_by[0])
		printf("          not served: entry %s is older and has the same hint\n",
			writ_safe(e->shadowed_by));
	else if (e->svid_ready)
		printf("          SVID ready, expires in %s\n",
			writ_format_duration(ms > 0 ? ms : 0, left, sizeof(left)));
	else
		printf("          SVID not there yet%s\n",
			e->on_demand ? ": it is fetched when the process asks"
				     : ": the server has not issued it");
}

static void print_entry(const char *name, const R(Candidate) * e, bool whole)
{
	label(name);
	printf("entry %s  %s   %zu of %zu selectors\n", writ_safe(e->id), writ_safe(e->spiffe_id),
		e->n_parts - e->missing, e->n_parts);
	for (size_t i = 0; whole && i < e->n_parts; i++)
		print_part(e->parts[i]);
	if (!e->missing)
		print_svid(e);
}

static void print_entries(const R(ExplainResponse) * r, bool all)
{
	size_t i = 0;
	for (; i < r->n_entries; i++) {
		const R(Candidate) *e = r->entries[i];
		bool whole = all || i < SHOWN_WHOLE;
		if (!whole && i >= SHOWN_WHOLE + SHOWN_MORE)
			break;
		print_entry(!e->missing ? "match" : i == 0 ? "closest" : "next", e, whole);
	}
	if (r->entries_total > i)
		printf("          and %" PRIu64 " more of %" PRIu64 " entries%s\n",
			r->entries_total - i, r->entries_total, all ? "" : "; -all, -max N");
}

static const char *verdict(const R(ExplainResponse) * r)
{
	if (!r->synced)
		return "the agent has not reached its server yet: it knows no entries";
	if (r->matches)
		return "match";
	return r->entries_total ? "no entry matches" : "this agent has no entries";
}

/* What is missing may be there, and the agent does not see it. */
static bool lacks_right(const R(ExplainResponse) * r)
{
	for (size_t i = 0; i < r->n_withheld; i++)
		if (strstr(r->withheld[i], "CAP_SYS_PTRACE"))
			return true;
	return false;
}

static void print_explanation(const R(ExplainResponse) * r, bool all)
{
	WRIT_AUTO(writ_buf_done) struct writ_buf fix = WRIT_BUF(256 * 1024);
	if (r->decision)
		print_decision(r->decision);
	if (r->process)
		print_process(r->process);
	print_found(r);
	print_entries(r, all);
	label("now");
	printf("%s\n", verdict(r));
	size_t dropped = writ_mend(r, &fix);
	if (fix.n) {
		WRIT_AUTO(writ_buf_done) struct writ_buf shown = WRIT_BUF(512 * 1024);
		writ_buf_add_json(&shown, writ_buf_str(&fix));
		label("fix");
		/* A backslash or a quote of ours is part of the command: only what could move the
		 * terminal is shown escaped, and then there is no command to paste. */
		printf("%s\n",
			strpbrk(writ_buf_cstr(&fix), "\\\"") ? writ_buf_cstr(&fix)
							     : writ_buf_cstr(&shown));
	}
	if (writ_mend_is_kept_out(r))
		puts("fix       none: the entry means the main process, or a launch's, and not "
		     "what "
		     "that one starts;\n          a worker gets an entry of its own "
		     "(proc:depth:N), a "
		     "launch of its own, or writ run -children");
	if (writ_str_starts(writ_buf_str(&fix), WRIT_STR("writ entry update")))
		puts("          it changes that entry: what has its identity now, and does not "
		     "match "
		     "then, loses it");
	if (strstr(writ_buf_cstr(&fix), "(redacted)"))
		puts("          put the value of the variable in place of (redacted)");
	if (!r->matches && lacks_right(r))
		puts("          or give the agent the right that it lacks: `writ doctor` says how");
	if (dropped)
		printf("          it leaves out %zu selector%s that the process has nothing like: "
		       "more "
		       "processes would match\n",
			dropped, dropped == 1 ? "" : "s");
	if (r->redacted)
		printf("redacted  %u value%s of environment variables\n", r->redacted,
			r->redacted == 1 ? "" : "s");
}

static void print_explanation_json(const ProtobufCMessage *m)
{
	const R(ExplainResponse) *r = (const void *)m;
	WRIT_AUTO(writ_buf_done) struct writ_buf fix = WRIT_BUF(256 * 1024);
	json_t *o = writ_pb_to_json(m);
	writ_mend(r, &fix);
	json_object_set_new(o, "verdict", json_string(verdict(r)));
	json_object_set_new(o, "fix", json_string(fix.n ? writ_buf_cstr(&fix) : ""));
	writ_print_json_value(o);
}

static writ_rc read_number(const struct writ_args *a, const char *flag, uint64_t max, uint64_t *ret,
	struct writ_err *err)
{
	const char *text = writ_arg(a, flag);
	if (!text)
		return WRIT_OK;
	writ_rc rc = writ_parse_u64(writ_cstr(text), 1, max, ret, err);
	return rc == WRIT_OK ? rc : writ_wrap(err, rc, "-%s", flag);
}

static writ_rc explain(struct writ_invocation *in, struct writ_session *s, uint32_t max,
	int32_t pid, struct writ_err *err)
{
	const struct writ_args *a = &in->args;
	R(ExplainRequest) q = WRIT__AGENT__V1__EXPLAIN_REQUEST__INIT;
	char *selectors[WRIT_ARGS_MAX];
	ProtobufCMessage *m = NULL;
	const char *text;
	q.selectors = selectors;
	while ((text = writ_arg_at(a, "selector", q.n_selectors)) != NULL)
		selectors[q.n_selectors++] = (char *)(uintptr_t)text;
	q.trace = (char *)(uintptr_t)(a->n_rest ? a->rest[0] : "");
	q.pid = pid;
	q.max_entries = max;
	writ_rc rc = writ_session_call(s, SERVICE "Explain", &q.base,
		&writ__agent__v1__explain_response__descriptor, &m, err);
	if (rc == WRIT_ENOENT && a->n_rest)
		in->next = "`writ explain` lists the decisions that are kept; the agent's log has "
			   "those of longer ago";
	if (rc != WRIT_OK)
		return rc;
	if (s->json)
		print_explanation_json(m);
	else
		print_explanation((const void *)m, writ_arg_flag(a, "all"));
	writ_pb_free(m);
	return WRIT_OK;
}

static void print_list(const R(ListDecisionsResponse) * r)
{
	char when[48];
	for (size_t i = 0; i < r->n_decisions; i++) {
		const R(Decision) *d = r->decisions[i];
		if (!i)
			printf("%-26s  %-10s  %-7s  %7s  %6s  %s\n", "TRACE", "WHEN", "VERDICT",
				"PID", "UID", "PROGRAM, REASON OR ENTRY");
		printf("%-26s  %-10s  %-7s  %7d  %6u  %s  %s\n", writ_safe(d->trace),
			ago(d->at_ms, when, sizeof(when)), d->granted ? "granted" : "denied",
			d->process->pid, d->process->uid,
			d->process->binary[0] ? writ_safe(d->process->binary) : "-",
			writ_safe(d->granted && d->n_entries ? d->entries[0] : d->reason));
	}
	if (r->n_decisions)
		printf("%" PRIu64 " kept; say more: writ explain TRACE\n", r->kept);
	else
		puts("No decision is kept: nobody has asked the agent within the hour.");
}

static writ_rc list(
	struct writ_invocation *in, struct writ_session *s, uint32_t max, struct writ_err *err)
{
	R(ListDecisionsRequest) q = WRIT__AGENT__V1__LIST_DECISIONS_REQUEST__INIT;
	ProtobufCMessage *m;
	q.max = max;
	q.denied = writ_arg_flag(&in->args, "denied");
	writ_rc rc = writ_session_call(s, SERVICE "ListDecisions", &q.base,
		&writ__agent__v1__list_decisions_response__descriptor, &m, err);
	if (rc != WRIT_OK)
		return rc;
	if (s->json)
		writ_print_json(m);
	else
		print_list((const void *)m);
	writ_pb_free(m);
	return WRIT_OK;
}

static writ_rc run_explain(struct writ_invocation *in, struct writ_err *err)
{
	const struct writ_args *a = &in->args;
	struct writ_session s = { 0 };
	uint64_t max = 0, pid = 0;
	writ_rc rc = read_number(a, "max", 1000, &max, err);
	if (rc == WRIT_OK)
		rc = read_number(a, "pid", INT32_MAX, &pid, err);
	size_t questions = a->n_rest + (pid != 0) + writ_arg_given(a, "selector");
	if (rc == WRIT_OK && questions > 1)
		rc = writ_fail(err, WRIT_EINVAL, "give one trace number, -pid or -selector");
	if (rc == WRIT_OK)
		rc = writ_session_open_agent(in, &s, err);
	if (rc != WRIT_OK)
		return rc;
	rc = questions ? explain(in, &s, (uint32_t)max, (int32_t)pid, err)
		       : list(in, &s, (uint32_t)max, err);
	writ_session_close(&s);
	return rc;
}

static const struct writ_command commands[] = {
	{ .words = "explain",
		.summary = "Why a process has an identity, or none, and what would mend it",
		.operands = "[TRACE]",
		.options = options,
		.n_options = WRIT_COUNT(options),
		.run = run_explain,
		.detail = "TRACE is the number that a refused process was given; its first "
			  "characters, eight or as many as no other begins with, are enough. "
			  "Without one, -pid or -selector the newest "
			  "decisions are listed. The agent of this machine is asked, so this is "
			  "for its operators: root and the group writ-admin. Values of environment "
			  "variables are never shown." },
};
const struct writ_command_group writ_commands_explain = { "Questions", commands,
	WRIT_COUNT(commands) };
