/* SPDX-License-Identifier: Apache-2.0 */
/* What `writ run` needs of the agent: the keeper, and the table of launches. */
#include "agent_impl.h"

/* No workload depends on it: an agent that cannot do this does all the rest. */
int writ_agent_start_keeper(const struct writ_agent_config *cfg)
{
	struct writ_keeper_answer ready = { 0 };
	struct writ_err err = { 0 };
	int fd = -1;
	if (!cfg->run.is_on || !cfg->run.allow.n)
		return -1;
	if (writ_keeper_start(NULL, &fd, &ready, &err) != WRIT_OK) {
		WRIT_LOG(ERROR, "run.off", WRIT_KV("error", err.msg),
			WRIT_KV("consequence", "writ run is refused"));
		return -1;
	}
	if (ready.swept || ready.left)
		WRIT_LOG(INFO, "run.swept", WRIT_KV("folders", ready.swept),
			WRIT_KV("left", ready.left));
	return fd;
}

static void on_over(void *arg, const char *id)
{
	struct writ_agent *a = arg;
	(void)id;
	if (a->wlapi)
		writ_wlapi_changed(a->wlapi);
}

writ_rc writ__agent_open_launches(struct writ_agent *a, int keeper, struct writ_err *err)
{
	const struct writ_launches_config cfg = {
		.loop = a->loop, .keeper = keeper, .audit = a->audit, .over = on_over, .arg = a
	};
	return keeper < 0 ? WRIT_OK : writ_launches_new(&cfg, &a->launches, err);
}
