/* SPDX-License-Identifier: Apache-2.0 */
/* writ-gate: mutual TLS in front of a tool. Wires modules, holds no logic. */
#include "gate.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/options.h"
#include "base/secret.h"
#include "crypto/key.h"
#include "daemon/daemon.h"
#include "rpc/channel.h"
#include "workload/endpoint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#define STOP_MS          10000
#define DEFAULT_ENDPOINT "unix:///run/writ/agent/public/api.sock"

static const struct writ_option options[] = {
	{ "config", NULL, WRIT_OPT_STRING, "FILE",
		"configuration; without it the flags must be enough" },
	{ "listen", NULL, WRIT_OPT_STRING, "ADDRESS", "where callers connect, as :8443" },
	{ "target", NULL, WRIT_OPT_STRING, "ADDRESS",
		"the tool behind the gate, as 127.0.0.1:8080 or unix:/path" },
	{ "allow", NULL, WRIT_OPT_LIST, "SPIFFE-ID",
		"who may call: an ID, or a path that ends in a slash" },
	{ "svid", NULL, WRIT_OPT_STRING, "SPIFFE-ID",
		"the gate's own identity, where it is given several" },
	{ "socketPath", "socket-path", WRIT_OPT_STRING, "PATH",
		"the Workload API (SPIFFE_ENDPOINT_SOCKET)" },
	{ "logLevel", "log-level", WRIT_OPT_STRING, "LEVEL", "debug, info, warn or error" },
	{ "logFormat", "log-format", WRIT_OPT_STRING, "FORM", "text or json" },
	{ "logFile", "log-file", WRIT_OPT_STRING, "FILE", "instead of standard error" },
	{ "unsafeTarget", "unsafe-target", WRIT_OPT_FLAG, NULL,
		"let the target be on another host, in clear text" },
	{ "dumpable", NULL, WRIT_OPT_FLAG, NULL,
		"stay readable for an agent of the same user, as in `writ dev`; core files and "
		"debuggers see the key" },
	{ "expandEnv", "expand-env", WRIT_OPT_FLAG, NULL,
		"replace $VAR and ${VAR} in the configuration" },
};

struct program {
	struct writ_loop *loop;
	struct writ_daemon *daemon;
	struct writ_gate *gate;
	int exit_code;
};

static void on_listening(void *arg, uint16_t port)
{
	struct program *p = arg;
	char status[64];
	snprintf(status, sizeof(status), "listening on port %u", port);
	writ_daemon_ready(p->daemon, status);
	printf("listening on port %u\n", port);
	fflush(stdout);
}

static void on_fatal(void *arg, const struct writ_err *err)
{
	struct program *p = arg;
	WRIT_LOG(ERROR, "gate.fatal", WRIT_KV("error", err->msg));
	p->exit_code = writ_rc_exit(err->rc);
	writ_daemon_begin_stop(p->daemon);
}

static bool is_ready(void *arg)
{
	return writ_gate_ready(((struct program *)arg)->gate);
}

static void print_metrics(void *arg, struct writ_buf *out)
{
	writ_gate_metrics(((struct program *)arg)->gate, out);
}

static void on_stopped(void *arg)
{
	struct program *p = arg;
	writ_daemon_done(p->daemon);
}

static void on_stop(void *arg)
{
	struct program *p = arg;
	writ_gate_stop(p->gate, STOP_MS, on_stopped, p);
}

static writ_rc serve(const struct writ_gate_config *cfg, struct program *p, struct writ_err *err)
{
	const struct writ_gate_hooks hooks = { on_listening, on_fatal, p };
	const struct writ_daemon_config daemon = {
		.loop = p->loop,
		.name = "writ-gate",
		.health = &cfg->health,
		.telemetry = &cfg->telemetry,
		.notify_socket = getenv("NOTIFY_SOCKET"),
		.ready = is_ready,
		.metrics = print_metrics,
		.stop = on_stop,
		.stop_deadline_ms = STOP_MS,
		.arg = p,
	};
	writ_rc rc = writ_daemon_start(&daemon, &p->daemon, err);
	if (rc != WRIT_OK)
		return rc;
	rc = writ_gate_start(p->loop, cfg, &hooks, &p->gate, err);
	if (rc != WRIT_OK)
		writ_daemon_done(p->daemon);
	writ_loop_run(p->loop);
	return rc;
}

