/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/parse.h"

#include "base/mem.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static const char *env(void *arg, const char *name)
{
	(void)arg;
	if (strcmp(name, "TD") == 0)
		return "example.org";
	if (strcmp(name, "PORT") == 0)
		return "8443";
	if (strcmp(name, "ON") == 0)
		return "true";
	return strcmp(name, "EVIL") == 0 ? "x\" }\nadmin_ids = [\"" : NULL;
}

static const struct writ_conf_source with_env = { .env = env };

/* The tree as one line, so that tests compare whole files. */
static void dump(const struct writ_conf_node *n, struct writ_buf *out)
{
	const char *key = writ_conf_key(n);
	if (key[0] != '\0')
		writ_buf_addf(out, "%s=", key);
	if (writ_conf_text(n) != NULL) {
		const char *q = writ_conf_kind(n) == WRIT_NODE_STRING ? "'" : "";
		writ_buf_addf(out, "%s%s%s", q, writ_conf_text(n), q);
		return;
	}
	bool is_list = writ_conf_kind(n) == WRIT_NODE_LIST;
	writ_buf_add_cstr(out, is_list ? "[" : "{");
	for (const struct writ_conf_node *c = NULL; (c = writ_conf_next(n, c)) != NULL;) {
		dump(c, out);
		writ_buf_add_byte(out, ' ');
	}
	writ_buf_add_cstr(out, is_list ? "]" : "}");
}

static void assert_parses(const char *text, const struct writ_conf_source *source, const char *want)
{
	struct writ_conf_diags d = WRIT_CONF_DIAGS("f");
	struct writ_buf out = WRIT_BUF(1 << 16);
	struct writ_err err = { 0 };
	struct writ_conf_node *root = NULL;
	if (writ_conf_parse(writ_cstr(text), source, &d, &root, &err) != WRIT_OK)
		fail_msg("'%s': %s", text, err.msg);
	dump(root, &out);
	assert_string_equal(writ_buf_cstr(&out), want);
	writ_conf_free(root);
	writ_buf_done(&out);
	writ_conf_diags_done(&d);
}

static void assert_fails(
	const char *text, size_t n, const struct writ_conf_source *source, const char *want)
{
	struct writ_conf_diags d = WRIT_CONF_DIAGS("f");
	struct writ_err err = { 0 };
	struct writ_conf_node *root = NULL;
	if (writ_conf_parse(writ_strn(text, n), source, &d, &root, &err) == WRIT_OK)
		fail_msg("accepted: %s", text);
	assert_int_equal(err.rc, WRIT_EINVAL);
	assert_string_equal(err.msg, want);
	assert_null(root);
	writ_conf_diags_done(&d);
}

static void both_syntaxes_give_the_same_tree(void **state)
{
	(void)state;
	static const char want[] = "{server={bind_port='8081' ids=['a' 'b' ] n=-1.5 on=true } "
				   "plugins={KeyManager={disk={plugin_data={} } memory={} } } }";
	assert_parses(
		"# c\nserver {\n bind_port = \"8081\" // c\n ids = [\"a\", \"b\",]\n n = -1.5\n"
		" on = true /* c\n */ }\nplugins {\n KeyManager \"disk\" { plugin_data = {} }\n"
		" KeyManager \"memory\" {}\n}\n",
		NULL, want);
	assert_parses(
		"\n{\"server\": {\"bind_port\": \"8081\", \"ids\": [\"a\", \"b\"], \"n\": -1.5, "
		"\"gone\": null, \"on\": true}, \"plugins\": {\"KeyManager\": {\"disk\": "
		"{\"plugin_data\": {}}, \"memory\": {}}}}\n",
		NULL, want);
}

static void every_form_of_a_block_is_read(void **state)
{
	static const struct {
		const char *in, *want;
	} good[] = {
		{ "", "{}" },
		{ "\xef\xbb\xbf# only a comment", "{}" },
		{ "a {}", "{a={} }" },
		{ "a = {}", "{a={} }" },
		{ "a = { b = 1, c = 2, }", "{a={b=1 c=2 } }" },
		{ "a { b = 1 c = 2 }", "{a={b=1 c=2 } }" },
		{ "a \"x\" \"y\" { b = 1 }", "{a={x={y={b=1 } } } }" },
		{ "\"a b\" = 1", "{a b=1 }" },
		{ "true = true", "{true=true }" },
		{ "a-b.c_1 = [{b = 1}, [], ]", "{a-b.c_1=[{b=1 } [] ] }" },
		{ "a = \"\"\r\nb = 0", "{a='' b=0 }" },
		{ "{}", "{}" },
		{ "{\"a\": [{\"b\": {}}]}", "{a=[{b={} } ] }" },
	};
	(void)state;
	for (size_t i = 0; i < WRIT_COUNT(good); i++)
		assert_parses(good[i].in, NULL, good[i].want);
}

