/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's admin socket: what it explains, to whom, and what it keeps to itself. */
#include "attestor_kit.h"
#include "check.h"
#include "explain_cases.h"

#include "admin/admin_impl.h"
#include "admin/compare.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "crypto/digest.h"
#include "mend.h"
#include "rpc/channel.h"
#include "rpc/rpc.h"

#include "writ/agent/v1/admin.pb-c.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#define WAIT_MS 20000
#define SERVICE "/writ.agent.v1.Admin/"
#define A(name) Writ__Agent__V1__##name

static char dir[] = "/tmp/test-admin-XXXXXX";

/* Not writ_attestors: the texts must not change with what else there is. */
static const struct writ_attestor_vt *const attestors[] = { &writ_attestor_unix,
	&writ_attestor_systemd, &writ_attestor_container, &writ_attestor_cgroup, NULL };

struct fixture {
	struct writ_loop *loop;
	struct writ_cache *cache;
	struct writ_decisions *decisions;
	struct writ_attest_env env;
	struct attestor_kit attestor;
	struct writ_admin *admin;
	struct writ_channel *channel;
	char *path;
	int64_t created;
};

static void nothing(void *arg)
{
	(void)arg;
}

static void on_status(void *arg, struct writ_admin_status *ret)
{
	(void)arg;
	*ret = (struct writ_admin_status){ .trust_domain = "td",
		.agent_id = "spiffe://td/spire/agent/a",
		.server = "localhost:1",
		.socket_path = "/none",
		.started_at = 1 };
}

static void start(struct fixture *f)
{
	struct writ_err err = { 0 };
	*f = (struct fixture){ .path = writ_fs_join(dir, "private/admin.sock") };
	assert_ok(writ_loop_new(&f->loop, &err), err);
	const struct writ_cache_config cache = { .loop = f->loop,
		.td = WRIT_STR("td"),
		.key_slot = 256,
		.changed = nothing,
		.hungry = nothing };
	f->cache = writ_cache_new(&cache);
	f->decisions = writ_decisions_new(f->loop, NULL);
	attestor_kit_open(&f->attestor, f->loop, &f->env, attestors);
	const struct writ_admin_config cfg = { .loop = f->loop,
		.socket_path = f->path,
		.cache = f->cache,
		.env = &f->env,
		.decisions = f->decisions,
		.status = on_status };
	assert_ok(writ_admin_start(&cfg, &f->admin, &err), err);
	assert_ok(writ_channel_unix(f->loop, f->path, &f->channel, &err), err);
}

static void set_flag(void *arg)
{
	*(bool *)arg = true;
}

static void stop(struct fixture *f)
{
	bool closed = false, stopped = false;
	writ_channel_close(f->channel, set_flag, &closed);
	assert_true(writ_loop_run_until(f->loop, &closed, writ_mono_ms() + WAIT_MS));
	writ_admin_stop(f->admin, 2000, set_flag, &stopped);
	assert_true(writ_loop_run_until(f->loop, &stopped, writ_mono_ms() + WAIT_MS));
	writ_cache_free(f->cache);
	writ_decisions_free(f->decisions);
	attestor_kit_close(&f->attestor);
	writ_free(f->path);
	writ_loop_free(f->loop);
}

static void read_set(struct writ_selectors *s, const char *text)
{
	struct writ_str rest = writ_cstr(text), one;
	struct writ_err err = { 0 };
	writ_selectors_init(s);
	while (rest.n) {
		(void)writ_str_cut(&rest, ' ', &one);
		assert_ok(writ_selectors_add_text(s, one, &err), err);
	}
	writ_selectors_seal(s);
}

/* selectors: with blanks between them. */
static void put(struct fixture *f, const char *id, const char *hint, const char *selectors)
{
	struct writ_selectors s;
	struct writ_err err = { 0 };
	char spiffe_id[64];
	read_set(&s, selectors);
	snprintf(spiffe_id, sizeof(spiffe_id), "spiffe://td/%s", id);
	const struct writ_entry_spec spec = { .id = writ_cstr(id),
		.spiffe_id = writ_cstr(spiffe_id),
		.hint = writ_cstr(hint),
		.created_at = ++f->created,
		.selectors = &s };
	writ_cache_begin(f->cache, false);
	assert_ok(writ_cache_put(f->cache, &spec, &err), err);
	writ_cache_commit(f->cache);
	writ_selectors_done(&s);
}

