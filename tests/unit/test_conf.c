/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/common.h"

#include "base/mem.h"

#include <stdarg.h>
#include <setjmp.h>
#include <string.h>
#include <cmocka.h>

struct inner {
	bool is_there;
	char *path;
};

struct peer {
	char *label;
	char *url;
};

struct box {
	char *name, *token;
	int64_t count, ttl;
	uint16_t port;
	bool on;
	int colour;
	struct writ_conf_strings ids;
	struct inner inner;
	struct writ_conf_list peers, sinks;
	const struct writ_conf_node *raw;
};

static const struct writ_conf_field inner_fields[] = {
	{ .type = WRIT_CONF_PRESENT, .offset = offsetof(struct inner, is_there) },
	{ .key = "path",
		.type = WRIT_CONF_PATH,
		.flags = WRIT_CONF_REQUIRED,
		.max = 8,
		.offset = offsetof(struct inner, path),
		.help = "Where it is." },
};
static const struct writ_conf_table inner_table = { "box.inner", inner_fields,
	WRIT_COUNT(inner_fields), sizeof(struct inner) };

static const struct writ_conf_field peer_fields[] = {
	{ .type = WRIT_CONF_LABEL, .offset = offsetof(struct peer, label) },
	{ .key = "url",
		.type = WRIT_CONF_STRING,
		.offset = offsetof(struct peer, url),
		.help = "URL." },
};
static const struct writ_conf_table peer_table = { "box.peer", peer_fields, WRIT_COUNT(peer_fields),
	sizeof(struct peer) };

static const struct writ_conf_field sink_fields[] = {
	{ .key = "url", .type = WRIT_CONF_STRING, .offset = 0, .help = "URL." },
};
static const struct writ_conf_table sink_table = { "box.sink", sink_fields, 1, sizeof(char *) };

static const struct writ_conf_choice colours[] = { { "red", 1 }, { "green", 2 }, { NULL, 0 } };

#define AT(member) .offset = offsetof(struct box, member)

static const struct writ_conf_field box_fields[] = {
	{ .key = "name",
		.type = WRIT_CONF_STRING,
		.flags = WRIT_CONF_REQUIRED,
		AT(name),
		.max = 16,
		.help = "The name." },
	{ .key = "token",
		.type = WRIT_CONF_STRING,
		.flags = WRIT_CONF_SECRET,
		.max = 4,
		AT(token),
		.help = "The token." },
	{ .key = "count",
		.type = WRIT_CONF_INT,
		.min = -5,
		.max = 5,
		.def = "1",
		AT(count),
		.help = "The count." },
	{ .key = "ttl",
		.type = WRIT_CONF_DURATION,
		.min = 60000,
		.max = 86400000,
		.def = "5m",
		AT(ttl),
		.help = "The lifetime." },
	{ .key = "port",
		.type = WRIT_CONF_PORT,
		.min = 1,
		.def = "81",
		AT(port),
		.help = "The port." },
	{ .key = "on", .type = WRIT_CONF_BOOL, .def = "true", AT(on), .help = "The switch." },
	{ .key = "colour",
		.type = WRIT_CONF_ENUM,
		.choices = colours,
		.def = "red",
		AT(colour),
		.help = "The colour." },
	{ .key = "ids", .type = WRIT_CONF_STRINGS, .def = "a, b", AT(ids), .help = "The IDs." },
	{ .key = "inner",
		.type = WRIT_CONF_BLOCK,
		.block = &inner_table,
		AT(inner),
		.help = "Inner." },
	{ .key = "peer",
		.type = WRIT_CONF_BLOCK,
		.flags = WRIT_CONF_REPEATED,
		.block = &peer_table,
		AT(peers),
		.help = "Peers." },
	{ .key = "sink",
		.type = WRIT_CONF_BLOCK,
		.flags = WRIT_CONF_REPEATED,
		.block = &sink_table,
		AT(sinks),
		.help = "Sinks." },
	{ .key = "raw", .type = WRIT_CONF_NODE, AT(raw), .help = "Anything." },
	WRIT_CONF_REFUSE("policy", "builtin", "remove it"),
	WRIT_CONF_IGNORE("tuning", "", "it tunes itself"),
};
static const struct writ_conf_table box_table = { "box", box_fields, WRIT_COUNT(box_fields),
	sizeof(struct box) };

