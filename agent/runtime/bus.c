/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/bus.h"

#include <dlfcn.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-bus.h>

#include "base/mem.h"
#include "front/http.h"
#include "loop/loop.h"

#define LIBRARY    "libsystemd.so.0"
#define BUS        "org.freedesktop.DBus"
#define MANAGER    "org.freedesktop.systemd1"
#define PROPERTIES "org.freedesktop.DBus.Properties"
#define UNIQUE_MAX 256
#define BUDGET     64 /* messages; the questions need six */

/* --- the library --- */

struct library {
	int (*new_bus)(sd_bus **ret);
	int (*set_fd)(sd_bus *bus, int in, int out);
	int (*set_bus_client)(sd_bus *bus, int b);
	int (*start)(sd_bus *bus);
	sd_bus *(*close_unref)(sd_bus *bus);
	int (*call)(sd_bus *bus, sd_bus_slot **slot, const char *destination, const char *path,
		const char *interface, const char *member, sd_bus_message_handler_t done, void *arg,
		const char *types, ...);
	int (*process)(sd_bus *bus, sd_bus_message **ret);
	int (*get_events)(sd_bus *bus);
	int (*read)(sd_bus_message *m, const char *types, ...);
	const sd_bus_error *(*get_error)(sd_bus_message *m);
};

static const struct {
	const char *name;
	size_t at;
} symbols[] = {
	{ "sd_bus_new", offsetof(struct library, new_bus) },
	{ "sd_bus_set_fd", offsetof(struct library, set_fd) },
	{ "sd_bus_set_bus_client", offsetof(struct library, set_bus_client) },
	{ "sd_bus_start", offsetof(struct library, start) },
	{ "sd_bus_close_unref", offsetof(struct library, close_unref) },
	{ "sd_bus_call_method_async", offsetof(struct library, call) },
	{ "sd_bus_process", offsetof(struct library, process) },
	{ "sd_bus_get_events", offsetof(struct library, get_events) },
	{ "sd_bus_message_read", offsetof(struct library, read) },
	{ "sd_bus_message_get_error", offsetof(struct library, get_error) },
};

/* Written once, before whoever asked for it goes on. */
static struct library lib;
static struct writ_err lib_err;
static pthread_once_t lib_once = PTHREAD_ONCE_INIT;

static void load(void)
{
	void *handle = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
	if (!handle) {
		(void)writ_fail(&lib_err, WRIT_EUNAVAIL,
			"the service manager cannot be asked: %s (Debian: apt-get install "
			"libsystemd0, and restart the agent)",
			dlerror());
		return;
	}
	for (size_t i = 0; i < WRIT_COUNT(symbols); i++) {
		void *symbol = dlsym(handle, symbols[i].name);
		if (!symbol) {
			(void)writ_fail(&lib_err, WRIT_EUNAVAIL,
				"the service manager cannot be asked: %s is too old, it has no %s",
				LIBRARY, symbols[i].name);
			(void)dlclose(handle);
			return;
		}
		memcpy((uint8_t *)&lib + symbols[i].at, &symbol, sizeof(symbol));
	}
}

writ_rc writ_bus_load(struct writ_err *err)
{
	(void)pthread_once(&lib_once, load);
	if (lib_err.rc != WRIT_OK && err)
		*err = lib_err;
	return lib_err.rc;
}

/* --- one talk --- */

enum step { OWNER, OWNERS_UID, UNIT, FRAGMENT, CGROUP, STEPS };

struct talk {
	sd_bus *bus; /* owns fd */
	struct writ_poll *poll;
	struct writ_timer *timer;
	enum step step;
	uid_t owner;
	char unit[WRIT_REACH_TARGET_MAX];
	char manager[UNIQUE_MAX]; /* its unique name, which is nobody else's ever again */
	char object[WRIT_BUS_OBJECT_MAX];
	struct writ_buf answer;
	bool over;
	writ_rc rc;
	struct writ_err err;
	void (*done)(void *arg, const struct writ_http_answer *a);
	void *arg;
};

