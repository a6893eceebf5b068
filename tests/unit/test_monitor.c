/* SPDX-License-Identifier: Apache-2.0 */
/* A real monitor with real signers, and a small serving process: this program itself, started by
 * the monitor (monitor_stub.h). */
#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/str.h"
#include "monitor/control.h"
#include "monitor/keystore.h"
#include "monitor/monitor.h"
#include "monitor_stub.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define TD         "example.org"
#define KILLS      20
#define ROUNDS     8          /* of which half kill everything */
#define RECORD_MAX (8 * 1024) /* of the tests that change it often */
#define LOAD       32         /* requests under way in the serving process */

struct world {
	char *dir, *signer, *key_type;
	struct writ_record_rules record;
	pid_t monitor;
	int notify; /* what the service manager would hear */
	char *notify_path;
};

static pid_t child_named(pid_t parent, const char *name)
{
	char path[300], comm[32];
	DIR *d = opendir("/proc");
	pid_t found = 0;
	for (const struct dirent *e; d && !found && (e = readdir(d));) {
		uint64_t pid;
		int ppid = 0;
		if (writ_parse_u64(writ_cstr(e->d_name), 1, INT32_MAX, &pid, NULL) != WRIT_OK)
			continue;
		snprintf(path, sizeof(path), "/proc/%s/stat", e->d_name);
		FILE *f = fopen(path, "re");
		if (!f)
			continue;
		if (fscanf(f, "%*d (%31[^)]) %*c %d", comm, &ppid) == 2 && ppid == parent &&
			strcmp(comm, name) == 0)
			found = (pid_t)pid;
		fclose(f);
	}
	closedir(d);
	return found;
}

static char *answered(struct world *w)
{
	WRIT_AUTO(writ_freep) char *path = writ_fs_join(w->dir, "answered");
	struct writ_buf b = WRIT_BUF(64 * 1024 * 1024);
	if (writ_fs_read(path, &b, NULL) != WRIT_OK || !b.n) {
		writ_buf_done(&b);
		return writ_strdup("");
	}
	return writ_buf_steal(&b);
}

static size_t lines(const char *s)
{
	size_t n = 0;
	for (; *s; s++)
		n += *s == '\n';
	return n;
}

/* Waits, by looking, until the serving process has got n more answers; not more than 30 s. */
static void wait_answers(struct world *w, size_t n)
{
	char *text = answered(w);
	size_t before = lines(text), now = before;
	int64_t deadline = writ_mono_ms() + 30000;
	writ_free(text);
	while (now < before + n) {
		if (writ_mono_ms() > deadline)
			fail_msg("%zu answers after 30 s, %zu wanted", now - before, n);
		(void)poll(NULL, 0, 5);
		text = answered(w);
		now = lines(text);
		writ_free(text);
	}
}

static void start(struct world *w, const char *manager)
{
	char *argv[] = { (char[]){ "test_monitor" }, (char[]){ "--serve" }, w->dir, w->key_type,
		NULL };
	const struct writ_monitor_config c = { .trust_domain = TD,
		.data_dir = w->dir,
		.key_manager = manager,
		.serve_argv = argv,
		.signer_path = w->signer,
		.record = w->record,
		.notify_socket = w->notify_path,
		.stop_ms = 5000 };
	w->monitor = fork();
	if (w->monitor == 0) {
		struct writ_err err = { 0 };
		int status = writ_monitor_run(&c, &err);
		if (status)
			fprintf(stderr, "monitor: %s\n", err.msg);
		_exit(status);
	}
}