struct loaded {
	struct box box;
	struct writ_conf_node *root;
	struct writ_conf_diags d;
	struct writ_buf text;
};

static struct loaded load(const char *text)
{
	struct loaded l = { .d = WRIT_CONF_DIAGS("f"), .text = WRIT_BUF(1 << 16) };
	assert_int_equal(writ_conf_parse(writ_cstr(text), NULL, &l.d, &l.root, NULL), WRIT_OK);
	writ_conf_fill(&box_table, l.root, &l.box, &l.d);
	writ_conf_diags_print(&l.d, &l.text);
	return l;
}

static void unload(struct loaded *l)
{
	writ_conf_done(&box_table, &l->box);
	writ_conf_done(&box_table, &l->box);
	writ_conf_diags_done(&l->d);
	writ_conf_free(l->root);
	writ_buf_done(&l->text);
}

static void what_is_not_written_gets_its_default(void **state)
{
	(void)state;
	struct loaded l = load("name = \"x\"");
	assert_string_equal(l.box.name, "x");
	assert_null(l.box.token);
	assert_int_equal(l.box.count, 1);
	assert_int_equal(l.box.ttl, 300000);
	assert_int_equal(l.box.port, 81);
	assert_true(l.box.on);
	assert_int_equal(l.box.colour, 1);
	assert_int_equal(l.box.ids.n, 2);
	assert_string_equal(l.box.ids.items[1], "b");
	assert_false(l.box.inner.is_there);
	assert_int_equal(l.d.n, 0);
	unload(&l);
}

static void every_type_is_read_from_either_syntax(void **state)
{
	static const char *const in[] = {
		"name = 5\ntoken = \"t\"\ncount = \"-5\"\nttl = \"1h\"\nport = \"8081\"\non = "
		"\"false\"\n"
		"colour = \"GREEN\"\nids = [\"z\"]\ninner { path = \"/p\" }\npeer \"a\" { url = "
		"\"1\" }\n"
		"peer \"b\" {}\nsink = [{ url = \"s\" }, {}]\nraw = [1]\npolicy = \"builtin\"",
		"{\"name\": \"5\", \"token\": \"t\", \"count\": -5, \"ttl\": \"1h\", \"port\": "
		"8081, \"on\": false, "
		"\"colour\": \"green\", \"ids\": \"z\", \"inner\": [{\"path\": \"/p\"}], \"peer\": "
		"[{\"a\": "
		"{\"url\": \"1\"}}, {\"b\": {}}], \"sink\": [{\"url\": \"s\"}, {}], \"raw\": {}}",
	};
	(void)state;
	for (size_t i = 0; i < WRIT_COUNT(in); i++) {
		struct loaded l = load(in[i]);
		assert_string_equal(writ_buf_cstr(&l.text) ? writ_buf_cstr(&l.text) : "", "");
		assert_string_equal(l.box.name, "5");
		assert_string_equal(l.box.token, "t");
		assert_int_equal(l.box.count, -5);
		assert_int_equal(l.box.ttl, 3600000);
		assert_int_equal(l.box.port, 8081);
		assert_false(l.box.on);
		assert_int_equal(l.box.colour, 2);
		assert_int_equal(l.box.ids.n, 1);
		assert_string_equal(l.box.ids.items[0], "z");
		assert_true(l.box.inner.is_there);
		assert_string_equal(l.box.inner.path, "/p");
		assert_int_equal(l.box.peers.n, 2);
		const struct peer *p = l.box.peers.items;
		assert_string_equal(p[0].label, "a");
		assert_string_equal(p[0].url, "1");
		assert_string_equal(p[1].label, "b");
		assert_int_equal(l.box.sinks.n, 2);
		assert_non_null(l.box.raw);
		unload(&l);
	}
}

