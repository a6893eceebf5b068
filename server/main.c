/* SPDX-License-Identifier: Apache-2.0 */
/* writ-server: CA and registry. `run` becomes the monitor, which starts this program again as
 * `serve`. Wires modules, holds no logic. */
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/options.h"
#include "base/secret.h"
#include "config/config.h"
#include "crypto/key.h"
#include "daemon/daemon.h"
#include "monitor/control.h"
#include "monitor/monitor.h"
#include "serve/serve.h"
#include "store/health.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define RECORD_HOLD_S 3600 /* beyond the life of a CA: clocks, and what a signer had begun */
#define STOP_MS       (WRIT_SERVE_STOP_MS + 3000)

static const struct writ_option options[] = {
	{ "config", NULL, WRIT_OPT_STRING, "FILE", "configuration (" WRIT_SERVER_CONFIG_PATH ")" },
	{ "bindAddress", "bind-address", WRIT_OPT_STRING, "ADDRESS", "where agents connect" },
	{ "serverPort", "server-port", WRIT_OPT_STRING, "PORT",
		"port for agents; 0: any free one" },
	{ "dataDir", "data-dir", WRIT_OPT_STRING, "FOLDER", "what has to outlive a restart" },
	{ "trustDomain", "trust-domain", WRIT_OPT_STRING, "NAME", "as example.org" },
	{ "socketPath", "socket-path", WRIT_OPT_STRING, "PATH", "the admin socket" },
	{ "logLevel", "log-level", WRIT_OPT_STRING, "LEVEL", "debug, info, warn or error" },
	{ "logFormat", "log-format", WRIT_OPT_STRING, "FORM", "text or json" },
	{ "logFile", "log-file", WRIT_OPT_STRING, "FILE", "instead of standard error" },
	{ "logSourceLocation", "log-source-location", WRIT_OPT_FLAG, NULL,
		"taken for SPIRE's sake, without effect" },
	{ "expandEnv", "expand-env", WRIT_OPT_FLAG, NULL,
		"replace $VAR and ${VAR} in the configuration" },
};

static const char *from_env(void *arg, const char *name)
{
	(void)arg;
	return getenv(name);
}

static writ_rc load(
	const struct writ_args *a, bool quiet, struct writ_server_config *cfg, struct writ_err *err)
{
	static const char *const map[][2] = { { "bindAddress", "bind_address" },
		{ "serverPort", "bind_port" }, { "dataDir", "data_dir" },
		{ "trustDomain", "trust_domain" }, { "socketPath", "socket_path" },
		{ "logLevel", "log_level" }, { "logFormat", "log_format" },
		{ "logFile", "log_file" } };
	struct writ_conf_override overrides[WRIT_COUNT(map)];
	size_t n = 0;
	for (size_t i = 0; i < WRIT_COUNT(map); i++) {
		if (writ_arg_given(a, map[i][0]))
			overrides[n++] =
				(struct writ_conf_override){ map[i][1], writ_arg(a, map[i][0]) };
	}
	const char *path = writ_arg(a, "config") ? writ_arg(a, "config") : WRIT_SERVER_CONFIG_PATH;
	const struct writ_conf_source source = { .env = writ_arg_flag(a, "expandEnv") ? from_env
										      : NULL,
		.overrides = overrides,
		.n_overrides = n };
	struct writ_conf_diags diags = WRIT_CONF_DIAGS(path);
	writ_rc rc = writ_server_config_load(path, &source, &diags, cfg, err);
	if (!quiet)
		writ_daemon_print_diags(&diags);
	writ_conf_diags_done(&diags);
	return rc;
}

/* keys_path names a file in SPIRE; ours are several, in a folder of that name. */
static char *keys_dir(const struct writ_server_config *cfg)
{
	const char *path = cfg->key_disk.keys_path;
	if (!path)
		return writ_fs_join(cfg->data_dir, "keys");
	struct writ_str s = writ_cstr(path);
	if (writ_str_ends(s, WRIT_STR(".json")))
		s.n -= sizeof(".json") - 1;
	return writ_strndup(s.p, s.n);
}

/* After a first start that failed before there was any state: empty folders and files tell nothing.
 */
static void leave_nothing(const struct writ_server_config *cfg)
{
	WRIT_AUTO(writ_freep) char *keys = keys_dir(cfg);
	WRIT_AUTO(writ_freep) char *record = writ_fs_join(cfg->data_dir, WRIT_RECORD_NAME);
	struct stat st;
	if (stat(record, &st) == 0 && st.st_size == 0)
		(void)unlink(record);
	(void)rmdir(keys);
	(void)rmdir(cfg->data_dir);
}