static void decide(struct fixture *f, const char *have, const char *notes, unsigned asked,
	char trace[WRIT_TRACE_LEN + 1])
{
	struct writ_facts facts = { .snapshot = { .start_time = 1 }, .flags = asked };
	writ_answer_init(&facts.answer);
	read_set(&facts.answer.selectors, have);
	if (notes)
		writ_answer_note(&facts.answer, "%s", notes);
	const struct writ_decision_fact d = {
		.method = "x509_svid", .reason = "no entry matches it", .pid = 7, .facts = &facts
	};
	memcpy(trace, writ_decisions_add(f->decisions, &d)->trace, WRIT_TRACE_LEN + 1);
	writ_answer_done(&facts.answer);
}

static writ_rc call(struct fixture *f, const char *method, const ProtobufCMessage *q,
	const ProtobufCMessageDescriptor *out, ProtobufCMessage **ret, struct writ_err *err)
{
	return writ_rpc_call(f->channel, method, q, out, WAIT_MS, ret, NULL, err);
}

static A(ExplainResponse) * explain(struct fixture *f, const A(ExplainRequest) * q)
{
	struct writ_err err = { 0 };
	ProtobufCMessage *m;
	assert_ok(call(f, SERVICE "Explain", &q->base,
			  &writ__agent__v1__explain_response__descriptor, &m, &err),
		err);
	return (void *)m;
}

static void listing(struct fixture *f)
{
	writ_cache_begin(f->cache, false);
	writ_cache_commit(f->cache);
}

static void test_the_missing_selector_is_named(void **state)
{
	(void)state;
	assert_true(WRIT_COUNT(cases) >= 20);
	for (size_t i = 0; i < WRIT_COUNT(cases); i++) {
		struct fixture f;
		char trace[WRIT_TRACE_LEN + 1], missing[512] = "";
		const char *instead = NULL, *why = NULL;
		A(ExplainRequest) q = WRIT__AGENT__V1__EXPLAIN_REQUEST__INIT;
		print_message("# %s\n", cases[i].name);
		start(&f);
		listing(&f);
		put(&f, "one", "", cases[i].one);
		put(&f, "two", "", cases[i].two);
		decide(&f, cases[i].have, cases[i].notes,
			strncmp(cases[i].why, "it was not looked for", 21) == 0 ? 0 : UINT_MAX,
			trace);
		q.trace = trace;
		A(ExplainResponse) *r = explain(&f, &q);
		assert_int_equal(r->n_entries, 2);
		assert_int_equal(r->matches, 0);
		const A(Candidate) *e = r->entries[0];
		assert_string_equal(e->id, cases[i].nearest);
		for (size_t k = 0; k < e->n_parts; k++) {
			if (e->parts[k]->has)
				continue;
			size_t at = strlen(missing);
			snprintf(missing + at, sizeof(missing) - at, "%s%s", at ? " " : "",
				e->parts[k]->selector);
			if (!instead) {
				instead = e->parts[k]->instead;
				why = e->parts[k]->why;
			}
		}
		assert_string_equal(missing, cases[i].missing);
		assert_string_equal(instead, cases[i].instead);
		if (strncmp(why, cases[i].why, strlen(cases[i].why)) != 0)
			fail_msg("why: %s", why);
		if (cases[i].fix) {
			struct writ_buf fix = WRIT_BUF(8192);
			r->synced = true;
			(void)writ_mend(r, &fix);
			assert_string_equal(writ_buf_cstr(&fix), cases[i].fix);
			writ_buf_done(&fix);
		}
		writ_pb_free(&r->base);
		stop(&f);
	}
}

