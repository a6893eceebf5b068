/* SPDX-License-Identifier: Apache-2.0 */
#include "agent_impl.h"

#include "attest/startup.h"
#include "base/fs.h"
#include "base/mem.h"
#include "crypto/digest.h"
#include "link/trust.h"

#include <sys/stat.h>
#include <unistd.h>

#define CGROUP_ROOT "/sys/fs/cgroup"
#define TOKEN_MAX   256

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
	return rc == WRIT_OK ? rc : writ_wrap(err, rc, "join token");
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

static void pick_attestors(struct writ_agent *a)
{
	const struct writ_agent_config *c = a->cfg;
	const struct {
		const struct writ_attestor_vt *vt;
		bool is_on;
	} rows[] = { { &writ_attestor_unix, c->unix_attestor.is_on },
		{ &writ_attestor_systemd, c->systemd_attestor.is_on },
		{ &writ_attestor_container, c->container_attestor.is_on },
		{ &writ_attestor_cgroup, c->cgroup_attestor.is_on } };
	size_t n = 0;
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		if (rows[i].is_on)
			a->attestors[n++] = rows[i].vt;
	}
	bool any = n > 0;
	/* A configuration that names none leaves the choice to us: what rests on nothing but the
	 * kernel. */
	for (size_t i = 0; !any && i < WRIT_COUNT(rows); i++)
		a->attestors[n++] = rows[i].vt;
	for (size_t i = 0; writ_attestors[i]; i++)
		if (writ_attestors[i]->wanted)
			a->attestors[n++] = writ_attestors[i];
}

/* enum writ_attest_flag of the attestors that are otherwise asked only when an entry needs them. */
static unsigned always_wanted(const struct writ_agent_config *c)
{
	return (c->process_attestor.is_on ? WRIT_ATTEST_PROCESS : 0) |
		(c->lineage_attestor.is_on ? WRIT_ATTEST_LINEAGE : 0);
}

writ_rc writ__agent_open_attest(struct writ_agent *a, struct writ_err *err)
{
	const struct writ_agent_config *c = a->cfg;
	const struct writ_startup_rules rules = { .allow_foreign_namespaces =
							  c->allow_foreign_namespaces };
	struct writ_err cgroup = { 0 };
	writ_rc rc = writ_startup_check(&rules, err);
	if (rc != WRIT_OK)
		return rc;
	a->has_cgroup = writ_cgroup_fs_open(CGROUP_ROOT, &a->cgroup, &cgroup) == WRIT_OK;
	if (!a->has_cgroup)
		WRIT_LOG(WARN, "attest.no_cgroups", WRIT_KV("error", cgroup.msg),
			WRIT_KV("withheld", "systemd, container and cgroup selectors"));
	pick_attestors(a);
	bool hashes = c->unix_attestor.workload_size_limit >= 0;
	a->env = (struct writ_attest_env){
		.loop = a->loop,
		.ctx = { .names = writ_names_new(),
			.hashes = writ_exe_hashes_new(),
			.sha256_file = hashes ? writ_sha256_file : NULL,
			.workload_size_limit =
				hashes ? (uint64_t)c->unix_attestor.workload_size_limit : 0,
			.discover_workload_path = c->discover_workload_path,
			.trust = a->has_cgroup ? &a->cgroup.base : NULL,
			.host_net = writ_ns_host_net(),
			.self = &a->env.self,
			.mains = writ_mains_new() },
		/* The front refuses unmapped users where there are any. */
		.rules = { .allow_overflow_uid = true },
		.attestors = a->attestors,
		.wants = always_wanted(c),
	};
	writ_ns_self_read(&a->env.self);
	return WRIT_OK;
}

void writ__agent_close_attest(struct writ_agent *a)
{
	writ_names_free(a->env.ctx.names);
	writ_exe_hashes_free(a->env.ctx.hashes);
	writ_mains_free(a->env.ctx.mains);
	if (a->has_cgroup)
		writ_cgroup_fs_close(&a->cgroup);
}
