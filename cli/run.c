/* SPDX-License-Identifier: Apache-2.0 */
/* writ run: a command under an identity of its own, for as long as it runs. The child is forked
 * first; the agent puts it into a cgroup; only then does it become the command. */
#include "held.h"
#include "identity.h"
#include "print.h"
#include "session.h"

#include "base/clock.h"
#include "base/mem.h"
#include "writ/run/v1/run.pb-c.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define GONE_MS     1000 /* for the agent to say that the cgroup is gone */
#define LEAVE_MS    5000 /* for a command that is told to end, until SIGKILL */
#define LAUNCH_PATH "/writ.run.v1.Run/Launch"

static const struct writ_option options[] = {
	{ "as", NULL, WRIT_OPT_STRING, "PATH", "the identity: the path of its SPIFFE ID" },
	{ "children", NULL, WRIT_OPT_FLAG, NULL,
		"what the command starts gets the identity too (it alone does otherwise)" },
	WRIT_OPT_AGENT_SOCKET,
	WRIT_OPT_TIMEOUT,
};

struct run {
	struct writ_invocation *in;
	struct writ_session session;
	struct writ_held child;
	struct writ_rpc *call; /* NULL: it has ended */
	struct writ_poll *signals, *end;
	struct writ_timer *leave;
	int signal_fd;
	bool answered; /* the agent has: it may begin, or why not */
	bool started, over, call_over;
	struct writ_str td;  /* the trust domain that -as names; empty: it names none */
	struct writ_err err; /* why the call ended */
};

/* --- the agent's side --- */

static void on_message(void *arg, struct writ_rpc *r, const ProtobufCMessage *m)
{
	struct run *run = arg;
	struct writ_str id = writ_cstr(((const Writ__Run__V1__LaunchResponse *)m)->spiffe_id), td;
	(void)r;
	(void)writ_str_cut(&id, '/', &td); /* "spiffe:" */
	(void)writ_str_cut(&id, '/', &td);
	(void)writ_str_cut(&id, '/', &td);
	run->answered = true;
	if (run->td.n && !writ_str_eq(run->td, td))
		(void)writ_fail(&run->err, WRIT_EINVAL,
			"-as names the trust domain " WRIT_FMT ", this machine's is " WRIT_FMT,
			WRIT_ARG(run->td), WRIT_ARG(td));
	else
		run->started = true;
}

static void on_call_end(void *arg, struct writ_rpc *r, const struct writ_rpc_status *s)
{
	struct run *run = arg;
	(void)r;
	run->call = NULL;
	run->call_over = run->answered = true;
	if (s->rc != WRIT_OK)
		(void)writ_rpc_status_err(s, NULL, &run->err);
	/* OK: the command has ended, and the agent has seen it first. */
	if (!run->started || run->over || s->rc == WRIT_OK)
		return;
	/* Without a launch it has no identity; what it is doing may want to be put away. */
	fprintf(stderr, "writ run: the agent has ended this launch (%s): ending the command\n",
		writ_safe(run->err.msg));
	writ_held_signal(&run->child, SIGTERM);
	writ_timer_start(run->leave, LEAVE_MS);
}

static void on_patience_end(void *arg)
{
	writ_held_signal(&((struct run *)arg)->child, SIGKILL);
}

static void ask(struct run *run, const char *as)
{
	static const struct writ_rpc_header header = { "workload.spiffe.io", "true" };
	Writ__Run__V1__LaunchRequest m = WRIT__RUN__V1__LAUNCH_REQUEST__INIT;
	m.as = (char *)(uintptr_t)as;
	m.pid = run->child.pid;
	m.children = writ_arg_flag(&run->in->args, "children");
	const struct writ_rpc_request req = {
		.path = LAUNCH_PATH,
		.message = &m.base,
		.out = &writ__run__v1__launch_response__descriptor,
		.headers = &header,
		.n_headers = 1,
		.message_in = on_message,
		.ended = on_call_end,
		.arg = run,
	};
	run->call = writ_rpc_start(run->session.channel, &req);
}

