/* SPDX-License-Identifier: Apache-2.0 */
/* writ-agent: attests the processes of a machine and serves them their identities. Wires modules,
 * holds no logic. */
#include "agent.h"
#include "flags.h"

#include "base/mem.h"
#include "crypto/key.h"
#include "daemon/daemon.h"
#include "rpc/channel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STOP_MS 8000
/* How long a start without an identity may take. A server that starts together with its machines
 * comes up meanwhile; a boot is not held up by one that does not. */
#define START_PATIENCE_MS 180000

struct program {
	struct writ_daemon *daemon;
	struct writ_agent *agent;
	const char *socket_path;
	bool ready;          /* systemd was told */
	struct writ_err why; /* the agent could not go on */
};

/* From here on units that come after ours find an agent with an identity. */
static void on_identity(void *arg)
{
	struct program *p = arg;
	if (!p->ready)
		writ_daemon_ready(p->daemon, p->socket_path);
	p->ready = true;
}

static void on_without(void *arg, const struct writ_err *why)
{
	struct program *p = arg;
	if (p->ready)
		return;
	WRIT_AUTO(writ_freep) char *status = writ_asprintf("no identity yet: %s", why->msg);
	writ_daemon_waits(p->daemon, status, START_PATIENCE_MS);
}

static void on_fatal(void *arg, const struct writ_err *err)
{
	struct program *p = arg;
	WRIT_LOG(ERROR, "agent.fatal", WRIT_KV("error", err->msg));
	p->why = *err;
	on_without(p, err);
	writ_daemon_begin_stop(p->daemon);
}

static bool is_ready(void *arg)
{
	const struct program *p = arg;
	return p->agent && writ_agent_is_ready(p->agent); /* none: the start did not work */
}

static void print_metrics(void *arg, struct writ_buf *out)
{
	const struct program *p = arg;
	if (p->agent)
		writ_agent_print_metrics(p->agent, out);
}

static void on_reopen(void *arg)
{
	writ_agent_reopen(((struct program *)arg)->agent);
}

static void on_stopped(void *arg)
{
	writ_daemon_done(((struct program *)arg)->daemon);
}

static void on_stop(void *arg)
{
	struct program *p = arg;
	writ_agent_stop(p->agent, STOP_MS / 2, on_stopped, p);
}

static writ_rc serve(struct writ_loop *loop, const struct writ_agent_config *cfg,
	struct writ_split *split, struct writ_secret *token, int keeper, struct writ_err *err)
{
	struct program p = { .socket_path = cfg->socket_path };
	const struct writ_agent_hooks hooks = {
		.fatal = on_fatal,
		.identity = on_identity,
		.without = on_without,
		.arg = &p,
		.keeper = keeper,
	};
	const struct writ_daemon_config daemon = {
		.loop = loop,
		.name = "writ-agent",
		.health = &cfg->health,
		.telemetry = &cfg->telemetry,
		.notify_socket = getenv("NOTIFY_SOCKET"),
		.ready = is_ready,
		.metrics = print_metrics,
		.stop = on_stop,
		.reopen = on_reopen,
		.stop_deadline_ms = STOP_MS,
		.arg = &p,
	};
	writ_rc rc = writ_daemon_start(&daemon, &p.daemon, err);
	if (rc != WRIT_OK)
		return rc;
	rc = writ_agent_start(loop, cfg, split, token, &hooks, &p.agent, err);
	if (rc != WRIT_OK) {
		writ_daemon_done(p.daemon);
		return rc;
	}
	writ_daemon_waits(p.daemon, "no identity yet: asking the server", START_PATIENCE_MS);
	writ_loop_run(loop);
	*err = p.why;
	return p.why.rc;
}

/* Two processes, and the one that goes on without capabilities. Where a filter forbids to give them
 * up they end by running the program once more. */
static writ_rc become_two(const struct writ_agent_config *cfg, const struct writ_secret *token,
	char **argv, struct writ_split *split, int *keeper, struct writ_err *err)
{
	const char *handed = getenv(WRIT_SPLIT_ENV);
	if (handed)
		return writ_split_take(cfg, handed, split, keeper, err);
	writ_rc rc = writ_split_check(cfg, err);
	if (rc != WRIT_OK)
		return rc;
	*keeper = writ_agent_start_keeper(cfg);
	rc = writ_split(cfg, split, err);
	if (rc != WRIT_EUNSUP)
		return rc;
	if (token->n)
		return writ_wrap(err, rc,
			"-joinToken cannot be used here (put it into a file: -joinTokenFile)");
	return writ_split_hand_on(split, *keeper, argv, err);
}

static writ_rc run(const struct writ_agent_config *cfg, struct writ_secret *token, char **argv,
	struct writ_err *err)
{
	struct writ_loop *loop = NULL;
	int keeper = -1;
	WRIT_AUTO(writ_split_end) struct writ_split split = { .fd = -1 };
	writ_rc rc = writ_daemon_open_log(&cfg->log, "writ-agent", err);
	if (rc != WRIT_OK)
		return rc;
	writ_daemon_raise_limits();
	rc = become_two(cfg, token, argv, &split, &keeper, err);
	if (rc == WRIT_OK)
		rc = writ_loop_new(&loop, err);
	if (rc != WRIT_OK)
		return rc;
	writ_rpc_init_program();
	rc = serve(loop, cfg, &split, token, keeper, err);
	writ_rpc_shutdown();
	writ_loop_free(loop);
	writ_job_shutdown();
	return rc;
}

static const char *from_env(void *arg, const char *name)
{
	(void)arg;
	return getenv(name);
}

static writ_rc command(bool validate, int argc, char **argv, struct writ_err *err)
{
	static struct writ_args args;
	struct writ_agent_config cfg = { 0 };
	struct writ_secret token = { .p = NULL };
	writ_rc rc = writ_agent_parse_flags(&args, argc, argv, err);
	if (rc == WRIT_OK)
		rc = writ_crypto_init(err);
	if (rc == WRIT_OK)
		rc = writ_agent_take_token(&args, argc, argv, &token, err);
	if (rc == WRIT_OK && args.help) {
		writ_agent_print_usage();
		return WRIT_OK;
	}
	if (rc == WRIT_OK)
		rc = writ_agent_load_config(&args, from_env, &cfg, err);
	if (rc == WRIT_OK && cfg.trust_bundle_url)
		rc = writ_fail(err, WRIT_EUNSUP,
			"trust_bundle_url is not supported: fetch the bundle yourself and set "
			"trust_bundle_path");
	if (rc == WRIT_OK && !validate)
		rc = run(&cfg, &token, argv - 2, err);
	writ_secret_done(&token);
	writ_agent_config_done(&cfg);
	if (rc == WRIT_OK && validate)
		puts("writ-agent configuration file is valid.");
	return rc;
}

int main(int argc, char **argv)
{
	struct writ_err err = { 0 };
	writ_process_harden();
	writ_crypto_wipe_freed();
	const char *word = argc > 1 ? argv[1] : "-help";
	if (strcmp(word, "-version") == 0 || strcmp(word, "--version") == 0) {
		puts("writ-agent " WRIT_VERSION);
		return 0;
	}
	bool validate = strcmp(word, "validate") == 0;
	if (!validate && strcmp(word, "run") != 0) {
		writ_agent_print_usage();
		return argc > 1 && strstr(word, "help") ? 0 : 2;
	}
	writ_rc rc = command(validate, argc - 2, argv + 2, &err);
	if (rc != WRIT_OK)
		fprintf(stderr, "writ-agent: %s\n", err.msg);
	return writ_rc_exit(rc);
}
