/* SPDX-License-Identifier: Apache-2.0 */
#include "workload/source.h"

#include "base/clock.h"
#include "base/mem.h"
#include "rpc/channel.h"
#include "workload/endpoint.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define DEFAULT_TIMEOUT_MS 30000

struct writ_x509_source {
	/* Of the process that made it: a child may have the same pid, in a namespace of its own. */
	pid_t pid;
	unsigned forks;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t arrived;
	/* Under lock. */
	struct writ_wl_update *update; /* NULL: no identity now */
	struct writ_svid *svid;        /* borrowed from update */
	struct writ_err last;
	bool final;
	/* The thread's own. */
	struct writ_loop *loop;
	struct writ_wl *wl;
	struct writ_task start, stop;
	char *path, *spiffe_id, *hint;
	void (*changed)(void *arg, struct writ_x509_source *source);
	void *arg;
};

static pthread_once_t fork_once = PTHREAD_ONCE_INIT;
static unsigned forks; /* between this process and the one that loaded the library */

static void count_fork(void)
{
	forks++;
}

static void watch_forks(void)
{
	(void)pthread_atfork(NULL, NULL, count_fork);
}

static enum writ_error_code public_code(writ_rc rc)
{
	switch (rc) {
	case WRIT_OK: return WRIT_ERROR_NONE;
	case WRIT_EINVAL:
	case WRIT_EUNSUP: return WRIT_ERROR_INVALID;
	case WRIT_ENOENT: return WRIT_ERROR_NOT_FOUND;
	case WRIT_EUNAVAIL:
	case WRIT_EBUSY:
	case WRIT_ELIMIT: return WRIT_ERROR_UNAVAILABLE;
	case WRIT_EDENIED:
	case WRIT_EEXPIRED:
	case WRIT_EUNAUTH: return WRIT_ERROR_DENIED;
	case WRIT_ETIMEOUT: return WRIT_ERROR_TIMEOUT;
	case WRIT_EPRECOND: return WRIT_ERROR_AMBIGUOUS;
	case WRIT_ECRYPTO:
	case WRIT_EPROTO: return WRIT_ERROR_VERIFY;
	default: return WRIT_ERROR_INTERNAL;
	}
}

int writ_source_error(struct writ_error *error, const struct writ_err *err)
{
	enum writ_error_code code = public_code(err->rc);
	if (error) {
		error->code = code;
		snprintf(error->message, sizeof(error->message), "%s", err->msg);
	}
	return (int)code;
}

int writ_source_forked(const struct writ_x509_source *s, struct writ_error *error)
{
	if (s->pid == getpid() && s->forks == forks)
		return 0;
	if (error) {
		error->code = WRIT_ERROR_FORKED;
		snprintf(error->message, sizeof(error->message),
			"the source was made in another process: make one after exec");
	}
	return WRIT_ERROR_FORKED;
}

/* Under lock. */
static void use(struct writ_x509_source *s, struct writ_wl_update *u, struct writ_svid *svid)
{
	writ_wl_update_unref(s->update);
	s->update = u;
	s->svid = svid;
}

/* Each answer is the whole state: an identity that is not in it any more is gone. */
static void on_update(void *arg, struct writ_wl_update *u)
{
	struct writ_x509_source *s = arg;
	struct writ_svid *svid = NULL;
	struct writ_err err = { 0 };
	pthread_mutex_lock(&s->lock);
	bool had = s->update != NULL;
	writ_rc rc = writ_wl_follow(
		u, s->spiffe_id, s->hint, had ? s->svid->spiffe_id : NULL, &svid, &err);
	if (rc == WRIT_OK) {
		use(s, writ_wl_update_ref(u), svid);
	} else {
		use(s, NULL, NULL);
		s->last = err;
	}
	/* Ambiguity does not go away by waiting. */
	s->final = rc == WRIT_EPRECOND;
	pthread_cond_broadcast(&s->arrived);
	pthread_mutex_unlock(&s->lock);
	if ((rc == WRIT_OK || had) && s->changed)
		s->changed(s->arg, s);
}

static void on_failed(void *arg, const struct writ_err *err, bool denied, bool final)
{
	struct writ_x509_source *s = arg;
	pthread_mutex_lock(&s->lock);
	s->last = *err;
	s->final = final;
	bool lost = denied && s->update;
	if (lost) /* what was taken away is not used to its end */
		use(s, NULL, NULL);
	pthread_cond_broadcast(&s->arrived);
	pthread_mutex_unlock(&s->lock);
	if (lost && s->changed)
		s->changed(s->arg, s);
}

static void on_stopped(void *arg)
{
	struct writ_x509_source *s = arg;
	writ_loop_stop(s->loop);
}

static void run_stop(struct writ_task *t)
{
	struct writ_x509_source *s = writ_container(t, struct writ_x509_source, stop);
	writ_wl_stop(s->wl, on_stopped, s);
}