static int stop(struct world *w)
{
	int status;
	assert_int_equal(kill(w->monitor, SIGTERM), 0);
	assert_int_equal(waitpid(w->monitor, &status, 0), w->monitor);
	w->monitor = 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static char *signer_path;

static int setup(void **state)
{
	struct world *w = writ_alloc(sizeof(*w));
	char path[] = "/tmp/writ-monitor-XXXXXX";
	assert_non_null(mkdtemp(path));
	w->dir = writ_strdup(path);
	w->signer = signer_path;
	static char usual[] = "ec-p256";
	w->key_type = usual;
	w->notify_path = writ_fs_join(path, "notify");
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	snprintf(a.sun_path, sizeof(a.sun_path), "%s", w->notify_path);
	w->notify = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(w->notify, (struct sockaddr *)&a, sizeof(a)), 0);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;
	if (w->monitor) {
		kill(w->monitor, SIGKILL);
		waitpid(w->monitor, NULL, 0);
	}
	close(w->notify);
	assert_int_equal(writ_fs_remove_tree(w->dir, NULL), WRIT_OK);
	writ_free(w->notify_path);
	writ_free(w->dir);
	writ_free(w);
	return 0;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* How many files the issuance record has; into record, if any, all of them, one behind the other.
 * While the programs run a file may get another name between the list and a look at it. */
static size_t read_record(struct world *w, struct writ_buf *record)
{
	DIR *d = opendir(w->dir);
	size_t n = 0;
	assert_non_null(d);
	for (const struct dirent *e; (e = readdir(d)) != NULL;) {
		if (strncmp(e->d_name, "issued.jsonl", 12) != 0)
			continue;
		WRIT_AUTO(writ_freep) char *path = writ_fs_join(w->dir, e->d_name);
		if (record)
			assert_int_equal(writ_fs_read(path, record, NULL), WRIT_OK);
		n++;
	}
	closedir(d);
	return n;
}

/* No serial twice, and every one is in the issuance record. */
static size_t check_serials(struct world *w)
{
	char *text = answered(w), *save = NULL;
	struct writ_buf record = WRIT_BUF(256 * 1024 * 1024);
	assert_true(read_record(w, &record) > 0);
	size_t max = lines(text) + 1, n = 0, m = 0;
	char **serials = writ_alloc_array(max, sizeof(*serials));
	for (char *l = strtok_r(text, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
		if (strncmp(l, "failed", 6) == 0)
			fail_msg("%s", l);
		if (strncmp(l, "ca ", 3) != 0)
			serials[n++] = l;
	}
	size_t rmax = lines(writ_buf_cstr(&record)) + 1;
	char **recorded = writ_alloc_array(rmax, sizeof(*recorded));
	char *all = writ_strdup(writ_buf_cstr(&record));
	for (char *l = strtok_r(all, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
		char *s = strstr(l, "\"serial\":\""), *end = s ? strchr(s + 10, '"') : NULL;
		if (!end)
			continue;
		*end = 0;
		recorded[m++] = s + 10;
	}
	qsort(serials, n, sizeof(*serials), by_text);
	qsort(recorded, m, sizeof(*recorded), by_text);
	for (size_t i = 1; i < m; i++)
		assert_string_not_equal(recorded[i - 1], recorded[i]);
	for (size_t i = 0, k = 0; i < n; i++, k++) {
		if (i)
			assert_string_not_equal(serials[i - 1], serials[i]);
		while (k < m && strcmp(recorded[k], serials[i]) < 0)
			k++;
		if (k == m || strcmp(recorded[k], serials[i]) != 0)
			fail_msg("%s was answered and is not on record", serials[i]);
	}
	writ_free(serials);
	writ_free(recorded);
	writ_free(all);
	writ_free(text);
	writ_buf_done(&record);
	return n;
}

static size_t count_cas(struct world *w)
{
	char *text = answered(w);
	size_t n = 0;
	for (const char *p = text; (p = strstr(p, "ca ")); p++)
		n++;
	writ_free(text);
	return n;
}

static void kill_child(struct world *w, const char *name)
{
	pid_t pid = 0;
	int64_t deadline = writ_mono_ms() + 5000;
	while (!(pid = child_named(w->monitor, name)) && writ_mono_ms() < deadline)
		(void)poll(NULL, 0, 5);
	assert_true(pid > 0);
	assert_int_equal(kill(pid, SIGKILL), 0);
}

static void killed_signers_lose_nothing(void **state)
{
	struct world *w = *state;
	start(w, "disk");
	wait_answers(w, 100);
	for (int i = 0; i < KILLS; i++) {
		kill_child(w, "writ-signer");
		wait_answers(w, 40 + (size_t)i * 7);
	}
	assert_int_equal(stop(w), 0);
	assert_true(check_serials(w) > 1000);
	/* The key was on disk: always the same CA. */
	assert_int_equal(count_cas(w), 1);
	char text[512];
	ssize_t n = recv(w->notify, text, sizeof(text) - 1, MSG_DONTWAIT);
	assert_true(n > 0);
	text[n] = 0;
	assert_string_equal(text, "READY=1\nSTATUS=up\n");
}

static size_t count_files(struct world *w)
{
	return read_record(w, NULL);
}

static void wait_files(struct world *w, size_t n)
{
	int64_t deadline = writ_mono_ms() + 30000;
	while (count_files(w) < n && writ_mono_ms() < deadline)
		(void)poll(NULL, 0, 2);
	assert_true(count_files(w) >= n);
}

static void a_full_record_gets_a_number_and_nothing_is_lost(void **state)
{
	struct world *w = *state;
	w->record.max = RECORD_MAX;
	start(w, "disk");
	wait_files(w, 12);
	assert_int_equal(stop(w), 0);
	check_serials(w);
	/* The bound holds but for what was signed while the next file was on its way. */
	for (int i = 1; i < 12; i++) {
		char path[256];
		struct stat st;
		snprintf(path, sizeof(path), "%s/issued.jsonl.%06d", w->dir, i);
		assert_int_equal(stat(path, &st), 0);
		assert_true(st.st_size >= RECORD_MAX);
		assert_int_equal(st.st_mode & 07777, 0600);
	}
}

/* Who is killed, and when, is by chance: some hit the time between the renaming and the new file.
 */
static void a_kill_while_the_record_changes_loses_nothing(void **state)
{
	struct world *w = *state;
	w->record.max = RECORD_MAX;
	for (size_t i = 0; i < ROUNDS; i++) {
		if (!w->monitor)
			start(w, "disk");
		wait_answers(w, 20);
		wait_files(w, count_files(w) + 1);
		(void)poll(NULL, 0, (int)(i % 4));
		if (i % 2) {
			kill_child(w, "writ-signer");
			continue;
		}
		pid_t signer = child_named(w->monitor, "writ-signer");
		kill(w->monitor, SIGKILL);
		waitpid(w->monitor, NULL, 0);
		w->monitor = 0;
		/* Its children end by themselves; the next monitor would not want to share with
		 * them. */
		int64_t deadline = writ_mono_ms() + 5000;
		while (signer && kill(signer, 0) == 0 && writ_mono_ms() < deadline)
			while (waitpid(-1, NULL, WNOHANG) > 0 || poll(NULL, 0, 5) != 0)
				;
		while (waitpid(-1, NULL, 0) > 0)
			;
	}
	if (!w->monitor)
		start(w, "disk");
	wait_answers(w, 20);
	assert_int_equal(stop(w), 0);
	check_serials(w);
	assert_true(count_files(w) > ROUNDS);
}

static void a_renamed_record_is_left_at_a_signal(void **state)
{
	struct world *w = *state;
	struct stat st;
	WRIT_AUTO(writ_freep) char *path = writ_fs_join(w->dir, "issued.jsonl");
	WRIT_AUTO(writ_freep) char *to = writ_fs_join(w->dir, "issued.jsonl-20261122");
	start(w, "disk");
	wait_answers(w, 50);
	assert_int_equal(rename(path, to), 0);
	wait_answers(w, 50);
	assert_int_not_equal(stat(path, &st), 0);
	assert_int_equal(kill(w->monitor, SIGUSR2), 0);
	wait_files(w, 2);
	int64_t deadline = writ_mono_ms() + 10000;
	while (stat(path, &st) == 0 && !st.st_size && writ_mono_ms() < deadline)
		wait_answers(w, 10);
	assert_true(st.st_size > 0);
	assert_int_equal(stat(to, &st), 0);
	wait_answers(w, 50);
	off_t size = st.st_size;
	assert_int_equal(stat(to, &st), 0);
	assert_int_equal(st.st_size, size);
	assert_int_equal(stop(w), 0);
	check_serials(w);
}

static void a_signer_with_keys_in_memory_comes_back_with_another_ca(void **state)
{
	struct world *w = *state;
	start(w, "memory");
	wait_answers(w, 50);
	kill_child(w, "writ-signer");
	wait_answers(w, 100);
	assert_int_equal(stop(w), 0);
	check_serials(w);
	assert_int_equal(count_cas(w), 2);
}

static void a_killed_server_comes_back_to_the_same_signer(void **state)
{
	struct world *w = *state;
	start(w, "memory");
	wait_answers(w, 50);
	pid_t signer = child_named(w->monitor, "writ-signer");
	for (int i = 0; i < 3; i++) {
		kill_child(w, "test_monitor");
		wait_answers(w, 100);
	}
	assert_int_equal(child_named(w->monitor, "writ-signer"), signer);
	assert_int_equal(stop(w), 0);
	check_serials(w);
}

static void a_locked_in_signer_makes_every_type_of_key(void **state)
{
	struct world *w = *state;
	static const char *const types[] = { "ec-p384", "rsa-2048", "rsa-4096" };
	for (size_t i = 0; i < WRIT_COUNT(types); i++) {
		char type[16];
		snprintf(type, sizeof(type), "%s", types[i]);
		w->key_type = type;
		start(w, "memory");
		wait_answers(w, 40);
		assert_int_equal(stop(w), 0);
	}
	check_serials(w);
	assert_int_equal(count_cas(w), 3);
}

static void keys_are_private_and_a_restart_finds_them(void **state)
{
	struct world *w = *state;
	mode_t before = umask(0);
	start(w, "disk");
	umask(before);
	wait_answers(w, 10);
	assert_int_equal(stop(w), 0);
	start(w, "disk");
	wait_answers(w, 10);
	assert_int_equal(stop(w), 0);
	char *text = answered(w), *first = strstr(text, "ca "), *second = strstr(first + 1, "ca ");
	assert_non_null(second);
	assert_memory_equal(first, second, 43);
	char path[256];
	struct stat st;
	snprintf(path, sizeof(path), "%s/keys/%.40s.pem", w->dir, first + 3);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	snprintf(path, sizeof(path), "%s/keys", w->dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	snprintf(path, sizeof(path), "%s/issued.jsonl", w->dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	writ_free(text);
}

static void a_damaged_key_ends_it_at_once(void **state)
{
	struct world *w = *state;
	struct writ_keystore k;
	struct writ_err err;
	int status;
	assert_int_equal(writ_keystore_open(&k, w->dir, &err), WRIT_OK);
	assert_int_equal(
		writ_keystore_save(&k, WRIT_STR("abcd"), WRIT_STR("no key"), &err), WRIT_OK);
	assert_int_equal(
		writ_keystore_save(&k, WRIT_STR("../x"), WRIT_STR("x"), &err), WRIT_EINVAL);
	writ_keystore_done(&k);
	start(w, "disk");
	assert_int_equal(waitpid(w->monitor, &status, 0), w->monitor);
	w->monitor = 0;
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
}

static void children_end_with_a_killed_monitor(void **state)
{
	struct world *w = *state;
	start(w, "memory");
	wait_answers(w, 10);
	pid_t signer = child_named(w->monitor, "writ-signer"),
	      server = child_named(w->monitor, "test_monitor");
	assert_true(signer > 0 && server > 0);
	kill(w->monitor, SIGKILL);
	waitpid(w->monitor, NULL, 0);
	w->monitor = 0;
	int64_t deadline = writ_mono_ms() + 5000;
	while ((kill(signer, 0) == 0 || kill(server, 0) == 0) && writ_mono_ms() < deadline)
		while (waitpid(-1, NULL, WNOHANG) > 0 || poll(NULL, 0, 5) != 0)
			;
	assert_int_not_equal(kill(signer, 0), 0);
	assert_int_not_equal(kill(server, 0), 0);
}

static size_t open_descriptors(void)
{
	size_t n = 0;
	DIR *d = opendir("/proc/self/fd");
	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

/* The serving process is the one that strangers talk to. */
static void a_hostile_server_leaves_no_descriptors_here(void **state)
{
	(void)state;
	int pair[2], passed[2] = { 0, 1 }, fd;
	char buf[WRIT_CONTROL_MAX], byte = WRIT_CONTROL_NOTIFY;
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(passed))];
	} control = { .room = { 0 } };
	struct iovec part = { &byte, 1 };
	struct msghdr m = { .msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control.room,
		.msg_controllen = sizeof(control.room) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(passed));
	memcpy(CMSG_DATA(c), passed, sizeof(passed));
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	size_t before = open_descriptors();
	for (int i = 0; i < 3; i++) {
		enum writ_control_type type;
		struct writ_str text;
		struct writ_err err;
		assert_int_equal(sendmsg(pair[0], &m, 0), 1);
		assert_int_equal(writ_control_recv(pair[1], buf, &type, &text, &fd, &err), WRIT_OK);
		writ_closep(&fd);
	}
	assert_int_equal(open_descriptors(), before);
	close(pair[0]);
	close(pair[1]);
}

int main(int argc, char **argv)
{
	if (argc == 4 && strcmp(argv[1], "--serve") == 0)
		return monitor_stub(argv[2], argv[3]);
	/* BUILD/tests/test_monitor and BUILD/bin/writ-signer. */
	static char path[4096];
	ssize_t k = readlink("/proc/self/exe", path, sizeof(path) - 32);
	if (k <= 0 || (size_t)k == sizeof(path) - 32)
		return 2;
	path[k] = 0;
	snprintf(strrchr(path, '/'), 32, "/../bin/writ-signer");
	signer_path = path;
	/* Orphans come to us: that they end can be seen. */
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1);
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(killed_signers_lose_nothing),
		T(a_full_record_gets_a_number_and_nothing_is_lost),
		T(a_kill_while_the_record_changes_loses_nothing),
		T(a_renamed_record_is_left_at_a_signal),
		T(a_signer_with_keys_in_memory_comes_back_with_another_ca),
		T(a_killed_server_comes_back_to_the_same_signer),
		T(a_locked_in_signer_makes_every_type_of_key),
		T(keys_are_private_and_a_restart_finds_them),
		T(a_damaged_key_ends_it_at_once),
		T(children_end_with_a_killed_monitor),
		cmocka_unit_test(a_hostile_server_leaves_no_descriptors_here),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
