/* SPDX-License-Identifier: Apache-2.0 */
/* writ-agent: attests the processes of a machine and serves them their identities. Wires modules,
 * holds no logic. */
#include "agent.h"

#include "base/mem.h"
#include "base/options.h"
#include "crypto/key.h"
#include "daemon/daemon.h"
#include "rpc/channel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STOP_MS 8000

static const struct writ_option options[] = {
	{ "config", NULL, WRIT_OPT_STRING, "FILE", "configuration (" WRIT_AGENT_CONFIG_PATH ")" },
	{ "joinToken", "join-token", WRIT_OPT_STRING, "TOKEN",
		"token for the first start; better by -joinTokenFile" },
	{ "joinTokenFile", "join-token-file", WRIT_OPT_STRING, "FILE", "file with such a token" },
	{ "dataDir", "data-dir", WRIT_OPT_STRING, "DIR", "folder for the agent's state" },
	{ "socketPath", "socket-path", WRIT_OPT_STRING, "PATH", "socket of the Workload API" },
	{ "serverAddress", "server-address", WRIT_OPT_STRING, "HOST", "the server" },
	{ "serverPort", "server-port", WRIT_OPT_STRING, "PORT", "its port" },
	{ "trustDomain", "trust-domain", WRIT_OPT_STRING, "NAME", "trust domain" },
	{ "trustBundle", "trust-bundle", WRIT_OPT_STRING, "FILE",
		"the server's CA certificates, for the first contact" },
	{ "trustBundleUrl", "trust-bundle-url", WRIT_OPT_STRING, "URL", "not supported" },
	{ "trustBundleFormat", "trust-bundle-format", WRIT_OPT_STRING, "FORM", "pem or spiffe" },
	{ "insecureBootstrap", "insecure-bootstrap", WRIT_OPT_FLAG, NULL,
		"trust whatever answers at the first contact" },
	{ "logFile", "log-file", WRIT_OPT_STRING, "FILE", "instead of standard error" },
	{ "logLevel", "log-level", WRIT_OPT_STRING, "LEVEL", "debug, info, warn or error" },
	{ "logFormat", "log-format", WRIT_OPT_STRING, "FORM", "text or json" },
	{ "logSourceLocation", "log-source-location", WRIT_OPT_FLAG, NULL,
		"taken, without effect" },
	{ "allowUnauthenticatedVerifiers", "allow-unauthenticated-verifiers", WRIT_OPT_FLAG, NULL,
		"taken, without effect" },
	{ "disableWorkloadAPI", "disable-workload-api", WRIT_OPT_FLAG, NULL, "not supported" },
	{ "disableSDSAPI", "disable-sds-api", WRIT_OPT_FLAG, NULL,
		"refuse Envoy's secret discovery" },
	{ "rebootstrapMode", "rebootstrap-mode", WRIT_OPT_STRING, "MODE", "only never" },
	{ "rebootstrapDelay", "rebootstrap-delay", WRIT_OPT_STRING, "TIME",
		"taken, without effect" },
	{ "expandEnv", "expand-env", WRIT_OPT_FLAG, NULL,
		"replace $VAR and ${VAR} in the configuration" },
};

/* Flags that stand for a key of the configuration. */
static const struct {
	const char *flag, *key;
} keys[] = {
	{ "joinTokenFile", "join_token_file" },
	{ "dataDir", "data_dir" },
	{ "socketPath", "socket_path" },
	{ "serverAddress", "server_address" },
	{ "serverPort", "server_port" },
	{ "trustDomain", "trust_domain" },
	{ "trustBundle", "trust_bundle_path" },
	{ "trustBundleUrl", "trust_bundle_url" },
	{ "trustBundleFormat", "trust_bundle_format" },
	{ "insecureBootstrap", "insecure_bootstrap" },
	{ "logFile", "log_file" },
	{ "logLevel", "log_level" },
	{ "logFormat", "log_format" },
	{ "allowUnauthenticatedVerifiers", "allow_unauthenticated_verifiers" },
	{ "disableWorkloadAPI", "disable_workload_api" },
	{ "disableSDSAPI", "disable_sds_api" },
	{ "rebootstrapMode", "rebootstrap_mode" },
	{ "rebootstrapDelay", "rebootstrap_delay" },
};

struct program {
	struct writ_daemon *daemon;
	struct writ_agent *agent;
	struct writ_err why; /* the agent could not go on */
};

static void on_fatal(void *arg, const struct writ_err *err)
{
	struct program *p = arg;
	WRIT_LOG(ERROR, "agent.fatal", WRIT_KV("error", err->msg));
	p->why = *err;
	writ_daemon_begin_stop(p->daemon);
}

static bool is_ready(void *arg)
{
	return writ_agent_is_ready(((struct program *)arg)->agent);
}

