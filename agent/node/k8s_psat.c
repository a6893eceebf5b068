/* SPDX-License-Identifier: Apache-2.0 */
/* The machine is the one that Kubernetes runs this pod on: the pod's projected service account
 * token is shown. Source of the format: SPIRE 1.15, JSON: {"cluster","token"}; no challenge. */
#include "base/mem.h"
#include "node/prover.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define TOKEN_MAX (16 * 1024)

/* Follows links: what Kubernetes projects is one, and who owns it is Kubernetes' business. */
static writ_rc read_token(const char *path, struct writ_buf *out, struct writ_err *err)
{
	WRIT_AUTO(writ_closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return writ_fail_errno(err, errno, "token_path '%s'", path);
	for (;;) {
		uint8_t *room = writ_buf_room(out, 1024);
		if (!room)
			return writ_fail(err, WRIT_ELIMIT,
				"token_path '%s': longer than %d bytes, no token", path, TOKEN_MAX);
		ssize_t n = read(fd, room, 1024);
		if (n < 0 && errno != EINTR)
			return writ_fail_errno(err, errno, "token_path '%s'", path);
		if (n == 0)
			return WRIT_OK;
		writ_buf_grew(out, n > 0 ? (size_t)n : 0);
	}
}

static writ_rc payload(struct writ_prover *p, struct writ_buf *out, struct writ_err *err)
{
	const struct writ_agent_k8s_psat *cfg = &p->cfg->nodes.k8s_psat;
	WRIT_AUTO(writ_buf_wipe) struct writ_buf text = WRIT_BUF(TOKEN_MAX);
	writ_rc rc = read_token(cfg->token_path, &text, err);
	if (rc != WRIT_OK)
		return rc;
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
