/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/attestor.h"
#include "attest/cgroup_form.h"
#include "attest/cgroup_fs.h"
#include "attest/cgroup_path.h"

#include "base/fs.h"
#include "base/mem.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#define H64   "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define G64   "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"
#define UUID  "2c48913c-b29f-11e7-9350-020968147796"
#define UUID_ "2c48913c_b29f_11e7_9350_020968147796"
#define PLAIN "8daa50c3a64c9ff60bb9eab7b44b56fd"
#define KUBE  "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod"
#define USER  "/user.slice/user-1000.slice/user@1000.service"

static bool everything(
	const struct writ_cgroup_trust *t, struct writ_str hierarchy, struct writ_str dir)
{
	(void)t;
	(void)hierarchy;
	(void)dir;
	return true;
}

static const struct writ_cgroup_trust trust_all = { .trusted = everything };

#define GOLDEN "tests/golden/cgroups.txt"

/* A row of the file, as text: what stands behind each sign. */
struct row {
	char *title;
	struct writ_buf dirs, text, want;
};

struct lets {
	struct {
		struct writ_str name, text;
	} of[16];
	size_t n;
};

static void expand(const struct lets *lets, struct writ_str line, struct writ_buf *out)
{
	while (line.n > 0) {
		const char *at = memmem(line.p, line.n, "${", 2);
		size_t plain = at ? (size_t)(at - line.p) : line.n;
		writ_buf_add(out, line.p, plain);
		line = writ_strn(line.p + plain, line.n - plain);
		if (line.n == 0)
			return;
		struct writ_str name;
		line = writ_strn(line.p + 2, line.n - 2);
		assert_true(writ_str_cut(&line, '}', &name));
		size_t i = 0;
		while (i < lets->n && !writ_str_eq(lets->of[i].name, name))
			i++;
		assert_true(i < lets->n);
		writ_buf_add_str(out, lets->of[i].text);
	}
}

/* Trusts all folders but these. */
struct distrust {
	struct writ_cgroup_trust base;
	struct writ_str dirs; /* one a line */
};

static bool not_named(
	const struct writ_cgroup_trust *t, struct writ_str hierarchy, struct writ_str dir)
{
	struct writ_str rest = ((const struct distrust *)(const void *)t)->dirs;
	struct writ_str one;
	(void)hierarchy;
	while (rest.n > 0) {
		(void)writ_str_cut(&rest, '\n', &one);
		if (writ_str_eq(one, dir))
			return false;
	}
	return true;
}

static void put(struct writ_buf *out, const char *key, struct writ_str value)
{
	if (value.n > 0)
		writ_buf_addf(out, "= %s " WRIT_FMT "\n", key, WRIT_ARG(value));
}

static void describe(
	const struct row *row, const struct writ_cgroup_trust *trust, struct writ_buf *out)
{
	static const struct writ_attestor_vt *const list[] = { &writ_attestor_systemd,
		&writ_attestor_container, &writ_attestor_slurm, &writ_attestor_cgroup, NULL };
	struct writ_cgroup c;
	struct writ_err err;
	writ_rc rc = writ_cgroup_parse(writ_buf_str(&row->text), trust, &c, &err);
	const struct writ_attest_ctx ctx = { .trust = trust };
	const struct writ_snapshot s = {
		.pid = 7, .state = 'S', .cgroup = writ_buf_str(&row->text)
	};
	struct writ_answer a;
	if (rc != WRIT_OK) {
		writ_buf_addf(out, "! %s\n", writ_rc_name(rc));
		assert_int_equal(writ_attest(list, &ctx, &s, -1, 0, &a, NULL), WRIT_EUNAVAIL);
		return;
	}
	writ_buf_addf(out, "= %s\n", writ_cgroup_kind_name(c.kind));
	put(out, "runtime", writ_cstr(c.runtime));
	put(out, "unit", c.unit);
	put(out, "container", c.container);
	put(out, "pod", writ_cstr(c.pod));
	put(out, "name", c.name);
	put(out, "detail", c.detail);
	if (c.has_owner)
		writ_buf_addf(out, "= owner %u\n", c.owner_uid);
	assert_int_equal(writ_attest(list, &ctx, &s, -1, 0, &a, &err), WRIT_OK);
	for (size_t i = 0; i < a.selectors.n; i++)
		writ_buf_addf(
			out, "+ " WRIT_FMT "\n", WRIT_ARG(writ_selectors_at(&a.selectors, i).text));
	writ_answer_done(&a);
}

