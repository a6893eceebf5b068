/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define NOW "2026-11-22T10:00:00Z"

static char dir[64], path[128], audit_path[128];

static int set_up(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/writ-test-log-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/log", dir);
	snprintf(audit_path, sizeof(audit_path), "%s/audit", dir);
	writ_clock_set_wall_ms(1795341600123);
	umask(0);
	return 0;
}

static int tear_down(void **state)
{
	struct writ_err err;
	(void)state;
	writ_clock_set_wall_ms(-1);
	writ_clock_set_mono_us(-1);
	if (writ_log_open(WRIT_LOG_INFO, WRIT_LOG_TEXT, NULL, NULL, &err) != WRIT_OK)
		return -1;
	return writ_fs_remove_tree(dir, &err) == WRIT_OK ? 0 : -1;
}

static void start(enum writ_log_level level, enum writ_log_format format)
{
	struct writ_err err;
	assert_ok(writ_log_open(level, format, path, "writ-test", &err), err);
}

/* What the file holds; the next line starts in an empty file. */
static char *lines_of(const char *file)
{
	struct writ_err err;
	struct writ_buf b = WRIT_BUF(1 << 20);
	assert_ok(writ_fs_read(file, &b, &err), err);
	assert_int_equal(truncate(file, 0), 0);
	return writ_buf_steal(&b);
}

static void assert_logged(const char *want)
{
	WRIT_AUTO(writ_freep) char *seen = lines_of(path);
	assert_string_equal(seen, want);
}

static void text_lines_have_their_golden_form(void **state)
{
	(void)state;
	start(WRIT_LOG_DEBUG, WRIT_LOG_TEXT);
	WRIT_LOG(INFO, "svid.issued", WRIT_KV("spiffe_id", "spiffe://example.org/a"),
		WRIT_KV("ttl_s", 300));
	assert_logged("time=" NOW " level=info msg=svid.issued "
		      "spiffe_id=\"spiffe://example.org/a\" ttl_s=300\n");
	WRIT_LOG(ERROR, "no.pairs");
	assert_logged("time=" NOW " level=error msg=no.pairs\n");
	WRIT_LOG(WARN, "types", WRIT_KV("b", (bool)true), WRIT_KV("u", UINT64_MAX),
		WRIT_KV("i", INT64_MIN), WRIT_KV("s", WRIT_STR("a b")), WRIT_KV("e", ""),
		WRIT_KV("n", (char *)NULL));
	assert_logged("time=" NOW " level=warning msg=types b=true u=18446744073709551615 "
		      "i=-9223372036854775808 s=\"a b\" e=\"\" n=\"\"\n");
}

static void json_lines_have_their_golden_form(void **state)
{
	(void)state;
	start(WRIT_LOG_DEBUG, WRIT_LOG_JSON);
	WRIT_LOG(DEBUG, "svid.issued", WRIT_KV("id", "a\"b\\c"), WRIT_KV("n", -5),
		WRIT_KV("ok", (bool)false));
	assert_logged("{\"time\":\"" NOW "\",\"level\":\"debug\",\"msg\":\"svid.issued\","
		      "\"program\":\"writ-test\",\"id\":\"a\\\"b\\\\c\",\"n\":-5,\"ok\":false}\n");
}

static void a_peer_cannot_forge_a_line(void **state)
{
	(void)state;
	start(WRIT_LOG_DEBUG, WRIT_LOG_TEXT);
	WRIT_LOG(INFO, "x", WRIT_KV("ua", "a\ntime=2000 level=info\r\x1b[2J\xff\x7f"));
	assert_logged("time=" NOW " level=info msg=x "
		      "ua=\"a\\u000atime=2000 level=info\\u000d\\u001b[2J\xef\xbf\xbd\\u007f\"\n");
	WRIT_LOG(INFO, "x", WRIT_KV("k", "v level=error"), WRIT_KV("z", WRIT_STR("a\0b")));
	assert_logged("time=" NOW " level=info msg=x k=\"v level=error\" z=\"a\\u0000b\"\n");
}

