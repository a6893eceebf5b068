/* SPDX-License-Identifier: Apache-2.0 */
/* writ svid fetch | watch */
#include "child.h"
#include "identity.h"
#include "print.h"
#include "session.h"
#include "svid_files.h"

#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"

#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>

#define WORDS_MAX 66

static const struct writ_option fetch_options[] = {
	{ "svid", NULL, WRIT_OPT_STRING, "ID", "only this identity, where there are several" },
	{ "write", NULL, WRIT_OPT_STRING, "DIR",
		"write svid.N.pem, svid.N.key and bundle.N.pem there" },
	{ "silent", NULL, WRIT_OPT_FLAG, NULL, "print nothing" },
	WRIT_OPT_AGENT_SOCKET,
	WRIT_OPT_TIMEOUT,
	WRIT_OPT_OUTPUT,
	WRIT_OPT_O,
};
static const struct writ_option watch_options[] = {
	{ "svid", NULL, WRIT_OPT_STRING, "ID", "which identity to write, where there are several" },
	{ "write", NULL, WRIT_OPT_STRING, "DIR",
		"keep svid.pem, key.pem and bundle.pem there, always of one generation" },
	{ "exec", NULL, WRIT_OPT_STRING, "CMD",
		"run this after each change; words are split at blanks, there is no shell" },
	WRIT_OPT_AGENT_SOCKET,
	WRIT_OPT_OUTPUT,
	WRIT_OPT_O,
};

static writ_rc read_timeout(const struct writ_args *a, int64_t *ms, struct writ_err *err)
{
	const char *text = writ_arg(a, "timeout");
	*ms = 10000;
	return text ? writ_parse_duration_ms(writ_cstr(text), ms, err) : WRIT_OK;
}

static writ_rc write_one(const char *dir, size_t i, const struct writ_wl_update *u,
	const struct writ_svid *s, struct writ_err *err)
{
	WRIT_AUTO(writ_buf_done) struct writ_buf chain = WRIT_BUF(1u << 20);
	WRIT_AUTO(writ_buf_wipe) struct writ_buf key = WRIT_BUF(1u << 16);
	WRIT_AUTO(writ_buf_done) struct writ_buf bundle = WRIT_BUF(4u << 20);
	writ_rc rc = writ_identity_pem(u, s, &chain, &key, &bundle, err);
	const struct {
		const char *name, *suffix;
		const struct writ_buf *bytes;
		mode_t mode;
	} files[] = { { "svid", "key", &key, 0600 }, { "svid", "pem", &chain, 0644 },
		{ "bundle", "pem", &bundle, 0644 } };
	for (size_t k = 0; rc == WRIT_OK && k < WRIT_COUNT(files); k++) {
		WRIT_AUTO(writ_freep)
		char *path = writ_asprintf("%s/%s.%zu.%s", dir, files[k].name, i, files[k].suffix);
		rc = writ_fs_write(path, files[k].bytes->p, files[k].bytes->n, files[k].mode, err);
	}
	return rc;
}

static bool wanted(const struct writ_args *a, const struct writ_svid *s)
{
	const char *id = writ_arg(a, "svid");
	return !id || strcmp(id, s->spiffe_id) == 0;
}

static writ_rc run_fetch(struct writ_invocation *in, struct writ_err *err)
{
	struct writ_wl_update *u = NULL;
	int64_t timeout;
	bool json;
	const char *dir = writ_arg(&in->args, "write");
	writ_rc rc = read_timeout(&in->args, &timeout, err);
	if (rc == WRIT_OK)
		rc = writ_output_is_json(&in->args, &json, err);
	if (rc == WRIT_OK)
		rc = writ_identity_fetch(in, timeout, &u, err);
	if (rc != WRIT_OK)
		return rc;
	json_t *list = json_array();
	size_t n = 0;
	for (size_t i = 0; rc == WRIT_OK && i < u->n; i++) {
		if (!wanted(&in->args, u->svids[i]))
			continue;
		if (json)
			json_array_append_new(list, writ_identity_json(u->svids[i]));
		else if (!writ_arg_flag(&in->args, "silent"))
			writ_identity_print(stdout, u->svids[i]);
		if (dir)
			rc = write_one(dir, n, u, u->svids[i], err);
		n++;
	}
	if (rc == WRIT_OK && !n)
		rc = writ_fail(err, WRIT_ENOENT, "this process has no identity %s",
			writ_arg(&in->args, "svid"));
	if (rc == WRIT_OK && json)
		writ_print_json_value(json_pack("{s:O}", "svids", list));
	json_decref(list);
	writ_wl_update_unref(u);
	return rc;
}

