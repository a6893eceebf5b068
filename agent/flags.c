/* SPDX-License-Identifier: Apache-2.0 */
#include "flags.h"

#include "base/mem.h"
#include "daemon/daemon.h"

#include <stdio.h>
#include <string.h>

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
	{ "disableSDSAPI", "disable-sds-api", WRIT_OPT_FLAG, NULL, "taken, without effect" },
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

writ_rc writ_agent_load_config(const struct writ_args *a,
	const char *(*env)(void *arg, const char *name), struct writ_agent_config *cfg,
	struct writ_err *err)
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
	const struct writ_conf_source source = { .env = writ_arg_flag(a, "expandEnv") ? env : NULL,
		.overrides = overrides,
		.n_overrides = n };
	struct writ_conf_diags diags = WRIT_CONF_DIAGS(path);
	writ_rc rc = writ_agent_config_load(path, &source, &diags, cfg, err);
	writ_daemon_print_diags(&diags);
	writ_conf_diags_done(&diags);
	if (rc == WRIT_OK)
		writ_agent_take_node_name(&cfg->k8s_attestor, env);
	return rc;
}

/* The command line is for everybody to read: the token leaves it before anything else happens. */
writ_rc writ_agent_take_token(const struct writ_args *a, int argc, char **argv,
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

void writ_agent_print_usage(void)
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

writ_rc writ_agent_parse_flags(
	struct writ_args *a, int argc, char *const *argv, struct writ_err *err)
{
	return writ_args_parse_flags(a, options, WRIT_COUNT(options), argc, argv, err);
}