/* On the thread: the loop and all that is made for it belong to who runs it. */
static void run_start(struct writ_task *t)
{
	struct writ_x509_source *s = writ_container(t, struct writ_x509_source, start);
	const struct writ_wl_config cfg = {
		.loop = s->loop,
		.socket_path = s->path,
		.update = on_update,
		.failed = on_failed,
		.arg = s,
	};
	s->wl = writ_wl_start(&cfg);
}

static void *thread_main(void *arg)
{
	struct writ_x509_source *s = arg;
	(void)prctl(PR_SET_NAME, "writ-source");
	writ_loop_run(s->loop);
	return NULL;
}

static writ_rc start_thread(struct writ_x509_source *s, struct writ_err *err)
{
	sigset_t all, before;
	/* The program's signals are not for this thread. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int e = pthread_create(&s->thread, NULL, thread_main, s);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return e ? writ_fail_errno(err, e, "start the source's thread") : WRIT_OK;
}

static writ_rc wait_first(struct writ_x509_source *s, unsigned timeout_ms, struct writ_err *err)
{
	struct timespec until;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += timeout_ms / 1000;
	until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	writ_rc rc = WRIT_OK;
	pthread_mutex_lock(&s->lock);
	while (!s->update && !s->final && rc == WRIT_OK) {
		if (pthread_cond_timedwait(&s->arrived, &s->lock, &until) != 0)
			rc = WRIT_ETIMEOUT;
	}
	if (s->update) {
		rc = WRIT_OK;
	} else if (s->last.rc != WRIT_OK) {
		*err = s->last;
		rc = s->last.rc;
	} else {
		rc = writ_fail(err, WRIT_ETIMEOUT, "the agent at %s did not answer within %u ms",
			s->path, timeout_ms);
	}
	pthread_mutex_unlock(&s->lock);
	return rc;
}

static void destroy(struct writ_x509_source *s)
{
	if (s->loop) {
		writ_rpc_shutdown();
		writ_loop_free(s->loop);
	}
	writ_wl_update_unref(s->update);
	pthread_cond_destroy(&s->arrived);
	pthread_mutex_destroy(&s->lock);
	writ_free(s->path);
	writ_free(s->spiffe_id);
	writ_free(s->hint);
	writ_free(s);
}

static struct writ_x509_source *make(const struct writ_x509_source_options *o)
{
	struct writ_x509_source *s = writ_alloc(sizeof(*s));
	pthread_condattr_t attr;
	(void)pthread_once(&fork_once, watch_forks);
	s->pid = getpid();
	s->forks = forks;
	pthread_mutex_init(&s->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&s->arrived, &attr);
	pthread_condattr_destroy(&attr);
	s->spiffe_id = writ_strdup(o->spiffe_id);
	s->hint = writ_strdup(o->hint);
	s->changed = o->changed;
	s->arg = o->arg;
	s->start.run = run_start;
	s->stop.run = run_stop;
	return s;
}

static writ_rc open_source(struct writ_x509_source *s, const char *endpoint, struct writ_err *err)
{
	/* The one place where a library reads the environment: the standard names this variable. */
	const char *text = endpoint ? endpoint : secure_getenv("SPIFFE_ENDPOINT_SOCKET");
	if (!text)
		return writ_fail(err, WRIT_EINVAL,
			"no address of the agent: set "
			"SPIFFE_ENDPOINT_SOCKET=unix:///run/writ/agent/public/api.sock");
	struct writ_id id;
	writ_rc rc = (endpoint ? writ_endpoint_or_path : writ_endpoint_parse)(text, &s->path, err);
	if (rc == WRIT_OK && s->spiffe_id)
		rc = writ_id_parse_leaf(writ_cstr(s->spiffe_id), &id, err);
	if (rc == WRIT_OK)
		rc = writ_crypto_init(err);
	if (rc == WRIT_OK)
		rc = writ_loop_new(&s->loop, err);
	if (rc != WRIT_OK)
		return rc;
	writ_rpc_init();
	rc = start_thread(s, err);
	if (rc == WRIT_OK)
		writ_loop_post(s->loop, &s->start);
	return rc;
}

int writ_x509_source_new(const struct writ_x509_source_options *options,
	struct writ_x509_source **ret, struct writ_error *error)
{
	struct writ_err err = { 0 };
	struct writ_x509_source_options o = { 0 };
	if (!options || !ret || options->size < sizeof(options->size) ||
		options->size > sizeof(o)) {
		writ_fail(&err, WRIT_EINVAL,
			"options->size is not set to sizeof(struct writ_x509_source_options)");
		return writ_source_error(error, &err);
	}
	memcpy(&o, options, options->size);
	struct writ_x509_source *s = make(&o);
	writ_rc rc = open_source(s, o.endpoint, &err);
	if (rc != WRIT_OK) {
		destroy(s);
		return writ_source_error(error, &err);
	}
	rc = wait_first(s, o.timeout_ms ? o.timeout_ms : DEFAULT_TIMEOUT_MS, &err);
	if (rc != WRIT_OK) {
		writ_x509_source_free(s);
		return writ_source_error(error, &err);
	}
	*ret = s;
	return 0;
}

