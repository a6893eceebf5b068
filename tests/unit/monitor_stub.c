/* SPDX-License-Identifier: Apache-2.0 */
#include "monitor_stub.h"

#include "base/fs.h"
#include "base/mem.h"
#include "base/secret.h"
#include "ca/ca.h"
#include "loop/loop.h"
#include "monitor/control.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

#define TD   "example.org"
#define LOAD 32 /* requests under way */

struct stub;
struct load {
	struct writ_ca_item item;
	struct stub *stub;
	struct writ_pubkey key;
};

struct stub {
	struct writ_loop *loop;
	struct writ_control *control;
	struct writ_signer_link *link;
	struct writ_ca *ca;
	struct writ_ca_change *change;
	struct writ_task ack;
	int out; /* one line a certificate */
	bool loaded;
	struct load load[LOAD];
};

static void stub_fail(const char *what, const struct writ_err *err)
{
	fprintf(stderr, "stub: %s: %s\n", what, err ? err->msg : "");
	_exit(1);
}

static void again(struct load *l)
{
	struct writ_err err;
	if (writ_ca_sign(l->stub->ca, &l->item, &err) != WRIT_OK)
		stub_fail("sign", &err);
}

static void got(struct writ_ca_item *i, writ_rc rc, const struct writ_ca_issued *out,
	const struct writ_err *err)
{
	struct load *l = writ_container(i, struct load, item);
	if (rc) {
		dprintf(l->stub->out, "failed %s\n", err->msg);
	} else {
		struct writ_cert *c;
		if (writ_cert_parse(out->cert.p, out->cert.n, &c, NULL) != WRIT_OK)
			stub_fail("certificate", NULL);
		dprintf(l->stub->out, "%s\n", writ_cert_serial_hex(c));
		writ_cert_unref(c);
	}
	if (rc != WRIT_ECANCELED)
		again(l);
}

static void stub_ack(struct writ_task *t)
{
	struct stub *s = writ_container(t, struct stub, ack);
	s->change->done(s->change, WRIT_OK, NULL);
}

static void stub_commit(void *arg, struct writ_ca_change *c)
{
	struct stub *s = arg;
	s->change = c;
	s->ack.run = stub_ack;
	writ_loop_post(s->loop, &s->ack);
}

static void stub_changed(void *arg)
{
	struct stub *s = arg;
	dprintf(s->out, "ca %s\n", writ_ca_active(s->ca)->id);
	/* Not before there is a CA: a large RSA key takes longer than a request waits. */
	for (size_t i = 0; i < LOAD && !s->loaded; i++)
		again(&s->load[i]);
	s->loaded = true;
}

static void stub_svid(void *arg, struct writ_svid *svid)
{
	struct stub *s = arg;
	(void)svid;
	writ_control_notify(s->control, "READY=1\nMAINPID=1\nSTATUS=up");
}

static void stub_signer(void *arg, int fd)
{
	struct writ_err err;
	if (writ_signer_link_attach(((struct stub *)arg)->link, fd, &err) != WRIT_OK)
		stub_fail("attach", &err);
}

static void stub_stop(void *arg)
{
	writ_loop_stop(((struct stub *)arg)->loop);
}

static void stub_signal(void *arg, int signum)
{
	(void)signum;
	stub_stop(arg);
}

static void stub_up(void *arg)
{
	writ_ca_signer_up(((struct stub *)arg)->ca);
}

static void stub_down(void *arg)
{
	writ_ca_signer_down(((struct stub *)arg)->ca);
}

static void stub_stuck(void *arg)
{
	writ_control_stuck(((struct stub *)arg)->control);
}

int monitor_stub(const char *dir, const char *type)
{
	static const struct writ_control_events control = { stub_signer, stub_stop };
	static const struct writ_signer_link_events link = { stub_up, stub_down, stub_stuck };
	static const struct writ_ca_hooks hooks = { stub_commit, stub_changed, stub_svid };
	struct writ_ca_config config = {
		.trust_domain = TD, .ca_ttl_s = 3600, .server_svid_ttl_s = 300
	};
	struct stub s = { 0 };
	struct writ_err err = { 0 };
	if (writ_key_type_parse(writ_cstr(type), &config.key_type, &err))
		stub_fail("key type", &err);
	struct writ_signal *term;
	WRIT_AUTO(writ_freep) char *path = writ_fs_join(dir, "answered");
	writ_process_harden();
	(void)prctl(PR_SET_DUMPABLE, 1);
	s.out = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	if (s.out < 0 || writ_crypto_init(&err) || writ_loop_new(&s.loop, &err) ||
		writ_control_open(s.loop, WRIT_CONTROL_FD, &control, &s, &s.control, &err) ||
		writ_signal_new(s.loop, SIGTERM, stub_signal, &s, &term, &err))
		stub_fail("start", &err);
	s.link = writ_signer_link_new(s.loop, &link, &s);
	s.ca = writ_ca_new(s.loop, &config, writ_signer_link_port(s.link), &hooks, &s);
	struct writ_key *key;
	if (writ_key_generate(WRIT_KEY_P256, &key, &err))
		stub_fail("key", &err);
	for (size_t i = 0; i < LOAD; i++) {
		struct load *l = &s.load[i];
		*l = (struct load){ .stub = &s };
		if (writ_pubkey_of_key(key, &l->key, &err))
			stub_fail("key", &err);
		l->item = (struct writ_ca_item){ .spiffe_id = "spiffe://" TD "/w",
			.key = &l->key,
			.ttl_s = 300,
			.entry_id = "e",
			.done = got };
	}
	writ_loop_run(s.loop);
	_exit(0);
}
