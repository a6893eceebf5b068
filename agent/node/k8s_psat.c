/* SPDX-License-Identifier: Apache-2.0 */
/* The machine is the one that Kubernetes runs this pod on: the pod's projected service account
 * token is shown. Source of the format: SPIRE 1.15, JSON: {"cluster","token"}; no challenge. */
#include "base/fs.h"
#include "base/mem.h"
#include "node/prover.h"

#define TOKEN_MAX (16 * 1024)

static writ_rc payload(struct writ_prover *p, struct writ_buf *out, struct writ_err *err)
{
	const struct writ_agent_k8s_psat *cfg = &p->cfg->nodes.k8s_psat;
	WRIT_AUTO(writ_buf_wipe) struct writ_buf text = WRIT_BUF(TOKEN_MAX);
	writ_rc rc = writ_fs_read_linked(cfg->token_path, &text, err);
	if (rc != WRIT_OK)
		return writ_wrap(
			err, rc, rc == WRIT_ELIMIT ? "token_path: that is no token" : "token_path");
	struct writ_str token = writ_str_trim(writ_buf_str(&text));
	if (!token.n)
		return writ_fail(err, WRIT_EINVAL, "token_path '%s' is empty", cfg->token_path);
	writ_buf_add_cstr(out, "{\"cluster\":\"");
	writ_buf_add_json(out, writ_cstr(cfg->cluster));
	writ_buf_add_cstr(out, "\",\"token\":\"");
	writ_buf_add_json(out, token);
	writ_buf_add_cstr(out, "\"}");
	return WRIT_OK;
}

const struct writ_prover_vt writ_prover_k8s_psat = {
	.name = "k8s_psat",
	.is_on = offsetof(struct writ_agent_config, nodes.k8s_psat.is_on),
	.size = sizeof(struct writ_prover),
	.payload = payload,
};
