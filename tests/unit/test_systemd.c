/* SPDX-License-Identifier: Apache-2.0 */
/* From which file a unit is: what is asked, over a real D-Bus daemon, and what is made of a manager
 * that misbehaves. The manager is a fake. */
#include "check.h"

#include "attest/cgroup_path.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "runtime/asks.h"
#include "runtime/systemd.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define UNIT     "agent.service"
#define FOLDER   "/system.slice/agent.service"
#define FRAGMENT "/etc/systemd/system/agent.service"
#define GIVEN    "systemd:fragment_path:" FRAGMENT

static const char bus_conf[] =
	"<!DOCTYPE busconfig PUBLIC \"-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN\"\n"
	"\"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd\">\n"
	"<busconfig><listen>unix:path=%s</listen><auth>EXTERNAL</auth>\n"
	"<policy context=\"default\"><allow user=\"*\"/><allow own=\"*\"/>\n"
	"<allow send_destination=\"*\"/><allow receive_sender=\"*\"/></policy></busconfig>\n";

struct world {
	struct writ_loop *loop;
	char dir[64], socket[100], conf[128];
	pid_t bus, manager;
	struct writ_systemd self;
	struct writ_asks *asks;
};

/* --- a bus, and a manager on it --- */

static void end_child(pid_t *pid)
{
	if (*pid > 0) {
		(void)kill(*pid, SIGKILL);
		(void)waitpid(*pid, NULL, 0);
	}
	*pid = 0;
}

