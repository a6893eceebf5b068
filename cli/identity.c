/* SPDX-License-Identifier: Apache-2.0 */
#include "identity.h"

#include "print.h"
#include "session.h"

#include "base/clock.h"
#include "base/mem.h"
#include "crypto/digest.h"

#include <inttypes.h>
#include <jansson.h>
#include <string.h>
#include <unistd.h>

struct fetch {
	struct writ_wl_update *update;
	struct writ_err err;
	bool done, stopped;
	int64_t give_up_ms;
};

static void on_update(void *arg, struct writ_wl_update *u)
{
	struct fetch *f = arg;
	if (!f->update)
		f->update = writ_wl_update_ref(u);
	f->done = true;
}

/* Refused is refused; an agent that is not there or not ready is asked again until the deadline. */
static void on_failed(void *arg, const struct writ_err *err, bool denied, bool final)
{
	struct fetch *f = arg;
	(void)denied;
	f->err = *err;
	if (final || err->rc == WRIT_EDENIED || err->rc == WRIT_ENOENT)
		f->done = true;
}

static void on_stopped(void *arg)
{
	((struct fetch *)arg)->stopped = true;
}

/* What the process may know anyway: itself. The rest is told to operators. */
static void say_denied(struct writ_invocation *in, const char *msg)
{
	static char text[1600];
	static const char mark[] = "(trace ",
			  ask[] = "ask an operator of this machine to run: writ";
	char exe[1024];
	const char *trace = strstr(msg, mark);
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	exe[n > 0 ? n : 0] = '\0';
	trace = trace ? trace + strlen(mark) : "";
	size_t len = strspn(trace, "0123456789ABCDEFGHJKMNPQRSTVWXYZ");
	snprintf(text, sizeof(text), "%s explain %.*s%s\n  you are pid %d, uid %u, gid %u, %s", ask,
		(int)len, trace, len ? "   (kept for an hour)" : "--pid PID", (int)getpid(),
		(unsigned)geteuid(), (unsigned)getegid(), writ_safe(exe));
	in->next = text;
}

static void say_next(struct writ_invocation *in, const struct writ_err *err)
{
	if (err->rc == WRIT_EDENIED)
		say_denied(in, err->msg);
	else
		in->next = "is writ-agent running? systemctl status writ-agent";
}

writ_rc writ_identity_fetch(struct writ_invocation *in, int64_t timeout_ms,
	struct writ_wl_update **ret, struct writ_err *err)
{
	WRIT_AUTO(writ_freep) char *path = NULL;
	const char *from;
	struct writ_loop *loop = NULL;
	struct fetch f = { 0 };
	writ_rc rc = writ_workload_socket(&in->args, &path, &from, err);
	if (rc == WRIT_OK)
		rc = writ_crypto_init(err);
	if (rc == WRIT_OK)
		rc = writ_loop_new(&loop, err);
	if (rc != WRIT_OK)
		return rc;
	writ_rpc_init();
	const struct writ_wl_config cfg = {
		.loop = loop,
		.socket_path = path,
		.update = on_update,
		.failed = on_failed,
		.arg = &f,
	};
	struct writ_wl *wl = writ_wl_start(&cfg);
	int64_t deadline = writ_mono_ms() + timeout_ms;
	(void)writ_loop_run_until(loop, &f.done, deadline);
	writ_wl_stop(wl, on_stopped, &f);
	(void)writ_loop_run_until(loop, &f.stopped, writ_mono_ms() + 2000);
	writ_rpc_shutdown();
	writ_loop_free(loop);
	if (f.update) {
		*ret = f.update;
		return WRIT_OK;
	}
	if (f.err.rc == WRIT_OK)
		writ_fail(&f.err, WRIT_ETIMEOUT, "no answer within %" PRId64 " ms", timeout_ms);
	*err = f.err;
	say_next(in, &f.err);
	if (strncmp(err->msg, path, strlen(path)) == 0) /* what has no answer names it itself */
		return writ_wrap(err, f.err.rc, "%s", from);
	return writ_wrap(err, f.err.rc, "%s (%s)", path, from);
}

json_t *writ_identity_json(const struct writ_svid *s)
{
	char from[32], to[32];
	return json_pack("{s:s,s:s,s:s,s:s,s:s}", "spiffe_id", s->spiffe_id, "serial",
		writ_cert_serial_hex(s->chain[0]), "hint", s->hint, "not_before",
		writ_format_time(writ_svid_not_before(s), from, sizeof(from)), "not_after",
		writ_format_time(writ_svid_not_after(s), to, sizeof(to)));
}

void writ_identity_print(FILE *f, const struct writ_svid *s)
{
	char from[32], to[32], left[32];
	int64_t ms = (writ_svid_not_after(s) - writ_wall_s()) * 1000;
	writ_print_pair(f, "SPIFFE ID", "%s", writ_safe(s->spiffe_id));
	writ_print_pair(f, "Serial number", "%s", writ_cert_serial_hex(s->chain[0]));
	writ_print_pair(f, "Valid from", "%s",
		writ_format_time(writ_svid_not_before(s), from, sizeof(from)));
	writ_print_pair(f, "Valid until", "%s (%s left)",
		writ_format_time(writ_svid_not_after(s), to, sizeof(to)),
		writ_format_duration(ms, left, sizeof(left)));
	if (s->hint[0])
		writ_print_pair(f, "Hint", "%s", writ_safe(s->hint));
	putc('\n', f);
}

writ_rc writ_identity_pem(const struct writ_wl_update *u, const struct writ_svid *s,
	struct writ_buf *chain, struct writ_buf *key, struct writ_buf *bundle, struct writ_err *err)
{
	WRIT_AUTO(writ_secret_done) struct writ_secret pkcs8 = { 0 };
	struct writ_id id;
	for (size_t i = 0; i < s->n_chain; i++) {
		struct writ_str der = writ_cert_der(s->chain[i]);
		writ_pem_add(chain, "CERTIFICATE", der.p, der.n);
	}
	writ_rc rc = writ_key_to_pkcs8(s->key, &pkcs8, err);
	if (rc == WRIT_OK)
		rc = writ_id_parse(writ_cstr(s->spiffe_id), &id, err);
	if (rc != WRIT_OK)
		return rc;
	writ_pem_add(key, "PRIVATE KEY", pkcs8.p, pkcs8.n);
	const struct writ_bundle *b = writ_bundles_get(u->bundles, id.td);
	if (b)
		writ_bundle_print_pem(b, bundle);
	rc = writ_buf_check(chain, "certificate chain", err);
	return rc == WRIT_OK ? writ_buf_check(bundle, "bundle", err) : rc;
}