static void cancel(void *talk)
{
	struct talk *t = talk;
	writ_timer_free(t->timer);
	writ_poll_free(t->poll);
	if (t->bus)
		(void)lib.close_unref(t->bus);
	writ_buf_done(&t->answer);
	writ_free(t);
}

static void finish(struct talk *t)
{
	WRIT_AUTO(writ_buf_done) struct writ_buf body = t->answer;
	const struct writ_http_answer a = {
		.rc = t->rc, .err = t->err, .status = 200, .body = writ_buf_str(&body)
	};
	void (*done)(void *arg, const struct writ_http_answer *a) = t->done;
	void *arg = t->arg;
	t->answer = WRIT_BUF(WRIT_BUS_ANSWER_MAX);
	cancel(t);
	done(arg, &a);
}

static void end(struct talk *t, writ_rc rc)
{
	t->over = true;
	t->rc = rc;
}

static void failed(struct talk *t, int e, const char *doing)
{
	end(t, writ_fail(&t->err, WRIT_EUNAVAIL, "%s the bus: %s", doing, strerror(-e)));
}

static int on_reply(sd_bus_message *m, void *arg, sd_bus_error *ret_error);

static bool is_service(const char *unit)
{
	return writ_str_ends(writ_cstr(unit), WRIT_STR(".service"));
}

static void send_next(struct talk *t)
{
	const char *kind = is_service(t->unit) ? MANAGER ".Service" : MANAGER ".Scope";
	const struct {
		const char *destination, *path, *interface, *member, *types, *first, *second;
	} calls[STEPS] = {
		[OWNER] = { BUS, "/org/freedesktop/DBus", BUS, "GetNameOwner", "s", MANAGER, NULL },
		[OWNERS_UID] = { BUS, "/org/freedesktop/DBus", BUS, "GetConnectionUnixUser", "s",
			t->manager, NULL },
		[UNIT] = { t->manager, "/org/freedesktop/systemd1", MANAGER ".Manager", "GetUnit",
			"s", t->unit, NULL },
		[FRAGMENT] = { t->manager, t->object, PROPERTIES, "Get", "ss", MANAGER ".Unit",
			"FragmentPath" },
		[CGROUP] = { t->manager, t->object, PROPERTIES, "Get", "ss", kind, "ControlGroup" },
	};
	int r = lib.call(t->bus, NULL, calls[t->step].destination, calls[t->step].path,
		calls[t->step].interface, calls[t->step].member, on_reply, t, calls[t->step].types,
		calls[t->step].first, calls[t->step].second);
	if (r < 0)
		failed(t, r, "write to");
}

/* --- what comes back --- */

static bool keep(char *to, size_t cap, const char *from)
{
	size_t n = strlen(from);
	if (n >= cap)
		return false;
	memcpy(to, from, n + 1);
	return true;
}

static bool take_owner(struct talk *t, sd_bus_message *m)
{
	const char *s;
	return lib.read(m, "s", &s) > 0 && s[0] == ':' && keep(t->manager, sizeof(t->manager), s);
}

static bool take_uid(struct talk *t, sd_bus_message *m)
{
	uint32_t uid;
	if (lib.read(m, "u", &uid) <= 0)
		return false;
	if (uid != t->owner)
		end(t,
			writ_fail(&t->err, WRIT_EDENIED,
				"%s on the bus is a process of user %" PRIu32 ", not of user %u",
				MANAGER, uid, (unsigned)t->owner));
	return true;
}

static bool take_object(struct talk *t, sd_bus_message *m)
{
	const char *s;
	return lib.read(m, "o", &s) > 0 && keep(t->object, sizeof(t->object), s);
}

static bool take_property(struct talk *t, sd_bus_message *m)
{
	const char *s;
	if (lib.read(m, "v", "s", &s) <= 0)
		return false;
	writ_buf_add(&t->answer, s, strlen(s) + 1);
	return !t->answer.failed;
}

