/* SPDX-License-Identifier: Apache-2.0 */
/* What the API server answers: names and UIDs that are taken are such. */
#include "base/mem.h"
#include "node/kube_review.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static char audience[] = "spire-server";
	static char *list[] = { audience };
	const struct writ_conf_strings audiences = { list, 1 };
	struct writ_kube_subject s;
	struct writ_kube_object *o = NULL;
	struct writ_buf out = WRIT_BUF(64 * 1024);
	if (writ_kube_review_parse(writ_strn(p, n), &audiences, &s, NULL) == WRIT_OK)
		assert(writ_kube_is_name(s.ns) && writ_kube_is_name(s.account) &&
			writ_kube_is_name(s.pod) && writ_kube_is_uid(s.pod_uid));
	if (writ_kube_object_parse(writ_strn(p, n), &o, NULL) == WRIT_OK)
		(void)writ_kube_object_label(o, "zone");
	writ_kube_object_free(o);
	if (writ_kube_token_check(writ_strn(p, n), 0, NULL) == WRIT_OK)
		writ_kube_review_print(writ_strn(p, n), &audiences, &out);
	writ_buf_done(&out);
	return 0;
}