void writ_x509_source_free(struct writ_x509_source *s)
{
	if (!s || writ_source_forked(s, NULL))
		return;
	writ_loop_post(s->loop, &s->stop);
	pthread_join(s->thread, NULL);
	destroy(s);
}

writ_rc writ_source_current(struct writ_x509_source *s, struct writ_wl_update **update,
	struct writ_svid **svid, struct writ_err *err)
{
	writ_rc rc = WRIT_OK;
	pthread_mutex_lock(&s->lock);
	if (!s->update)
		rc = writ_fail(err, s->last.rc == WRIT_ENOENT ? WRIT_ENOENT : WRIT_EDENIED,
			"this process has no identity any more: %.400s", s->last.msg);
	else if (writ_svid_not_after(s->svid) < writ_wall_s())
		rc = writ_fail(err, WRIT_EEXPIRED,
			"the SVID ran out and the agent has sent no other: %.400s",
			s->last.rc == WRIT_OK ? "no error was seen" : s->last.msg);
	if (rc == WRIT_OK) {
		*update = writ_wl_update_ref(s->update);
		*svid = s->svid;
	}
	pthread_mutex_unlock(&s->lock);
	return rc;
}

/* The copy and its locked key, freed together. */
struct svid_copy {
	struct writ_x509_svid svid;
	struct writ_secret key;
};

int writ_x509_source_svid(
	struct writ_x509_source *s, struct writ_x509_svid **ret, struct writ_error *error)
{
	struct writ_wl_update *u;
	struct writ_svid *svid;
	struct writ_err err = { 0 };
	if (writ_source_forked(s, error))
		return WRIT_ERROR_FORKED;
	if (writ_source_current(s, &u, &svid, &err) != WRIT_OK)
		return writ_source_error(error, &err);
	struct svid_copy *c = writ_alloc(sizeof(*c));
	writ_rc rc = writ_key_to_pkcs8(svid->key, &c->key, &err);
	if (rc != WRIT_OK) {
		writ_wl_update_unref(u);
		writ_free(c);
		return writ_source_error(error, &err);
	}
	WRIT_AUTO(writ_buf_done) struct writ_buf certs = WRIT_BUF(WRIT_CHAIN_MAX * WRIT_CERT_MAX);
	for (size_t i = 0; i < svid->n_chain; i++)
		writ_buf_add_str(&certs, writ_cert_der(svid->chain[i]));
	c->svid = (struct writ_x509_svid){
		.spiffe_id = writ_strdup(svid->spiffe_id),
		.certs = writ_memdup(certs.p, certs.n),
		.certs_len = certs.n,
		.key = c->key.p,
		.key_len = c->key.n,
		.not_after = writ_svid_not_after(svid),
	};
	writ_wl_update_unref(u);
	*ret = &c->svid;
	return 0;
}

void writ_x509_svid_free(struct writ_x509_svid *svid)
{
	if (!svid)
		return;
	struct svid_copy *c = writ_container(svid, struct svid_copy, svid);
	writ_secret_done(&c->key);
	writ_free(c->svid.spiffe_id);
	writ_free(c->svid.certs);
	writ_free(c);
}

int writ_x509_source_bundle_pem(
	struct writ_x509_source *s, const char *trust_domain, char **ret, struct writ_error *error)
{
	struct writ_wl_update *u;
	struct writ_svid *svid;
	struct writ_err err = { 0 };
	struct writ_id id;
	if (writ_source_forked(s, error))
		return WRIT_ERROR_FORKED;
	writ_rc rc = writ_source_current(s, &u, &svid, &err);
	if (rc != WRIT_OK)
		return writ_source_error(error, &err);
	rc = writ_id_parse(writ_cstr(svid->spiffe_id), &id, &err);
	const struct writ_bundle *b = rc != WRIT_OK
		? NULL
		: writ_bundles_get(u->bundles, trust_domain ? writ_cstr(trust_domain) : id.td);
	WRIT_AUTO(writ_buf_done) struct writ_buf text = WRIT_BUF(4u << 20);
	if (b)
		writ_bundle_print_pem(b, &text);
	else if (rc == WRIT_OK)
		rc = writ_fail(&err, WRIT_ENOENT, "no bundle of trust domain '%s'",
			trust_domain ? trust_domain : "");
	writ_wl_update_unref(u);
	if (rc != WRIT_OK)
		return writ_source_error(error, &err);
	*ret = writ_buf_steal(&text);
	return 0;
}

void writ_text_free(char *text)
{
	writ_free(text);
}