static void test_a_match_says_so_and_what_serves_in_its_place(void **state)
{
	(void)state;
	struct fixture f;
	char trace[WRIT_TRACE_LEN + 1];
	A(ExplainRequest) q = WRIT__AGENT__V1__EXPLAIN_REQUEST__INIT;
	struct writ_buf fix = WRIT_BUF(8192);
	start(&f);
	put(&f, "old", "h", "unix:uid:5");
	put(&f, "new", "h", "unix:uid:5");
	decide(&f, "unix:uid:5 unix:gid:5", NULL, UINT_MAX, trace);
	q.trace = trace;
	A(ExplainResponse) *r = explain(&f, &q);
	assert_int_equal(r->matches, 2);
	assert_string_equal(r->entries[0]->id, "old");
	assert_string_equal(r->entries[0]->shadowed_by, "");
	assert_string_equal(r->entries[1]->shadowed_by, "old");
	assert_false(r->entries[0]->svid_ready);
	r->synced = true;
	assert_int_equal(writ_mend(r, &fix), 0);
	assert_int_equal(fix.n, 0);
	writ_pb_free(&r->base);
	stop(&f);
}

/* Ten secrets, in the process's own variables and in the entries of others. */
static void test_values_of_variables_leave_the_agent_nowhere(void **state)
{
	(void)state;
	static const char have[] =
		"docker:env:TOKEN=s3cr3t-0 docker:env:s3cr3t-1 podman:env:A=s3cr3t-2=x "
		"docker:env:PASSWORD=s3cr3t-3 docker:env:URL=https://u:s3cr3t-4@h unix:uid:5";
	static const char *const entries[] = { "docker:env:TOKEN=s3cr3t-5 unix:uid:5",
		"docker:env:s3cr3t-6", "podman:env:A=s3cr3t-7 podman:env:B=s3cr3t-8",
		"docker:env:PASSWORD=s3cr3t-9" };
	struct fixture f;
	struct writ_err err = { 0 };
	char trace[WRIT_TRACE_LEN + 1];
	WRIT_AUTO(writ_freep) char *log = writ_fs_join(dir, "log");
	assert_ok(writ_log_open(WRIT_LOG_DEBUG, WRIT_LOG_JSON, log, "test", &err), err);
	start(&f);
	for (size_t i = 0; i < WRIT_COUNT(entries); i++) {
		char id[8];
		snprintf(id, sizeof(id), "e%zu", i);
		put(&f, id, "", entries[i]);
	}
	decide(&f, have, NULL, UINT_MAX, trace);
	char *given[8];
	size_t n = 0;
	WRIT_AUTO(writ_freep) char *copy = writ_strdup(have);
	for (char *save = NULL, *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save))
		given[n++] = w;
	A(ExplainRequest)
	by[2] = { WRIT__AGENT__V1__EXPLAIN_REQUEST__INIT, WRIT__AGENT__V1__EXPLAIN_REQUEST__INIT };
	by[0].trace = trace;
	by[1].selectors = given;
	by[1].n_selectors = n;
	struct writ_buf all = WRIT_BUF(1 << 20);
	for (size_t i = 0; i < 2; i++) {
		A(ExplainResponse) *r = explain(&f, &by[i]);
		assert_ok(writ_pb_pack(&r->base, &all, &err), err);
		assert_int_equal(r->n_entries, 4);
		assert_true(r->redacted >= 10);
		r->synced = true;
		(void)writ_mend(r, &all);
		writ_pb_free(&r->base);
	}
	A(ListDecisionsRequest) q = WRIT__AGENT__V1__LIST_DECISIONS_REQUEST__INIT;
	ProtobufCMessage *m;
	assert_ok(call(&f, SERVICE "ListDecisions", &q.base,
			  &writ__agent__v1__list_decisions_response__descriptor, &m, &err),
		err);
	assert_ok(writ_pb_pack(m, &all, &err), err);
	writ_pb_free(m);
	assert_ok(writ_fs_read(log, &all, &err), err);
	assert_true(all.n > 1000);
	assert_null(memmem(all.p, all.n, "s3cr3t", 6));
	assert_non_null(memmem(all.p, all.n, "docker:env:TOKEN=(redacted)", 27));
	writ_buf_done(&all);
	stop(&f);
	assert_ok(writ_log_open(WRIT_LOG_ERROR, WRIT_LOG_TEXT, NULL, "test", &err), err);
}