/* --- the command's side --- */

static const int passed_on[] = { SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGWINCH };

static void on_signal(void *arg, int events)
{
	struct run *run = arg;
	struct signalfd_siginfo s;
	(void)events;
	while (read(run->signal_fd, &s, sizeof(s)) == (ssize_t)sizeof(s)) {
		/* What comes from the terminal has reached the command too. */
		if (s.ssi_code == SI_KERNEL)
			continue;
		if (run->started)
			writ_held_signal(&run->child, (int)s.ssi_signo);
		else
			run->answered = true; /* nothing has begun: the end of it */
	}
}

static void on_end(void *arg, int events)
{
	struct run *run = arg;
	(void)events;
	if (!writ_held_ended(&run->child))
		return;
	writ_poll_set(run->end, 0);
	writ_timer_stop(run->leave);
	run->over = run->answered = true;
}

static writ_rc watch(struct run *run, struct writ_err *err)
{
	struct writ_loop *loop = run->session.loop;
	writ_rc rc = writ_poll_new(loop, run->child.pidfd, on_end, run, &run->end, err);
	if (rc == WRIT_OK)
		rc = writ_poll_new(loop, run->signal_fd, on_signal, run, &run->signals, err);
	if (rc != WRIT_OK)
		return rc;
	run->leave = writ_timer_new(loop, on_patience_end, run);
	writ_poll_set(run->end, WRIT_READABLE);
	writ_poll_set(run->signals, WRIT_READABLE);
	return WRIT_OK;
}

static writ_rc wait_answer(struct run *run, struct writ_err *err)
{
	int64_t ms = run->session.timeout_ms;
	if (!writ_loop_run_until(run->session.loop, &run->answered, writ_mono_ms() + ms))
		return writ_fail(err, WRIT_ETIMEOUT, "the agent does not answer");
	if (run->started)
		return WRIT_OK;
	if (run->err.rc == WRIT_OK)
		return writ_fail(err, WRIT_ECANCELED, "interrupted before it began");
	*err = run->err;
	if (err->rc == WRIT_EUNSUP)
		return writ_wrap(err, err->rc, "this agent does not serve writ run");
	return err->rc;
}

static writ_rc live(struct run *run, struct writ_err *err)
{
	const char *name = run->in->args.rest[0];
	writ_rc rc = watch(run, err);
	if (rc == WRIT_OK)
		rc = wait_answer(run, err);
	if (rc == WRIT_OK)
		rc = writ_held_go(&run->child, name, err);
	if (rc != WRIT_OK) {
		/* As a shell says it. */
		if (run->started)
			run->in->exit_code = rc == WRIT_ENOENT ? 127 : 126;
		return rc;
	}
	while (!run->over)
		(void)writ_loop_run_until(run->session.loop, &run->over, INT64_MAX);
	run->in->exit_code = writ_held_exit_code(&run->child);
	return WRIT_OK;
}

static void close_run(struct run *run)
{
	run->over = true;
	writ_held_end(&run->child);
	if (run->started)
		(void)writ_loop_run_until(
			run->session.loop, &run->call_over, writ_mono_ms() + GONE_MS);
	if (run->call)
		writ_rpc_cancel(run->call);
	writ_timer_free(run->leave);
	writ_poll_free(run->end);
	writ_poll_free(run->signals);
	writ_session_close(&run->session);
	writ_closep(&run->signal_fd);
}

/* --- the command line --- */

/* "agents/dev" and "spiffe://td/agents/dev" are meant as "/agents/dev". */
static char *path_of(const char *as, struct writ_str *td)
{
	static const char scheme[] = "spiffe://";
	if (strncmp(as, scheme, sizeof(scheme) - 1) == 0) {
		const char *path = strchrnul(as + sizeof(scheme) - 1, '/');
		*td = writ_strn(
			as + sizeof(scheme) - 1, (size_t)(path - as) - (sizeof(scheme) - 1));
		return writ_strdup(path);
	}
	return as[0] == '/' ? writ_strdup(as) : writ_asprintf("/%s", as);
}

