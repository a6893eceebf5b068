/* SPDX-License-Identifier: Apache-2.0 */
#include "api/metrics.h"

#include "api/api.h"
#include "base/clock.h"
#include "base/mem.h"

#include <string.h>

void writ_server_metrics_init(struct writ_server_metrics *m)
{
	static const char *const purposes[WRIT_FOR_KINDS] = { "type=\"x509\",for=\"workload\"",
		"type=\"x509\",for=\"agent\"", "type=\"x509\",for=\"mint\"" };
	static const char *const results[WRIT_CALL_RESULTS] = { "result=\"ok\"",
		"result=\"failed\"", "result=\"refused\"" };
	memset(m, 0, sizeof(*m));
	for (size_t i = 0; i < WRIT_FOR_KINDS; i++) {
		m->issued[i].name = "writ_server_svids_issued_total";
		m->issued[i].labels = purposes[i];
		m->issued[i].help = "SVIDs issued.";
	}
	for (size_t i = 0; i < WRIT_CALL_RESULTS; i++) {
		m->calls[i].name = "writ_server_calls_total";
		m->calls[i].labels = results[i];
		m->calls[i].help = "Calls of the API by how they ended.";
	}
	m->sign.name = "writ_server_sign_duration_seconds";
	m->sign.help = "From a checked request to its certificates, the queue included.";
	m->sign.kind = WRIT_HISTOGRAM;
	m->sign.scale = 1e-6;
}

static int64_t count_nodes(const struct writ_api *api, const struct writ_node_filter *f)
{
	size_t n = 0;
	return writ_registry_count_nodes(api->registry, f, &n, NULL) == WRIT_OK ? (int64_t)n : 0;
}

void writ_server_metrics_print(const struct writ_api *api, struct writ_buf *out)
{
	struct writ_server_metrics *m = api->metrics;
	const struct writ_authority *ca = writ_ca_active(api->ca);
	const struct writ_entry_filter all = { 0 };
	const struct writ_node_filter banned = { .by_banned = true, .banned = true },
				      expired = { .by_banned = true,
					      .expires_before = writ_wall_s() },
				      any = { 0 };
	struct writ_metric entries = {
		.name = "writ_server_entries", .help = "Registration entries.", .kind = WRIT_GAUGE
	};
	struct writ_metric agents[] = {
		{ .name = "writ_server_agents",
			.labels = "state=\"active\"",
			.kind = WRIT_GAUGE,
			.help = "Agents by what their certificates allow." },
		{ .name = "writ_server_agents", .labels = "state=\"expired\"", .kind = WRIT_GAUGE },
		{ .name = "writ_server_agents", .labels = "state=\"banned\"", .kind = WRIT_GAUGE },
	};
	struct writ_metric expiry = { .name = "writ_server_ca_expiry_timestamp_seconds",
		.help = "When the CA that signs now runs out; 0: there is none.",
		.kind = WRIT_GAUGE };
	size_t n = 0;
	int64_t n_banned = count_nodes(api, &banned), n_expired = count_nodes(api, &expired);
	if (writ_registry_count_entries(api->registry, &all, &n, NULL) == WRIT_OK)
		writ_metric_set(&entries, (int64_t)n);
	writ_metric_set(&agents[0], count_nodes(api, &any) - n_banned - n_expired);
	writ_metric_set(&agents[1], n_expired);
	writ_metric_set(&agents[2], n_banned);
	writ_metric_set(&expiry, ca ? ca->fact.end : 0);
	struct writ_metric *const list[] = { &m->issued[0], &m->issued[1], &m->issued[2], &m->sign,
		&m->calls[0], &m->calls[1], &m->calls[2], &entries, &agents[0], &agents[1],
		&agents[2], &expiry };
	writ_metrics_print(list, WRIT_COUNT(list), out);
}