static void escapes_in_strings_are_undone(void **state)
{
	(void)state;
	assert_parses("a = \"\\\"\\\\\\n\\t\\u00e9\\U0001f600 $X ${X}\"", NULL,
		"{a='\"\\\n\t\xc3\xa9\xf0\x9f\x98\x80 $X ${X}' }");
	assert_parses("{\"a\": \"\\ud83d\\ude00\\/\"}", NULL, "{a='\xf0\x9f\x98\x80/' }");
}

static void variables_stand_for_values_and_never_for_structure(void **state)
{
	(void)state;
	assert_parses("a = \"${TD}/$TD-$PORT $$TD $ $1\" b = $PORT c = ${ON} # $GONE", &with_env,
		"{a='example.org/example.org-8443 $TD $ $1' b=8443 c=true }");
	assert_parses("s { a = \"$EVIL\" }", &with_env, "{s={a='x\" }\nadmin_ids = [\"' } }");
	assert_parses("{\"a\": \"$TD\"}", &with_env, "{a='example.org' }");
}

#define DEEP "[[[[[[[[[[[[[[[[["

static void a_syntax_error_says_where_and_what_to_do(void **state)
{
	static const struct {
		const char *in, *want;
		bool has_env;
	} bad[] = {
		{ "a = ", "f:1:5: error: expected a value, found the end of the file", false },
		{ "a\n= 1 b",
			"f:2:6: error: expected \"=\" or \"{\" after \"b\", found the end of the "
			"file",
			false },
		{ "a: 1", "f:1:2: error: expected \"=\" or \"{\" after \"a\", found \":\"", false },
		{ "s {\n  a = 1\n  a = 2\n}",
			"f:3:3: error: \"a\" is set twice: it was set in line 2 already", false },
		{ "a \"x\" {}\na \"x\" {}",
			"f:2:3: error: \"x\" is set twice: it was set in line 1 already", false },
		{ "a \"x\" {}\na {}",
			"f:2:1: error: \"a\" is set twice: it was set in line 1 already", false },
		{ "a \"x\" = 1", "f:1:7: error: expected \"{\" after the label \"x\", found \"=\"",
			false },
		{ "a \"x\" \"y\" \"z\" {}", "f:1:11: error: a block has at most 2 labels", false },
		{ "\"\" = 1", "f:1:1: error: a key cannot be empty", false },
		{ "s {\n a = 1\n", "f:1:3: error: the block that starts here is not closed: add }",
			false },
		{ "a = [1",
			"f:1:7: error: expected \",\" or \"]\" in a list, found the end of the "
			"file",
			false },
		{ "a = [1,", "f:1:5: error: the list that starts here is not closed: add ]",
			false },
		{ "}", "f:1:1: error: expected a key, found \"}\"", false },
		{ "a = info", "f:1:5: error: \"info\" is not a value: put quotes around a text",
			false },
		{ "a = 24h",
			"f:1:5: error: \"24h\" is not a number: put quotes around a text or a "
			"duration",
			false },
		{ "a = 0x10",
			"f:1:5: error: \"0x10\" is not a number: put quotes around a text or a "
			"duration",
			false },
		{ "\xc3\xa9 = 1", "f:1:1: error: unexpected \"\xc3\xa9\"", false },
		{ "\"\xc3\xa9\" ; 1", "f:1:5: error: unexpected \";\"", false },
		{ "a = 'x'", "f:1:5: error: strings are written with \", not with '", false },
		{ "a = \"x\nb = 1",
			"f:1:5: error: the string that starts here is not closed on its line: add "
			"\"",
			false },
		{ "a = \"\\q\"",
			"f:1:6: error: unknown escape in a string: write \\\\ for a backslash",
			false },
		{ "a = \"\\u12\"", "f:1:10: error: this escape needs 4 hexadecimal digits", false },
		{ "a = \"\\u0000\"",
			"f:1:6: error: this escape is no character that a value can hold", false },
		{ "a = \"\\ud800x\"",
			"f:1:6: error: this escape is no character that a value can hold", false },
		{ "a = \"\x01\"",
			"f:1:6: error: control character 0x01 in a string: remove it or write "
			"\\u0001",
			false },
		{ "a = <<EOF\nx\nEOF",
			"f:1:5: error: multi-line texts (<<) are not supported: write a string "
			"with \\n in it",
			false },
		{ "a = 1 /* b", "f:1:7: error: the comment that starts here does not end: add */",
			false },
		{ "a = 1\nb = \"\xff\"",
			"f:2:1: error: this line is not UTF-8: save the file as UTF-8", false },
		{ "a = $X", "f:1:5: error: unexpected \"$\": variables need the option -expandEnv",
			false },
		{ "a = \"$X\"",
			"f:1:6: error: the environment variable X is not set: set it, or write $$ "
			"for a dollar sign",
			true },
		{ "a = \"${X\"",
			"f:1:6: error: a variable is written ${NAME}; write $$ for a dollar sign",
			true },
		{ "a = $TD",
			"f:1:5: error: the value of this variable is no number and not true or "
			"false: put quotes around it",
			true },
		{ "{\"a\": 1,}", "f:1:8: error: JSON has no comma after the last value: remove it",
			false },
		{ "{\"a\": [1,]}",
			"f:1:9: error: JSON has no comma after the last value: remove it", false },
		{ "{\"a\": 1 \"b\": 2}",
			"f:1:9: error: expected \",\" or \"}\" after the value of \"a\", found a "
			"string",
			false },
		{ "{a: 1}", "f:1:2: error: expected a key in quotes, found \"a\"", false },
		{ "{\"a\" = 1}", "f:1:6: error: expected \":\" after \"a\", found \"=\"", false },
		{ "{\"a\": 1} x",
			"f:1:10: error: expected the end of the file after the JSON object, found "
			"\"x\"",
			false },
		{ "{\"a\": 1, // x\n}",
			"f:1:10: error: JSON has no comments: remove it, or write the file in the "
			"HCL form",
			false },
		{ "{\"a\": 1, \"a\": 2}",
			"f:1:10: error: \"a\" is set twice: it was set in line 1 already", false },
		{ "a = " DEEP, "f:1:21: error: more than 16 blocks and lists in each other",
			false },
	};
	(void)state;
	for (size_t i = 0; i < WRIT_COUNT(bad); i++)
		assert_fails(bad[i].in, strlen(bad[i].in), bad[i].has_env ? &with_env : NULL,
			bad[i].want);
	assert_fails("a = \"x\0y\"", 9, NULL,
		"f:1:7: error: control character 0x00 in a string: remove it or write \\u0000");
}