static void each_mistake_is_named_with_its_place(void **state)
{
	static const struct {
		const char *in, *want;
	} bad[] = {
		{ "nmae = \"x\"\nname = \"y\"",
			"f:1:1: error: unknown key \"nmae\" in box: did you mean \"name\"?\n" },
		{ "name = \"y\"\nwholly_else = 1",
			"f:2:1: error: unknown key \"wholly_else\" in box: remove it\n" },
		{ "", "f:1:1: error: name is missing in box: The name.\n" },
		{ "name = \"\"", "f:1:8: error: name is empty\n" },
		{ "name = \"12345678901234567\"",
			"f:1:8: error: name is too long: 17 bytes, at most 16\n" },
		{ "name = [1]", "f:1:8: error: name is a list, not a string\n" },
		{ "name = \"x\" token = \"hunter2\"",
			"f:1:20: error: token is too long: 7 bytes, at most 4\n" },
		{ "name = \"x\" count = 6",
			"f:1:20: error: count is \"6\", not a number from -5 to 5\n" },
		{ "name = \"x\" count = 1.5",
			"f:1:20: error: count is \"1.5\", not a number from -5 to 5\n" },
		{ "name = \"x\" count = true",
			"f:1:20: error: count is true or false, not a number from -5 to 5\n" },
		{ "name = \"x\" ttl = 300",
			"f:1:18: error: ttl is a number, not a duration from \"1m\" to \"24h\": "
			"write it in quotes, with a unit\n" },
		{ "name = \"x\" ttl = \"300\"",
			"f:1:18: error: ttl is \"300\", not a duration from \"1m\" to \"24h\"\n" },
		{ "name = \"x\" ttl = \"59s\"",
			"f:1:18: error: ttl is \"59s\", not a duration from \"1m\" to \"24h\"\n" },
		{ "name = \"x\" port = 0",
			"f:1:19: error: port is \"0\", not a port from 1 to 65535\n" },
		{ "name = \"x\" port = \"http\"",
			"f:1:19: error: port is \"http\", not a port from 1 to 65535\n" },
		{ "name = \"x\" on = \"yes\"",
			"f:1:17: error: on is \"yes\", not true or false\n" },
		{ "name = \"x\" colour = \"blue\"",
			"f:1:21: error: colour is \"blue\", not \"red\" or \"green\"\n" },
		{ "name = \"x\" ids = [1]",
			"f:1:19: error: ids has a number in its list: expected strings only\n" },
		{ "name = \"x\" inner = 1", "f:1:20: error: inner is a number, not a block\n" },
		{ "name = \"x\" inner = [{}, {}]",
			"f:1:20: error: inner is a list, not a block\n" },
		{ "name = \"x\"\ninner { }",
			"f:2:1: error: path is missing in box.inner: Where it is.\n" },
		{ "name = \"x\" inner { path = \"\" }", "f:1:27: error: path is empty\n" },
		{ "name = \"x\" peer = { a = 1 }",
			"f:1:25: error: peer is a number, not a block\n" },
		{ "name = \"x\" sink = [\"s\"]", "f:1:20: error: sink is a string, not a block\n" },
		{ "name = \"x\" policy = \"own\"",
			"f:1:12: error: \"policy\" in box is not supported: remove it\n" },
		{ "name = \"x\" policy { a = 1 }",
			"f:1:12: error: \"policy\" in box is not supported: remove it\n" },
		{ "name = \"x\" policy {}", "" },
		{ "name = \"x\" tuning = 5",
			"f:1:12: warning: \"tuning\" in box has no effect: it tunes itself\n" },
		{ "prot = 1\nport = 0\ntuning = 1",
			"f:1:1: error: unknown key \"prot\" in box: did you mean \"port\"?\n"
			"f:1:1: error: name is missing in box: The name.\n"
			"f:2:8: error: port is \"0\", not a port from 1 to 65535\n"
			"f:3:1: warning: \"tuning\" in box has no effect: it tunes itself\n" },
	};
	(void)state;
	for (size_t i = 0; i < WRIT_COUNT(bad); i++) {
		struct loaded l = load(bad[i].in);
		const char *text = writ_buf_cstr(&l.text);
		assert_string_equal(text != NULL ? text : "", bad[i].want);
		unload(&l);
	}
}

static const struct writ_conf_plugin_type types[] = {
	{ .type = "Keys",
		.min = 1,
		.max = 1,
		.severity = WRIT_CONF_ERROR,
		.note = "it holds our keys",
		.missing = "add Keys \"disk\" { }" },
	{ .type = "Publisher", .severity = WRIT_CONF_WARNING, .note = "nothing is published" },
};
static const struct writ_conf_plugin_row rows[] = {
	{ "Keys", "disk", &inner_table, offsetof(struct box, inner) },
};
static const struct writ_conf_plugin_set set = { types, WRIT_COUNT(types), rows, WRIT_COUNT(rows) };