/* Starts argv and waits for its first line of output. */
static pid_t start_child(const char *const *argv)
{
	int out[2];
	char c;
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		(void)dup2(out[1], 1);
		(void)execvp(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	close(out[1]);
	ssize_t n = read(out[0], &c, 1);
	close(out[0]);
	if (n != 1)
		fail_msg("%s does not start", argv[0]);
	return pid;
}

static void start_bus(struct world *w)
{
	char file[160];
	(void)snprintf(file, sizeof(file), "--config-file=%s", w->conf);
	const char *const argv[] = { "dbus-daemon", file, "--nofork", "--nopidfile",
		"--print-address", NULL };
	(void)unlink(w->socket);
	w->bus = start_child(argv);
}

/* It is built beside this program. */
static void find_fake(char *path, size_t cap)
{
	ssize_t n = readlink("/proc/self/exe", path, cap - 32);
	assert_true(n > 0);
	path[n] = '\0';
	(void)snprintf(strrchr(path, '/'), 32, "/fake_systemd");
}

static void start_manager_with(
	struct world *w, const char *mood, const char *fragment, const char *folder)
{
	char path[256];
	find_fake(path, sizeof(path));
	const char *const argv[] = { path, w->socket, mood, "other.service", "/x",
		"/system.slice/other.service", UNIT, fragment, folder, NULL };
	w->manager = start_child(argv);
}

static void start_manager(struct world *w, const char *mood)
{
	start_manager_with(w, mood, FRAGMENT, FOLDER);
}

static int open_world(void **state)
{
	struct world *w = writ_alloc(sizeof(*w));
	struct writ_err err;
	char text[sizeof(bus_conf) + 128];
	assert_ok(writ_loop_new(&w->loop, &err), err);
	(void)snprintf(w->dir, sizeof(w->dir), "/tmp/writ-systemd-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	assert_int_equal(chmod(w->dir, 0755), 0);
	(void)snprintf(w->socket, sizeof(w->socket), "%s/bus", w->dir);
	(void)snprintf(w->conf, sizeof(w->conf), "%s/bus.conf", w->dir);
	(void)snprintf(text, sizeof(text), bus_conf, w->socket);
	assert_int_equal(writ_fs_write(w->conf, text, strlen(text), 0600, NULL), WRIT_OK);
	w->self = (struct writ_systemd){ .socket = w->socket, .owner = geteuid() };
	*state = w;
	return 0;
}

static int close_world(void **state)
{
	struct world *w = *state;
	writ_asks_free(w->asks);
	writ_loop_free(w->loop);
	end_child(&w->manager);
	end_child(&w->bus);
	assert_int_equal(writ_fs_remove_tree(w->dir, NULL), WRIT_OK);
	writ_free(w);
	return 0;
}

/* --- asking --- */

struct question {
	struct writ_ask *ask;
	struct writ_answer answer;
	bool done, was_at_once;
};

static void on_done(void *arg)
{
	struct question *q = arg;
	writ_ask_take(q->ask, &q->answer);
	q->done = true;
}

static void open_asks(struct world *w, int64_t deadline_ms)
{
	const struct writ_asks_row row = {
		.vt = &writ_runtime_systemd, .self = &w->self, .wanted = 1
	};
	const struct writ_asks_config cfg = {
		.loop = w->loop, .rows = &row, .n_rows = 1, .deadline_ms = deadline_ms, .rest_ms = 1
	};
	writ_asks_free(w->asks);
	w->asks = writ_asks_new(&cfg);
}

static struct writ_place place_of(const char *selectors, const char *cgroup)
{
	struct writ_selectors found;
	struct writ_place p;
	struct writ_str rest = writ_cstr(selectors), one;
	writ_selectors_init(&found);
	while (rest.n) {
		(void)writ_str_cut(&rest, ' ', &one);
		assert_int_equal(writ_selectors_add_text(&found, one, NULL), WRIT_OK);
	}
	writ_selectors_seal(&found);
	writ_place_of(&found, writ_cstr(cgroup), 7, &p);
	writ_selectors_done(&found);
	return p;
}

static void start(struct world *w, const struct writ_place *p, struct question *q)
{
	*q = (struct question){ .done = false };
	writ_answer_init(&q->answer);
	writ_rc rc = writ_asks_start(w->asks, p, ~0u, &q->answer, on_done, q, &q->ask);
	q->done = q->was_at_once = rc == WRIT_OK;
}

static void await_answer(struct world *w, struct question *q)
{
	assert_true(writ_loop_run_until(w->loop, &q->done, writ_mono_ms() + 20000));
	writ_selectors_seal(&q->answer.selectors);
}

static void ask(struct world *w, const char *cgroup, struct question *q)
{
	const struct writ_place p = place_of("systemd:id:" UNIT, cgroup);
	start(w, &p, q);
	await_answer(w, q);
}

static void expect(struct question *q, const char *selector, const char *note)
{
	struct writ_str got = WRIT_STR("");
	assert_true(q->answer.selectors.n <= 1);
	if (q->answer.selectors.n)
		got = writ_selectors_at(&q->answer.selectors, 0).text;
	if (!writ_str_eq(got, writ_cstr(selector)))
		fail_msg("'" WRIT_FMT "', not '%s'; notes: %s", WRIT_ARG(got), selector,
			writ_buf_cstr(&q->answer.notes));
	if (!strstr(writ_buf_cstr(&q->answer.notes), note))
		fail_msg("no '%s' in '%s'", note, writ_buf_cstr(&q->answer.notes));
	writ_answer_done(&q->answer);
}

/* --- what holds --- */

static void a_unit_gives_its_file(void **state)
{
	struct world *w = *state;
	struct question q;
	start_bus(w);
	start_manager(w, "answers");
	open_asks(w, 0);
	ask(w, "0::" FOLDER "\n", &q);
	expect(&q, GIVEN, "");
	ask(w, "0::" FOLDER "/below/it\n", &q); /* the same unit, so the same answer */
	assert_true(q.was_at_once);
	expect(&q, GIVEN, "");
}

static void a_scope_has_a_cgroup_too(void **state)
{
	struct world *w = *state;
	struct question q;
	const struct writ_place p =
		place_of("systemd:id:run-1.scope", "0::/system.slice/run-1.scope\n");
	char path[256];
	find_fake(path, sizeof(path));
	const char *const argv[] = { path, w->socket, "answers", "run-1.scope",
		"/run/systemd/transient/run-1.scope", "/system.slice/run-1.scope", NULL };
	start_bus(w);
	w->manager = start_child(argv);
	open_asks(w, 0);
	start(w, &p, &q);
	await_answer(w, &q);
	expect(&q, "systemd:fragment_path:/run/systemd/transient/run-1.scope", "");
}

/* The name of a unit is not enough: the manager has to mean the folder that the caller is in. */
static void a_unit_whose_cgroup_is_elsewhere_gives_nothing(void **state)
{
	struct world *w = *state;
	struct question q;
	start_bus(w);
	start_manager(w, "answers");
	open_asks(w, 0);
	ask(w, "0::/other.slice/agent.service\n", &q);
	expect(&q, "", "the caller is in '/other.slice/agent.service'");
	ask(w, "0::" FOLDER "\n", &q); /* and what was said of that one is not said of this one */
	expect(&q, GIVEN, "");
}

static void what_the_manager_says_has_to_fit(void **state)
{
	static const struct {
		const char *fragment, *folder;
		const char *note;
	} rows[] = {
		{ FRAGMENT, "", "is ''" },
		{ FRAGMENT, "/", "is '/'" },
		{ FRAGMENT, FOLDER "/below", "the caller is in" },
		{ FRAGMENT, "/system.slice", "the caller is in" },
		{ FRAGMENT, FOLDER "/", "the caller is in" },
		{ "", FOLDER, "is from no file" },
		{ "agent.service", FOLDER, "no absolute path" },
		{ "/etc/a\nb.service", FOLDER, "withheld" },
	};
	struct world *w = *state;
	start_bus(w);
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		struct question q;
		start_manager_with(w, "answers", rows[i].fragment, rows[i].folder);
		open_asks(w, 0);
		ask(w, "0::" FOLDER "\n", &q);
		expect(&q, "", rows[i].note);
		end_child(&w->manager);
	}
}

static void a_manager_that_misbehaves_is_not_known(void **state)
{
	static const struct {
		const char *mood;
		const char *note;
	} rows[] = {
		{ "hangs", "not known: no answer in time" },
		{ "dies", "not known: the bus says org.freedesktop.DBus.Error.NoReply" },
		{ "mumbles", "not known: not what a service manager answers" },
		{ "floods", "not known: it sends more than it was asked for" },
	};
	struct world *w = *state;
	start_bus(w);
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		struct question q;
		start_manager(w, rows[i].mood);
		open_asks(w, 300);
		ask(w, "0::" FOLDER "\n", &q);
		expect(&q, "", rows[i].note);
		end_child(&w->manager);
	}
}