static void take_error(struct talk *t, const sd_bus_error *e)
{
	const char *name = e->name ? e->name : "";
	if (t->step == OWNER && strcmp(name, BUS ".Error.NameHasNoOwner") == 0)
		end(t,
			writ_fail(&t->err, WRIT_EUNAVAIL,
				"nobody on the bus is %s: does systemd run here?", MANAGER));
	else if (t->step == UNIT && strcmp(name, MANAGER ".NoSuchUnit") == 0)
		end(t,
			writ_fail(&t->err, WRIT_ENOENT, "the service manager has no unit '%s'",
				t->unit));
	else
		end(t,
			writ_fail(&t->err, WRIT_EUNAVAIL, "the bus says %.100s: %.200s", name,
				e->message ? e->message : ""));
}

static int on_reply(sd_bus_message *m, void *arg, sd_bus_error *ret_error)
{
	static bool (*const take[STEPS])(struct talk * t, sd_bus_message * m) = { take_owner,
		take_uid, take_object, take_property, take_property };
	struct talk *t = arg;
	const sd_bus_error *e = lib.get_error(m);
	(void)ret_error;
	if (t->over)
		return 0;
	if (e)
		take_error(t, e);
	else if (!take[t->step](t, m))
		end(t, writ_fail(&t->err, WRIT_EPROTO, "not what a service manager answers"));
	if (t->over)
		return 0;
	t->step++;
	if (t->step == STEPS)
		end(t, WRIT_OK);
	else
		send_next(t);
	return 0;
}

/* --- the loop --- */

static void pump(struct talk *t)
{
	int r = 1;
	for (int i = 0; i < BUDGET && r > 0 && !t->over; i++)
		r = lib.process(t->bus, NULL);
	if (!t->over && r < 0)
		failed(t, r, "talk to");
	else if (!t->over && r > 0)
		end(t, writ_fail(&t->err, WRIT_EPROTO, "it sends more than it was asked for"));
}

/* POLLIN and POLLOUT, as sd-bus wants them. */
static void wait_more(struct talk *t)
{
	int wanted = lib.get_events(t->bus);
	int events = WRIT_HANGUP;
	if (wanted < 0) {
		failed(t, wanted, "wait for");
		return;
	}
	events |= wanted & 1 ? WRIT_READABLE : 0;
	events |= wanted & 4 ? WRIT_WRITABLE : 0;
	writ_poll_set(t->poll, events);
}

static void on_ready(void *arg, int events)
{
	struct talk *t = arg;
	(void)events;
	pump(t);
	if (!t->over)
		wait_more(t);
	if (t->over)
		finish(t);
}

static void on_timer(void *arg)
{
	struct talk *t = arg;
	if (!t->over)
		t->rc = writ_fail(&t->err, WRIT_ETIMEOUT, "the service manager does not answer");
	finish(t);
}

static void open_bus(struct talk *t, struct writ_loop *loop, struct writ_reach *r)
{
	int e = lib.new_bus(&t->bus);
	if (e >= 0)
		e = lib.set_fd(t->bus, r->socket, r->socket);
	if (e < 0) {
		failed(t, e, "open");
		return;
	}
	r->has_socket = false; /* the bus closes it */
	writ_rc rc = writ_poll_new(loop, r->socket, on_ready, t, &t->poll, &t->err);
	if (rc != WRIT_OK) {
		end(t, rc);
		return;
	}
	e = lib.set_bus_client(t->bus, 1);
	if (e >= 0)
		e = lib.start(t->bus);
	if (e < 0)
		failed(t, e, "greet");
}

static void *start(struct writ_loop *loop, struct writ_reach *r, size_t answer_max,
	int64_t deadline_ms, void (*done)(void *arg, const struct writ_http_answer *a), void *arg)
{
	struct talk *t = writ_alloc(sizeof(*t));
	t->answer = WRIT_BUF(answer_max);
	t->owner = r->owner;
	t->done = done;
	t->arg = arg;
	t->timer = writ_timer_new(loop, on_timer, t);
	(void)keep(t->unit, sizeof(t->unit), r->target);
	open_bus(t, loop, r);
	if (!t->over)
		send_next(t);
	if (!t->over)
		wait_more(t);
	writ_timer_start(t->timer, t->over ? 1 : deadline_ms);
	return t;
}

const struct writ_runtime_way writ_runtime_bus = { start, cancel };