static void sizes_have_a_limit(void **state)
{
	(void)state;
	struct writ_buf b = WRIT_BUF(1 << 22);
	for (unsigned i = 0; i < 1025; i++)
		writ_buf_addf(&b, "k%u = 1\n", i);
	assert_fails(
		writ_buf_cstr(&b), b.n, NULL, "f:1025:1: error: more than 1024 keys in one block");
	writ_buf_reset(&b);
	writ_buf_add_cstr(&b, "a = [");
	for (unsigned i = 0; i < 20000; i++)
		writ_buf_add_cstr(&b, "1,");
	writ_buf_add_cstr(&b, "]");
	assert_fails(writ_buf_cstr(&b), b.n, NULL,
		"f:1:40004: error: the file has more than 20000 values");
	writ_buf_reset(&b);
	writ_buf_add_cstr(&b, "a = \"");
	for (unsigned i = 0; i < 65537; i++)
		writ_buf_add_byte(&b, 'x');
	writ_buf_add_cstr(&b, "\"");
	assert_fails(writ_buf_cstr(&b), b.n, NULL,
		"f:1:5: error: this string is longer than 65536 bytes");
	writ_buf_reset(&b);
	for (unsigned i = 0; i <= WRIT_CONF_TEXT_MAX; i++)
		writ_buf_add_byte(&b, ' ');
	assert_fails(writ_buf_cstr(&b), b.n, NULL,
		"f:1:1: error: the file is larger than 1048576 bytes");
	writ_buf_done(&b);
}