static writ_rc run_with(struct writ_gate_config *cfg, int *exit_code, struct writ_err *err)
{
	struct program p = { 0 };
	const char *env = cfg->endpoint ? NULL : getenv("SPIFFE_ENDPOINT_SOCKET");
	char *path;
	writ_rc rc = env ? writ_endpoint_parse(env, &path, err)
			 : writ_endpoint_or_path(
				   cfg->endpoint ? cfg->endpoint : DEFAULT_ENDPOINT, &path, err);
	if (rc != WRIT_OK)
		return writ_wrap(err, rc, "%s", env ? "SPIFFE_ENDPOINT_SOCKET" : "endpoint_socket");
	writ_free(cfg->endpoint);
	cfg->endpoint = path;
	rc = writ_daemon_open_log(&cfg->log, "writ-gate", err);
	if (rc == WRIT_OK)
		rc = writ_crypto_init(err);
	if (rc == WRIT_OK)
		rc = writ_loop_new(&p.loop, err);
	if (rc != WRIT_OK)
		return rc;
	writ_daemon_raise_limits();
	writ_rpc_init();
	rc = serve(cfg, &p, err);
	writ_rpc_shutdown();
	writ_loop_free(p.loop);
	*exit_code = p.exit_code;
	return rc;
}

static const char *from_env(void *arg, const char *name)
{
	(void)arg;
	return getenv(name);
}

static writ_rc load(const struct writ_args *a, struct writ_gate_config *cfg, struct writ_err *err)
{
	static const struct {
		const char *flag, *key;
	} map[] = { { "listen", "listen" }, { "target", "target" }, { "svid", "svid" },
		{ "socketPath", "endpoint_socket" }, { "logLevel", "log_level" },
		{ "logFormat", "log_format" }, { "logFile", "log_file" },
		{ "unsafeTarget", "unsafe_target" } };
	struct writ_conf_override overrides[WRIT_COUNT(map)];
	const char *allow[WRIT_ARGS_MAX];
	size_t n = 0, n_allow = 0;
	for (size_t i = 0; i < WRIT_COUNT(map); i++) {
		if (writ_arg_given(a, map[i].flag))
			overrides[n++] =
				(struct writ_conf_override){ map[i].key, writ_arg(a, map[i].flag) };
	}
	for (const char *id; (id = writ_arg_at(a, "allow", n_allow)) != NULL;)
		allow[n_allow++] = id;
	const char *path = writ_arg(a, "config");
	const struct writ_conf_source source = { .env = writ_arg_flag(a, "expandEnv") ? from_env
										      : NULL,
		.overrides = overrides,
		.n_overrides = n };
	struct writ_conf_diags diags = WRIT_CONF_DIAGS(path ? path : "flags");
	writ_rc rc = writ_gate_config_load(path, &source, allow, n_allow, &diags, cfg, err);
	writ_daemon_print_diags(&diags);
	writ_conf_diags_done(&diags);
	return rc;
}

static void usage(void)
{
	puts("usage: writ-gate run [-config FILE] [-listen ADDRESS -target ADDRESS -allow "
	     "SPIFFE-ID...]\n"
	     "       writ-gate validate -config FILE\n\nMutual TLS and an allow list in front of a "
	     "tool that has neither.\n\nflags");
	for (size_t i = 0; i < WRIT_COUNT(options); i++)
		printf("  -%-12s %-10s %s\n", options[i].name, options[i].arg ? options[i].arg : "",
			options[i].help);
	WRIT_AUTO(writ_buf_done) struct writ_buf text = WRIT_BUF(1u << 16);
	writ_gate_config_print_help(&text);
	printf("\nconfiguration\n%s", writ_buf_cstr(&text));
}

int main(int argc, char **argv)
{
	static struct writ_args args;
	struct writ_gate_config cfg = { 0 };
	struct writ_err err = { 0 };
	int exit_code = 0;
	writ_process_harden();
	writ_crypto_wipe_freed();
	const char *command = argc > 1 ? argv[1] : "-help";
	if (strcmp(command, "-version") == 0 || strcmp(command, "--version") == 0) {
		puts("writ-gate " WRIT_VERSION);
		return 0;
	}
	bool validate = strcmp(command, "validate") == 0;
	if (strcmp(command, "-h") == 0 || strcmp(command, "-help") == 0 ||
		strcmp(command, "--help") == 0 || strcmp(command, "help") == 0) {
		usage();
		return argc > 1 ? 0 : 2;
	}
	if (!validate && strcmp(command, "run") != 0) {
		fprintf(stderr, "writ-gate: unknown command '%s': run, validate or -help\n",
			command);
		return 2;
	}
	writ_rc rc = writ_args_parse_flags(
		&args, options, WRIT_COUNT(options), argc - 2, argv + 2, &err);
	if (rc == WRIT_OK && args.help) {
		usage();
		return 0;
	}
	if (rc == WRIT_OK && writ_arg_flag(&args, "dumpable"))
		prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	if (rc == WRIT_OK)
		rc = load(&args, &cfg, &err);
	if (rc == WRIT_OK && !validate)
		rc = run_with(&cfg, &exit_code, &err);
	writ_gate_config_done(&cfg);
	if (rc != WRIT_OK)
		fprintf(stderr, "writ-gate: %s\n", err.msg);
	else if (validate)
		puts("writ-gate configuration file is valid.");
	return rc != WRIT_OK ? writ_rc_exit(rc) : exit_code;
}
