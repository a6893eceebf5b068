/* SPDX-License-Identifier: Apache-2.0 */
/* writ dev */
#include "dev.h"

#include "print.h"
#include "session.h"

#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "front/front.h"
#include "front/httpd.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#define START_MS 15000 /* for each step */
#define END_MS   5000
#define POLL_MS  4

static const struct writ_option options[] = {
	{ "once", NULL, WRIT_OPT_FLAG, NULL, "make the call, print it, end" },
	{ "name", NULL, WRIT_OPT_STRING, "NAME", "a name, to have several at a time" },
	{ "keep", NULL, WRIT_OPT_FLAG, NULL, "leave the folder with logs and store behind" },
	WRIT_OPT_OUTPUT,
	WRIT_OPT_O,
};

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signum)
{
	(void)signum;
	interrupted = 1;
}

static void answer(void *arg, const struct writ_httpd_request *req, struct writ_httpd_answer *a)
{
	(void)arg;
	a->status = 200;
	writ_buf_addf(
		&a->body, "hello from the echo tool, you asked for " WRIT_FMT, WRIT_ARG(req->path));
}

static writ_rc start_echo(struct writ_dev *d, struct writ_err *err)
{
	int fd;
	writ_rc rc = writ_listen_tcp("127.0.0.1", 0, &fd, &d->echo_port, err);
	return rc == WRIT_OK ? writ_httpd_start(d->loop, fd, answer, d, &d->echo, err) : rc;
}

/* Serves the echo tool for a moment. */
static void breathe(struct writ_dev *d)
{
	const bool never = false;
	(void)writ_loop_run_until(d->loop, &never, writ_mono_ms() + POLL_MS);
}

static writ_rc start_daemon(struct writ_dev *d, const char *program, const char *const *flags,
	const char *log, bool pipe_output, struct writ_child *c, struct writ_err *err)
{
	const char *argv[32] = { 0 };
	WRIT_AUTO(writ_freep) char *path = NULL;
	WRIT_AUTO(writ_freep) char *log_path = writ_fs_join(d->dir, log);
	writ_rc rc = writ_sibling(program, &path, err);
	if (rc != WRIT_OK)
		return rc;
	size_t n = 0;
	argv[n++] = path;
	for (; *flags && n + 1 < WRIT_COUNT(argv); flags++)
		argv[n++] = *flags;
	const struct writ_child_spec spec = {
		.argv = argv, .log = log_path, .pipe_output = pipe_output
	};
	return writ_child_start(&spec, c, err);
}

/* The last lines of a daemon's log, for the error. */
static writ_rc died(
	const struct writ_dev *d, const char *who, const char *log, struct writ_err *err)
{
	WRIT_AUTO(writ_freep) char *path = writ_fs_join(d->dir, log);
	WRIT_AUTO(writ_buf_done) struct writ_buf text = WRIT_BUF(16u << 20);
	(void)!writ_fs_read(path, &text, NULL);
	struct writ_str s = writ_str_trim(writ_buf_str(&text));
	const char *last = s.n ? memrchr(s.p, '\n', s.n) : NULL;
	if (last)
		s = writ_strn(last + 1, s.n - (size_t)(last + 1 - s.p));
	return writ_fail(err, WRIT_EUNAVAIL, "%s did not start: " WRIT_FMT, who, WRIT_ARG(s));
}

/* "... msg=api.listening ... port=8081 ..." */
static bool find_port(const struct writ_dev *d, uint16_t *port)
{
	WRIT_AUTO(writ_freep) char *path = writ_fs_join(d->dir, "server.log");
	WRIT_AUTO(writ_buf_done) struct writ_buf text = WRIT_BUF(16u << 20);
	if (writ_fs_read(path, &text, NULL) != WRIT_OK)
		return false;
	const char *line = text.n ? strstr(writ_buf_cstr(&text), "api.listening") : NULL;
	const char *at = line ? strstr(line, "port=") : NULL;
	size_t n = at ? strspn(at + 5, "0123456789") : 0;
	uint64_t v;
	if (!n || at[5 + n] == '\0' ||
		writ_parse_u64(writ_strn(at + 5, n), 1, 65535, &v, NULL) != WRIT_OK)
		return false;
	*port = (uint16_t)v;
	return true;
}