/* --- a form is matched to the letter --- */

static bool says_the_same(const struct writ_cgroup *a, const struct writ_cgroup *b)
{
	return a->kind == b->kind && a->has_owner == b->has_owner && a->owner_uid == b->owner_uid &&
		strcmp(a->pod, b->pod) == 0 && strcmp(a->runtime, b->runtime) == 0 &&
		writ_str_eq(a->unit, b->unit) && writ_str_eq(a->container, b->container) &&
		writ_str_eq(a->name, b->name) && writ_str_eq(a->detail, b->detail);
}

static bool has(struct writ_str s, char c)
{
	return s.n > 0 && memchr(s.p, c, s.n);
}

/* Some folders may have any name: slices around a unit, and what slurm calls after its node. */
static bool is_free(struct writ_str path, size_t at, enum writ_cgroup_kind kind)
{
	size_t from = at, to = at;
	while (from > 0 && path.p[from - 1] != '/')
		from--;
	while (to < path.n && path.p[to] != '/')
		to++;
	struct writ_str part = writ_strn(path.p + from, to - from);
	bool in_unit = kind == WRIT_CGROUP_UNIT ||
		(path.n > 0 && memmem(path.p, path.n, "/libpod-payload-", 16));
	return (in_unit && writ_str_ends(part, WRIT_STR(".slice"))) ||
		(writ_str_starts(part, WRIT_STR("slurm_")) && part.n > 6) ||
		writ_str_ends(part, WRIT_STR("_slurmstepd.scope"));
}

/* The path alone in its memory, so that a look beyond its end is seen. */
static void check_other_path(struct writ_str path, const struct writ_cgroup *was, size_t at, char c)
{
	struct writ_cgroup now;
	size_t anchor;
	char *alone = writ_memdup(path.p, path.n ? path.n : 1);
	writ_cgroup_form_match(writ_strn(alone, path.n), &now, &anchor);
	assert_true(anchor <= path.n);
	if (says_the_same(was, &now) && !is_free(path, at, was->kind))
		fail_msg("'" WRIT_FMT "' says the same as without byte %zu", WRIT_ARG(path), at);
	if (has(now.unit, c) || has(now.container, c) || has(now.name, c) || has(now.detail, c) ||
		strchr(now.pod, c))
		fail_msg("'" WRIT_FMT "' is taken over with byte %zu", WRIT_ARG(path), at);
	writ_free(alone);
}

static void check_path_to_the_letter(struct writ_str path)
{
	static const char others[] = "!^~";
	struct writ_cgroup was;
	size_t anchor;
	writ_cgroup_form_match(path, &was, &anchor);
	for (size_t i = 0; was.kind != WRIT_CGROUP_NONE && i <= anchor; i++) {
		if (i < anchor)
			check_other_path(writ_strn(path.p, i), &was, path.n, '/');
		for (const char *c = others; *c; c++) {
			char *more = writ_asprintf(WRIT_FMT "%c" WRIT_FMT, (int)i, path.p, *c,
				(int)(path.n - i), path.p + i);
			check_other_path(writ_cstr(more), &was, i, *c);
			if (i < anchor) {
				memcpy(more + i + 1, path.p + i + 1, path.n - i - 1);
				check_other_path(writ_strn(more, path.n), &was, i, *c);
			}
			writ_free(more);
		}
	}
}

