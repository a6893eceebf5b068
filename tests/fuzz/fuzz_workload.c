/* SPDX-License-Identifier: Apache-2.0 */
#include "workload/client.h"

#include <assert.h>
#include <stdint.h>

/* The time at which the seeds are valid. */
#define NOW INT64_C(1800000000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct writ_wl_update *u = NULL;
	struct writ_err err = { 0 };
	if (writ_wl_decode(data, size, NOW, &u, &err) != WRIT_OK) {
		assert(!u && err.rc != WRIT_OK && err.msg[0]);
		return 0;
	}
	assert(u->n > 0 && u->bundles);
	for (size_t i = 0; i < u->n; i++)
		assert(writ_svid_not_after(u->svids[i]) >= NOW && u->svids[i]->spiffe_id[0]);
	writ_wl_update_unref(u);
	return 0;
}