static writ_rc step_server(struct writ_dev *d, struct writ_err *err)
{
	WRIT_AUTO(writ_freep) char *conf = writ_fs_join(d->dir, "server.conf");
	const char *const flags[] = { "run", "-config", conf, NULL };
	writ_rc rc = writ_dev_write_server(d, err);
	if (rc == WRIT_OK)
		rc = start_daemon(d, "writ-server", flags, "server.log", false, &d->server, err);
	int64_t until = writ_mono_ms() + START_MS;
	while (rc == WRIT_OK &&
		!(find_port(d, &d->server_port) && access(d->server_socket, F_OK) == 0)) {
		if (writ_child_poll(&d->server) || writ_mono_ms() > until || interrupted)
			return died(d, "writ-server", "server.log", err);
		breathe(d);
	}
	return rc == WRIT_OK ? writ_dev_bootstrap(d, err) : rc;
}

static writ_rc step_agent(struct writ_dev *d, struct writ_err *err)
{
	WRIT_AUTO(writ_freep) char *conf = writ_fs_join(d->dir, "agent.conf");
	WRIT_AUTO(writ_freep) char *token = writ_fs_join(d->dir, "token");
	const char *const flags[] = { "run", "-config", conf, "-joinTokenFile", token, NULL };
	writ_rc rc = writ_dev_write_agent(d, err);
	if (rc == WRIT_OK)
		rc = start_daemon(d, "writ-agent", flags, "agent.log", false, &d->agent, err);
	if (rc == WRIT_OK)
		rc = writ_dev_register(d, err);
	int64_t until = writ_mono_ms() + START_MS;
	while (rc == WRIT_OK && access(d->agent_socket, F_OK) != 0) {
		if (writ_child_poll(&d->agent) || writ_mono_ms() > until || interrupted)
			return died(d, "writ-agent", "agent.log", err);
		breathe(d);
	}
	if (rc == WRIT_OK)
		(void)unlink(token);
	return rc;
}

/* The gate says "listening on port N" once it has its SVID. */
static writ_rc step_gate(struct writ_dev *d, struct writ_err *err)
{
	WRIT_AUTO(writ_freep) char *target = writ_asprintf("127.0.0.1:%u", d->echo_port);
	const char *const flags[] = { "run", "-listen", "127.0.0.1:0", "-target", target, "-allow",
		d->user_id, "-svid", WRIT_DEV_TOOL, "-socketPath", d->agent_socket, "-dumpable",
		NULL };
	char text[256] = "";
	size_t n = 0;
	writ_rc rc = start_daemon(d, "writ-gate", flags, "gate.log", true, &d->gate, err);
	int64_t until = writ_mono_ms() + START_MS;
	while (rc == WRIT_OK && !strchr(text, '\n')) {
		struct pollfd p = { .fd = d->gate.out, .events = POLLIN };
		if (writ_mono_ms() > until || interrupted || writ_child_poll(&d->gate))
			return died(d, "writ-gate", "gate.log", err);
		if (poll(&p, 1, POLL_MS) > 0) {
			ssize_t k = read(d->gate.out, text + n, sizeof(text) - 1 - n);
			n += k > 0 ? (size_t)k : 0;
		}
	}
	uint64_t port = 0;
	const char *at = strstr(text, "port ");
	if (rc == WRIT_OK)
		rc = writ_parse_u64(
			writ_strn(at ? at + 5 : "", at ? strspn(at + 5, "0123456789") : 0), 1,
			65535, &port, err);
	d->gate_port = (uint16_t)port;
	return rc;
}

