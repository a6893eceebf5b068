/* SPDX-License-Identifier: Apache-2.0 */
/* grpc.health.v1: serving means that workloads get identities. */
#include "wlapi/wlapi_impl.h"

#include "grpc/health/v1/health.pb-c.h"

#define NOT_FOUND 5

static bool is_known(struct writ_str service)
{
	return !service.n || writ_str_eq(service, WRIT_STR("SpiffeWorkloadAPI"));
}

static Grpc__Health__V1__HealthCheckResponse__ServingStatus status_of(const struct writ_call *c)
{
	const struct writ_wlapi *w = writ_call_program(c);
	bool is_ready =
		w->cfg.is_ready ? w->cfg.is_ready(w->cfg.arg) : writ_cache_is_synced(w->cfg.cache);
	return is_ready ? GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING
			: GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__NOT_SERVING;
}

void writ__health_check(struct writ_call *c)
{
	const Grpc__Health__V1__HealthCheckRequest *req = (const void *)writ_call_request(c);
	Grpc__Health__V1__HealthCheckResponse m = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;
	if (!is_known(writ_cstr(req->service))) {
		writ_call_fail_status(c, NOT_FOUND, "unknown service", NULL, 0);
		return;
	}
	m.status = status_of(c);
	writ_call_reply(c, &m.base);
}

/* Nothing to let go of: but a call without this is kept for a handler that would still answer. */
static void on_end(struct writ_call *c)
{
	(void)c;
}

/* One message with what holds now; a client that wants to follow asks again. */
void writ__health_watch(struct writ_call *c)
{
	const Grpc__Health__V1__HealthCheckRequest *req = (const void *)writ_call_request(c);
	Grpc__Health__V1__HealthCheckResponse m = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;
	struct writ_err err = { 0 };
	m.status = is_known(writ_cstr(req->service))
		? status_of(c)
		: GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVICE_UNKNOWN;
	writ_call_on_end(c, on_end);
	if (writ_call_send(c, &m.base, &err) != WRIT_OK)
		writ_call_fail(c, &err);
}