static void check_row(struct row *row)
{
	struct distrust trust = { .base = { .trusted = not_named },
		.dirs = writ_buf_str(&row->dirs) };
	struct writ_buf got = WRIT_BUF(64 * 1024);
	struct writ_cgroup c;
	describe(row, &trust.base, &got);
	if (!writ_str_eq(writ_buf_str(&got), writ_buf_str(&row->want)))
		fail_msg("%s: gives\n" WRIT_FMT "and not\n" WRIT_FMT, row->title,
			WRIT_ARG(writ_buf_str(&got)), WRIT_ARG(writ_buf_str(&row->want)));
	for (struct writ_str text = writ_buf_str(&row->text), line, part; text.n > 0;) {
		(void)writ_str_cut(&text, '\n', &line);
		(void)writ_str_cut(&line, ':', &part);
		(void)writ_str_cut(&line, ':', &part);
		check_path_to_the_letter(line);
	}
	/* Where no folder is trusted, no name is. */
	if (writ_cgroup_parse(writ_buf_str(&row->text), NULL, &c, NULL) == WRIT_OK)
		assert_int_equal(c.kind, WRIT_CGROUP_NONE);
	writ_buf_done(&got);
	writ_buf_done(&row->dirs);
	writ_buf_done(&row->text);
	writ_buf_done(&row->want);
	writ_freep(&row->title);
}

static void take_line(struct row *row, const struct lets *lets, struct writ_str line)
{
	struct writ_buf b = WRIT_BUF(16 * 1024);
	expand(lets, line, &b);
	struct writ_str s = writ_buf_str(&b);
	if (s.p[0] == '#')
		row->title = writ_strndup(s.p + 2, s.n - 2);
	else
		writ_buf_addf(s.p[0] == '-'             ? &row->dirs
				: strchr("=+!", s.p[0]) ? &row->want
							: &row->text,
			WRIT_FMT "\n", s.p[0] == '-' ? (int)s.n - 2 : (int)s.n,
			s.p[0] == '-' ? s.p + 2 : s.p);
	writ_buf_done(&b);
}

static void every_form_gives_what_the_table_says(void **state)
{
	struct writ_buf file = WRIT_BUF(1024 * 1024);
	struct lets lets = { .n = 0 };
	struct row row = { NULL, WRIT_BUF(4096), WRIT_BUF(16 * 1024), WRIT_BUF(16 * 1024) };
	size_t rows = 0;
	(void)state;
	assert_int_equal(writ_fs_read(GOLDEN, &file, NULL), WRIT_OK);
	struct writ_str rest = writ_buf_str(&file);
	while (rest.n > 0) {
		struct writ_str line;
		(void)writ_str_cut(&rest, '\n', &line);
		if (line.n > 0 && line.p[0] == ';')
			continue;
		if (writ_str_starts(line, WRIT_STR("let "))) {
			struct writ_str text = writ_strn(line.p + 4, line.n - 4);
			assert_true(lets.n < WRIT_COUNT(lets.of));
			assert_true(writ_str_cut(&text, ' ', &lets.of[lets.n].name));
			lets.of[lets.n++].text = text;
		} else if (line.n > 0) {
			take_line(&row, &lets, line);
		}
		if (row.title && (line.n == 0 || rest.n == 0)) {
			check_row(&row);
			rows++;
		}
	}
	assert_true(rows >= 100);
	writ_buf_done(&file);
}

