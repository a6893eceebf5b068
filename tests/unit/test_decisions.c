/* SPDX-License-Identifier: Apache-2.0 */
/* Records of decisions, and the lines that come of them. */
#include "check.h"

#include "attest/shown.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "crypto/digest.h"
#include "wlapi/decisions.h"
#include "wlapi/log_quota.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char dir[] = "/tmp/test-decisions-XXXXXX";

struct fixture {
	struct writ_loop *loop;
	struct writ_decisions *d;
	char *path;
};

static void start(struct fixture *f)
{
	struct writ_err err = { 0 };
	f->path = writ_fs_join(dir, "log");
	(void)unlink(f->path);
	assert_ok(writ_log_open(WRIT_LOG_INFO, WRIT_LOG_JSON, f->path, "test", &err), err);
	assert_ok(writ_loop_new(&f->loop, &err), err);
	writ_clock_set_mono_us(1000000);
	f->d = writ_decisions_new(f->loop, NULL);
}

static void stop(struct fixture *f)
{
	struct writ_err err = { 0 };
	writ_decisions_free(f->d);
	writ_loop_free(f->loop);
	writ_clock_set_mono_us(-1);
	assert_ok(writ_log_open(WRIT_LOG_ERROR, WRIT_LOG_TEXT, NULL, "test", &err), err);
	writ_free(f->path);
}

/* The log so far, as text; owned. */
static char *lines(const struct fixture *f)
{
	struct writ_buf b = WRIT_BUF(8 << 20);
	struct writ_err err = { 0 };
	assert_ok(writ_fs_read(f->path, &b, &err), err);
	writ_buf_add_byte(&b, 0);
	return writ_buf_steal(&b);
}

static size_t count(const char *text, const char *what)
{
	size_t n = 0;
	for (const char *at = text; (at = strstr(at, what)) != NULL; at += strlen(what))
		n++;
	return n;
}

static void facts_of(struct writ_facts *f, const char *binary, const char *const *selectors)
{
	struct writ_err err = { 0 };
	*f = (struct writ_facts){ .snapshot = { .start_time = 4711,
					  .exe_path = writ_cstr(binary),
					  .cgroup = WRIT_STR(
						  "3:cpu:/x\n0::/system.slice/a.service\n") } };
	writ_answer_init(&f->answer);
	for (; *selectors; selectors++)
		assert_ok(
			writ_selectors_add_text(&f->answer.selectors, writ_cstr(*selectors), &err),
			err);
	writ_selectors_seal(&f->answer.selectors);
}

static const struct writ_decision *deny(
	struct fixture *f, uid_t uid, const struct writ_facts *facts)
{
	const struct writ_decision_fact fact = { .method = "x509_svid",
		.reason = "no entry matches it",
		.pid = 42,
		.uid = uid,
		.gid = uid,
		.facts = facts,
		.took_us = 123 };
	return writ_decisions_add(f->d, &fact);
}

static void test_a_record_has_all_that_is_known(void **state)
{
	(void)state;
	struct fixture f;
	struct writ_facts facts;
	static const char *const have[] = { "unix:uid:7", "unix:path:/usr/bin/x", NULL };
	start(&f);
	facts_of(&facts, "/usr/bin/x", have);
	writ_answer_note(&facts.answer, "unix:sha256 withheld: too large");
	const struct writ_decision *d = deny(&f, 7, &facts);
	assert_int_equal(strlen(d->trace), WRIT_TRACE_LEN);
	assert_true(writ_str_eq(d->binary, WRIT_STR("/usr/bin/x")));
	assert_true(writ_str_eq(d->cgroup, WRIT_STR("/system.slice/a.service")));
	assert_true(writ_str_eq(d->selectors, WRIT_STR("unix:path:/usr/bin/x\nunix:uid:7\n")));
	assert_true(writ_str_eq(d->notes, WRIT_STR("unix:sha256 withheld: too large\n")));
	WRIT_AUTO(writ_freep) char *log = lines(&f);
	static const char *const parts[] = { "\"msg\":\"workload.denied\"", "\"pid\":42",
		"\"uid\":7", "\"gid\":7", "\"start_time\":4711", "\"binary\":\"/usr/bin/x\"",
		"\"cgroup\":\"/system.slice/a.service\"", "\"selectors_digest\":\"",
		"\"reason\":\"no entry matches it\"", "\"took_us\":123", "\"trace\":\"",
		"\"identities\":0", "\"withheld\":\"unix:sha256 withheld: too large\"" };
	for (size_t i = 0; i < WRIT_COUNT(parts); i++)
		if (!strstr(log, parts[i]))
			fail_msg("no %s in %s", parts[i], log);
	writ_answer_done(&facts.answer);
	stop(&f);
}