static writ_rc read_line(struct run *run, char **as, char **socket, struct writ_err *err)
{
	struct writ_invocation *in = run->in;
	const char *from;
	if (!writ_arg(&in->args, "as"))
		return writ_fail(err, WRIT_EINVAL,
			"under which identity? writ run -as /agents/dev -- command");
	if (!in->args.n_rest)
		return writ_fail(err, WRIT_EINVAL, "which command? writ run -as %s -- command",
			writ_arg(&in->args, "as"));
	writ_rc rc = writ_workload_socket(&in->args, socket, &from, err);
	if (rc == WRIT_OK)
		*as = path_of(writ_arg(&in->args, "as"), &run->td);
	return rc;
}

static void say_next(struct writ_invocation *in, writ_rc rc)
{
	if (rc == WRIT_ENOENT || rc == WRIT_EUNAVAIL)
		in->next = "is writ-agent running? systemctl status writ-agent";
}

static writ_rc hold(struct run *run, const sigset_t *all, const char *socket, struct writ_err *err)
{
	sigset_t mask;
	WRIT_AUTO(writ_freep) char *uri = writ_asprintf("unix://%s", socket);
	if (setenv("SPIFFE_ENDPOINT_SOCKET", uri, 1) != 0)
		return writ_fail_errno(err, errno, "set SPIFFE_ENDPOINT_SOCKET");
	/* Threads to come inherit the mask: signals are read from signal_fd, nowhere else. */
	if (sigprocmask(SIG_BLOCK, all, &mask) != 0)
		return writ_fail_errno(err, errno, "hold signals back");
	run->signal_fd = signalfd(-1, all, SFD_CLOEXEC | SFD_NONBLOCK);
	if (run->signal_fd < 0)
		return writ_fail_errno(err, errno, "watch for signals");
	return writ_held_start(run->in->args.tail, &mask, &run->child, err);
}

static writ_rc run_command(struct writ_invocation *in, struct writ_err *err)
{
	WRIT_AUTO(writ_freep) char *as = NULL;
	WRIT_AUTO(writ_freep) char *socket = NULL;
	struct run run = {
		.in = in, .signal_fd = -1, .child = { .pidfd = -1, .go = -1, .report = -1 }
	};
	sigset_t all;
	sigemptyset(&all);
	for (size_t i = 0; i < WRIT_COUNT(passed_on); i++)
		sigaddset(&all, passed_on[i]);
	writ_rc rc = read_line(&run, &as, &socket, err);
	if (rc == WRIT_OK)
		rc = hold(&run, &all, socket, err);
	if (rc == WRIT_OK)
		rc = writ_session_open_path(in, socket, &run.session, err);
	if (rc != WRIT_OK)
		say_next(in, rc);
	if (rc == WRIT_OK) {
		ask(&run, as);
		rc = live(&run, err);
	}
	close_run(&run);
	return rc;
}

static const struct writ_command commands[] = { {
	.words = "run",
	.summary = "A command under an identity of its own, for as long as it runs",
	.operands = "CMD [ARG...]",
	.options = options,
	.n_options = WRIT_COUNT(options),
	.run = run_command,
	.detail = "The agent puts the command into a cgroup of its own, and while it runs its "
		  "process has the selectors run:as:PATH and run:id:ID, by which an entry knows "
		  "it; no other process can have them. What the command starts is not meant, but "
		  "with -children. When the command ends, what it left running is ended too. "
		  "SPIFFE_ENDPOINT_SOCKET is set. The run block of agent.conf says who may. The "
		  "exit code is the command's, 128 + N after signal N, 127 or 126 when it cannot "
		  "be started.",
	.runs_others = true,
} };
const struct writ_command_group writ_commands_run = { "Running", commands, WRIT_COUNT(commands) };
