/* SPDX-License-Identifier: Apache-2.0 */
#include "lineage_kit.h"

#include "base/mem.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

struct writ_ns_self lineage_self;
const struct writ_attestor_vt *const lineage_list[] = { &writ_attestor_lineage, NULL };

void lineage_look(struct seen *v, const struct writ_attest_ctx *ctx, pid_t pid)
{
	struct writ_err err;
	const struct writ_pin_facts facts = {
		.pid = pid, .uid = geteuid(), .gid = getegid(), .pidfd = -1
	};
	if (writ_pin_open(&facts, NULL, &v->pin, &err) != WRIT_OK ||
		writ_snapshot_take(&v->pin, &lineage_self, &v->s, &err) != WRIT_OK)
		fail_msg("%s", err.msg);
	if (writ_attest(lineage_list, ctx, &v->s, v->pin.dirfd,
		    WRIT_ATTEST_LINEAGE | WRIT_ATTEST_MAY_BLOCK, &v->a, &err) != WRIT_OK)
		fail_msg("%s", err.msg);
	WRIT_AUTO(writ_buf_done) struct writ_buf b = WRIT_BUF(sizeof(v->selectors) - 2);
	writ_selectors_print(&v->a.selectors, &b);
	snprintf(v->selectors, sizeof(v->selectors), "%s,", b.n ? writ_buf_cstr(&b) : "");
	snprintf(v->notes, sizeof(v->notes), "%s", v->a.notes.n ? writ_buf_cstr(&v->a.notes) : "");
}

void lineage_forget(struct seen *v)
{
	writ_answer_done(&v->a);
	writ_snapshot_done(&v->s);
	writ_pin_close(&v->pin);
}

bool lineage_has(const struct seen *v, const char *selector)
{
	char text[512];
	snprintf(text, sizeof(text), "%s,", selector);
	return strstr(v->selectors, text) != NULL;
}