/* The monitor; the serving process gets the same flags. */
static writ_rc supervise(const struct writ_server_config *cfg, int argc, char **argv,
	int *exit_code, struct writ_err *err)
{
	char serve[] = "serve";
	char **child = writ_alloc_array((size_t)argc + 1, sizeof(*child));
	memcpy(child, argv, (size_t)argc * sizeof(*child));
	child[1] = serve;
	const struct writ_server_upstream_disk *up = &cfg->upstream_disk;
	WRIT_AUTO(writ_freep) char *keys = keys_dir(cfg);
	const struct writ_monitor_config m = {
		.trust_domain = cfg->trust_domain,
		.data_dir = cfg->data_dir,
		.keys_dir = keys,
		.key_manager = cfg->key_memory.is_on ? "memory" : "disk",
		.upstream_cert = up->is_on ? up->cert_file_path : NULL,
		.upstream_key = up->is_on ? up->key_file_path : NULL,
		.upstream_bundle = up->is_on ? up->bundle_file_path : NULL,
		/* No certificate outlives the CA that signs it. */
		.record = { .max = cfg->issuance_record_max_mb << 20,
			.keep = cfg->issuance_record_keep,
			.hold_s = cfg->ca_ttl_ms / 1000 + RECORD_HOLD_S },
		.serve_argv = child,
		.notify_socket = getenv("NOTIFY_SOCKET"),
		.stop_ms = STOP_MS,
	};
	bool closed = false, made = access(cfg->data_dir, F_OK) != 0;
	writ_rc rc = writ_fs_claim_dir(cfg->data_dir, &closed, err);
	if (closed)
		WRIT_LOG(WARN, "folder.closed", WRIT_KV("path", (const char *)cfg->data_dir),
			WRIT_KV("mode", "0700 now: other users could look into it"));
	if (rc == WRIT_OK)
		*exit_code = writ_monitor_run(&m, err);
	else
		rc = writ_wrap(err, rc, "data_dir");
	if (made && (rc != WRIT_OK || *exit_code != 0))
		leave_nothing(cfg);
	if (rc == WRIT_OK && *exit_code != 0 && *err->msg)
		fprintf(stderr, "writ-server: %s\n", err->msg);
	writ_free(child);
	return rc;
}

static writ_rc run(const struct writ_server_config *cfg, bool serving, int argc, char **argv,
	int *exit_code, struct writ_err *err)
{
	writ_rc rc = writ_daemon_open_log(&cfg->log, "writ-server", err);
	if (rc != WRIT_OK || !serving)
		return rc != WRIT_OK ? rc : supervise(cfg, argc, argv, exit_code, err);
	rc = writ_crypto_init(err);
	if (rc == WRIT_OK)
		rc = writ_serve(cfg, WRIT_CONTROL_FD, err);
	return rc;
}

/* Root looks as the file's owner: what is in it is the server's, who is less than root. */
static writ_rc become_owner(const char *path, struct writ_err *err)
{
	struct stat st;
	if (geteuid() != 0)
		return WRIT_OK;
	if (lstat(path, &st) != 0)
		return writ_fail_errno(err, errno, "open it");
	if (setgroups(0, NULL) != 0 || setresgid(st.st_gid, st.st_gid, st.st_gid) != 0 ||
		setresuid(st.st_uid, st.st_uid, st.st_uid) != 0)
		return writ_fail_errno(err, errno, "look as user %u, who owns it", st.st_uid);
	return WRIT_OK;
}

/* One line on standard output, whatever is found: writ doctor reads it. */
static int check_store(const struct writ_server_config *cfg)
{
	struct writ_store_health h;
	struct writ_err err = { 0 };
	const char *path = cfg->sql.connection_string;
	writ_rc rc = become_owner(path, &err);
	if (rc == WRIT_OK)
		rc = writ_store_check(path, &h, &err);
	if (rc != WRIT_OK) {
		printf("%s: %s\n", path, err.msg);
		return writ_rc_exit(rc);
	}
	printf("%s is sound: %.1f MB, %d entr%s, schema version %d", path, (double)h.bytes / 1e6,
		h.entries, h.entries == 1 ? "y" : "ies", h.version);
	if (h.version < h.version_ours)
		printf(", %d from the server's next start on", h.version_ours);
	puts("");
	return 0;
}

static bool is_command(const char *word)
{
	static const char *const words[] = { "run", "serve", "validate", "check-store" };
	for (size_t i = 0; i < WRIT_COUNT(words); i++)
		if (strcmp(word, words[i]) == 0)
			return true;
	return false;
}

static void usage(void)
{
	puts("usage: writ-server run [-config FILE] [flags]\n"
	     "       writ-server validate [-config FILE] [-expandEnv]\n"
	     "       writ-server check-store [-config FILE] [-expandEnv]\n\n"
	     "The certificate authority and registry of a trust domain.\n\nflags");
	for (size_t i = 0; i < WRIT_COUNT(options); i++)
		printf("  -%-18s %-8s %s\n", options[i].name, options[i].arg ? options[i].arg : "",
			options[i].help);
	WRIT_AUTO(writ_buf_done) struct writ_buf text = WRIT_BUF(1u << 18);
	writ_server_config_print_help(&text);
	printf("\nconfiguration\n%s", writ_buf_cstr(&text));
}

int main(int argc, char **argv)
{
	static struct writ_args args;
	struct writ_server_config cfg = { 0 };
	struct writ_err err = { 0 };
	int exit_code = 0;
	writ_process_harden();
	umask(077);
	const char *command = argc > 1 ? argv[1] : "-help";
	if (strcmp(command, "-version") == 0 || strcmp(command, "--version") == 0) {
		puts("writ-server " WRIT_VERSION);
		return 0;
	}
	bool validate = strcmp(command, "validate") == 0, serving = strcmp(command, "serve") == 0;
	bool checking = strcmp(command, "check-store") == 0;
	if (!is_command(command)) {
		usage();
		return argc > 1 && strstr(command, "help") ? 0 : 2;
	}
	writ_rc rc = writ_args_parse_flags(
		&args, options, WRIT_COUNT(options), argc - 2, argv + 2, &err);
	if (rc == WRIT_OK && args.help) {
		usage();
		return 0;
	}
	if (rc == WRIT_OK)
		rc = load(&args, serving, &cfg, &err);
	if (rc == WRIT_OK && checking)
		exit_code = check_store(&cfg);
	else if (rc == WRIT_OK && !validate)
		rc = run(&cfg, serving, argc, argv, &exit_code, &err);
	writ_server_config_done(&cfg);
	if (rc != WRIT_OK)
		fprintf(stderr, "writ-server: %s\n", err.msg);
	else if (validate)
		puts("writ-server configuration file is valid.");
	return rc != WRIT_OK ? writ_rc_exit(rc) : exit_code;
}