/* Runs `writ WORDS... -o json` as the process that calls, and gives what it said. */
static writ_rc ask(struct writ_dev *d, const char *const *words, json_t **ret, struct writ_err *err)
{
	const char *argv[16] = { 0 };
	WRIT_AUTO(writ_freep) char *self = NULL;
	WRIT_AUTO(writ_freep) char *log = writ_fs_join(d->dir, "call.log");
	WRIT_AUTO(writ_buf_done) struct writ_buf out = WRIT_BUF(1u << 20);
	struct writ_child c = { .out = -1 };
	writ_rc rc = writ_sibling("writ", &self, err);
	size_t n = 0;
	argv[n++] = self;
	for (; *words && n + 1 < WRIT_COUNT(argv); words++)
		argv[n++] = *words;
	const struct writ_child_spec spec = { .argv = argv, .log = log, .pipe_output = true };
	if (rc == WRIT_OK)
		rc = writ_child_start(&spec, &c, err);
	int64_t until = writ_mono_ms() + START_MS;
	bool open = rc == WRIT_OK;
	while (open) {
		struct pollfd p = { .fd = c.out, .events = POLLIN };
		breathe(d);
		if (writ_mono_ms() > until || interrupted)
			break;
		while (open && poll(&p, 1, 0) > 0) {
			uint8_t *at = writ_buf_room(&out, 4096);
			ssize_t k = at ? read(c.out, at, 4096) : 0;
			if (k > 0)
				writ_buf_grew(&out, (size_t)k);
			open = k > 0;
		}
	}
	writ_child_end(&c, END_MS);
	if (rc == WRIT_OK) {
		*ret = json_loadb(out.n ? (const char *)out.p : "", out.n, 0, NULL);
		if (!*ret)
			rc = died(d, "the call", "call.log", err);
	}
	return rc;
}

static writ_rc step_call(struct writ_dev *d, struct writ_err *err)
{
	WRIT_AUTO(writ_freep) char *url = writ_asprintf("https://127.0.0.1:%u/hello", d->gate_port);
	const char *const fetch[] = { "svid", "fetch", "-socketPath", d->agent_socket, "-svid",
		d->user_id, "-o", "json", NULL };
	const char *const call[] = { "curl", "-socketPath", d->agent_socket, "-svid", d->user_id,
		"-id", WRIT_DEV_TOOL, "-o", "json", url, NULL };
	json_t *svids = NULL;
	writ_rc rc = ask(d, fetch, &svids, err);
	if (rc == WRIT_OK) {
		d->svid = json_incref(json_array_get(json_object_get(svids, "svids"), 0));
		json_decref(svids);
		rc = ask(d, call, &d->call, err);
	}
	return rc;
}

static void identify(struct writ_dev *d)
{
	char buf[1024];
	struct passwd pw, *found = NULL;
	(void)getpwuid_r(getuid(), &pw, buf, sizeof(buf), &found);
	const char *name = found ? found->pw_name : "";
	bool good = name[0] &&
		strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
			strlen(name) &&
		strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
	d->user_name = good ? writ_strdup(name) : writ_asprintf("uid-%u", (unsigned)getuid());
	d->user_id = writ_asprintf("spiffe://" WRIT_DEV_TD "/user/%s", d->user_name);
}

static void wait_for_interrupt(struct writ_dev *d)
{
	while (!interrupted) {
		const bool never = false;
		(void)writ_loop_run_until(d->loop, &never, writ_mono_ms() + 200);
		bool ended = writ_child_poll(&d->server) || writ_child_poll(&d->agent) ||
			writ_child_poll(&d->gate);
		if (ended && !interrupted) {
			fprintf(stderr,
				"writ dev: a program has ended by itself; its log is in %s\n",
				d->dir);
			d->keep = true;
			return;
		}
	}
}

static void tear_down(struct writ_dev *d)
{
	writ_child_end(&d->gate, END_MS);
	writ_child_end(&d->agent, END_MS);
	writ_child_end(&d->server, END_MS);
	writ_httpd_stop(d->echo);
	if (d->loop)
		writ_loop_free(d->loop);
	if (d->dir && !d->keep) {
		struct writ_err err;
		if (writ_fs_remove_tree(d->dir, &err) != WRIT_OK)
			fprintf(stderr, "writ dev: %s\n", err.msg);
	}
	char *owned[] = { d->name, d->dir, d->server_socket, d->agent_socket, d->agent_admin_socket,
		d->user_id, d->user_name };
	for (size_t i = 0; i < WRIT_COUNT(owned); i++)
		writ_free(owned[i]);
	json_decref(d->svid);
	json_decref(d->call);
}