/* Whatever a program is called: one decision stays one line, and moves no terminal. */
static void test_no_name_can_forge_a_line(void **state)
{
	(void)state;
	static const char *const names[] = { "/tmp/a\nmsg=workload.attested",
		"/tmp/\x1b[2J\x1b]0;x\a", "/tmp/\",\"msg\":\"workload.attested",
		"/tmp/\xff\xfe\x80", "/tmp/a\r\n{\"level\"", "/tmp/\xe2\x80\xae",
		"/tmp/back\\slash", "/tmp/\x7f\x9b" };
	static const enum writ_log_format formats[] = { WRIT_LOG_JSON, WRIT_LOG_TEXT };
	static const char *const none[] = { NULL };
	for (size_t k = 0; k < WRIT_COUNT(formats); k++) {
		for (size_t i = 0; i < WRIT_COUNT(names); i++) {
			struct fixture f;
			struct writ_facts facts;
			struct writ_err err = { 0 };
			start(&f);
			assert_ok(writ_log_open(WRIT_LOG_INFO, formats[k], f.path, "test", &err),
				err);
			facts_of(&facts, names[i], none);
			facts.snapshot.cgroup = writ_cstr(names[i]);
			(void)deny(&f, 7, &facts);
			WRIT_AUTO(writ_freep) char *log = lines(&f);
			assert_int_equal(count(log, "\n"), 1);
			assert_int_equal(count(log, "\x1b"), 0);
			assert_int_equal(count(log, "\"msg\":\"workload.attested\""), 0);
			assert_int_equal(count(log, " msg=workload.attested"), 0);
			assert_true(writ_is_utf8(log, strlen(log)));
			assert_int_equal(count(log, "\xe2\x80\xae"), 0);
			writ_answer_done(&facts.answer);
			stop(&f);
		}
	}
}

static void test_one_users_flood_hides_nobody(void **state)
{
	(void)state;
	struct fixture f;
	struct writ_facts facts;
	static const char *const have[] = { "unix:uid:7", NULL };
	start(&f);
	facts_of(&facts, "/usr/bin/x", have);
	const struct writ_decision *d = deny(&f, 8, &facts);
	char trace[WRIT_TRACE_LEN + 1];
	memcpy(trace, d->trace, sizeof(trace));
	for (int i = 0; i < 5000; i++)
		(void)deny(&f, 7, &facts);
	(void)deny(&f, 8, &facts);
	for (int i = 0; i < 100; i++)
		(void)deny(&f, 7, NULL);
	WRIT_AUTO(writ_freep) char *log = lines(&f);
	assert_int_equal(count(log, "\"uid\":8,"), 2);
	assert_int_equal(count(log, "\"uid\":7,"), 20); /* ten denied, ten gone */
	assert_int_equal(count(log, "left_out"), 0);
	/* And what is kept. */
	struct writ_err err = { 0 };
	assert_int_equal(writ_decisions_count(f.d), WRIT_DECISIONS_MAX);
	assert_ok(writ_decisions_find(f.d, writ_cstr(trace), &d, &err), err);
	assert_int_equal(d->uid, 8);
	writ_answer_done(&facts.answer);
	writ_decisions_free(writ_steal(f.d));
	WRIT_AUTO(writ_freep) char *later = lines(&f);
	assert_int_equal(count(later, "workload.left_out"), 1);
	assert_non_null(
		strstr(later, "\"uid\":7,\"denied\":4990,\"denied_gone\":90,\"attested\":0"));
	stop(&f);
}

/* Who owns a range of users has the lines of all of them together, and not one more. */
static void test_many_users_share_a_bound(void **state)
{
	(void)state;
	struct fixture f;
	start(&f);
	for (uid_t i = 0; i < 20000; i++)
		(void)deny(&f, 100000 + i, NULL);
	WRIT_AUTO(writ_freep) char *log = lines(&f);
	assert_int_equal(count(log, "workload.denied"), 1000);
	assert_int_equal(writ_decisions_count(f.d), WRIT_DECISIONS_MAX);
	stop(&f);
}

