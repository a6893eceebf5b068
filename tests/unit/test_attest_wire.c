/* SPDX-License-Identifier: Apache-2.0 */
/* What must not pass the wire between the two processes of the agent, whoever speaks. */
#include "check.h"

#include "attest/codec.h"
#include "attest/emit.h"
#include "attest/wire.h"
#include "base/mem.h"

#define NUMBERS 28 /* of a request, 8 bytes each, after 4 of magic */

static struct writ_snapshot good(void)
{
	return (struct writ_snapshot){ .pid = 42,
		.uid = 1000,
		.gid = 100,
		.state = 'S',
		.exe_path = WRIT_STR("/bin/a"),
		.cgroup = WRIT_STR("0::/\n") };
}

static writ_rc pass(const struct writ_snapshot *s)
{
	WRIT_AUTO(writ_buf_done) struct writ_buf b = WRIT_BUF(256 * 1024);
	WRIT_AUTO(writ_snapshot_done) struct writ_snapshot back = { .bytes = NULL };
	writ_request_encode(s, &b);
	return writ_request_decode(writ_buf_str(&b), &back, NULL);
}

static void numbers_that_no_process_has_are_refused(void **state)
{
	struct writ_snapshot s = good();
	(void)state;
	assert_int_equal(pass(&s), WRIT_OK);
#define REFUSED(member, value)                                                                     \
	s = good();                                                                                \
	s.member = value;                                                                          \
	assert_int_equal(pass(&s), WRIT_EPROTO)
	REFUSED(pid, 0);
	REFUSED(pid, (uint64_t)INT32_MAX + 1);
	REFUSED(uid, UINT32_MAX);
	REFUSED(gid, UINT32_MAX);
	REFUSED(uid, UINT64_MAX);
	REFUSED(state, 128);
	REFUSED(groups_cut, 2);
	REFUSED(ns_ours[WRIT_NS_USER], 2);
	REFUSED(ns_ours[WRIT_NS_MNT], 2);
	REFUSED(ns_ours[WRIT_NS_CGROUP], 2);
	REFUSED(ns_ours[WRIT_NS_PID], 2);
#undef REFUSED
	s = good();
	s.pid = INT32_MAX;
	s.uid = s.gid = UINT32_MAX - 1;
	s.state = 127;
	assert_int_equal(pass(&s), WRIT_OK);
}

static void texts_longer_than_their_limits_are_refused(void **state)
{
	static uint32_t groups[WRIT_PIN_GROUPS_MAX + 1];
	char *text = writ_alloc(WRIT_SNAPSHOT_CGROUP_MAX + 1);
	struct writ_snapshot s = good();
	(void)state;
	memset(text, 'x', WRIT_SNAPSHOT_CGROUP_MAX + 1);
	for (int more = 0; more < 2; more++) {
		writ_rc want = more ? WRIT_EPROTO : WRIT_OK;
		s = good();
		s.exe_path = writ_strn(text, WRIT_SNAPSHOT_PATH_MAX + more);
		assert_int_equal(pass(&s), want);
		s = good();
		s.cgroup = writ_strn(text, WRIT_SNAPSHOT_CGROUP_MAX + more);
		assert_int_equal(pass(&s), want);
		s = good();
		s.groups = groups;
		s.ngroups = WRIT_PIN_GROUPS_MAX + more;
		assert_int_equal(pass(&s), want);
	}
	writ_free(text);
}

static void half_a_group_is_none(void **state)
{
	WRIT_AUTO(writ_buf_done) struct writ_buf b = WRIT_BUF(4096);
	WRIT_AUTO(writ_buf_done) struct writ_buf cut = WRIT_BUF(4096);
	struct writ_snapshot s = good(), back;
	uint32_t groups[] = { 4, 27 };
	(void)state;
	s.groups = groups;
	s.ngroups = 2;
	writ_request_encode(&s, &b);
	size_t at = 4 + 8 * NUMBERS;
	assert_int_equal(b.p[at], sizeof(groups));
	writ_buf_add(&cut, b.p, at);
	writ_put_number(&cut, sizeof(groups) - 1, 4);
	writ_buf_add(&cut, b.p + at + 4, sizeof(groups) - 1);
	writ_buf_add(&cut, b.p + at + 4 + sizeof(groups), b.n - at - 4 - sizeof(groups));
	assert_int_equal(writ_request_decode(writ_buf_str(&cut), &back, NULL), WRIT_EPROTO);
}

/* --- answers: selectors and notes, each a C string in these tests --- */

