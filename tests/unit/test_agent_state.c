/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"

#include "base/fs.h"
#include "base/mem.h"
#include "forge.h"
#include "state/state.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define ID "spiffe://td/spire/agent/join_token/x"

static char dir[] = "/tmp/test-agent-state-XXXXXX";

static struct writ_state make(void)
{
	struct writ_state s = { .svid = NULL };
	struct writ_key *ca_key = forge_key(WRIT_KEY_P256), *key = forge_key(WRIT_KEY_P256);
	struct forge ca = forge_ca("ca", ca_key), leaf = forge_leaf(ID, key, "ca", ca_key);
	struct writ_cert *ca_cert = forge_cert(&ca), *cert = forge_cert(&leaf);
	struct writ_err err = { 0 };
	assert_ok(writ_svid_new(&cert, 1, key, NULL, &s.svid, &err), err);
	assert_ok(writ_bundle_new(WRIT_STR("td"), &ca_cert, NULL, 1, 7, 0, &s.bundle, &err), err);
	writ_cert_unref(ca_cert);
	writ_cert_unref(cert);
	writ_key_unref(ca_key);
	writ_key_unref(key);
	return s;
}

static void test_what_is_saved_is_loaded(void **state)
{
	(void)state;
	struct writ_state s = make(), back = { .svid = NULL };
	struct writ_err err = { 0 };
	WRIT_AUTO(writ_freep) char *path = writ_fs_join(dir, WRIT_STATE_NAME);
	umask(0);
	assert_ok(writ_state_save(path, &s, &err), err);
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_ok(writ_state_load(path, WRIT_STR("td"), &back, &err), err);
	assert_string_equal(back.svid->spiffe_id, ID);
	assert_true(writ_bundle_same_cas(back.bundle, s.bundle));
	writ_state_done(&back);
	/* Others may read it: refused, with the mode. */
	assert_int_equal(chmod(path, 0640), 0);
	assert_fails(
		writ_state_load(path, WRIT_STR("td"), &back, &err), WRIT_EDENIED, err, "chmod");
	assert_int_equal(chmod(path, 0600), 0);
	assert_fails(writ_state_load(path, WRIT_STR("other"), &back, &err), WRIT_EINVAL, err,
		"trust domain 'td'");
	assert_ok(writ_state_delete(path, &err), err);
	assert_ok(writ_state_delete(path, &err), err);
	assert_fails(writ_state_load(path, WRIT_STR("td"), &back, &err), WRIT_ENOENT, err, path);
	writ_state_done(&s);
}

static void test_memory_keys_leave_only_the_bundle(void **state)
{
	(void)state;
	struct writ_state s = make(), back = { .svid = NULL };
	struct writ_buf text = WRIT_BUF(WRIT_STATE_MAX);
	struct writ_err err = { 0 };
	writ_svid_unref(writ_steal(s.svid));
	assert_ok(writ_state_print(&s, &text, &err), err);
	assert_null(strstr(writ_buf_cstr(&text), "key"));
	assert_ok(writ_state_parse(writ_buf_str(&text), WRIT_STR("td"), &back, &err), err);
	assert_null(back.svid);
	assert_non_null(back.bundle);
	writ_buf_done(&text);
	writ_state_done(&s);
	writ_state_done(&back);
}

/* Each cut and each flipped byte is refused or gives a whole state, never half a one. */
static void test_a_damaged_file_is_an_error(void **state)
{
	(void)state;
	struct writ_state s = make();
	struct writ_buf text = WRIT_BUF(WRIT_STATE_MAX);
	struct writ_err err = { 0 };
	assert_ok(writ_state_print(&s, &text, &err), err);
	for (size_t i = 0; i < text.n - 1; i++) {
		struct writ_state back = { .svid = NULL };
		assert_int_not_equal(
			writ_state_parse(writ_strn(text.p, i), WRIT_STR("td"), &back, NULL),
			WRIT_OK);
		assert_null(back.svid);
	}
	for (size_t i = 0; i < text.n; i++) {
		struct writ_state back = { .svid = NULL };
		text.p[i] ^= 0x20;
		if (writ_state_parse(writ_buf_str(&text), WRIT_STR("td"), &back, NULL) == WRIT_OK)
			assert_non_null(back.svid);
		else
			assert_null(back.svid);
		writ_state_done(&back);
		text.p[i] ^= 0x20;
	}
	writ_buf_wipe(&text);
	writ_state_done(&s);
}

static void test_what_does_not_belong_together_is_refused(void **state)
{
	(void)state;
	static const struct {
		const char *text, *says;
	} rows[] = {
		{ "", "no JSON object" },
		{ "[]", "no JSON object" },
		{ "{\"agent_id\":\"spiffe://td/x\"}", "without its SVID" },
		{ "{\"svid\":[]}", "has no key" },
		{ "{\"key\":\"\"}", "has no key" },
		{ "{\"bundle\":[\"%%%\"]}", "\"bundle\"" },
		{ "{\"bundle\":[],\"bundle\":[]}", "twice" },
		{ "{\"reattestable\":1}", "neither true nor false" },
		{ "{\"more\":1}", "does not know" },
		{ "{\"agent_id\":\"a\\u0041\"}", "character" },
		{ "{}x", "behind" },
	};
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		struct writ_state s = { .svid = NULL };
		struct writ_err err = { 0 };
		assert_fails(writ_state_parse(writ_cstr(rows[i].text), WRIT_STR("td"), &s, &err),
			WRIT_EINVAL, err, rows[i].says);
	}
}

/* A process that dies at any moment leaves the old file or the new one. */
static void test_a_failed_save_leaves_the_old_file(void **state)
{
	(void)state;
	struct writ_state a = make(), b = make(), back = { .svid = NULL };
	struct writ_err err = { 0 };
	WRIT_AUTO(writ_freep) char *path = writ_fs_join(dir, WRIT_STATE_NAME);
	assert_ok(writ_state_save(path, &a, &err), err);
	for (int i = 0; i < 20; i++) {
		pid_t pid = fork();
		assert_true(pid >= 0);
		if (pid == 0) {
			alarm(5);
			for (;;)
				if (writ_state_save(path, &b, NULL) != WRIT_OK)
					_exit(1);
		}
		usleep((useconds_t)(i * 300));
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		assert_ok(writ_state_load(path, WRIT_STR("td"), &back, &err), err);
		writ_state_done(&back);
	}
	writ_state_done(&a);
	writ_state_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_saved_is_loaded),
		cmocka_unit_test(test_memory_keys_leave_only_the_bundle),
		cmocka_unit_test(test_a_damaged_file_is_an_error),
		cmocka_unit_test(test_what_does_not_belong_together_is_refused),
		cmocka_unit_test(test_a_failed_save_leaves_the_old_file),
	};
	struct writ_err err;
	if (writ_crypto_init(&err) != WRIT_OK || !mkdtemp(dir))
		return 1;
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	return writ_fs_remove_tree(dir, NULL) == WRIT_OK ? failed : 1;
}
