/* SPDX-License-Identifier: Apache-2.0 */
/* What the commands of `writ` are made of: forms, JSON, files. */
#include "convert.h"
#include "entry_form.h"
#include "print.h"
#include "svid_files.h"

#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "rpc/rpc.h"
#include "workload/client.h"

#include "check.h"
#include "fake_agent.h"

#include <dirent.h>
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[64];
static struct fake_ca ca;

static const struct writ_option entry_options[] = { WRIT_ENTRY_OPTIONS,
	{ "node", NULL, WRIT_OPT_FLAG, NULL, "" } };

static writ_rc from_flags(
	const char *const *argv, bool update, struct writ_entry_forms *f, struct writ_err *err)
{
	static struct writ_args args;
	int n = 0;
	while (argv[n])
		n++;
	assert_ok(writ_args_parse(&args, entry_options, WRIT_COUNT(entry_options), n,
			  (char *const *)(uintptr_t)argv, false, err),
		*err);
	return writ_entry_from_flags(&args, update, f, err);
}

static void flags_make_an_entry(void **state)
{
	struct writ_err err;
	struct writ_entry_forms f = { 0 };
	const char *const argv[] = { "-spiffeID", "spiffe://td/w", "-parentID", "spiffe://td/n",
		"-selector", "unix:uid:1000", "-selector", "unix:path:/a:b", "-x509SVIDTTL", "90",
		"-jwtSVIDTTL", "5m", "-federatesWith", "spiffe://other", "-dns", "a.b", "-hint",
		"h", "-entryExpiry", "4102444800", "-admin", NULL };
	(void)state;
	assert_ok(from_flags(argv, false, &f, &err), err);
	assert_int_equal(f.n, 1);
	const Spire__Api__Types__Entry *e = f.entries[0];
	assert_string_equal(writ_api_id_text(e->spiffe_id), "spiffe://td/w");
	assert_string_equal(writ_api_id_text(e->parent_id), "spiffe://td/n");
	assert_int_equal(e->n_selectors, 2);
	assert_string_equal(e->selectors[1]->type, "unix");
	assert_string_equal(e->selectors[1]->value, "path:/a:b");
	assert_int_equal(e->x509_svid_ttl, 90);
	assert_int_equal(e->jwt_svid_ttl, 300);
	assert_string_equal(e->federates_with[0], "other");
	assert_string_equal(e->dns_names[0], "a.b");
	assert_string_equal(e->hint, "h");
	assert_int_equal(e->expires_at, 4102444800);
	assert_true(e->admin && !e->downstream && !e->store_svid);
	writ_entry_forms_done(&f);
	const char *const alias[] = { "-node", "-spiffeID", "spiffe://td/alias", "-selector",
		"join_token:x", NULL };
	assert_ok(from_flags(alias, false, &f, &err), err);
	assert_string_equal(writ_api_id_text(f.entries[0]->parent_id), "spiffe://td/spire/server");
	writ_entry_forms_done(&f);
}

static void what_is_missing_or_wrong_is_named(void **state)
{
#define GOOD "-spiffeID", "spiffe://td/w", "-parentID", "spiffe://td/n"
	static const struct {
		const char *argv[12];
		bool update;
		const char *says;
	} rows[] = {
		{ { NULL }, false, "which identity?" },
		{ { "-spiffeID", "spiffe://td/w", NULL }, false, "under which agent?" },
		{ { GOOD, NULL }, false, "at least one -selector" },
		{ { GOOD, "-selector", "uid", NULL }, false, "type:value" },
		{ { GOOD, "-selector", ":x", NULL }, false, "type:value" },
		{ { "-spiffeID", "td/w", "-parentID", "spiffe://td/n", NULL }, false, "-spiffeID" },
		{ { GOOD, "-selector", "a:b", "-x509SVIDTTL", "-5", NULL }, false, "-x509SVIDTTL" },
		{ { GOOD, "-selector", "a:b", "-x509SVIDTTL", "2147483648", NULL }, false,
			"-x509SVIDTTL" },
		{ { GOOD, "-node", NULL }, false, "leave -parentID out" },
		{ { GOOD, "-selector", "a:b", NULL }, true, "-entryID" },
	};
	struct writ_err err;
	struct writ_entry_forms f = { 0 };
	(void)state;
	for (size_t i = 0; i < WRIT_COUNT(rows); i++)
		assert_fails(from_flags(rows[i].argv, rows[i].update, &f, &err), WRIT_EINVAL, err,
			rows[i].says);
}

