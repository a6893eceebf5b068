/* SPDX-License-Identifier: Apache-2.0 */
/* A real monitor with real signers, and a small serving process: this program itself, started by
 * the monitor. It signs as fast as it can and notes each certificate that it got. */
#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/secret.h"
#include "ca/ca.h"
#include "loop/loop.h"
#include "monitor/control.h"
#include "monitor/keystore.h"
#include "monitor/monitor.h"

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

#define TD    "example.org"
#define KILLS 20
#define LOAD  32 /* requests under way in the serving process */

/* ---- the serving process ---- */

struct stub;
struct load {
	struct writ_ca_item item;
	struct stub *stub;
	struct writ_pubkey key;
};

struct stub {
	struct writ_loop *loop;
	struct writ_control *control;
	struct writ_signer_link *link;
	struct writ_ca *ca;
	struct writ_ca_change *change;
	struct writ_task ack;
	int out; /* one line a certificate */
	bool loaded;
	struct load load[LOAD];
};

static void stub_fail(const char *what, const struct writ_err *err)
{
	fprintf(stderr, "stub: %s: %s\n", what, err ? err->msg : "");
	_exit(1);
}

static void again(struct load *l)
{
	struct writ_err err;
	if (writ_ca_sign(l->stub->ca, &l->item, &err) != WRIT_OK)
		stub_fail("sign", &err);
}

static void got(struct writ_ca_item *i, writ_rc rc, const struct writ_ca_issued *out,
	const struct writ_err *err)
{
	struct load *l = writ_container(i, struct load, item);
	if (rc) {
		dprintf(l->stub->out, "failed %s\n", err->msg);
	} else {
		struct writ_cert *c;
		if (writ_cert_parse(out->cert.p, out->cert.n, &c, NULL) != WRIT_OK)
			stub_fail("certificate", NULL);
		dprintf(l->stub->out, "%s\n", writ_cert_serial_hex(c));
		writ_cert_unref(c);
	}
	if (rc != WRIT_ECANCELED)
		again(l);
}

static void stub_ack(struct writ_task *t)
{
	struct stub *s = writ_container(t, struct stub, ack);
	s->change->done(s->change, WRIT_OK, NULL);
}

static void stub_commit(void *arg, struct writ_ca_change *c)
{
	struct stub *s = arg;
	s->change = c;
	s->ack.run = stub_ack;
	writ_loop_post(s->loop, &s->ack);
}

static void stub_changed(void *arg)
{
	struct stub *s = arg;
	dprintf(s->out, "ca %s\n", writ_ca_active(s->ca)->id);
	/* Not before there is a CA: a large RSA key takes longer than a request waits. */
	for (size_t i = 0; i < LOAD && !s->loaded; i++)
		again(&s->load[i]);
	s->loaded = true;
}

static void stub_svid(void *arg, struct writ_svid *svid)
{
	struct stub *s = arg;
	(void)svid;
	writ_control_notify(s->control, "READY=1\nMAINPID=1\nSTATUS=up");
}

static void stub_signer(void *arg, int fd)
{
	struct writ_err err;
	if (writ_signer_link_attach(((struct stub *)arg)->link, fd, &err) != WRIT_OK)
		stub_fail("attach", &err);
}

static void stub_stop(void *arg)
{
	writ_loop_stop(((struct stub *)arg)->loop);
}

static void stub_signal(void *arg, int signum)
{
	(void)signum;
	stub_stop(arg);
}

static void stub_up(void *arg)
{
	writ_ca_signer_up(((struct stub *)arg)->ca);
}

static void stub_down(void *arg)
{
	writ_ca_signer_down(((struct stub *)arg)->ca);
}

static void stub_stuck(void *arg)
{
	writ_control_stuck(((struct stub *)arg)->control);
}

static int serve(const char *dir, const char *type)
{
	static const struct writ_control_events control = { stub_signer, stub_stop };
	static const struct writ_signer_link_events link = { stub_up, stub_down, stub_stuck };
	static const struct writ_ca_hooks hooks = { stub_commit, stub_changed, stub_svid };
	struct writ_ca_config config = {
		.trust_domain = TD, .ca_ttl_s = 3600, .server_svid_ttl_s = 300
	};
	struct stub s = { 0 };
	struct writ_err err = { 0 };
	if (writ_key_type_parse(writ_cstr(type), &config.key_type, &err))
		stub_fail("key type", &err);
	struct writ_signal *term;
	WRIT_AUTO(writ_freep) char *path = writ_fs_join(dir, "answered");
	writ_process_harden();
	(void)prctl(PR_SET_DUMPABLE, 1);
	s.out = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	if (s.out < 0 || writ_crypto_init(&err) || writ_loop_new(&s.loop, &err) ||
		writ_control_open(s.loop, WRIT_CONTROL_FD, &control, &s, &s.control, &err) ||
		writ_signal_new(s.loop, SIGTERM, stub_signal, &s, &term, &err))
		stub_fail("start", &err);
	s.link = writ_signer_link_new(s.loop, &link, &s);
	s.ca = writ_ca_new(s.loop, &config, writ_signer_link_port(s.link), &hooks, &s);
	struct writ_key *key;
	if (writ_key_generate(WRIT_KEY_P256, &key, &err))
		stub_fail("key", &err);
	for (size_t i = 0; i < LOAD; i++) {
		struct load *l = &s.load[i];
		*l = (struct load){ .stub = &s };
		if (writ_pubkey_of_key(key, &l->key, &err))
			stub_fail("key", &err);
		l->item = (struct writ_ca_item){ .spiffe_id = "spiffe://" TD "/w",
			.key = &l->key,
			.ttl_s = 300,
			.entry_id = "e",
			.done = got };
	}
	writ_loop_run(s.loop);
	_exit(0);
}

/* ---- the test ---- */

struct world {
	char *dir, *signer, *key_type;
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

/* No serial twice, and every one is in the issuance record. */
static size_t check_serials(struct world *w)
{
	char *text = answered(w), *save = NULL;
	WRIT_AUTO(writ_freep) char *path = writ_fs_join(w->dir, "issued.jsonl");
	struct writ_buf record = WRIT_BUF(256 * 1024 * 1024);
	assert_int_equal(writ_fs_read(path, &record, NULL), WRIT_OK);
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
		return serve(argv[2], argv[3]);
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