static void test_a_process_is_attested_by_its_number(void **state)
{
	(void)state;
	struct fixture f;
	struct writ_err err = { 0 };
	char uid[32];
	A(ExplainRequest) q = WRIT__AGENT__V1__EXPLAIN_REQUEST__INIT;
	start(&f);
	snprintf(uid, sizeof(uid), "unix:uid:%u", (unsigned)geteuid());
	put(&f, "me", "", uid);
	put(&f, "sha", "", "unix:sha256:00");
	q.pid = getpid();
	A(ExplainResponse) *r = explain(&f, &q);
	assert_int_equal(r->matches, 1);
	assert_string_equal(r->entries[0]->id, "me");
	assert_int_equal(r->process->pid, getpid());
	assert_non_null(strstr(r->process->binary, "test_admin"));
	bool hashed = false;
	for (size_t i = 0; i < r->n_found; i++) {
		hashed = hashed || strncmp(r->found[i]->selector, "unix:sha256:", 12) == 0;
		assert_true(r->found[i]->attestor[0] != '\0');
	}
	assert_true(hashed);
	writ_pb_free(&r->base);
	/* One that has ended is not there, and its number is nobody's. */
	pid_t child = fork();
	if (!child)
		_exit(0);
	assert_int_equal(waitpid(child, NULL, 0), child);
	ProtobufCMessage *m;
	q.pid = child;
	assert_int_equal(call(&f, SERVICE "Explain", &q.base,
				 &writ__agent__v1__explain_response__descriptor, &m, &err),
		WRIT_ENOENT);
	stop(&f);
}

/* "caps:none" has no value behind a second colon, and is a selector of an attestor all the same. */
static void test_a_selector_without_a_value_has_its_attestor(void **state)
{
	(void)state;
	static const struct {
		const char *want, *has;
		size_t kind, others;
		bool given;
	} rows[] = {
		{ "caps:none", "caps:none", 5, 0, true },
		{ "caps:none", "caps:has:cap_chown caps:has:cap_kill", 5, 2, true },
		{ "caps:none", "caps:has:cap_chown", 5, 1, true },
		{ "caps:has:cap_kill", "caps:none", 9, 0, true },
		{ "caps:nonesuch", "caps:none", 5, 1, false },
		{ "proc:main:true", "proc:depth:1", 10, 0, true },
		{ "seccomp:2", "seccomp:0", 8, 1, true },
	};
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		struct writ_selectors want, has;
		struct writ_part part;
		read_set(&want, rows[i].want);
		read_set(&has, rows[i].has);
		const struct writ_have have = { &has, WRIT_STR(""), writ_attestors, UINT_MAX };
		print_message("# %s, %s\n", rows[i].want, rows[i].has);
		assert_int_equal(
			writ_kind_of(writ_attestors, writ_cstr(rows[i].want)), rows[i].kind);
		assert_int_equal(writ_giver_of(writ_attestors, writ_cstr(rows[i].want)) != NULL,
			rows[i].given);
		writ_compare(&want, 0, &have, &part);
		assert_int_equal(part.has, strcmp(rows[i].want, rows[i].has) == 0);
		assert_int_equal(part.others, rows[i].others);
		if (rows[i].given)
			assert_string_equal(part.why, "");
		if (strcmp(rows[i].want, "caps:none") == 0) /* a right is no mend for it */
			assert_int_equal(part.instead.n, 0);
		writ_selectors_done(&want);
		writ_selectors_done(&has);
	}
}

static void test_bad_questions_are_refused(void **state)
{
	(void)state;
	struct fixture f;
	struct writ_err err = { 0 };
	ProtobufCMessage *m;
	char *one[] = { (char *)(uintptr_t) "unix:uid:5" },
	     *bad[] = { (char *)(uintptr_t) "no-type" };
	A(ExplainRequest) rows[6];
	for (size_t i = 0; i < WRIT_COUNT(rows); i++)
		writ__agent__v1__explain_request__init(&rows[i]);
	rows[1].trace = (char *)(uintptr_t) "short";
	rows[2].pid = -5;
	rows[3].selectors = bad;
	rows[3].n_selectors = 1;
	rows[4].pid = 1;
	rows[4].selectors = one;
	rows[4].n_selectors = 1;
	rows[5].trace = (char *)(uintptr_t) "01ABCDEFGHJKMNPQRSTVWXYZ00";
	start(&f);
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		writ_rc rc = call(&f, SERVICE "Explain", &rows[i].base,
			&writ__agent__v1__explain_response__descriptor, &m, &err);
		assert_int_equal(rc, i == 5 || i == 2 ? WRIT_ENOENT : WRIT_EINVAL);
	}
	A(PreviewRequest) q = WRIT__AGENT__V1__PREVIEW_REQUEST__INIT;
	assert_int_equal(call(&f, SERVICE "Preview", &q.base,
				 &writ__agent__v1__preview_response__descriptor, &m, &err),
		WRIT_EINVAL);
	stop(&f);
}