static void print_metrics(void *arg, struct writ_buf *out)
{
	writ_agent_print_metrics(((struct program *)arg)->agent, out);
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
	struct writ_secret *token, struct writ_err *err)
{
	struct program p = { .why = { .rc = WRIT_OK } };
	const struct writ_agent_hooks hooks = { on_fatal, &p };
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
	rc = writ_agent_start(loop, cfg, token, &hooks, &p.agent, err);
	if (rc != WRIT_OK) {
		writ_daemon_done(p.daemon);
		return rc;
	}
	writ_daemon_ready(p.daemon, cfg->socket_path);
	writ_loop_run(loop);
	*err = p.why;
	return p.why.rc;
}

static writ_rc run(
	const struct writ_agent_config *cfg, struct writ_secret *token, struct writ_err *err)
{
	struct writ_loop *loop = NULL;
	writ_rc rc = writ_daemon_open_log(&cfg->log, "writ-agent", err);
	if (rc == WRIT_OK)
		rc = writ_loop_new(&loop, err);
	if (rc != WRIT_OK)
		return rc;
	writ_daemon_raise_limits();
	writ_rpc_init();
	rc = serve(loop, cfg, token, err);
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

static writ_rc load(const struct writ_args *a, struct writ_agent_config *cfg, struct writ_err *err)
{
	struct writ_conf_override overrides[WRIT_COUNT(keys)];
	size_t n = 0;
	for (size_t i = 0; i < WRIT_COUNT(keys); i++) {
		const char *value = writ_arg(a, keys[i].flag);
		if (!writ_arg_given(a, keys[i].flag))
			continue;
		if (!value)
			value = writ_arg_flag(a, keys[i].flag) ? "true" : "false";
		overrides[n++] = (struct writ_conf_override){ keys[i].key, value };
	}
	const char *path = writ_arg(a, "config") ? writ_arg(a, "config") : WRIT_AGENT_CONFIG_PATH;
	const struct writ_conf_source source = { .env = writ_arg_flag(a, "expandEnv") ? from_env
										      : NULL,
		.overrides = overrides,
		.n_overrides = n };
	struct writ_conf_diags diags = WRIT_CONF_DIAGS(path);
	writ_rc rc = writ_agent_config_load(path, &source, &diags, cfg, err);
	writ_daemon_print_diags(&diags);
	writ_conf_diags_done(&diags);
	return rc;
}

/* The command line is for everybody to read: the token leaves it before anything else happens. */
static writ_rc take_token(const struct writ_args *a, int argc, char **argv,
	struct writ_secret *token, struct writ_err *err)
{
	const char *value = writ_arg(a, "joinToken");
	if (!value)
		return WRIT_OK;
	size_t n = strlen(value);
	writ_rc rc = writ_secret_set(token, value, n, err);
	for (int i = 0; i < argc; i++) {
		size_t len = strlen(argv[i]);
		if (value >= argv[i] && value <= argv[i] + len)
			writ_wipe(argv[i] + (value - argv[i]), n);
	}
	return rc;
}

static void usage(void)
{
	puts("usage: writ-agent run [-config FILE] [-joinTokenFile FILE] [flags]\n"
	     "       writ-agent validate [-config FILE]\n"
	     "       writ-agent -version\n\n"
	     "Attests the processes of this machine and serves them their identities.\n\nflags");
	for (size_t i = 0; i < WRIT_COUNT(options); i++)
		printf("  -%-30s %-6s %s\n", options[i].name, options[i].arg ? options[i].arg : "",
			options[i].help);
	WRIT_AUTO(writ_buf_done) struct writ_buf text = WRIT_BUF(1u << 16);
	writ_agent_config_print_help(&text);
	printf("\nconfiguration\n%s", writ_buf_cstr(&text));
}

static writ_rc command(bool validate, int argc, char **argv, struct writ_err *err)
{
	static struct writ_args args;
	struct writ_agent_config cfg = { 0 };
	struct writ_secret token = { .p = NULL };
	writ_rc rc = writ_args_parse(&args, options, WRIT_COUNT(options), argc, argv, false, err);
	if (rc == WRIT_OK)
		rc = writ_crypto_init(err);
	if (rc == WRIT_OK)
		rc = take_token(&args, argc, argv, &token, err);
	if (rc == WRIT_OK && args.help) {
		usage();
		return WRIT_OK;
	}
	if (rc == WRIT_OK)
		rc = load(&args, &cfg, err);
	if (rc == WRIT_OK && cfg.trust_bundle_url)
		rc = writ_fail(err, WRIT_EUNSUP,
			"trust_bundle_url is not supported: fetch the bundle yourself and set "
			"trust_bundle_path");
	if (rc == WRIT_OK && !validate)
		rc = run(&cfg, &token, err);
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
	const char *word = argc > 1 ? argv[1] : "-help";
	if (strcmp(word, "-version") == 0 || strcmp(word, "--version") == 0) {
		puts("writ-agent " WRIT_VERSION);
		return 0;
	}
	bool validate = strcmp(word, "validate") == 0;
	if (!validate && strcmp(word, "run") != 0) {
		usage();
		return argc > 1 && strstr(word, "help") ? 0 : 2;
	}
	writ_rc rc = command(validate, argc - 2, argv + 2, &err);
	if (rc != WRIT_OK)
		fprintf(stderr, "writ-agent: %s\n", err.msg);
	return writ_rc_exit(rc);
}
