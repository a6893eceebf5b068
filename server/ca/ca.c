/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/ca.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "ca/ca_impl.h"

#include <string.h>

#define CHECK_MS        10000 /* the wall clock may jump: look at it now and then */
#define PREPARE_WAIT_MS 30000 /* an RSA key takes its time */
#define FIRST_RETRY_MS  100
#define LAST_RETRY_MS   30000
#define FAILING_AFTER   10

/* What a call or a change is for; the first ones are enum writ_ca_step. */
enum { STATUS = WRIT_CA_RENEW + 1, NOTE, ERASE, PRUNE };

static const char *const step_names[] = { "wait", "prepare", "publish", "activate", "drop", "renew",
	"status", "note", "erase", "prune" };

static void set_timer(struct writ_ca *ca, int64_t at_ms)
{
	int64_t left = at_ms - writ_mono_ms();
	writ_timer_start(ca->timer, left < 1 ? 1 : left > CHECK_MS ? CHECK_MS : left);
}

static struct writ_authority *active(const struct writ_ca *ca)
{
	for (size_t i = 0; i < ca->n; i++)
		if (ca->cas[i].fact.state == WRIT_CA_ACTIVE) {
			union {
				const struct writ_authority *in;
				struct writ_authority *out;
			} u = { .in = &ca->cas[i] };
			return u.out;
		}
	return NULL;
}

const struct writ_authority *writ_ca_active(const struct writ_ca *ca)
{
	return active(ca);
}

bool writ_ca_ready(const struct writ_ca *ca)
{
	const struct writ_authority *a = active(ca);
	return ca->up && ca->synced && a && a->fact.published &&
		writ_ca_usable(&a->fact, writ_wall_s());
}

bool writ_ca_failing(const struct writ_ca *ca, const char **why)
{
	if (ca->failures)
		*why = ca->last.msg;
	return ca->failures > FAILING_AFTER;
}

size_t writ_ca_authorities(const struct writ_ca *ca, const struct writ_authority **ret)
{
	*ret = ca->cas;
	return ca->n;
}

void writ_ca_resync(struct writ_ca *ca)
{
	ca->synced = false;
}

static void failed(struct writ_ca *ca, writ_rc rc, const struct writ_err *err)
{
	writ_ca_resync(ca); /* whatever half-happened, the signer knows */
	if (rc == WRIT_EUNAVAIL && !ca->up)
		return; /* its return brings us back */
	ca->last = *err;
	ca->failures++;
	ca->retry_at_ms = writ_mono_ms() + writ_backoff_next(&ca->backoff);
	WRIT_LOG(WARN, "ca.failed", WRIT_KV("step", step_names[ca->step]),
		WRIT_KV("failures", ca->failures), WRIT_KV("error", (const char *)err->msg));
	set_timer(ca, ca->retry_at_ms);
}

static void succeeded(struct writ_ca *ca)
{
	ca->failures = 0;
	ca->retry_at_ms = 0;
	writ_backoff_reset(&ca->backoff);
}

/* What we knew about the same certificate before stays true; a CA that was certified again is to be
 * published again. */
static void inherit(const struct writ_ca *ca, struct writ_authority *a)
{
	for (size_t i = 0; i < ca->n; i++) {
		const struct writ_authority *old = &ca->cas[i];
		if (strcmp(old->id, a->id) != 0 ||
			!writ_str_eq(writ_cert_der(old->cert), writ_cert_der(a->cert)))
			continue;
		a->fact.published = old->fact.published;
		a->noted = old->noted && old->fact.state == a->fact.state;
	}
}

static void forget_known(struct writ_ca *ca, const char *id)
{
	for (size_t i = 0; i < ca->n_known; i++) {
		if (strcmp(ca->known[i], id) != 0)
			continue;
		writ_free(ca->known[i]);
		ca->known[i] = ca->known[--ca->n_known];
		return;
	}
}

/* A slot of the store that the signer does not have is to be erased there. */
static void remember_known(struct writ_ca *ca, const char *id)
{
	if (ca->n_known < WRIT_COUNT(ca->known))
		ca->known[ca->n_known++] = writ_strdup(id);
}

static bool has(const struct writ_authority *cas, size_t n, const char *id)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(cas[i].id, id) == 0)
			return true;
	return false;
}

