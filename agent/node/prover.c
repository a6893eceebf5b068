/* SPDX-License-Identifier: Apache-2.0 */
#include "node/prover.h"

#include "base/mem.h"

static const struct writ_prover_vt *const all[] = { &writ_prover_x509pop, &writ_prover_sshpop,
	&writ_prover_http_challenge, &writ_prover_k8s_psat, &writ_prover_tpm_devid };

static const struct writ_prover_vt *named(const struct writ_agent_config *cfg)
{
	for (size_t i = 0; i < WRIT_COUNT(all); i++)
		if (*(const bool *)((const char *)cfg + all[i]->is_on))
			return all[i];
	return NULL;
}

writ_rc writ_prover_open(
	const struct writ_agent_config *cfg, struct writ_prover **ret, struct writ_err *err)
{
	const struct writ_prover_vt *vt = named(cfg);
	writ_rc rc = vt && vt->check ? vt->check(cfg, err) : WRIT_OK;
	if (rc != WRIT_OK)
		return writ_wrap(err, rc, "NodeAttestor \"%s\"", vt->name);
	struct writ_prover *p = vt ? writ_alloc(vt->size) : NULL;
	if (p)
		*p = (struct writ_prover){ .vt = vt, .cfg = cfg };
	*ret = p;
	return WRIT_OK;
}

void writ_prover_close(struct writ_prover *p)
{
	if (p && p->vt->stop)
		p->vt->stop(p);
	writ_free(p);
}