static void nodes_know_where_they_stood(void **state)
{
	(void)state;
	struct writ_conf_diags d = WRIT_CONF_DIAGS("f");
	struct writ_conf_node *root = NULL;
	assert_int_equal(
		writ_conf_parse(WRIT_STR("s {\n\tport =  1\n}\n"), NULL, &d, &root, NULL), WRIT_OK);
	const struct writ_conf_node *port = writ_conf_get(writ_conf_get(root, "s"), "port");
	assert_int_equal(writ_conf_pos(port).line, 2);
	assert_int_equal(writ_conf_pos(port).column, 2);
	assert_int_equal(writ_conf_value_pos(port).column, 10);
	assert_null(writ_conf_get(port, "x"));
	assert_null(writ_conf_get(NULL, "x"));
	writ_conf_set(root, "s", "port", "2");
	writ_conf_set(root, "t", "new", "3");
	assert_string_equal(writ_conf_text(writ_conf_get(writ_conf_get(root, "s"), "port")), "2");
	assert_int_equal(writ_conf_pos(writ_conf_get(writ_conf_get(root, "t"), "new")).line, 0);
	writ_conf_free(root);
	writ_conf_diags_done(&d);
}

static void diagnostics_are_printed_by_position_and_counted(void **state)
{
	(void)state;
	struct writ_conf_diags d = WRIT_CONF_DIAGS("f");
	struct writ_buf out = WRIT_BUF(1 << 16);
	struct writ_err err = { 0 };
	writ_conf_diag_add(&d, WRIT_CONF_WARNING, (struct writ_conf_pos){ 1, 1 }, "w");
	assert_int_equal(writ_conf_diags_check(&d, &err), WRIT_OK);
	for (unsigned i = 0; i < 22; i++)
		writ_conf_diag_add(
			&d, WRIT_CONF_ERROR, (struct writ_conf_pos){ 30 - i, 2 }, "e%u", i);
	writ_conf_diag_add(&d, WRIT_CONF_WARNING, (struct writ_conf_pos){ 0, 0 }, "c");
	writ_conf_diags_print(&d, &out);
	const char *text = writ_buf_cstr(&out);
	assert_memory_equal(
		text, "command line: warning: c\nf:1:1: warning: w\nf:11:2: error: e19\n", 60);
	assert_non_null(strstr(text, "f:30:2: error: e0\n2 more errors\n"));
	assert_int_equal(writ_conf_diags_check(&d, &err), WRIT_EINVAL);
	assert_string_equal(err.msg, "f:11:2: error: e19 (and 21 more)");
	writ_buf_done(&out);
	writ_conf_diags_done(&d);
}

static void quoting_never_lets_control_bytes_through(void **state)
{
	(void)state;
	char in[200];
	for (unsigned seed = 1; seed < 2000; seed++) {
		unsigned x = seed * 2654435761u;
		for (size_t i = 0; i < sizeof(in); i++) {
			x = x * 1664525u + 1013904223u;
			in[i] = (char)((x >> 24) % (seed % 3 ? 256 : 34));
		}
		struct writ_conf_quoted q = writ_conf_quote(writ_strn(in, seed % sizeof(in)));
		size_t n = strlen(q.text);
		assert_true(writ_is_utf8(q.text, n) && q.text[0] == '"' && q.text[n - 1] == '"');
		for (size_t i = 0; i < n; i++)
			assert_true((unsigned char)q.text[i] >= 0x20);
	}
	assert_string_equal(WRIT_CONF_Q("a\"b"), "\"a\\\"b\"");
}

static void loading_says_which_file(void **state)
{
	(void)state;
	struct writ_conf_diags d = WRIT_CONF_DIAGS("f");
	struct writ_conf_node *root = NULL;
	struct writ_err err = { 0 };
	assert_int_equal(
		writ_conf_load("/nonexistent/x.conf", "s", NULL, &d, &root, &err), WRIT_ENOENT);
	assert_string_equal(
		err.msg, "configuration: open '/nonexistent/x.conf': No such file or directory");
	assert_int_equal(writ_conf_load("/", "s", NULL, &d, &root, &err), WRIT_EINVAL);
	assert_string_equal(err.msg, "configuration: '/' is a folder: name the file in it");
	assert_int_equal(writ_conf_load("/dev/zero", "s", NULL, &d, &root, &err), WRIT_ELIMIT);
	writ_conf_diags_done(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_syntaxes_give_the_same_tree),
		cmocka_unit_test(every_form_of_a_block_is_read),
		cmocka_unit_test(escapes_in_strings_are_undone),
		cmocka_unit_test(variables_stand_for_values_and_never_for_structure),
		cmocka_unit_test(a_syntax_error_says_where_and_what_to_do),
		cmocka_unit_test(sizes_have_a_limit),
		cmocka_unit_test(nodes_know_where_they_stood),
		cmocka_unit_test(diagnostics_are_printed_by_position_and_counted),
		cmocka_unit_test(quoting_never_lets_control_bytes_through),
		cmocka_unit_test(loading_says_which_file),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