static void plugins_are_checked_against_what_is_there(void **state)
{
	static const struct {
		const char *in, *want;
	} cases[] = {
		{ "plugins { Keys \"disk\" { plugin_data { path = \"/k\" } } }", "" },
		{ "plugins { Keys \"disk\" { plugin_data = { path = \"/k\" } enabled = true } }",
			"" },
		{ "{\"plugins\": {\"Keys\": {\"disk\": {\"plugin_data\": {\"path\": \"/k\"}}}}}",
			"" },
		{ "{\"plugins\": [{\"Keys\": [{\"disk\": [{\"plugin_data\": [{\"path\": "
		  "\"/k\"}]}]}]}]}",
			"" },
		{ "", "f:1:1: error: no Keys: add Keys \"disk\" { }\n" },
		{ "plugins { Keys \"disk\" { enabled = false } }",
			"f:1:1: error: no Keys: add Keys \"disk\" { }\n" },
		{ "plugins { Keys \"disk\" {} }",
			"f:1:16: error: path is missing in box.inner: Where it is.\n" },
		{ "plugins { Keys \"hsm\" {} }",
			"f:1:16: error: Keys \"hsm\" is not supported: it holds our keys; there is "
			"\"disk\"\n" },
		{ "plugins { Keys \"disk\" { plugin_cmd = \"/bin/x\" } }",
			"f:1:16: error: Keys \"disk\" is an external plugin, and those are not "
			"supported: it holds our keys; there is \"disk\"\n" },
		{ "plugins {\n Keys \"disk\" { plugin_data { path = \"/k\" } }\n Keys \"b\" {} }",
			"f:3:7: error: Keys \"b\" is not supported: it holds our keys; there is "
			"\"disk\"\n" },
		{ "{\"plugins\": {\"Keys\": [{\"disk\": {\"plugin_data\": {\"path\": "
		  "\"/k\"}}}, {\"disk\": {}}]}}",
			"f:1:67: error: Keys \"disk\" is there twice: remove one\n"
			"f:1:67: error: Keys \"disk\" is one too many: at most 1 of this type, "
			"remove it or set enabled = false\n" },
		{ "plugins { Keys \"disk\" { plugin_data { path = \"/k\" } }\n Publisher \"s3\" {} "
		  "}",
			"f:2:12: warning: Publisher \"s3\" is not supported: nothing is "
			"published\n" },
		{ "plugins { Keys \"disk\" { plugin_data { path = \"/k\" } }\n Kyes \"s3\" {} }",
			"f:2:7: error: unknown plugin type \"Kyes\": did you mean \"Keys\"?\n" },
		{ "plugins { Keys \"disk\" { plugin_data_file = \"/f\" plugin_data { path = \"/k\" "
		  "} } }",
			"f:1:25: error: \"plugin_data_file\" in the plugin is not supported: put "
			"what is in that file into plugin_data { }\n" },
		{ "plugins { Keys \"disk\" { plugin_date {} } }",
			"f:1:16: error: path is missing in box.inner: Where it is.\n"
			"f:1:25: error: unknown key \"plugin_date\" in the plugin: did you mean "
			"\"plugin_data\"?\n" },
		{ "plugins { Keys { disk = 1 } }",
			"f:1:1: error: no Keys: add Keys \"disk\" { }\n"
			"f:1:25: error: Keys \"disk\" is a number: write Keys \"name\" { "
			"plugin_data { } }\n" },
		{ "plugins = 1",
			"f:1:1: error: no Keys: add Keys \"disk\" { }\n"
			"f:1:11: error: expected a plugin as Type \"name\" { plugin_data { } }\n" },
		{ "plugins { Keys = [1] }",
			"f:1:1: error: no Keys: add Keys \"disk\" { }\n"
			"f:1:18: error: expected a plugin as Keys \"name\" { plugin_data { } }\n" },
		{ "plugins { Keys \"disk\" { plugin_data = 1 } }",
			"f:1:1: error: no Keys: add Keys \"disk\" { }\n"
			"f:1:39: error: plugin_data is a number, not a block\n" },
	};
	(void)state;
	for (size_t i = 0; i < WRIT_COUNT(cases); i++) {
		struct box b = { 0 };
		struct writ_conf_diags d = WRIT_CONF_DIAGS("f");
		struct writ_buf text = WRIT_BUF(1 << 16);
		struct writ_conf_node *root = NULL;
		assert_int_equal(
			writ_conf_parse(writ_cstr(cases[i].in), NULL, &d, &root, NULL), WRIT_OK);
		writ_conf_fill_plugins(&set, root, &b, &d);
		writ_conf_diags_print(&d, &text);
		writ_buf_add_cstr(&text, "");
		assert_string_equal(text.n > 0 ? writ_buf_cstr(&text) : "", cases[i].want);
		assert_true(d.errors > 0 || strcmp(b.inner.path, "/k") == 0);
		writ_conf_done_plugins(&set, &b);
		writ_conf_diags_done(&d);
		writ_conf_free(root);
		writ_buf_done(&text);
	}
}

