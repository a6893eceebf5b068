/* SPDX-License-Identifier: Apache-2.0 */
/* docker: what the Docker Engine API says of a container, GET /containers/ID/json. Docker itself,
 * podman of root, and podman of a user, whose word is worth only what that user's is: its selectors
 * carry his ID in front. */
#ifndef WRIT_RUNTIME_DOCKER_H
#define WRIT_RUNTIME_DOCKER_H

#include "runtime/runtime.h"

#include <sys/types.h>

#define WRIT_DOCKER_ANSWER_MAX (1024 * 1024)
#define WRIT_DOCKER_TYPES      "docker:label docker:env docker:image_id docker:image_config_digest"

struct writ_docker {
	const char *socket;  /* path; of rootless podman a template with one %d for the user ID */
	const char *version; /* of the API, "1.41"; NULL: what the runtime prefers */
	uid_t owner;         /* of docker's and rootful podman's sockets: 0 */
	/* Is that process in this container? */
	writ_rc (*pid_check)(const struct writ_cgroup_trust *trust, uint64_t pid,
		const struct writ_place *p, struct writ_err *err);
	const struct writ_cgroup_trust *trust;
};

extern const struct writ_runtime_vt writ_runtime_docker; /* self: struct writ_docker */
extern const struct writ_runtime_vt writ_runtime_podman;
extern const struct writ_runtime_vt writ_runtime_rootless;

#endif