static void test_a_preview_finds_the_processes_of_now(void **state)
{
	(void)state;
	struct fixture f;
	struct writ_err err = { 0 };
	ProtobufCMessage *m;
	char uid[32], path[4200] = "unix:path:";
	start(&f);
	snprintf(uid, sizeof(uid), "unix:uid:%u", (unsigned)geteuid());
	ssize_t n = readlink("/proc/self/exe", path + 10, sizeof(path) - 11);
	assert_true(n > 0);
	path[10 + n] = '\0';
	char *mine[] = { uid, path, (char *)(uintptr_t) "unix:usr:x" };
	A(PreviewRequest) q = WRIT__AGENT__V1__PREVIEW_REQUEST__INIT;
	q.selectors = mine;
	q.n_selectors = 2;
	assert_ok(call(&f, SERVICE "Preview", &q.base,
			  &writ__agent__v1__preview_response__descriptor, &m, &err),
		err);
	const A(PreviewResponse) *r = (const void *)m;
	bool found = false;
	for (size_t i = 0; i < r->n_processes; i++)
		found = found || r->processes[i]->pid == getpid();
	assert_true(found);
	assert_true(r->complete);
	assert_true(r->looked_at >= r->matches);
	assert_int_equal(r->n_unknown, 0);
	writ_pb_free(m);
	q.n_selectors = 3;
	assert_ok(call(&f, SERVICE "Preview", &q.base,
			  &writ__agent__v1__preview_response__descriptor, &m, &err),
		err);
	r = (const void *)m;
	assert_int_equal(r->matches, 0);
	assert_int_equal(r->n_unknown, 1);
	writ_pb_free(m);
	stop(&f);
}

/* A look at a hundred thousand entries, and a client that goes in the middle of it. */
static void test_many_entries_are_looked_at_in_slices(void **state)
{
	(void)state;
	struct fixture f;
	char trace[WRIT_TRACE_LEN + 1];
	struct writ_err err = { 0 };
	A(ExplainRequest) q = WRIT__AGENT__V1__EXPLAIN_REQUEST__INIT;
	start(&f);
	writ_cache_begin(f.cache, true);
	for (int i = 0; i < 20000; i++) {
		struct writ_selectors s;
		char id[32], spiffe_id[64], text[64];
		snprintf(id, sizeof(id), "e%d", i);
		snprintf(spiffe_id, sizeof(spiffe_id), "spiffe://td/%s", id);
		snprintf(text, sizeof(text), "unix:gid:5 unix:uid:%d", 1000 + i);
		read_set(&s, text);
		const struct writ_entry_spec spec = { .id = writ_cstr(id),
			.spiffe_id = writ_cstr(spiffe_id),
			.created_at = i,
			.selectors = &s };
		assert_ok(writ_cache_put(f.cache, &spec, &err), err);
		writ_selectors_done(&s);
	}
	writ_cache_commit(f.cache);
	decide(&f, "unix:gid:5 unix:uid:12345", NULL, UINT_MAX, trace);
	q.trace = trace;
	q.max_entries = 1000000;
	A(ExplainResponse) *r = explain(&f, &q);
	assert_int_equal(r->entries_total, 20000);
	assert_int_equal(r->n_entries, 1000);
	assert_int_equal(r->matches, 1);
	assert_string_equal(r->entries[0]->id, "e11345");
	assert_string_equal(r->entries[1]->id, "e0");
	writ_pb_free(&r->base);
	ProtobufCMessage *m;
	for (int64_t ms = 1; ms < 20; ms += 3)
		(void)(writ_rpc_call(f.channel, SERVICE "Explain", &q.base,
			       &writ__agent__v1__explain_response__descriptor, ms, &m, NULL,
			       &err) == WRIT_OK
				? writ_pb_free(m)
				: (void)0);
	stop(&f);
}