static void a_unit_that_is_not_loaded_is_not_known(void **state)
{
	struct world *w = *state;
	struct question q;
	const struct writ_place p =
		place_of("systemd:id:gone.service", "0::/system.slice/gone.service\n");
	start_bus(w);
	start_manager(w, "answers");
	open_asks(w, 0);
	start(w, &p, &q);
	await_answer(w, &q);
	expect(&q, "", "has no unit 'gone.service'");
}

static void a_name_that_somebody_else_took_is_not_believed(void **state)
{
	struct world *w = *state;
	struct question q;
	if (geteuid() != 0)
		skip();
	start_bus(w);
	start_manager(w, "stranger");
	open_asks(w, 0);
	ask(w, "0::" FOLDER "\n", &q);
	expect(&q, "", "is a process of user 65534, not of user 0");
}

static void a_bus_comes_and_goes(void **state)
{
	struct world *w = *state;
	struct question q;
	open_asks(w, 0);
	ask(w, "0::" FOLDER "\n", &q);
	expect(&q, "", "No such file");
	start_bus(w);
	open_asks(w, 0);
	ask(w, "0::" FOLDER "\n", &q);
	expect(&q, "", "nobody on the bus is org.freedesktop.systemd1");
	start_manager(w, "answers");
	open_asks(w, 0);
	ask(w, "0::" FOLDER "\n", &q);
	expect(&q, GIVEN, "");
	end_child(&w->manager);
	end_child(&w->bus);
	open_asks(w, 0);
	ask(w, "0::" FOLDER "\n", &q);
	expect(&q, "", "Connection refused");
	start_bus(w);
	start_manager(w, "answers");
	open_asks(w, 0);
	ask(w, "0::" FOLDER "\n", &q);
	expect(&q, GIVEN, "");
}

static void a_bus_that_dies_under_way_is_not_waited_for(void **state)
{
	struct world *w = *state;
	struct question q;
	const struct writ_place p = place_of("systemd:id:" UNIT, "0::" FOLDER "\n");
	bool never = false;
	start_bus(w);
	start_manager(w, "hangs");
	open_asks(w, 20000);
	start(w, &p, &q);
	(void)writ_loop_run_until(w->loop, &never, writ_mono_ms() + 100);
	assert_false(q.done);
	end_child(&w->bus);
	assert_true(writ_loop_run_until(w->loop, &q.done, writ_mono_ms() + 5000));
	writ_selectors_seal(&q.answer.selectors);
	expect(&q, "", "not known");
}

