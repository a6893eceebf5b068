/* SPDX-License-Identifier: Apache-2.0 */
#include "attestor_kit.h"

#include "base/clock.h"
#include "check.h"
#include "crypto/digest.h"

#include <sys/socket.h>

static void *serve(void *arg)
{
	struct attestor_kit *k = arg;
	struct writ_err err = { 0 };
	assert_ok(writ_attestor_serve(&k->cfg, k->fd, NULL, &err), err);
	return NULL;
}

static void on_down(void *arg)
{
	((struct attestor_kit *)arg)->down = true;
}

void attestor_kit_open(struct attestor_kit *k, struct writ_loop *loop, struct writ_attest_env *env,
	const struct writ_attestor_vt *const *attestors)
{
	static const struct writ_attestor_vt *const own[] = { &writ_attestor_unix_names, NULL };
	struct writ_err err = { 0 };
	int pair[2];
	*k = (struct attestor_kit){ .env = env };
	k->cfg = (struct writ_attestor_config){
		.ctx = { .hashes = writ_exe_hashes_new(),
			.sha256_file = writ_sha256_file,
			.discover_workload_path = true },
		.rules = { .allow_overflow_uid = true },
		.attestors = attestors,
	};
	writ_ns_self_read(&k->cfg.self);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	k->fd = pair[1];
	assert_int_equal(pthread_create(&k->thread, NULL, serve, k), 0);
	assert_ok(writ_attest_link_new(loop, pair[0], on_down, k, &k->link, &err), err);
	const struct writ_attest_ctx ctx = { .names = writ_names_new() };
	writ_attest_env_init(env, loop, k->link, &ctx, own, attestors);
}

void attestor_kit_close(struct attestor_kit *k)
{
	const bool never = false;
	while (k->env->jobs)
		(void)writ_loop_run_until(k->env->loop, &never, writ_mono_ms() + 5);
	writ_attest_env_done(k->env);
	writ_names_free(k->env->ctx.names);
	writ_attest_link_free(k->link);
	assert_int_equal(pthread_join(k->thread, NULL), 0);
	writ_exe_hashes_free(k->cfg.ctx.hashes);
}