/* Takes over new[], and lets go of what was there. */
static void replace(struct writ_ca *ca, struct writ_authority *new, size_t n)
{
	const char *before = active(ca) ? active(ca)->id : "";
	for (size_t i = 0; i < n; i++) {
		inherit(ca, &new[i]);
		forget_known(ca, new[i].id);
	}
	for (size_t i = 0; i < ca->n; i++)
		if (!has(new, n, ca->cas[i].id))
			remember_known(ca, ca->cas[i].id);
	WRIT_AUTO(writ_freep) char *was = writ_strdup(before);
	for (size_t i = 0; i < ca->n; i++)
		writ_authority_done(&ca->cas[i]);
	memcpy(ca->cas, new, n * sizeof(*new));
	ca->n = n;
	const struct writ_authority *now = active(ca);
	if (*was && !has(ca->cas, ca->n, was) && !ca->synced)
		WRIT_LOG(WARN, "ca.key_lost", WRIT_KV("authority_id", (const char *)was));
	if (now && strcmp(now->id, was) != 0)
		WRIT_LOG(INFO, "ca.active", WRIT_KV("authority_id", (const char *)now->id),
			WRIT_KV("not_after", now->fact.end));
	bool changed = now && strcmp(now->id, was) != 0;
	ca->synced = true;
	if (changed)
		ca->hooks->changed(ca->arg);
	(void)writ_ca_own_tick(ca, changed);
}

static writ_rc take_cas(struct writ_ca *ca, const Writ__Signer__V1__Reply *r, struct writ_err *err)
{
	struct writ_authority new[WRIT_CA_MAX] = { { 0 } };
	if (r->n_cas > WRIT_CA_MAX)
		return writ_fail(err, WRIT_EPROTO, "signer: %zu CAs", r->n_cas);
	for (size_t i = 0; i < r->n_cas; i++) {
		writ_rc rc = writ_authority_parse(r->cas[i], &new[i], err);
		if (!rc)
			continue;
		while (i-- > 0)
			writ_authority_done(&new[i]);
		return rc;
	}
	replace(ca, new, r->n_cas);
	return WRIT_OK;
}

static void answered(struct writ_signer_call *c, writ_rc rc, const Writ__Signer__V1__Reply *r,
	const struct writ_err *why)
{
	struct writ_ca *ca = writ_container(c, struct writ_ca, call);
	struct writ_err err;
	ca->busy = false;
	if (rc)
		err = *why;
	else
		rc = take_cas(ca, r, &err);
	if (rc)
		failed(ca, rc, &err);
	else
		succeeded(ca);
	writ_ca_advance(ca);
}

static void call(struct writ_ca *ca, int step, Writ__Signer__V1__Request *q)
{
	struct writ_err err;
	ca->step = step;
	ca->call = (struct writ_signer_call){ .done = answered,
		.wait_ms = step == WRIT_CA_PREPARE || step == WRIT_CA_RENEW ? PREPARE_WAIT_MS : 0 };
	writ_rc rc = ca->port->call(ca->port, &ca->call, q, &err);
	ca->busy = !rc;
	if (rc)
		failed(ca, rc, &err);
}

char *writ_ca_unconst(const char *s)
{
	union {
		const char *in;
		char *out;
	} u = { .in = s ? s : "" };
	return u.out;
}

static void ask_status(struct writ_ca *ca)
{
	Writ__Signer__V1__Status status = WRIT__SIGNER__V1__STATUS__INIT;
	Writ__Signer__V1__Request q = WRIT__SIGNER__V1__REQUEST__INIT;
	q.op_case = WRIT__SIGNER__V1__REQUEST__OP_STATUS;
	q.status = &status;
	call(ca, STATUS, &q);
}

/* renew: the authority that is to be certified again; "": a new one. */
static void prepare(struct writ_ca *ca, int step, char *renew)
{
	Writ__Signer__V1__PrepareCa p = WRIT__SIGNER__V1__PREPARE_CA__INIT;
	Writ__Signer__V1__Request q = WRIT__SIGNER__V1__REQUEST__INIT;
	int64_t now = writ_wall_s();
	p.trust_domain = writ_ca_unconst(ca->config.trust_domain);
	p.key_type = (int32_t)ca->config.key_type;
	p.not_before = now - WRIT_CA_BACKDATE_S;
	p.not_after = now + ca->config.ca_ttl_s;
	p.country = writ_ca_unconst(ca->config.subject.country);
	p.organization = writ_ca_unconst(ca->config.subject.organization);
	p.common_name = writ_ca_unconst(ca->config.subject.common_name);
	p.renew_authority_id = renew;
	q.op_case = WRIT__SIGNER__V1__REQUEST__OP_PREPARE_CA;
	q.prepare_ca = &p;
	call(ca, step, &q);
}