static writ_rc from_json(const char *text, struct writ_entry_forms *f, struct writ_err *err)
{
	WRIT_AUTO(writ_freep) char *path = writ_fs_join(dir, "entries.json");
	assert_ok(writ_fs_write(path, text, strlen(text), 0600, err), *err);
	return writ_entry_from_json(path, f, err);
}

static void a_file_makes_entries(void **state)
{
	struct writ_err err;
	struct writ_entry_forms f = { 0 };
	(void)state;
	assert_ok(from_json("{\"entries\":[{\"spiffe_id\":\"spiffe://td/a\",\"parent_id\":"
			    "\"spiffe://td/n\",\"selectors\":[{\"type\":\"unix\",\"value\":"
			    "\"uid:1\"}],\"x509_svid_ttl\":60,\"dns_names\":[\"d\"],"
			    "\"federates_with\":[\"o\"],\"hint\":\"h\",\"entry_id\":\"e1\","
			    "\"entry_expiry\":7,\"downstream\":true,\"revision_number\":4},"
			    "{\"spiffe_id\":\"spiffe://td/b\",\"parent_id\":\"spiffe://td/n\"}]}",
			  &f, &err),
		err);
	assert_int_equal(f.n, 2);
	assert_int_equal(f.entries[0]->x509_svid_ttl, 60);
	assert_string_equal(f.entries[0]->id, "e1");
	assert_string_equal(f.entries[0]->selectors[0]->value, "uid:1");
	assert_true(f.entries[0]->downstream);
	assert_int_equal(f.entries[0]->expires_at, 7);
	assert_string_equal(writ_api_id_text(f.entries[1]->spiffe_id), "spiffe://td/b");
	writ_entry_forms_done(&f);
}

static void a_bad_file_says_where(void **state)
{
#define IDS "\"spiffe_id\":\"spiffe://td/a\",\"parent_id\":\"spiffe://td/n\""
	static const struct {
		const char *text, *says;
	} rows[] = {
		{ "{", ":1:" },
		{ "[]", "no {\"entries\"" },
		{ "{\"entries\":[]}", "no {\"entries\"" },
		{ "{\"entries\":[1]}", "entries[0]: is not an object" },
		{ "{\"entries\":[{}]}", "needs \"spiffe_id\"" },
		{ "{\"entries\":[{" IDS "},{" IDS ",\"selector\":[]}]}",
			"entries[1]: 'selector' is not known: did you mean 'selectors'?" },
		{ "{\"entries\":[{" IDS ",\"x509_svid_ttl\":\"60\"}]}",
			"'x509_svid_ttl' must be a number" },
		{ "{\"entries\":[{" IDS ",\"x509_svid_ttl\":-1}]}", "must be a number from 0 up" },
		{ "{\"entries\":[{" IDS ",\"x509_svid_ttl\":4294967296}]}", "out of range" },
		{ "{\"entries\":[{" IDS ",\"admin\":\"true\"}]}", "'admin' must be true or false" },
		{ "{\"entries\":[{" IDS ",\"dns_names\":[1]}]}", "a list of texts" },
		{ "{\"entries\":[{" IDS ",\"selectors\":[\"unix:uid:1\"]}]}",
			"\"type\", \"value\"" },
		{ "{\"entries\":[{" IDS ",\"selectors\":[{\"type\":\"unix\"}]}]}", "selectors[0]" },
		{ "{\"entries\":[{" IDS ",\"hint\":\"a\",\"hint\":\"b\"}]}", "duplicate" },
		{ "{\"entries\":[{\"spiffe_id\":\"x\",\"parent_id\":\"spiffe://td/n\"}]}",
			"entries[0]: -spiffe_id" },
	};
	struct writ_err err;
	struct writ_entry_forms f = { 0 };
	(void)state;
	for (size_t i = 0; i < WRIT_COUNT(rows); i++)
		assert_fails(from_json(rows[i].text, &f, &err), WRIT_EINVAL, err, rows[i].says);
	assert_int_equal(writ_entry_from_json("/nowhere/x.json", &f, &err), WRIT_ENOENT);
}

