/* SPDX-License-Identifier: Apache-2.0 */
#include "node/prover.h"

#include "base/mem.h"

static const struct writ_prover_vt *const all[] = { &writ_prover_x509pop, &writ_prover_sshpop,
	&writ_prover_http_challenge, &writ_prover_k8s_psat, &writ_prover_tpm_devid };

writ_rc writ_prover_open(
	const struct writ_agent_config *cfg, struct writ_prover **ret, struct writ_err *err)
{
	for (size_t i = 0; i < WRIT_COUNT(all); i++)
		if (all[i]->is_on(cfg))
			return all[i]->open(cfg, ret, err);
	*ret = NULL;
	return WRIT_OK;
}

void writ_prover_close(struct writ_prover *p)
{
	if (p)
		p->vt->close(p);
}
