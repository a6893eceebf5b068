/* SPDX-License-Identifier: Apache-2.0 */
#include "api/health.h"

#include "api/methods.h"
#include "base/list.h"
#include "grpc/health/v1/health.pb-c.h"

#include <assert.h>

#define LOOK_MS 1000 /* while somebody watches */

#define H(name)         Grpc__Health__V1__##name
#define SERVING         GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING
#define NOT_SERVING     GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__NOT_SERVING
#define SERVICE_UNKNOWN GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVICE_UNKNOWN

struct watcher {
	struct writ_list node;
	struct writ_call *call;
	bool unknown; /* a service that there is not */
	int told;
};

struct writ_health_watchers {
	struct writ_api *api;
	struct writ_list list;
	struct writ_timer *look;
};

bool writ_api_is_ready(const struct writ_api *api)
{
	return api->bundle && writ_ca_ready(api->ca);
}

static bool is_known(const char *service)
{
	return !*service;
}

static int status_now(const struct writ_api *api)
{
	return writ_api_is_ready(api) ? SERVING : NOT_SERVING;
}

static void tell(struct watcher *w, const struct writ_api *api)
{
	H(HealthCheckResponse) m = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;
	struct writ_err err;
	int now = w->unknown ? (int)SERVICE_UNKNOWN : status_now(api);
	if (now == w->told)
		return;
	m.status = (H(HealthCheckResponse__ServingStatus))now;
	/* While the message before is on its way this fails; the next look tries again. */
	if (writ_call_send(w->call, &m.base, &err) == WRIT_OK)
		w->told = now;
}

static void look(void *arg)
{
	struct writ_health_watchers *l = arg;
	WRIT_LIST_EACH (it, &l->list)
		tell(writ_container(it, struct watcher, node), l->api);
	if (!writ_list_empty(&l->list))
		writ_timer_start(l->look, LOOK_MS);
}

struct writ_health_watchers *writ_health_new(struct writ_api *api)
{
	struct writ_health_watchers *l = writ_alloc(sizeof(*l));
	l->api = api;
	writ_list_init(&l->list);
	l->look = writ_timer_new(api->loop, look, l);
	return l;
}

void writ_health_free(struct writ_health_watchers *l)
{
	if (!l)
		return;
	assert(writ_list_empty(&l->list));
	writ_timer_free(l->look);
	writ_free(l);
}

static void gone(struct writ_call *c)
{
	struct watcher *w = writ_api_call(c)->state;
	writ_list_remove(&w->node);
}

void writ_h_health_watch(struct writ_call *c)
{
	const H(HealthCheckRequest) *q = (const void *)writ_call_request(c);
	struct writ_api_call *a = writ_api_call(c);
	struct watcher *w = writ_api_alloc(c, sizeof(*w));
	a->state = w;
	w->call = c;
	w->told = -1;
	w->unknown = !is_known(q->service);
	writ_list_init(&w->node);
	writ_list_push(&a->api->health->list, &w->node);
	writ_call_on_end(c, gone);
	tell(w, a->api);
	if (!writ_timer_active(a->api->health->look))
		writ_timer_start(a->api->health->look, LOOK_MS);
}

void writ_h_health_check(struct writ_call *c)
{
	const H(HealthCheckRequest) *q = (const void *)writ_call_request(c);
	H(HealthCheckResponse) m = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;
	if (!is_known(q->service)) {
		writ_api_fail(c, WRIT_ENOENT, "unknown service");
		return;
	}
	m.status = (H(HealthCheckResponse__ServingStatus))status_now(writ_api_call(c)->api);
	writ_api_reply(c, &m.base);
}

void writ_h_health_list(struct writ_call *c)
{
	H(HealthListResponse) m = GRPC__HEALTH__V1__HEALTH_LIST_RESPONSE__INIT;
	H(HealthListResponse__StatusesEntry)
	e = GRPC__HEALTH__V1__HEALTH_LIST_RESPONSE__STATUSES_ENTRY__INIT, *list[] = { &e };
	H(HealthCheckResponse) s = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;
	s.status = (H(HealthCheckResponse__ServingStatus))status_now(writ_api_call(c)->api);
	e.value = &s;
	m.n_statuses = 1;
	m.statuses = list;
	writ_api_reply(c, &m.base);
}
