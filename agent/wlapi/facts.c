/* SPDX-License-Identifier: Apache-2.0 */
#include "wlapi/caller.h"

#include "base/mem.h"

struct writ_facts *writ_facts_ref(struct writ_facts *f)
{
	f->refs++;
	return f;
}

void writ_facts_unref(struct writ_facts *f)
{
	if (!f || --f->refs)
		return;
	writ_attest_link_let_go(f->link, f->uid, f->handle);
	writ_snapshot_done(&f->snapshot);
	writ_answer_done(&f->answer);
	writ_free(f);
}
