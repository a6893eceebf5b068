/* SPDX-License-Identifier: Apache-2.0 */
/* What the link does off the loop: keys, requests, and writing the state. */
#include "link/link_impl.h"

#include "base/mem.h"
#include "crypto/csr.h"

#define CSR_MAX 4096

static writ_rc prover_payload(struct fresh *f)
{
	writ_rc rc = f->prover->vt->payload(f->prover, &f->payload, &f->err);
	return rc == WRIT_OK ? rc : writ_wrap(&f->err, rc, "%s", f->prover->vt->name);
}

static void fresh_work(struct writ_job *j)
{
	struct fresh *f = writ_container(j, struct fresh, job);
	writ_rc rc = writ_key_generate(WRIT_KEY_P256, &f->key, &f->err);
	if (rc == WRIT_OK)
		rc = writ_csr_build(f->key, NULL, NULL, 0, &f->csr, &f->err);
	if (rc == WRIT_OK && f->prover && !f->prover->vt->on_loop)
		rc = prover_payload(f);
	f->err.rc = rc;
}

static void fresh_done(struct writ_job *j)
{
	struct writ_link *l = writ_container(j, struct writ_link, fresh.job);
	l->fresh.running = false;
	if (l->at == LINK_END) {
		writ__link_settle(l);
		return;
	}
	if (!l->fresh.again) {
		l->fresh.then(l);
		return;
	}
	if (l->by != LINK_BY_PROVER && !l->proof)
		writ__link_proved(l); /* whoever started it is not asked any more */
	writ__link_fresh(l, l->fresh.then);
}

void writ__link_fresh(struct writ_link *l, void (*done)(struct writ_link *l))
{
	l->fresh.again = l->fresh.running;
	l->fresh.then = done;
	if (l->fresh.running)
		return;
	writ_key_unref(writ_steal(l->fresh.key));
	writ_buf_done(&l->fresh.csr);
	l->fresh.csr = WRIT_BUF(CSR_MAX);
	writ_buf_reset(&l->fresh.payload);
	l->fresh.prover = l->proving ? l->cfg.prover : NULL;
	l->fresh.err.rc = WRIT_OK;
	l->fresh.running = true;
	l->fresh.job.work = fresh_work;
	l->fresh.job.done = fresh_done;
	writ_job_run(l->cfg.loop, &l->fresh.job);
}

static void save_work(struct writ_job *j)
{
	struct save *s = writ_container(j, struct save, job);
	s->err.rc = WRIT_OK;
	s->err.rc = writ_state_save(s->path, &s->state, &s->err);
}

static void save_done(struct writ_job *j)
{
	struct writ_link *l = writ_container(j, struct writ_link, save.job);
	struct writ_err err = l->save.err;
	l->save.running = false;
	writ_state_done(&l->save.state);
	if (l->save.wanted) {
		writ__link_save(l);
		return;
	}
	if (l->banned)
		writ__link_banned(l); /* it was removed while it was being written */
	else
		writ__link_saved(l, &err);
}

/* What is on its way becomes part of the state only when it has been written (writ__link_saved). */
void writ__link_save(struct writ_link *l)
{
	struct save *s = &l->save;
	struct writ_svid *svid = l->pending ? l->pending : l->state.svid;
	s->wanted = s->running;
	if (s->running)
		return;
	s->running = true;
	s->path = (char *)(uintptr_t)l->cfg.state_path;
	s->state.svid = l->cfg.keep_key && svid ? writ_svid_ref(svid) : NULL;
	s->state.bundle = l->state.bundle ? writ_bundle_ref(l->state.bundle) : NULL;
	s->state.reattestable = l->pending ? l->pending_reattestable : l->state.reattestable;
	s->job.work = save_work;
	s->job.done = save_done;
	writ_job_run(l->cfg.loop, &s->job);
}