static writ_rc answer(const char *const *selectors, size_t n, const struct writ_str *notes,
	size_t n_notes, const char *after)
{
	WRIT_AUTO(writ_buf_done) struct writ_buf b = WRIT_BUF(WRIT_WIRE_ANSWER_MAX);
	struct writ_answer a;
	writ_buf_add_cstr(&b, "WAA1");
	writ_put_number(&b, n, 2);
	for (size_t i = 0; i < n; i++)
		writ_put_bytes(&b, writ_cstr(selectors[i]), 2);
	writ_put_number(&b, n_notes, 2);
	for (size_t i = 0; i < n_notes; i++)
		writ_put_bytes(&b, notes[i], 2);
	writ_buf_add_cstr(&b, after);
	writ_rc rc = writ_answer_decode(writ_buf_str(&b), &a, NULL);
	if (rc == WRIT_OK)
		writ_answer_done(&a);
	return rc;
}

static void selectors_are_sorted_each_once_and_whole(void **state)
{
	static const struct {
		const char *s[2];
		writ_rc rc;
	} rows[] = {
		{ { "a:1", "b:1" }, WRIT_OK },
		{ { "b:1", "a:1" }, WRIT_EPROTO },
		{ { "a:1", "a:1" }, WRIT_EPROTO },
		{ { "", "a:1" }, WRIT_EPROTO },
		{ { "a:1", "b" }, WRIT_EPROTO },
		{ { "a:1", "b:\n" }, WRIT_EPROTO },
	};
	(void)state;
	for (size_t i = 0; i < WRIT_COUNT(rows); i++)
		if (answer(rows[i].s, 2, NULL, 0, "") != rows[i].rc)
			fail_msg("row %zu", i);
	assert_int_equal(answer(rows[0].s, 2, NULL, 0, "x"), WRIT_EPROTO);
}

static void notes_are_lines_of_text_and_not_too_many(void **state)
{
	static char text[WRIT_WIRE_NOTE_MAX + 1];
	struct writ_str many[WRIT_WIRE_NOTES_MAX + 1];
	static const struct {
		struct writ_str note;
		writ_rc rc;
	} rows[] = {
		{ { "fine", 4 }, WRIT_OK },
		{ { "", 0 }, WRIT_EPROTO },
		{ { "two\nlines", 9 }, WRIT_EPROTO },
		{ { "\n", 1 }, WRIT_EPROTO },
		{ { "a\0b", 3 }, WRIT_EPROTO },
		{ { text, WRIT_WIRE_NOTE_MAX }, WRIT_OK },
		{ { text, WRIT_WIRE_NOTE_MAX + 1 }, WRIT_EPROTO },
	};
	(void)state;
	memset(text, 'x', sizeof(text));
	for (size_t i = 0; i < WRIT_COUNT(rows); i++)
		if (answer(NULL, 0, &rows[i].note, 1, "") != rows[i].rc)
			fail_msg("row %zu", i);
	for (size_t i = 0; i < WRIT_COUNT(many); i++)
		many[i] = WRIT_STR("n");
	assert_int_equal(answer(NULL, 0, many, WRIT_WIRE_NOTES_MAX, ""), WRIT_OK);
	assert_int_equal(answer(NULL, 0, many, WRIT_WIRE_NOTES_MAX + 1, ""), WRIT_EPROTO);
}

/* An empty value would match whoever asks for an empty one. */
static void what_is_empty_is_no_selector(void **state)
{
	struct writ_answer a;
	(void)state;
	writ_answer_init(&a);
	writ_emit(&a, "container", "pod", WRIT_STR(""));
	writ_emit(&a, "nnp", "", WRIT_STR(""));
	assert_int_equal(a.selectors.n, 0);
	assert_int_equal(a.nnotes, 2);
	writ_emit(&a, "container", "pod", WRIT_STR("x"));
	writ_emit(&a, "nnp", "", WRIT_STR("1"));
	assert_int_equal(a.selectors.n, 2);
	assert_true(
		writ_str_eq(writ_selectors_at(&a.selectors, 0).text, WRIT_STR("container:pod:x")));
	assert_true(writ_str_eq(writ_selectors_at(&a.selectors, 1).text, WRIT_STR("nnp:1")));
	writ_answer_done(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_that_no_process_has_are_refused),
		cmocka_unit_test(texts_longer_than_their_limits_are_refused),
		cmocka_unit_test(half_a_group_is_none),
		cmocka_unit_test(selectors_are_sorted_each_once_and_whole),
		cmocka_unit_test(notes_are_lines_of_text_and_not_too_many),
		cmocka_unit_test(what_is_empty_is_no_selector),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
