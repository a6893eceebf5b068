/* SPDX-License-Identifier: Apache-2.0 */
/* preview: which running processes have some selectors, asked of the agent of this machine. */
#ifndef WRIT_CLI_PREVIEW_H
#define WRIT_CLI_PREVIEW_H

#include "session.h"

#define WRIT_PREVIEW_OPTIONS                                                                       \
	{ "selector", NULL, WRIT_OPT_LIST, "TYPE:VALUE", "what the processes must have" },         \
		{ "max", NULL, WRIT_OPT_STRING, "N", "processes to show (200)" },                  \
		WRIT_OPT_AGENT_ADMIN, WRIT_OPT_TIMEOUT, WRIT_OPT_OUTPUT, WRIT_OPT_O

writ_rc writ_preview_run(struct writ_invocation *in, struct writ_err *err);

#endif