static void levels_filter(void **state)
{
	static const struct {
		const char *name;
		enum writ_log_level level;
	} rows[] = { { "error", WRIT_LOG_ERROR }, { "warn", WRIT_LOG_WARN },
		{ "WARNING", WRIT_LOG_WARN }, { "INFO", WRIT_LOG_INFO },
		{ "Debug", WRIT_LOG_DEBUG } };
	enum writ_log_level level;
	struct writ_err err;
	(void)state;
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		assert_ok(writ_log_level_parse(writ_cstr(rows[i].name), &level, &err), err);
		assert_int_equal(level, rows[i].level);
	}
	assert_fails(
		writ_log_level_parse(WRIT_STR("verbose"), &level, &err), WRIT_EINVAL, err, "debug");
	start(WRIT_LOG_WARN, WRIT_LOG_TEXT);
	WRIT_LOG(INFO, "quiet");
	WRIT_LOG(WARN, "loud");
	writ_log_set_level(WRIT_LOG_ERROR);
	WRIT_LOG(WARN, "quiet");
	assert_logged("time=" NOW " level=warning msg=loud\n");
}

static void long_values_are_cut_and_say_so(void **state)
{
	char big[3000];
	(void)state;
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	start(WRIT_LOG_INFO, WRIT_LOG_TEXT);
	WRIT_LOG(INFO, "x", WRIT_KV("v", big), WRIT_KV("after", 1));
	WRIT_AUTO(writ_freep) char *one = lines_of(path);
	assert_non_null(strstr(one, " after=1 cut=true\n"));
	assert_true(strlen(one) < 1200);
	/* Six bytes for each of these: some values do not fit at all, the line still does. */
	memset(big, '\x01', sizeof(big) - 1);
	WRIT_LOG(INFO, "x", WRIT_KV("a", big), WRIT_KV("b", 7), WRIT_KV("c", big));
	WRIT_AUTO(writ_freep) char *two = lines_of(path);
	assert_string_equal(two, "time=" NOW " level=info msg=x b=7 cut=true\n");
}

static void one_call_site_cannot_flood(void **state)
{
	int passed = 0;
	(void)state;
	start(WRIT_LOG_INFO, WRIT_LOG_TEXT);
	for (int i = 0; i < 31; i++) {
		writ_clock_set_mono_us(i < 30 ? 1000000 : 2100000);
		WRIT_LOG_LIMITED(INFO, "flood", WRIT_KV("i", i));
	}
	WRIT_AUTO(writ_freep) char *seen = lines_of(path);
	for (const char *at = seen; (at = strstr(at, "msg=flood")); at++)
		passed++;
	assert_int_equal(passed, 11);
	assert_non_null(strstr(seen, "msg=flood i=9\n"));
	assert_non_null(strstr(seen, "msg=flood suppressed=20 i=30\n"));
}

static void a_full_pipe_drops_lines_and_counts_them(void **state)
{
	int fds[2], saved = dup(STDERR_FILENO);
	char block[4096] = "", back[65536];
	struct writ_err err;
	(void)state;
	assert_ok(writ_log_open(WRIT_LOG_INFO, WRIT_LOG_TEXT, NULL, NULL, &err), err);
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_int_equal(fcntl(fds[1], F_SETFL, O_NONBLOCK), 0);
	while (write(fds[1], block, sizeof(block)) > 0)
		;
	assert_int_equal(fcntl(fds[1], F_SETFL, 0), 0); /* a blocking one, as stderr mostly is */
	assert_true(dup2(fds[1], STDERR_FILENO) >= 0);
	for (int i = 0; i < 3; i++)
		WRIT_LOG(INFO, "lost");
	for (int left = 65536; left > 0;)
		left -= (int)read(fds[0], back, sizeof(back));
	WRIT_LOG(INFO, "first");
	WRIT_LOG(INFO, "second");
	assert_true(dup2(saved, STDERR_FILENO) >= 0);
	ssize_t n = read(fds[0], back, sizeof(back) - 1);
	close(saved);
	close(fds[0]);
	close(fds[1]);
	assert_true(n > 0);
	back[n] = '\0';
	assert_string_equal(back,
		"time=" NOW " level=info msg=first dropped=3\n"
		"time=" NOW " level=info msg=second\n");
}

static void the_file_is_reopened_after_rotation(void **state)
{
	struct writ_err err;
	char old[160];
	struct stat st;
	(void)state;
	start(WRIT_LOG_INFO, WRIT_LOG_TEXT);
	snprintf(old, sizeof(old), "%s.1", path);
	WRIT_LOG(INFO, "one");
	assert_int_equal(rename(path, old), 0);
	WRIT_LOG(INFO, "two");
	assert_ok(writ_log_reopen(&err), err);
	WRIT_LOG(INFO, "three");
	assert_logged("time=" NOW " level=info msg=three\n");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
	WRIT_AUTO(writ_freep) char *before = lines_of(old);
	assert_string_equal(
		before, "time=" NOW " level=info msg=one\ntime=" NOW " level=info msg=two\n");
	assert_fails(writ_log_open(WRIT_LOG_INFO, WRIT_LOG_TEXT, "/none/x", NULL, &err),
		WRIT_ENOENT, err, "/none/x");
}