static void activate(struct writ_ca *ca, size_t which)
{
	Writ__Signer__V1__ActivateCa a = WRIT__SIGNER__V1__ACTIVATE_CA__INIT;
	Writ__Signer__V1__Request q = WRIT__SIGNER__V1__REQUEST__INIT;
	a.authority_id = ca->cas[which].id;
	q.op_case = WRIT__SIGNER__V1__REQUEST__OP_ACTIVATE_CA;
	q.activate_ca = &a;
	call(ca, WRIT_CA_ACTIVATE, &q);
}

static void drop(struct writ_ca *ca, size_t which)
{
	Writ__Signer__V1__DropCa d = WRIT__SIGNER__V1__DROP_CA__INIT;
	Writ__Signer__V1__Request q = WRIT__SIGNER__V1__REQUEST__INIT;
	d.authority_id = ca->cas[which].id;
	q.op_case = WRIT__SIGNER__V1__REQUEST__OP_DROP_CA;
	q.drop_ca = &d;
	call(ca, WRIT_CA_DROP, &q);
}

static int64_t prune_after(const struct writ_ca *ca)
{
	return ca->config.ca_ttl_s < WRIT_CA_PRUNE_S ? ca->config.ca_ttl_s : WRIT_CA_PRUNE_S;
}

/* The change is on disk. The slot it was about may be gone meanwhile, with the signer that had it.
 */
static void apply(struct writ_ca *ca, const struct writ_ca_change *c)
{
	if (ca->step == PRUNE)
		ca->prune_at = writ_wall_s() + prune_after(ca) / 4 + 1;
	if (ca->step == ERASE)
		forget_known(ca, c->authority);
	for (size_t i = 0; i < ca->n && c->state; i++) {
		struct writ_authority *a = &ca->cas[i];
		if (strcmp(a->id, c->authority) != 0)
			continue;
		a->fact.published = a->fact.published || c->n_roots > 0;
		a->noted = strcmp(c->state, writ_ca_state_name(a->fact.state)) == 0;
	}
}

static void release_change(struct writ_ca_change *c)
{
	struct writ_cert **roots = c->impl;
	for (size_t i = 0; i < c->n_roots; i++)
		writ_cert_unref(roots[i]);
	writ_free(roots);
	writ_freep(&c->authority);
	writ_freep(&c->cert.p);
	*c = (struct writ_ca_change){ 0 };
}

static void committed(struct writ_ca_change *c, writ_rc rc, const struct writ_err *err)
{
	struct writ_ca *ca = writ_container(c, struct writ_ca, change);
	ca->busy = false;
	if (rc) {
		failed(ca, rc, err);
	} else {
		bool was_ready = writ_ca_ready(ca);
		apply(ca, c);
		succeeded(ca);
		if (!was_ready && writ_ca_ready(ca)) /* one of an earlier life, published again */
			(void)writ_ca_own_tick(ca, !ca->own.svid);
	}
	release_change(c);
	writ_ca_advance(ca);
}

/* A change has its own copies: the CA that it is about may go while it is under way. */
static void commit(struct writ_ca *ca, int step, const char *id)
{
	ca->step = step;
	ca->busy = true;
	ca->change.authority = writ_strdup(id);
	ca->change.done = committed;
	ca->hooks->commit(ca->arg, &ca->change);
}

static void describe(struct writ_ca *ca, const struct writ_authority *a, bool publish)
{
	struct writ_ca_change *c = &ca->change;
	struct writ_str der = writ_cert_der(a->cert);
	c->state = writ_ca_state_name(a->fact.state);
	c->cert = writ_strn(writ_memdup(der.p, der.n), der.n);
	c->issued_at = a->fact.begin;
	c->not_after = a->fact.end;
	if (!publish)
		return;
	struct writ_cert **roots = writ_alloc_array(a->n_roots, sizeof(*roots));
	for (size_t i = 0; i < a->n_roots; i++)
		roots[i] = writ_cert_ref(a->roots[i]);
	c->roots = roots;
	c->n_roots = a->n_roots;
	c->impl = roots;
}

/* What is left to write down when the CAs themselves are in order. */
static bool write_down(struct writ_ca *ca)
{
	for (size_t i = 0; i < ca->n; i++) {
		if (ca->cas[i].noted)
			continue;
		describe(ca, &ca->cas[i], false);
		commit(ca, NOTE, ca->cas[i].id);
		return true;
	}
	if (ca->n_known) {
		commit(ca, ERASE, ca->known[0]);
		return true;
	}
	if (writ_wall_s() < ca->prune_at)
		return false;
	ca->change.prune_before = writ_wall_s() - prune_after(ca);
	commit(ca, PRUNE, NULL);
	return true;
}