static void trust_domains_follow_the_grammar(void **state)
{
	static const struct {
		const char *in, *want, *name;
	} cases[] = {
		{ "example.org", "", "example.org" },
		{ "a-b_c.0", "", "a-b_c.0" },
		{ "Example.ORG",
			"f:2:3: warning: trust_domain is taken as \"example.org\": trust domains "
			"are lower case\n",
			"example.org" },
		{ "spiffe://example.org",
			"f:2:3: error: trust_domain is a name, not an ID: remove \"spiffe://\"\n",
			NULL },
		{ "ex ample",
			"f:2:3: error: trust_domain \"ex ample\" has characters other than a-z, "
			"0-9, \".\", \"-\" and \"_\"\n",
			NULL },
		{ "m\xc3\xbcnchen",
			"f:2:3: error: trust_domain \"m\xc3\xbcnchen\" has characters other than "
			"a-z, 0-9, \".\", \"-\" and \"_\"\n",
			NULL },
	};
	(void)state;
	for (size_t i = 0; i < WRIT_COUNT(cases); i++) {
		WRIT_AUTO(writ_freep) char *name = writ_strdup(cases[i].in);
		struct writ_conf_diags d = WRIT_CONF_DIAGS("f");
		struct writ_buf text = WRIT_BUF(4096);
		writ_conf_check_trust_domain(name, (struct writ_conf_pos){ 2, 3 }, &d);
		writ_conf_diags_print(&d, &text);
		assert_string_equal(text.n > 0 ? writ_buf_cstr(&text) : "", cases[i].want);
		assert_true(cases[i].name == NULL || strcmp(name, cases[i].name) == 0);
		writ_buf_done(&text);
		writ_conf_diags_done(&d);
	}
	char longest[300];
	memset(longest, 'a', sizeof(longest));
	longest[256] = '\0';
	struct writ_conf_diags d = WRIT_CONF_DIAGS("f");
	writ_conf_check_trust_domain(longest, (struct writ_conf_pos){ 1, 1 }, &d);
	assert_int_equal(d.errors, 1);
	longest[255] = '\0';
	writ_conf_check_trust_domain(longest, (struct writ_conf_pos){ 1, 1 }, &d);
	assert_int_equal(d.errors, 1);
	writ_conf_diags_done(&d);
}

static void the_table_prints_itself_for_the_manual(void **state)
{
	(void)state;
	struct writ_buf out = WRIT_BUF(1 << 16);
	writ_conf_print_help(&box_table, &out);
	assert_string_equal(writ_buf_cstr(&out),
		"name (a string; required)\n    The name.\n"
		"token (a string)\n    The token.\n"
		"count (a number from -5 to 5; default 1)\n    The count.\n"
		"ttl (a duration from \"1m\" to \"24h\"; default 5m)\n    The lifetime.\n"
		"port (a port from 1 to 65535; default 81)\n    The port.\n"
		"on (true or false; default true)\n    The switch.\n"
		"colour (\"red\" or \"green\"; default red)\n    The colour.\n"
		"ids (a list of strings; default a, b)\n    The IDs.\n"
		"inner.path (a path; required)\n    Where it is.\n"
		"peer \"...\".url (a string)\n    URL.\n"
		"sink[].url (a string)\n    URL.\n"
		"raw (a block)\n    Anything.\n"
		"\nKeys of SPIRE that are not there:\n\n"
		"policy (refused)\n    remove it\n"
		"tuning (ignored)\n    it tunes itself\n");
	writ_buf_done(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_not_written_gets_its_default),
		cmocka_unit_test(every_type_is_read_from_either_syntax),
		cmocka_unit_test(each_mistake_is_named_with_its_place),
		cmocka_unit_test(plugins_are_checked_against_what_is_there),
		cmocka_unit_test(trust_domains_follow_the_grammar),
		cmocka_unit_test(the_table_prints_itself_for_the_manual),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