struct watch {
	struct writ_invocation *in;
	struct writ_loop *loop;
	struct writ_svid_files *files; /* NULL: nothing is written */
	struct writ_child command;
	bool command_due, stopped, json, failed;
	struct writ_err err;
};

/* -exec's words, cut in place; false when they are too many. */
static bool split(char *text, const char **words, size_t max)
{
	size_t n = 0;
	for (char *at = text;;) {
		at += strspn(at, " \t");
		if (!*at || n + 1 == max)
			break;
		words[n++] = at;
		at += strcspn(at, " \t");
		if (*at)
			*at++ = '\0';
		else
			break;
	}
	words[n] = NULL;
	return n > 0 && n + 1 < max;
}

static writ_rc check_command(const struct writ_args *a, struct writ_err *err)
{
	const char *words[WORDS_MAX];
	WRIT_AUTO(writ_freep) char *text = writ_strdup(writ_arg(a, "exec"));
	if (text && !split(text, words, WORDS_MAX))
		return writ_fail(
			err, WRIT_EINVAL, "-exec takes a command of 1 to %d words", WORDS_MAX - 2);
	return WRIT_OK;
}

static void start_command(struct watch *w)
{
	const char *words[WORDS_MAX];
	struct writ_err err;
	WRIT_AUTO(writ_freep) char *text = writ_strdup(writ_arg(&w->in->args, "exec"));
	if (!text)
		return;
	if (w->command.pid && !writ_child_poll(&w->command)) {
		w->command_due = true; /* it runs again when it has ended: the last state counts */
		return;
	}
	w->command_due = false;
	const struct writ_child_spec spec = { .argv = words };
	if (split(text, words, WORDS_MAX) && writ_child_start(&spec, &w->command, &err) != WRIT_OK)
		fprintf(stderr, "writ svid watch: -exec: %s\n", err.msg);
}

static void print_update(const struct watch *w, const struct writ_wl_update *u)
{
	if (w->json) {
		json_t *list = json_array();
		for (size_t i = 0; i < u->n; i++)
			json_array_append_new(list, writ_identity_json(u->svids[i]));
		writ_print_json_value(json_pack("{s:o}", "svids", list));
	} else {
		for (size_t i = 0; i < u->n; i++)
			writ_identity_print(stdout, u->svids[i]);
	}
	fflush(stdout);
}

static void on_update(void *arg, struct writ_wl_update *u)
{
	struct watch *w = arg;
	struct writ_svid *s;
	struct writ_err err;
	w->err = (struct writ_err){ 0 };
	print_update(w, u);
	if (!w->files) {
		start_command(w);
		return;
	}
	writ_rc rc = writ_wl_pick(u, writ_arg(&w->in->args, "svid"), NULL, &s, &err);
	if (rc == WRIT_OK)
		rc = writ_svid_files_put(w->files, u, s, &err);
	if (rc == WRIT_OK)
		start_command(w);
	else
		fprintf(stderr, "writ svid watch: %s\n", writ_safe(err.msg));
}

static void on_failed(void *arg, const struct writ_err *err, bool denied, bool final)
{
	struct watch *w = arg;
	/* Each try of an outage fails alike: once is enough. */
	if (denied || strcmp(err->msg, w->err.msg) != 0)
		fprintf(stderr, "writ svid watch: %s%s\n",
			denied ? "the identity was taken away: " : "", writ_safe(err->msg));
	w->err = *err;
	if (final) {
		w->failed = true;
		writ_loop_stop(w->loop);
	}
}

