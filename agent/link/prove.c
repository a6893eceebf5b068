/* SPDX-License-Identifier: Apache-2.0 */
/* The prover's part of an attestation: started, asked for its payload with the new key, and stopped
 * when all is over. */
#include "link/link_impl.h"

#include "base/mem.h"

writ_rc writ__link_prove(struct writ_link *l, struct writ_err *err)
{
	const struct writ_prover_vt *vt = l->cfg.prover->vt;
	if (l->proving)
		return writ_fail(
			err, WRIT_EBUSY, "%s: an attestation is still under way", vt->name);
	l->proving = true;
	l->fresh.payload = WRIT_BUF(WRIT_PROOF_PAYLOAD_MAX);
	writ_rc rc = vt->start ? vt->start(l->cfg.prover, l->cfg.loop, err) : WRIT_OK;
	if (rc != WRIT_OK)
		writ__link_proved(l);
	return rc == WRIT_OK ? rc : writ_wrap(err, rc, "%s", vt->name);
}

writ_rc writ__link_prove_payload(struct writ_link *l, struct writ_err *err)
{
	struct writ_prover *p = l->cfg.prover;
	writ_rc rc = p->vt->on_loop ? p->vt->payload(p, &l->fresh.payload, err) : WRIT_OK;
	return rc == WRIT_OK ? writ_buf_check(&l->fresh.payload, "payload", err)
			     : writ_wrap(err, rc, "%s", p->vt->name);
}

void writ__link_proved(struct writ_link *l)
{
	if (!l->proving)
		return;
	l->proving = false;
	writ_buf_wipe(&l->fresh.payload);
	if (l->cfg.prover->vt->stop)
		l->cfg.prover->vt->stop(l->cfg.prover);
}