static void rest(struct writ_ca *ca, int64_t wake)
{
	int64_t now = writ_wall_s(), at = writ_ca_own_tick(ca, false);
	wake = wake < ca->prune_at ? wake : ca->prune_at;
	int64_t next = wake - now > CHECK_MS / 1000 ? writ_mono_ms() + CHECK_MS
						    : writ_mono_ms() + (wake - now) * 1000;
	set_timer(ca, at < next ? at : next);
}

static void do_step(struct writ_ca *ca, enum writ_ca_step step, size_t which)
{
	switch (step) {
	case WRIT_CA_PREPARE: prepare(ca, (int)step, writ_ca_unconst("")); return;
	case WRIT_CA_RENEW: prepare(ca, (int)step, ca->cas[which].id); return;
	case WRIT_CA_PUBLISH:
		describe(ca, &ca->cas[which], true);
		commit(ca, WRIT_CA_PUBLISH, ca->cas[which].id);
		return;
	case WRIT_CA_ACTIVATE: activate(ca, which); return;
	case WRIT_CA_DROP: drop(ca, which); return;
	case WRIT_CA_WAIT: return;
	}
}

void writ_ca_advance(struct writ_ca *ca)
{
	struct writ_ca_fact facts[WRIT_CA_MAX];
	size_t which;
	int64_t wake;
	writ_ca_queue_flush(ca);
	if (ca->busy || !ca->up)
		return;
	if (ca->retry_at_ms > writ_mono_ms()) {
		set_timer(ca, ca->retry_at_ms);
		return;
	}
	if (!ca->synced) {
		ask_status(ca);
		return;
	}
	for (size_t i = 0; i < ca->n; i++)
		facts[i] = ca->cas[i].fact;
	enum writ_ca_step step = writ_ca_plan(facts, ca->n, writ_wall_s(), &which, &wake);
	if (step != WRIT_CA_WAIT)
		do_step(ca, step, which);
	else if (!write_down(ca))
		rest(ca, wake);
}

void writ_ca_tick(struct writ_ca *ca)
{
	(void)writ_ca_own_tick(ca, false);
	writ_ca_advance(ca);
}

static void fire(void *arg)
{
	writ_ca_tick(arg);
}

void writ_ca_signer_up(struct writ_ca *ca)
{
	ca->up = true;
	ca->retry_at_ms = 0;
	writ_ca_resync(ca);
	writ_ca_advance(ca);
}

void writ_ca_signer_down(struct writ_ca *ca)
{
	ca->up = false;
	writ_ca_resync(ca);
}

struct writ_ca *writ_ca_new(struct writ_loop *loop, const struct writ_ca_config *config,
	struct writ_signer_port *port, const struct writ_ca_hooks *hooks, void *arg)
{
	struct writ_ca *ca = writ_alloc(sizeof(*ca));
	ca->loop = loop;
	ca->config = *config;
	ca->config.trust_domain = writ_strdup(config->trust_domain);
	ca->config.subject = (struct writ_subject){ writ_strdup(config->subject.country),
		writ_strdup(config->subject.organization),
		writ_strdup(config->subject.common_name) };
	ca->port = port;
	ca->hooks = hooks;
	ca->arg = arg;
	ca->timer = writ_timer_new(loop, fire, ca);
	ca->prune_at = writ_wall_s();
	writ_backoff_init(&ca->backoff, FIRST_RETRY_MS, LAST_RETRY_MS);
	for (size_t i = 0; i < config->n_known; i++)
		remember_known(ca, config->known[i]);
	writ_ca_queue_init(ca);
	writ_ca_own_init(ca);
	return ca;
}

void writ_ca_free(struct writ_ca *ca)
{
	if (!ca)
		return;
	writ_ca_queue_done(ca);
	writ_ca_own_done(ca);
	release_change(&ca->change);
	for (size_t i = 0; i < ca->n; i++)
		writ_authority_done(&ca->cas[i]);
	for (size_t i = 0; i < ca->n_known; i++)
		writ_free(ca->known[i]);
	writ_freep(&ca->config.trust_domain);
	writ_freep(&ca->config.subject.country);
	writ_freep(&ca->config.subject.organization);
	writ_freep(&ca->config.subject.common_name);
	writ_timer_free(ca->timer);
	writ_free(ca);
}