static int listen_at(const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	(void)snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	assert_int_equal(listen(fd, 8), 0);
	assert_int_equal(chmod(path, 0666), 0);
	return fd;
}

static void what_is_no_bus_is_not_known(void **state)
{
	static const struct {
		const char *says; /* NULL: nothing, and it stays */
		const char *note;
	} rows[] = {
		{ NULL, "no answer in time" },
		{ "", "not known" },
		{ "HTTP/1.1 200 OK\r\n\r\n", "not known" },
		{ "REJECTED\r\n", "not known" },
		{ "OK 0123456789abcdef0123456789abcdef\r\nAGREE_UNIX_FD\r\nl\4\1\1garbage",
			"not known" },
	};
	struct world *w = *state;
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		struct question q;
		int fd = listen_at(w->socket);
		const struct writ_place p = place_of("systemd:id:" UNIT, "0::" FOLDER "\n");
		open_asks(w, 300);
		start(w, &p, &q);
		int c = accept(fd, NULL, NULL);
		if (rows[i].says) {
			assert_true(send(c, rows[i].says, strlen(rows[i].says), MSG_NOSIGNAL) >= 0);
			close(c);
		}
		await_answer(w, &q);
		expect(&q, "", rows[i].note);
		if (!rows[i].says)
			close(c);
		close(fd);
		(void)unlink(w->socket);
	}
}

static void a_question_can_be_given_up(void **state)
{
	struct world *w = *state;
	struct question q;
	const struct writ_place p = place_of("systemd:id:" UNIT, "0::" FOLDER "\n");
	bool never = false;
	start_bus(w);
	start_manager(w, "hangs");
	open_asks(w, 20000);
	start(w, &p, &q);
	(void)writ_loop_run_until(w->loop, &never, writ_mono_ms() + 50);
	writ_asks_stop(w->asks);
	assert_true(q.done);
	writ_selectors_seal(&q.answer.selectors);
	expect(&q, "", "the agent ends");
}

static void who_is_in_no_unit_of_the_system_is_not_asked_about(void **state)
{
#define MANAGED "/user.slice/user-1000.slice/user@1000.service"
	static const struct {
		const char *selectors, *cgroup;
		bool wanted;
	} rows[] = {
		{ "systemd:id:" UNIT, "0::" FOLDER "\n", true },
		{ "systemd:id:" UNIT, "1:name=systemd:" FOLDER "/sub\n0::" FOLDER "\n", true },
		{ "systemd:id:" UNIT, "1:name=systemd:" FOLDER "\n0::/a.slice/agent.service\n",
			false },
		{ "systemd:id:" UNIT, "0::/system.slice/other.service\n", false },
		{ "systemd:id:" UNIT, "", false },
		{ "unix:uid:0", "0::/\n", false },
		{ "systemd:id:user@1000.service systemd-user:uid:1000:id:" UNIT,
			"0::" MANAGED "/app.slice/" UNIT "\n", false },
		{ "systemd:id:user@1000.service", "0::" MANAGED "/" FOLDER "\n", false },
		{ "systemd:id:user@1000.service", "0::" MANAGED "\n", false },
		{ "container:id:"
		  "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
			"0::/system.slice/docker-"
			"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
			".scope\n",
			false },
	};
	(void)state;
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		const struct writ_place p = place_of(rows[i].selectors, rows[i].cgroup);
		if (writ_runtime_systemd.wants(&p) != rows[i].wanted)
			fail_msg("row %zu", i);
	}
}

#define IN_WORLD(f) cmocka_unit_test_setup_teardown(f, open_world, close_world)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_WORLD(a_unit_gives_its_file),
		IN_WORLD(a_scope_has_a_cgroup_too),
		IN_WORLD(a_unit_whose_cgroup_is_elsewhere_gives_nothing),
		IN_WORLD(what_the_manager_says_has_to_fit),
		IN_WORLD(a_manager_that_misbehaves_is_not_known),
		IN_WORLD(a_unit_that_is_not_loaded_is_not_known),
		IN_WORLD(a_name_that_somebody_else_took_is_not_believed),
		IN_WORLD(a_bus_comes_and_goes),
		IN_WORLD(a_bus_that_dies_under_way_is_not_waited_for),
		IN_WORLD(what_is_no_bus_is_not_known),
		IN_WORLD(a_question_can_be_given_up),
		cmocka_unit_test(who_is_in_no_unit_of_the_system_is_not_asked_about),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