static void test_records_end_after_an_hour_and_are_bounded_in_bytes(void **state)
{
	(void)state;
	struct fixture f;
	struct writ_facts facts;
	struct writ_err err = { 0 };
	static const char *const none[] = { NULL };
	const struct writ_decision *d;
	start(&f);
	facts_of(&facts, "/usr/bin/x", none);
	facts.answer.selectors.sealed = false;
	char text[4000];
	memset(text, 'x', sizeof(text));
	for (int i = 0; i < 20; i++) {
		(void)snprintf(text, sizeof(text), "x:%03d", i);
		text[5] = 'x';
		assert_ok(writ_selectors_add_text(
				  &facts.answer.selectors, writ_strn(text, sizeof(text)), &err),
			err);
	}
	writ_selectors_seal(&facts.answer.selectors);
	size_t bytes = 0;
	for (int i = 0; i < 1000; i++)
		(void)deny(&f, 7, &facts);
	for (d = writ_decisions_before(f.d, NULL); d; d = writ_decisions_before(f.d, d)) {
		assert_true(d->cut);
		assert_true(d->selectors.n <= WRIT_DECISION_SELECTORS);
		bytes += d->bytes;
	}
	assert_true(bytes <= WRIT_DECISIONS_BYTES);
	assert_true(writ_decisions_count(f.d) > 100);
	writ_clock_set_mono_us(1000000 + WRIT_DECISIONS_KEEP_MS * 1000);
	assert_null(writ_decisions_before(f.d, NULL));
	assert_int_equal(writ_decisions_count(f.d), 0);
	writ_answer_done(&facts.answer);
	stop(&f);
}

static void test_a_trace_is_found_by_its_beginning(void **state)
{
	(void)state;
	struct fixture f;
	struct writ_err err = { 0 };
	const struct writ_decision *d = NULL;
	char trace[WRIT_TRACE_LEN + 1], low[WRIT_TRACE_LEN + 1];
	start(&f);
	writ_clock_set_wall_ms(1700000000000);
	memcpy(trace, deny(&f, 7, NULL)->trace, sizeof(trace));
	for (size_t i = 0; i < sizeof(trace); i++)
		low[i] = (char)(trace[i] >= 'A' && trace[i] <= 'Z' ? trace[i] + 32 : trace[i]);
	(void)deny(&f, 8, NULL);
	writ_clock_set_wall_ms(-1);
	assert_ok(writ_decisions_find(f.d, writ_strn(low, 22), &d, &err), err);
	assert_string_equal(d->trace, trace);
	assert_int_equal(writ_decisions_find(f.d, writ_strn(trace, 9), &d, &err), WRIT_EINVAL);
	assert_int_equal(writ_decisions_find(f.d, writ_strn(trace, 7), &d, &err), WRIT_EINVAL);
	assert_int_equal(writ_decisions_find(f.d, WRIT_STR("00000000000000000000000000"), &d, &err),
		WRIT_ENOENT);
	assert_int_equal(
		writ_decisions_find(f.d, WRIT_STR("000000000000000000000000001"), &d, &err),
		WRIT_ENOENT);
	stop(&f);
}

static void test_values_of_environment_variables_are_not_shown(void **state)
{
	(void)state;
	static const struct {
		const char *text, *shown;
	} rows[] = {
		{ "docker:env:TOKEN=s3cr3t", "docker:env:TOKEN=(redacted)" },
		{ "docker:env:A=b=c", "docker:env:A=(redacted)" },
		{ "podman:env:A=", "podman:env:A=(redacted)" },
		{ "docker:env:s3cr3t", "docker:env:(redacted)" },
		{ "docker:env:", "docker:env:(redacted)" },
		{ "docker:label:env:x", "docker:label:env:x" },
		{ "unix:path:/env:a=b", "unix:path:/env:a=b" },
		{ "env:x=y", "env:x=y" },
		{ "env", "env" },
		{ "", "" },
	};
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		struct writ_buf b = WRIT_BUF(256);
		bool hidden = writ_selector_show(writ_cstr(rows[i].text), &b);
		assert_string_equal(b.n ? writ_buf_cstr(&b) : "", rows[i].shown);
		assert_int_equal(hidden, strcmp(rows[i].text, rows[i].shown) != 0);
		writ_buf_done(&b);
	}
	struct fixture f;
	struct writ_facts facts;
	static const char *const have[] = { "docker:env:TOKEN=s3cr3t", NULL };
	start(&f);
	facts_of(&facts, "/usr/bin/x", have);
	(void)deny(&f, 7, &facts);
	WRIT_AUTO(writ_freep) char *log = lines(&f);
	assert_null(strstr(log, "s3cr3t"));
	assert_non_null(strstr(log, "docker:env:TOKEN=(redacted)"));
	writ_answer_done(&facts.answer);
	stop(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_record_has_all_that_is_known),
		cmocka_unit_test(test_no_name_can_forge_a_line),
		cmocka_unit_test(test_one_users_flood_hides_nobody),
		cmocka_unit_test(test_many_users_share_a_bound),
		cmocka_unit_test(test_records_end_after_an_hour_and_are_bounded_in_bytes),
		cmocka_unit_test(test_a_trace_is_found_by_its_beginning),
		cmocka_unit_test(test_values_of_environment_variables_are_not_shown),
	};
	struct writ_err err;
	if (writ_crypto_init(&err) != WRIT_OK || !mkdtemp(dir))
		return 1;
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	return writ_fs_remove_tree(dir, NULL) == WRIT_OK ? failed : 1;
}