static void messages_print_as_json_with_the_names_of_the_api(void **state)
{
	static const char golden[] =
		"{\"id\":\"e\\u001B1\",\"spiffe_id\":{\"trust_domain\":\"td\",\"path\":\"/w\"},"
		"\"parent_id\":null,\"selectors\":[{\"type\":\"unix\",\"value\":\"uid:1\"}],"
		"\"x509_svid_ttl\":60,\"federates_with\":[],\"admin\":true,\"downstream\":false,"
		"\"expires_at\":\"9007199254740993\",\"dns_names\":[\"a\",\"b\"],"
		"\"revision_number\":\"0\",\"store_svid\":false,\"jwt_svid_ttl\":0,\"hint\":\"\","
		"\"created_at\":\"0\",\"additional_attributes\":null}";
	Spire__Api__Types__Entry e = SPIRE__API__TYPES__ENTRY__INIT;
	Spire__Api__Types__SPIFFEID id = SPIRE__API__TYPES__SPIFFEID__INIT;
	Spire__Api__Types__Selector s = SPIRE__API__TYPES__SELECTOR__INIT;
	Spire__Api__Types__Selector *list[] = { &s };
	char text_a[] = "a", text_b[] = "b", text_td[] = "td", text_w[] = "/w",
	     text_unix[] = "unix", text_uid[] = "uid:1", text_id[] = "e\0331";
	char *dns[] = { text_a, text_b };
	(void)state;
	id.trust_domain = text_td;
	id.path = text_w;
	s.type = text_unix;
	s.value = text_uid;
	e.id = text_id;
	e.spiffe_id = &id;
	e.selectors = list;
	e.n_selectors = 1;
	e.x509_svid_ttl = 60;
	e.admin = 1;
	e.expires_at = 9007199254740993;
	e.dns_names = dns;
	e.n_dns_names = 2;
	json_t *o = writ_pb_to_json(&e.base);
	char *text = json_dumps(o, JSON_COMPACT);
	assert_string_equal(text, golden);
	(free)(text);
	json_decref(o);
}

static void terminals_are_not_moved_by_peers(void **state)
{
	(void)state;
	assert_string_equal(writ_safe("a\033[2Jb"), "a\\u001b[2Jb");
	assert_string_equal(writ_safe(""), "");
	assert_string_equal(writ_safe("\"a\" \\\" \\\\\""), "\"a\" \\\\\" \\\\\\\\\"");
	char *longer = writ_alloc(10001);
	memset(longer, 'x', 10000);
	assert_string_equal(writ_safe(longer), "(too long)");
	writ_free(longer);
}

static struct writ_wl_update *update(const char *id)
{
	struct writ_err err;
	struct writ_wl_update *u = NULL;
	WRIT_AUTO(writ_buf_done) struct writ_buf bytes = WRIT_BUF(1u << 20);
	X509SVIDResponse *a = fake_answer_new();
	fake_answer_add(a, &ca, id, "");
	assert_ok(writ_pb_pack(&a->base, &bytes, &err), err);
	assert_ok(writ_wl_decode(bytes.p, bytes.n, writ_wall_s(), &u, &err), err);
	fake_answer_free(a);
	return u;
}