static void on_signal(void *arg, int signum)
{
	struct watch *w = arg;
	if (signum != SIGCHLD) {
		writ_loop_stop(w->loop);
		return;
	}
	if (!w->command.pid || w->command.reported || !writ_child_poll(&w->command))
		return;
	w->command.reported = true;
	int code = writ_child_exit_code(&w->command);
	if (code)
		fprintf(stderr, "writ svid watch: -exec: the command ended with %d%s\n", code,
			code == 127 ? " (it could not be started)" : "");
	if (w->command_due)
		start_command(w);
}

static void on_stopped(void *arg)
{
	((struct watch *)arg)->stopped = true;
}

static writ_rc watch_until_signal(struct watch *w, const char *path, struct writ_err *err)
{
	static const int signums[] = { SIGINT, SIGTERM, SIGCHLD };
	struct writ_signal *signals[WRIT_COUNT(signums)] = { 0 };
	writ_rc rc = WRIT_OK;
	for (size_t i = 0; rc == WRIT_OK && i < WRIT_COUNT(signums); i++)
		rc = writ_signal_new(w->loop, signums[i], on_signal, w, &signals[i], err);
	if (rc == WRIT_OK) {
		const struct writ_wl_config cfg = {
			.loop = w->loop,
			.socket_path = path,
			.update = on_update,
			.failed = on_failed,
			.arg = w,
		};
		struct writ_wl *wl = writ_wl_start(&cfg);
		writ_loop_run(w->loop);
		writ_wl_stop(wl, on_stopped, w);
		(void)writ_loop_run_until(w->loop, &w->stopped, writ_mono_ms() + 2000);
	}
	for (size_t i = 0; i < WRIT_COUNT(signums); i++) {
		if (signals[i])
			writ_signal_free(signals[i]);
	}
	if (rc == WRIT_OK && w->failed) {
		*err = w->err;
		rc = w->err.rc;
	}
	return rc;
}

static writ_rc run_watch(struct writ_invocation *in, struct writ_err *err)
{
	struct watch w = { .in = in, .command = { .out = -1 } };
	WRIT_AUTO(writ_freep) char *path = NULL;
	const char *from, *dir = writ_arg(&in->args, "write");
	writ_rc rc = writ_workload_socket(&in->args, &path, &from, err);
	if (rc == WRIT_OK)
		rc = writ_output_is_json(&in->args, &w.json, err);
	if (rc == WRIT_OK)
		rc = check_command(&in->args, err);
	if (rc == WRIT_OK)
		rc = writ_crypto_init(err);
	if (rc == WRIT_OK && dir)
		rc = writ_svid_files_open(dir, &w.files, err);
	if (rc == WRIT_OK)
		rc = writ_loop_new(&w.loop, err);
	if (rc == WRIT_OK) {
		writ_rpc_init();
		rc = watch_until_signal(&w, path, err);
		writ_child_end(&w.command, 5000);
		writ_rpc_shutdown();
		writ_loop_free(w.loop);
	}
	writ_svid_files_close(w.files);
	return rc;
}

static const struct writ_command commands[] = {
	{ .words = "svid fetch",
		.summary = "This process's identities, from the agent",
		.options = fetch_options,
		.n_options = WRIT_COUNT(fetch_options),
		.run = run_fetch },
	{ .words = "svid watch",
		.summary = "Follow this process's identities, for programs that read files",
		.options = watch_options,
		.n_options = WRIT_COUNT(watch_options),
		.run = run_watch,
		.detail = "With -write the three files are links into one folder that is swapped "
			  "as a whole: certificate, key and bundle are "
			  "always of one generation. A program that reads them one by one should "
			  "read them "
			  "through DIR/.current, or again after each change. The key has mode "
			  "0600." },
};
const struct writ_command_group writ_commands_svid = { "Identities", commands,
	WRIT_COUNT(commands) };
