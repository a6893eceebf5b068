/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever a runtime sends: selectors of its own type about the container asked for, or none. */
#include "runtime/docker.h"
#include "runtime/kubelet.h"
#include "runtime/systemd.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static writ_rc any_pid(const struct writ_cgroup_trust *t, uint64_t pid, const struct writ_place *p,
	struct writ_err *err)
{
	(void)t;
	return pid > 0 && p ? WRIT_OK : writ_fail(err, WRIT_EUNAUTH, "no");
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static const struct writ_docker docker = { .pid_check = any_pid };
	static const struct writ_kubelet kubelet = { .plain = true };
	const struct writ_runtime_vt *const all[] = { &writ_runtime_docker, &writ_runtime_kubelet,
		&writ_runtime_systemd };
	const void *const self[] = { &docker, &kubelet, NULL };
	struct writ_place place = { .pod = "2c48913c-b29f-11e7-9350-020968147796" };
	memset(place.container, 'a', WRIT_PLACE_ID_LEN);
	memcpy(place.unit_folder, "/s", 2);
	for (size_t i = 0; i < 3; i++) {
		struct writ_answer a;
		writ_answer_init(&a);
		struct writ_str body = writ_strn(p, n);
		if (all[i]->judge(self[i], &place, 200, body, &a, NULL) == WRIT_OK)
			assert(memmem(
				p, n, i < 2 ? place.container : place.unit_folder, i < 2 ? 4 : 2));
		writ_selectors_seal(&a.selectors);
		for (size_t s = 0; s < a.selectors.n; s++)
			assert(writ_selectors_at(&a.selectors, s).type.p[0] == "dks"[i]);
		writ_answer_done(&a);
	}
	return 0;
}
