/* SPDX-License-Identifier: Apache-2.0 */
#include "agent_impl.h"

#include "base/fs.h"
#include "base/mem.h"
#include "link/trust.h"
#include "runtimes.h"

#include <sys/stat.h>
#include <unistd.h>

#define TOKEN_MAX 256

/* --- state, trust and token --- */

static writ_rc read_token_file(const char *path, struct writ_secret *token, struct writ_err *err)
{
	struct writ_buf text = WRIT_BUF(4096);
	struct stat st;
	writ_rc rc = writ_fs_read(path, &text, err);
	if (rc == WRIT_OK) {
		struct writ_str s = writ_str_trim(writ_buf_str(&text));
		if (!s.n || s.n > TOKEN_MAX)
			rc = writ_fail(err, WRIT_EINVAL,
				"join_token_file '%s' holds %zu characters, no join token", path,
				s.n);
		else
			rc = writ_secret_set(token, s.p, s.n, err);
	}
	writ_buf_wipe(&text);
	if (rc == WRIT_OK && stat(path, &st) == 0 && (st.st_mode & 07))
		WRIT_LOG(WARN, "token.readable_by_all", WRIT_KV("path", path),
			WRIT_KV("do", "chmod 600; a token can be used by whoever reads it first"));
	return rc == WRIT_OK ? rc : writ_wrap(err, rc, "join token, as user %u", geteuid());
}

/* A token that is still in the configuration after the join is no longer there to be read. */
static writ_rc find_token(
	const struct writ_agent *a, struct writ_secret *token, struct writ_err *err)
{
	if (token->n)
		return WRIT_OK;
	if (a->cfg->join_token)
		return writ_secret_set(
			token, a->cfg->join_token, writ_cstr(a->cfg->join_token).n, err);
	if (!a->cfg->join_token_file)
		return WRIT_OK;
	struct writ_err mine = { 0 };
	writ_rc rc = read_token_file(a->cfg->join_token_file, token, &mine);
	if (rc == WRIT_OK || a->state.svid)
		return WRIT_OK;
	if (err)
		*err = mine;
	return rc;
}

static writ_rc load_file(struct writ_agent *a, struct writ_err *err)
{
	writ_rc rc =
		writ_state_load(a->state_path, writ_cstr(a->cfg->trust_domain), &a->state, err);
	if (rc == WRIT_ENOENT)
		return WRIT_OK;
	if (rc == WRIT_OK && !a->cfg->key_disk.is_on)
		writ_svid_unref(writ_steal(a->state.svid));
	return rc;
}

static writ_rc no_trust(struct writ_err *err)
{
	return writ_fail(err, WRIT_EINVAL,
		"there is nothing to check the server with: set trust_bundle_path to a file with "
		"its CA certificates (on the server: writ bundle show > bundle.pem)");
}

static writ_rc load_trust(struct writ_agent *a, struct writ_err *err)
{
	const struct writ_agent_config *c = a->cfg;
	if (c->trust_bundle_path)
		/* Once there is a bundle of our own the file may be gone. */
		return writ_trust_load(c->trust_bundle_path,
			c->trust_bundle_format == WRIT_AGENT_BUNDLE_SPIFFE,
			writ_cstr(c->trust_domain), &a->trust, a->state.bundle ? NULL : err);
	return a->state.bundle || c->insecure_bootstrap ? WRIT_OK : no_trust(err);
}

static writ_rc claim(const char *dir, struct writ_err *err)
{
	bool closed;
	writ_rc rc = writ_fs_claim_dir(dir, &closed, err);
	if (closed)
		WRIT_LOG(WARN, "folder.closed", WRIT_KV("path", dir),
			WRIT_KV("mode", "0700 now: other users could look into it"));
	return rc;
}

writ_rc writ__agent_load_state(
	struct writ_agent *a, struct writ_secret *token, struct writ_err *err)
{
	const struct writ_agent_config *c = a->cfg;
	const char *dir = c->key_disk.is_on ? c->key_disk.directory : c->data_dir;
	/* A start that cannot work leaves no folder behind. */
	if (!c->trust_bundle_path && !c->insecure_bootstrap && access(dir, F_OK) != 0)
		return no_trust(err);
	writ_rc rc = claim(c->data_dir, err);
	if (rc == WRIT_OK)
		rc = claim(dir, err);
	if (rc != WRIT_OK)
		return rc;
	a->state_path = writ_fs_join(dir, WRIT_STATE_NAME);
	rc = load_file(a, err);
	if (rc == WRIT_OK)
		rc = load_trust(a, err);
	if (rc != WRIT_OK && a->state.bundle && a->cfg->trust_bundle_path)
		rc = WRIT_OK;
	return rc == WRIT_OK ? find_token(a, token, err) : rc;
}

/* --- attestation --- */

static void on_down(void *arg)
{
	struct writ_agent *a = arg;
	struct writ_err err = { .rc = WRIT_OK };
	(void)writ_fail(&err, WRIT_EINTERNAL,
		"the attestation process has ended, so nobody can say who calls: the agent must "
		"be started again");
	a->hooks.fatal(a->hooks.arg, &err);
}

writ_rc writ__agent_open_attest(
	struct writ_agent *a, struct writ_split *split, struct writ_err *err)
{
	static const struct writ_attestor_vt *const own[] = { &writ_attestor_unix_names, NULL };
	writ_rc rc = writ_attest_link_new(
		a->loop, writ_steal_fd(split->fd), on_down, a, &a->attest_link, err);
	if (rc != WRIT_OK)
		return rc;
	const struct writ_attest_ctx ctx = { .names = writ_names_new() };
	writ_attest_env_init(&a->env, a->loop, a->attest_link, &ctx, own, split->attestors);
	a->env.wants = split->wants;
	a->env.asks = a->asks = writ_runtimes_open(a->cfg, split->attestors, a->loop);
	const struct writ_attestor_vt *shown[WRIT_ASKS_ROWS_MAX];
	writ_runtimes_shown(a->cfg, split->attestors, shown);
	writ_attest_env_show(&a->env, shown);
	return WRIT_OK;
}

void writ__agent_close_attest(struct writ_agent *a)
{
	if (!a->attest_link)
		return;
	writ_attest_env_done(&a->env);
	writ_asks_free(a->asks);
	writ_names_free(a->env.ctx.names);
	writ_attest_link_free(a->attest_link);
}