static void audit_records_are_json_in_a_private_file(void **state)
{
	struct writ_err err;
	struct writ_audit *a = NULL;
	struct stat st;
	struct writ_kv kv[] = { WRIT_KV("who", "agent\n"), WRIT_KV("ok", (bool)true) };
	(void)state;
	assert_ok(writ_audit_open(audit_path, &a, &err), err);
	assert_ok(writ_audit_write(a, "svid.issue", kv, 2, &err), err);
	assert_int_equal(stat(audit_path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_ok(writ_audit_reopen(a, &err), err);
	assert_ok(writ_audit_write(a, "svid.deny", NULL, 0, &err), err);
	WRIT_AUTO(writ_freep) char *seen = lines_of(audit_path);
	assert_string_equal(seen,
		"{\"time\":\"" NOW "\",\"type\":\"audit\",\"msg\":\"svid.issue\","
		"\"who\":\"agent\\u000a\",\"ok\":true}\n"
		"{\"time\":\"" NOW "\",\"type\":\"audit\",\"msg\":\"svid.deny\"}\n");
	writ_audit_close(a);
	writ_audit_close(NULL);
}

static void audit_failures_are_reported(void **state)
{
	struct writ_err err;
	struct writ_audit *a = NULL;
	WRIT_AUTO(writ_freep) char *big = writ_alloc(70000);
	(void)state;
	assert_ok(writ_audit_open(audit_path, &a, &err), err);
	memset(big, 'x', 69999);
	struct writ_kv kv[] = { WRIT_KV("v", big) };
	assert_fails(writ_audit_write(a, "x", kv, 1, &err), WRIT_ELIMIT, err, "65536");
	assert_int_equal(chmod(audit_path, 0620), 0);
	assert_fails(writ_audit_reopen(a, &err), WRIT_EDENIED, err, "chmod 600");
	assert_ok(writ_audit_write(a, "still", NULL, 0, &err), err);
	writ_audit_close(a);
	assert_int_equal(unlink(audit_path), 0);
	assert_int_equal(symlink("log", audit_path), 0);
	assert_int_not_equal(writ_audit_open(audit_path, &a, &err), WRIT_OK);
	assert_int_equal(unlink(audit_path), 0);
	assert_fails(writ_audit_open("/dev/null", &a, &err), WRIT_EDENIED, err, "chmod 600");
}

static void audit_without_a_file_goes_through_the_log(void **state)
{
	struct writ_err err;
	struct writ_audit *a = NULL;
	(void)state;
	start(WRIT_LOG_ERROR, WRIT_LOG_TEXT);
	assert_ok(writ_audit_open(NULL, &a, &err), err);
	assert_ok(writ_audit_write(a, "x", NULL, 0, &err), err);
	assert_ok(writ_audit_reopen(a, &err), err);
	writ_audit_close(a);
	assert_logged("{\"time\":\"" NOW "\",\"type\":\"audit\",\"msg\":\"x\"}\n");
	assert_ok(writ_log_open(WRIT_LOG_ERROR, WRIT_LOG_TEXT, "/dev/full", NULL, &err), err);
	assert_ok(writ_audit_open(NULL, &a, &err), err);
	assert_fails(writ_audit_write(a, "x", NULL, 0, &err), WRIT_ELIMIT, err, "audit log");
	writ_audit_close(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_lines_have_their_golden_form),
		cmocka_unit_test(json_lines_have_their_golden_form),
		cmocka_unit_test(a_peer_cannot_forge_a_line),
		cmocka_unit_test(levels_filter),
		cmocka_unit_test(long_values_are_cut_and_say_so),
		cmocka_unit_test(one_call_site_cannot_flood),
		cmocka_unit_test(a_full_pipe_drops_lines_and_counts_them),
		cmocka_unit_test(the_file_is_reopened_after_rotation),
		cmocka_unit_test(audit_records_are_json_in_a_private_file),
		cmocka_unit_test(audit_failures_are_reported),
		cmocka_unit_test(audit_without_a_file_goes_through_the_log),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