static void what_must_not_be_guessed_is_refused(void **state)
{
	static const struct {
		const char *what, *text;
		writ_rc rc;
	} bad[] = {
		{ "outside the namespace, v1", "4:memory:/../c\n", WRIT_EUNAUTH },
		{ "outside the namespace, v2", "0::/../crio-" H64 ".scope\n", WRIT_EUNAUTH },
		{ "the parent itself", "0::/..\n", WRIT_EUNAUTH },
		{ "in the middle", "0::/a/../b\n", WRIT_EUNAUTH },
		{ "in another line", "0::/system.slice/a.service\n4:memory:/..\n", WRIT_EUNAUTH },
		{ "removed", "0::/system.slice/a.service (deleted)\n", WRIT_EUNAUTH },
		{ "two containers", "4:memory:/docker/" H64 "\n0::/docker/" G64 "\n",
			WRIT_EUNAUTH },
		{ "two units",
			"1:name=systemd:/system.slice/a.service\n0::/system.slice/b.service\n",
			WRIT_EUNAUTH },
		{ "two pods",
			"4:memory:/kubepods/pod" UUID "/" H64 "\n5:cpu:/kubepods/pod" PLAIN "/" H64
			"\n",
			WRIT_EUNAUTH },
		{ "monitor and container",
			"4:memory:/docker/" H64 "\n0::/machine.slice/libpod-conmon-" H64 ".scope\n",
			WRIT_EUNAUTH },
		{ "unit and session",
			"1:name=systemd:/system.slice/a.service\n"
			"0::/user.slice/user-1000.slice/session-3.scope\n",
			WRIT_EUNAUTH },
		{ "nothing", "", WRIT_EPROTO },
		{ "no line end", "0::/", WRIT_EPROTO },
		{ "no path", "0::\n", WRIT_EPROTO },
		{ "relative", "0::a\n", WRIT_EPROTO },
		{ "empty component", "0::/a//b\n", WRIT_EPROTO },
		{ "trailing slash", "0::/a/\n", WRIT_EPROTO },
		{ "dot", "0::/a/./b\n", WRIT_EPROTO },
		{ "one colon", "0:/\n", WRIT_EPROTO },
		{ "no number", "x::/\n", WRIT_EPROTO },
		{ "v1 without a name", "3::/\n", WRIT_EPROTO },
		{ "v2 with a name", "0:cpu:/\n", WRIT_EPROTO },
		{ "listed twice", "0::/\n0::/\n", WRIT_EPROTO },
		{ "empty line", "0::/\n\n", WRIT_EPROTO },
	};
	(void)state;
	for (size_t i = 0; i < WRIT_COUNT(bad); i++) {
		struct writ_cgroup c;
		if (writ_cgroup_parse(writ_cstr(bad[i].text), &trust_all, &c, NULL) != bad[i].rc)
			fail_msg("%s: not refused as it should be", bad[i].what);
	}
	struct writ_cgroup c;
	const struct writ_str nul = WRIT_STR("0::/a\0b\n");
	assert_int_equal(writ_cgroup_parse(nul, &trust_all, &c, NULL), WRIT_EPROTO);
}

static void no_more_lines_are_read_than_there_are_hierarchies(void **state)
{
	struct writ_buf text = WRIT_BUF(16 * 1024);
	struct writ_cgroup c;
	(void)state;
	for (int i = 1; i <= WRIT_CGROUP_LINES_MAX; i++)
		writ_buf_addf(&text, "%d:c%d:/a\n", i, i);
	assert_int_equal(writ_cgroup_parse(writ_buf_str(&text), &trust_all, &c, NULL), WRIT_OK);
	writ_buf_addf(&text, "%d:c:/a\n", WRIT_CGROUP_LINES_MAX + 1);
	assert_int_equal(writ_cgroup_parse(writ_buf_str(&text), &trust_all, &c, NULL), WRIT_EPROTO);
	writ_buf_done(&text);
}

static void the_folder_of_a_unit_is_the_one_that_all_lines_name(void **state)
{
	static const struct {
		const char *text, *folder;
	} rows[] = {
		{ "0::/system.slice/a.service/x\n", "/system.slice/a.service" },
		{ "1:name=systemd:/system.slice/a.service\n0::/system.slice/a.service/x\n",
			"/system.slice/a.service" },
		{ "4:memory:/\n0::/system.slice/a.service\n", "/system.slice/a.service" },
		{ "4:memory:/other.slice/a.service\n0::/system.slice/a.service\n", "" },
		{ "0::/system.slice/b.service\n", "" },
		{ "0::/user.slice/user-1.slice/session-1.scope\n", "" },
		{ "0::/\n", "" },
		{ "0::/system.slice/a.service", "" }, /* not what Linux writes */
		{ "", "" },
	};
	(void)state;
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		struct writ_str folder =
			writ_cgroup_unit_folder(writ_cstr(rows[i].text), WRIT_STR("a.service"));
		if (!writ_str_eq(folder, writ_cstr(rows[i].folder)))
			fail_msg("row %zu: " WRIT_FMT, i, WRIT_ARG(folder));
	}
}