static void test_operators_are_root_the_agents_user_and_the_group(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		enum writ_peer_kind kind;
		uid_t uid;
		gid_t gid, groups[2];
		size_t n;
		bool has_group, may;
	} rows[] = {
		{ "root", WRIT_PEER_UNIX, 0, 0, { 0 }, 0, false, true },
		{ "the group, first", WRIT_PEER_UNIX, 54321, 777, { 0 }, 0, true, true },
		{ "the group, further on", WRIT_PEER_UNIX, 54321, 5, { 6, 777 }, 2, true, true },
		{ "another group", WRIT_PEER_UNIX, 54321, 5, { 6, 8 }, 2, true, false },
		{ "groups that do not count", WRIT_PEER_UNIX, 54321, 5, { 6, 777 }, 1, true,
			false },
		{ "no such group here", WRIT_PEER_UNIX, 54321, 777, { 777, 777 }, 2, false, false },
		{ "group 0 where there is none", WRIT_PEER_UNIX, 54321, 0, { 0 }, 1, false, false },
		{ "the network", WRIT_PEER_TCP, 0, 0, { 0 }, 0, true, false },
	};
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		const struct writ_admin a = { .has_group = rows[i].has_group,
			.group = rows[i].has_group ? 777 : 0 };
		struct writ_peer p = { .kind = rows[i].kind,
			.uid = rows[i].uid,
			.gid = rows[i].gid,
			.n_groups = rows[i].n };
		memcpy(p.groups, rows[i].groups, sizeof(rows[i].groups));
		if (writ__admin_is_operator(&a, &p) != rows[i].may)
			fail_msg("%s", rows[i].name);
	}
	const struct writ_admin a = { .has_group = false };
	const struct writ_peer own = { .kind = WRIT_PEER_UNIX, .uid = geteuid() };
	assert_true(writ__admin_is_operator(&a, &own));
}

/* Who is no operator is not served, even where the file system lets him in. */
static void test_only_operators_are_served(void **state)
{
	(void)state;
	struct fixture f;
	int status;
	if (geteuid() != 0)
		skip();
	start(&f);
	assert_int_equal(chmod(dir, 0755), 0);
	WRIT_AUTO(writ_freep) char *folder = writ_fs_dirname(f.path);
	struct stat st;
	assert_int_equal(stat(f.path, &st), 0);
	assert_true((st.st_mode & 0777) == 0600 || (st.st_mode & 0777) == 0660);
	assert_int_equal(chmod(folder, 0755), 0);
	assert_int_equal(chmod(f.path, 0777), 0);
	/* By descriptor: the build may stand where that user cannot go. */
	int cli = open(WRIT_CLI, O_RDONLY | O_CLOEXEC);
	assert_true(cli >= 0);
	pid_t child = fork();
	if (!child) {
		const char *argv[] = { WRIT_CLI, "explain", "-adminSocketPath", f.path, NULL };
		if (setgid(54321) != 0 || setuid(54321) != 0)
			_exit(99);
		fexecve(cli, (char *const *)(uintptr_t)argv, environ);
		_exit(98);
	}
	close(cli);
	bool done = false;
	for (int i = 0; i < 1000 && waitpid(child, &status, WNOHANG) == 0; i++)
		(void)writ_loop_run_until(f.loop, &done, writ_mono_ms() + 10);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 4);
	stop(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_missing_selector_is_named),
		cmocka_unit_test(test_a_match_says_so_and_what_serves_in_its_place),
		cmocka_unit_test(test_values_of_variables_leave_the_agent_nowhere),
		cmocka_unit_test(test_a_process_is_attested_by_its_number),
		cmocka_unit_test(test_a_selector_without_a_value_has_its_attestor),
		cmocka_unit_test(test_bad_questions_are_refused),
		cmocka_unit_test(test_a_preview_finds_the_processes_of_now),
		cmocka_unit_test(test_many_entries_are_looked_at_in_slices),
		cmocka_unit_test(test_operators_are_root_the_agents_user_and_the_group),
		cmocka_unit_test(test_only_operators_are_served),
	};
	struct writ_err err;
	if (writ_crypto_init(&err) != WRIT_OK || !mkdtemp(dir) ||
		writ_log_open(WRIT_LOG_ERROR, WRIT_LOG_TEXT, NULL, "test", &err) != WRIT_OK)
		return 1;
	writ_rpc_init();
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	writ_rpc_shutdown();
	return writ_fs_remove_tree(dir, NULL) == WRIT_OK ? failed : 1;
}