struct reader {
	char *dir;
	int stop, reads, mixed;
};

/* As other programs read: links are followed. False: the generation is gone, open the next. */
static bool slurp(const char *at, const char *name, struct writ_buf *buf)
{
	WRIT_AUTO(writ_freep) char *path = writ_fs_join(at, name);
	WRIT_AUTO(writ_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	ssize_t n = read(fd, writ_buf_room(buf, 65000), 65000);
	assert_true(n > 0);
	writ_buf_grew(buf, (size_t)n);
	return true;
}

/* One generation, as a program that reloads would read it. */
enum pair { MIXED, WHOLE, GONE };

static enum pair matches(const char *at)
{
	WRIT_AUTO(writ_buf_done) struct writ_buf cert = WRIT_BUF(65536);
	WRIT_AUTO(writ_buf_done) struct writ_buf key = WRIT_BUF(65536);
	struct writ_cert *c[4];
	size_t n = 0;
	WRIT_AUTO(writ_key_unrefp) struct writ_key *k = NULL;
	struct writ_pubkey of_key, of_cert;
	struct writ_err err;
	if (!slurp(at, "svid.pem", &cert) || !slurp(at, "key.pem", &key))
		return GONE;
	assert_ok(writ_certs_parse_pem(writ_buf_str(&cert), c, 4, &n, &err), err);
	assert_ok(writ_key_from_pem(writ_buf_str(&key), &k, &err), err);
	assert_ok(writ_pubkey_of_key(k, &of_key, &err), err);
	assert_ok(writ_cert_pubkey(c[0], &of_cert, &err), err);
	writ_certs_unref(c, n);
	return writ_pubkey_eq(&of_key, &of_cert) ? WHOLE : MIXED;
}

static void *read_on(void *arg)
{
	struct reader *r = arg;
	WRIT_AUTO(writ_freep) char *link = writ_fs_join(r->dir, ".current");
	while (!__atomic_load_n(&r->stop, __ATOMIC_SEQ_CST)) {
		int fd = open(link, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		assert_true(fd >= 0);
		char at[64];
		snprintf(at, sizeof(at), "/proc/self/fd/%d", fd);
		enum pair p = matches(at);
		r->mixed += p == MIXED;
		r->reads += p == WHOLE;
		close(fd);
	}
	return NULL;
}

static mode_t mode_of(const char *folder, const char *name)
{
	struct stat st;
	WRIT_AUTO(writ_freep) char *path = writ_fs_join(folder, name);
	assert_int_equal(stat(path, &st), 0);
	return st.st_mode & 07777;
}

static size_t count_generations(const char *folder)
{
	DIR *d = opendir(folder);
	size_t n = 0;
	for (struct dirent *e = readdir(d); e; e = readdir(d))
		n += strncmp(e->d_name, ".generation-", 12) == 0;
	closedir(d);
	return n;
}

static void files_change_together(void **state)
{
	struct writ_err err;
	struct writ_svid_files *f = NULL;
	pthread_t t;
	(void)state;
	WRIT_AUTO(writ_freep) char *out = writ_fs_join(dir, "out");
	mode_t before = umask(0);
	assert_ok(writ_svid_files_open(out, &f, &err), err);
	struct writ_wl_update *u[2] = { update("spiffe://a.test/w"), update("spiffe://a.test/w") };
	assert_ok(writ_svid_files_put(f, u[0], u[0]->svids[0], &err), err);
	struct reader r = { .dir = out };
	assert_int_equal(pthread_create(&t, NULL, read_on, &r), 0);
	for (int i = 1; i <= 60; i++) {
		assert_ok(writ_svid_files_put(f, u[i % 2], u[i % 2]->svids[0], &err), err);
		usleep(2000); /* a reader keeps what it opened for one generation more */
	}
	__atomic_store_n(&r.stop, 1, __ATOMIC_SEQ_CST);
	pthread_join(t, NULL);
	umask(before);
	assert_true(r.reads > 5);
	assert_int_equal(r.mixed, 0);
	assert_int_equal(mode_of(dir, "out"), 0700);
	assert_int_equal(mode_of(out, "key.pem"), 0600);
	assert_int_equal(mode_of(out, "svid.pem"), 0644);
	assert_int_equal(mode_of(out, "bundle.pem"), 0644);
	assert_int_equal(matches(out), WHOLE);
	assert_int_equal(count_generations(out), 2);
	writ_svid_files_close(f);
	/* Another run goes on where this one stopped. */
	assert_ok(writ_svid_files_open(out, &f, &err), err);
	assert_ok(writ_svid_files_put(f, u[0], u[0]->svids[0], &err), err);
	assert_int_equal(matches(out), WHOLE);
	writ_svid_files_close(f);
	writ_wl_update_unref(u[0]);
	writ_wl_update_unref(u[1]);
}

static void a_failed_generation_does_not_block_the_next(void **state)
{
	struct writ_err err;
	struct writ_svid_files *f = NULL;
	(void)state;
	WRIT_AUTO(writ_freep) char *out = writ_fs_join(dir, "full");
	WRIT_AUTO(writ_freep) char *in_the_way = writ_fs_join(dir, "full/.generation-1");
	assert_ok(writ_svid_files_open(out, &f, &err), err);
	assert_int_equal(mkdir(in_the_way, 0700), 0);
	struct writ_wl_update *u = update("spiffe://a.test/w");
	assert_int_equal(writ_svid_files_put(f, u, u->svids[0], &err), WRIT_EEXIST);
	assert_ok(writ_svid_files_put(f, u, u->svids[0], &err), err);
	assert_int_equal(matches(out), WHOLE);
	writ_svid_files_close(f);
	writ_wl_update_unref(u);
}

static void what_is_not_ours_is_not_replaced(void **state)
{
	struct writ_err err;
	struct writ_svid_files *f = NULL;
	(void)state;
	WRIT_AUTO(writ_freep) char *out = writ_fs_join(dir, "theirs");
	WRIT_AUTO(writ_freep) char *key = writ_fs_join(dir, "theirs/key.pem");
	assert_int_equal(mkdir(out, 0755), 0);
	assert_ok(writ_fs_write(key, "x", 1, 0600, &err), err);
	assert_fails(writ_svid_files_open(out, &f, &err), WRIT_EEXIST, err, "move it away");
	assert_int_equal(unlink(key), 0);
	assert_int_equal(symlink("/etc/passwd", key), 0);
	assert_fails(writ_svid_files_open(out, &f, &err), WRIT_EEXIST, err, "/etc/passwd");
	assert_int_equal(unlink(key), 0);
	assert_int_equal(chmod(out, 0777), 0);
	assert_int_not_equal(writ_svid_files_open(out, &f, &err), WRIT_OK);
	assert_null(f);
}

static int group_setup(void **state)
{
	struct writ_err err;
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/writ-test-cli-XXXXXX");
	assert_non_null(mkdtemp(dir));
	assert_ok(writ_crypto_init(&err), err);
	fake_ca_init(&ca, "ca-a", "a.test", "spiffe://a.test");
	return 0;
}

static int group_teardown(void **state)
{
	struct writ_err err;
	(void)state;
	fake_ca_done(&ca);
	assert_ok(writ_fs_remove_tree(dir, &err), err);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(flags_make_an_entry),
		cmocka_unit_test(what_is_missing_or_wrong_is_named),
		cmocka_unit_test(a_file_makes_entries),
		cmocka_unit_test(a_bad_file_says_where),
		cmocka_unit_test(messages_print_as_json_with_the_names_of_the_api),
		cmocka_unit_test(terminals_are_not_moved_by_peers),
		cmocka_unit_test(files_change_together),
		cmocka_unit_test(a_failed_generation_does_not_block_the_next),
		cmocka_unit_test(what_is_not_ours_is_not_replaced),
	};
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