static writ_rc run_steps(struct writ_dev *d, struct writ_err *err)
{
	static writ_rc (*const steps[])(struct writ_dev * d, struct writ_err * err) = {
		writ_dev_make_folder, start_echo, step_server, step_agent, step_gate, step_call
	};
	for (size_t i = 0; i < WRIT_COUNT(steps); i++) {
		writ_rc rc = steps[i](d, err);
		if (interrupted)
			return writ_fail(err, WRIT_ECANCELED, "interrupted");
		if (rc != WRIT_OK)
			return rc;
	}
	d->ready_ms = writ_mono_ms();
	if (d->json)
		writ_dev_report_json(d);
	else
		writ_dev_report(d);
	if (!d->once)
		wait_for_interrupt(d);
	return WRIT_OK;
}

static writ_rc run_dev(struct writ_invocation *in, struct writ_err *err)
{
	struct writ_dev d = { .in = in,
		.server.out = -1,
		.agent.out = -1,
		.gate.out = -1,
		.began_ms = writ_mono_ms() };
	const struct sigaction action = { .sa_handler = on_interrupt };
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
	d.once = writ_arg_flag(&in->args, "once");
	d.keep = writ_arg_flag(&in->args, "keep");
	d.name = writ_strdup(writ_arg(&in->args, "name"));
	writ_rc rc = writ_output_is_json(&in->args, &d.json, err);
	if (rc == WRIT_OK)
		rc = writ_loop_new(&d.loop, err);
	identify(&d);
	if (rc == WRIT_OK)
		rc = run_steps(&d, err);
	if (rc != WRIT_OK && rc != WRIT_ECANCELED && d.dir && !d.once)
		d.keep = true; /* the logs say more */
	if (rc != WRIT_OK && d.keep && d.dir)
		fprintf(stderr, "writ dev: the logs are in %s\n", d.dir);
	tear_down(&d);
	return rc;
}

static writ_rc run_env(struct writ_invocation *in, struct writ_err *err)
{
	WRIT_AUTO(writ_freep) char *dir = writ_dev_folder(writ_arg(&in->args, "name"));
	WRIT_AUTO(writ_freep) char *agent = writ_fs_join(dir, "agent/api.sock");
	WRIT_AUTO(writ_freep) char *server = writ_fs_join(dir, "server/api.sock");
	WRIT_AUTO(writ_freep) char *admin = writ_fs_join(dir, "agent/admin/admin.sock");
	if (access(agent, F_OK) != 0) {
		in->next = "start it in another terminal: writ dev";
		return writ_fail(err, WRIT_ENOENT, "no `writ dev` runs in %s", dir);
	}
	printf("export SPIFFE_ENDPOINT_SOCKET=unix://%s\nexport WRIT_SERVER_SOCKET=%s\n"
	       "export WRIT_AGENT_ADMIN_SOCKET=%s\n",
		agent, server, admin);
	return WRIT_OK;
}

static const struct writ_command commands[] = {
	{ .words = "dev",
		.summary = "A throw-away trust domain on this machine, and one call through it",
		.options = options,
		.n_options = WRIT_COUNT(options),
		.run = run_dev,
		.detail = "Starts a server, an agent, a gate and an echo tool in a folder of its "
			  "own, without root, on free ports; fetches your SVID "
			  "and calls the tool. Ctrl-C stops everything and leaves nothing." },
	{ .words = "dev env",
		.summary = "Environment for a shell that uses the running `writ dev`",
		.options = options,
		.n_options = WRIT_COUNT(options),
		.run = run_env },
};
const struct writ_command_group writ_commands_dev = { "Trying it out", commands,
	WRIT_COUNT(commands) };
