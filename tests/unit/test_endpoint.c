/* SPDX-License-Identifier: Apache-2.0 */
#include "workload/endpoint.h"

#include "base/mem.h"

#include "check.h"

/* The forms of the standard's endpoint (SPIFFE_Workload_Endpoint.md 4) that are a Unix socket, and
 * what is refused, with the word that tells why. */
static const struct {
	const char *text;
	const char *path; /* NULL: refused */
	writ_rc rc;
	const char *says;
} rows[] = {
	{ "unix:/run/w.sock", "/run/w.sock", WRIT_OK, NULL },
	{ "unix:///run/w.sock", "/run/w.sock", WRIT_OK, NULL },
	{ "unix:////run/w.sock", "//run/w.sock", WRIT_OK, NULL },
	{ "unix:/@abs", "/@abs", WRIT_OK, NULL },
	{ "unix:/run/a%20b.sock", "/run/a b.sock", WRIT_OK, NULL },
	{ "UNIX:/run/w.sock", "/run/w.sock", WRIT_OK, NULL },
	{ "unix:/run/%3f", "/run/?", WRIT_OK, NULL },
	{ "unix://run/w.sock", NULL, WRIT_EINVAL, "did you mean unix:///run/w.sock?" },
	{ "unix://host/run/w.sock", NULL, WRIT_EINVAL, "a host" },
	{ "unix:run/w.sock", NULL, WRIT_EINVAL, "absolute" },
	{ "unix:./w.sock", NULL, WRIT_EINVAL, "absolute" },
	{ "unix:@abs", NULL, WRIT_EINVAL, "absolute" },
	{ "unix://@abs", NULL, WRIT_EINVAL, "a host" },
	{ "unix:", NULL, WRIT_EINVAL, "absolute" },
	{ "unix://", NULL, WRIT_EINVAL, "absolute" },
	{ "unix:///", NULL, WRIT_EINVAL, "no socket" },
	{ "unix:/", NULL, WRIT_EINVAL, "no socket" },
	{ "unix:/run/w.sock?q=1", NULL, WRIT_EINVAL, "'?'" },
	{ "unix:/run/w.sock#f", NULL, WRIT_EINVAL, "'#'" },
	{ "unix://user@/run/w.sock", NULL, WRIT_EINVAL, "a host" },
	{ "unix:/run/%", NULL, WRIT_EINVAL, "hex" },
	{ "unix:/run/%2", NULL, WRIT_EINVAL, "hex" },
	{ "unix:/run/%zz", NULL, WRIT_EINVAL, "hex" },
	{ "unix:/run/%00", NULL, WRIT_EINVAL, "00" },
	{ "unix-abstract:abs", NULL, WRIT_EINVAL, "not an address" },
	{ "tcp://127.0.0.1:8000", NULL, WRIT_EUNSUP, "Unix sockets only" },
	{ "tcp://127.0.0.1:8000/", NULL, WRIT_EUNSUP, "Unix sockets only" },
	{ "tcp://[::1]:8000", NULL, WRIT_EUNSUP, "Unix sockets only" },
	{ "TCP://127.0.0.1:8000", NULL, WRIT_EUNSUP, "Unix sockets only" },
	{ "tcp:127.0.0.1:8000", NULL, WRIT_EUNSUP, "Unix sockets only" },
	{ "http://127.0.0.1:8000", NULL, WRIT_EINVAL, "not an address" },
	{ "/run/w.sock", NULL, WRIT_EINVAL, "did you mean unix:///run/w.sock?" },
	{ "127.0.0.1:8000", NULL, WRIT_EINVAL, "not an address" },
	{ "", NULL, WRIT_EINVAL, "empty" },
};

static void every_form_is_taken_or_refused_as_the_standard_says(void **state)
{
	(void)state;
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		struct writ_err err = { 0 };
		WRIT_AUTO(writ_freep) char *path = NULL;
		writ_rc rc = writ_endpoint_parse(rows[i].text, &path, &err);
		if (rc != rows[i].rc)
			fail_msg("'%s': %s: %s", rows[i].text, writ_rc_name(rc), err.msg);
		if (rc == WRIT_OK)
			assert_string_equal(path, rows[i].path);
		else if (!strstr(err.msg, rows[i].says))
			fail_msg("'%s': no '%s' in '%s'", rows[i].text, rows[i].says, err.msg);
		else
			assert_null(path);
	}
}

static void a_flag_may_be_a_path(void **state)
{
	struct writ_err err;
	(void)state;
	WRIT_AUTO(writ_freep) char *path = NULL;
	assert_ok(writ_endpoint_or_path("/run/a%20b?.sock", &path, &err), err);
	assert_string_equal(path, "/run/a%20b?.sock");
	WRIT_AUTO(writ_freep) char *other = NULL;
	assert_ok(writ_endpoint_or_path("unix:/run/w.sock", &other, &err), err);
	assert_string_equal(other, "/run/w.sock");
	assert_fails(writ_endpoint_or_path("/", &path, &err), WRIT_EINVAL, err, "no socket");
	assert_fails(writ_endpoint_or_path("run/w", &path, &err), WRIT_EINVAL, err, "not an");
}

static void a_path_has_the_length_of_a_socket(void **state)
{
	struct writ_err err;
	char text[256] = "unix:/";
	(void)state;
	WRIT_AUTO(writ_freep) char *path = NULL;
	memset(text + 6, 'a', 106);
	assert_ok(writ_endpoint_parse(text, &path, &err), err);
	assert_int_equal(strlen(path), 107);
	text[112] = 'a';
	assert_fails(writ_endpoint_parse(text, &path, &err), WRIT_EINVAL, err, "107 bytes");
	memset(text + 6, 'a', 200);
	assert_fails(writ_endpoint_parse(text, &path, &err), WRIT_EINVAL, err, "107 bytes");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_form_is_taken_or_refused_as_the_standard_says),
		cmocka_unit_test(a_flag_may_be_a_path),
		cmocka_unit_test(a_path_has_the_length_of_a_socket),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