static void a_unit_has_a_name_that_fits_a_folder(void **state)
{
	(void)state;
	for (int n = 255; n <= 256; n++) {
		char text[320];
		struct writ_cgroup c;
		snprintf(text, sizeof(text), "0::/system.slice/%0*d.service\n", n - 8, 0);
		assert_int_equal(writ_cgroup_parse(writ_cstr(text), &trust_all, &c, NULL), WRIT_OK);
		assert_int_equal(c.kind, n == 255 ? WRIT_CGROUP_UNIT : WRIT_CGROUP_NONE);
	}
}

static void nothing_is_above_the_root(void **state)
{
	(void)state;
	assert_true(writ_cgroup_parents_trusted(NULL, WRIT_STR(""), WRIT_STR("/")));
	assert_false(writ_cgroup_parents_trusted(NULL, WRIT_STR(""), WRIT_STR("/a")));
}

/* Trusts no folder named here. */
struct one_distrust {
	struct writ_cgroup_trust base;
	const char *dir;
};

static bool all_but_one(
	const struct writ_cgroup_trust *t, struct writ_str hierarchy, struct writ_str dir)
{
	(void)hierarchy;
	return !writ_str_eq(dir, writ_cstr(((const struct one_distrust *)(const void *)t)->dir));
}

static void a_folder_that_others_may_write_gives_no_name(void **state)
{
	static const struct {
		const char *text, *dir;
		bool accepted;
	} rows[] = {
		{ "0::/system.slice/docker-" H64 ".scope\n", "/", false },
		{ "0::/system.slice/docker-" H64 ".scope\n", "/system.slice", false },
		/* What the container does in its own folder is its own matter. */
		{ "0::/system.slice/docker-" H64 ".scope/x\n", "/system.slice/docker-" H64 ".scope",
			true },
		{ "0::/system.slice/containerd.service/kubepods-pod" UUID
		  ".slice:cri-containerd:" H64 "\n",
			"/system.slice/containerd.service", false },
		{ "0::" KUBE UUID_ ".slice/crio-" H64 ".scope\n", KUBE UUID_ ".slice", false },
		{ "0::/user.slice/user-1000.slice/a.service\n", "/user.slice/user-1000.slice",
			false },
		/* Rootless: root vouches for the user's manager, for nothing below. */
		{ "0::" USER "/user.slice/libpod-" H64 ".scope\n", USER, true },
		{ "0::" USER "/user.slice/libpod-" H64 ".scope\n", "/user.slice/user-1000.slice",
			false },
	};
	(void)state;
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		struct one_distrust t = { .base = { .trusted = all_but_one }, .dir = rows[i].dir };
		struct writ_cgroup c;
		writ_rc rc = writ_cgroup_parse(writ_cstr(rows[i].text), &t.base, &c, NULL);
		if (rc != (rows[i].accepted ? WRIT_OK : WRIT_EUNAUTH))
			fail_msg("row %zu: %s", i, writ_rc_name(rc));
		assert_int_equal(
			writ_cgroup_parse(writ_cstr(rows[i].text), NULL, &c, NULL), WRIT_EUNAUTH);
	}
}

static void make(const char *root, const char *dir, mode_t mode)
{
	char path[256];
	snprintf(path, sizeof(path), "%s/%s", root, dir);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(chmod(path, mode), 0);
}

static void delegated_folders_are_seen_in_the_file_system(void **state)
{
	static const struct {
		const char *text;
		writ_rc rc;
	} rows[] = {
		{ "0::/system.slice/a.service\n", WRIT_OK },
		{ "0::/group.slice/a.service\n", WRIT_EUNAUTH },
		{ "0::/other.slice/a.service\n", WRIT_EUNAUTH },
		{ "0::/link.slice/a.service\n", WRIT_EUNAUTH },
		{ "0::/absent.slice/a.service\n", WRIT_EUNAUTH },
		{ "0::/file.slice/a.service\n", WRIT_EUNAUTH },
		{ "1:name=systemd:/system.slice/a.service\n", WRIT_OK },
		{ "4:memory:/system.slice/a.service\n", WRIT_EUNAUTH }, /* not mounted */
		{ "4:..:/system.slice/a.service\n", WRIT_EUNAUTH },
		{ "4:.:/unified/system.slice/a.service\n", WRIT_OK }, /* no form */
	};
	(void)state;
	char above[] = "/tmp/writ-test-XXXXXX", root[64];
	assert_non_null(mkdtemp(above));
	make(above, "system.slice", 0755); /* beside the hierarchies, not in one */
	make(above, "root", 0755);
	snprintf(root, sizeof(root), "%s/root", above);
	make(root, "unified", 0755);
	make(root, "unified/system.slice", 0755);
	make(root, "unified/group.slice", 0775);
	make(root, "unified/other.slice", 0757);
	make(root, "systemd", 0755);
	make(root, "systemd/system.slice", 0755);
	char link[256];
	snprintf(link, sizeof(link), "%s/unified/link.slice", root);
	assert_int_equal(symlink("system.slice", link), 0);
	char file[256];
	snprintf(file, sizeof(file), "%s/unified/file.slice", root);
	assert_int_equal(writ_fs_write(file, "", 0, 0644, NULL), WRIT_OK);
	struct writ_cgroup_fs fs;
	assert_int_equal(writ_cgroup_fs_open(root, &fs, NULL), WRIT_OK);
	fs.owner = geteuid();
	static const char *const outside[] = { "name=", "name=..", "name=.", "name=a/../unified",
		"..", ".", "unified/system.slice" };
	for (size_t i = 0; i < WRIT_COUNT(outside); i++) {
		struct writ_str h = writ_cstr(outside[i]);
		if (fs.base.trusted(&fs.base, h, WRIT_STR("/")) ||
			fs.base.open(&fs.base, h, WRIT_STR("/")) != -1)
			fail_msg("'%s' is a hierarchy", outside[i]);
	}
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		struct writ_cgroup c;
		writ_rc rc = writ_cgroup_parse(writ_cstr(rows[i].text), &fs.base, &c, NULL);
		if (rc != rows[i].rc)
			fail_msg("%s: %s", rows[i].text, writ_rc_name(rc));
	}
	fs.owner = geteuid() + 1; /* as if root had delegated them all */
	struct writ_cgroup c;
	assert_int_equal(
		writ_cgroup_parse(writ_cstr(rows[0].text), &fs.base, &c, NULL), WRIT_EUNAUTH);
	writ_cgroup_fs_close(&fs);
	assert_int_equal(writ_fs_remove_tree(above, NULL), WRIT_OK);
	assert_int_equal(writ_cgroup_fs_open(root, &fs, NULL), WRIT_ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_form_gives_what_the_table_says),
		cmocka_unit_test(what_must_not_be_guessed_is_refused),
		cmocka_unit_test(no_more_lines_are_read_than_there_are_hierarchies),
		cmocka_unit_test(the_folder_of_a_unit_is_the_one_that_all_lines_name),
		cmocka_unit_test(a_unit_has_a_name_that_fits_a_folder),
		cmocka_unit_test(nothing_is_above_the_root),
		cmocka_unit_test(a_folder_that_others_may_write_gives_no_name),
		cmocka_unit_test(delegated_folders_are_seen_in_the_file_system),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
