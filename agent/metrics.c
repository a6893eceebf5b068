/* SPDX-License-Identifier: Apache-2.0 */
/* What /metrics says of the agent. No SPIFFE ID is in it. */
#include "agent_impl.h"

#include "base/mem.h"

#define M(name_, kind_, scale_, help_, value_)                                                     \
	{                                                                                          \
		.name = "writ_agent_" name_, .kind = kind_, .scale = scale_, .help = help_,        \
		.value = (int64_t)(value_)                                                         \
	}
#define L(name_, labels_, help_, value_)                                                           \
	{                                                                                          \
		.name = "writ_agent_" name_, .labels = labels_, .kind = WRIT_COUNTER,              \
		.help = help_, .value = (int64_t)(value_)                                          \
	}

void writ_agent_print_metrics(struct writ_agent *a, struct writ_buf *out)
{
	const struct writ_link_stats l = writ_link_stats(a->link);
	const struct writ_wlapi_stats w = writ_wlapi_stats(a->wlapi);
	struct writ_metric rows[] = {
		M("ready", WRIT_GAUGE, 1, "1 while callers get identities.",
			writ_agent_is_ready(a)),
		M("server_connected", WRIT_GAUGE, 1, "1 while the server is reached.", l.connected),
		M("server_connects_total", WRIT_COUNTER, 1, "Connections to the server.",
			l.connects),
		M("renewals_total", WRIT_COUNTER, 1, "Renewals of the agent's own SVID.",
			l.renewals),
		M("svid_expiry_timestamp_seconds", WRIT_GAUGE, 1, "When the agent's own SVID ends.",
			l.svid_not_after),
		M("sync_lag_seconds", WRIT_GAUGE, 1e-6,
			"From the notice of the last change to its being applied.", l.sync_lag_us),
		M("entries", WRIT_GAUGE, 1, "Entries of this agent.", writ_cache_entries(a->cache)),
		M("svids", WRIT_GAUGE, 1, "SVIDs that are kept ready.", writ_cache_svids(a->cache)),
		M("svids_fetched_total", WRIT_COUNTER, 1, "SVIDs fetched.", l.svids_fetched),
		M("svids_refused_total", WRIT_COUNTER, 1, "SVIDs that the server refused.",
			l.svids_refused),
		M("workload_connections", WRIT_GAUGE, 1, "Connections to the Workload API.",
			w.connections),
		M("workload_streams", WRIT_GAUGE, 1, "Open streams of the Workload API.",
			w.streams),
		M("launches", WRIT_GAUGE, 1, "Commands that run by writ run.",
			writ_launches_count(a->launches)),
		M("workload_connections_total", WRIT_COUNTER, 1, "Accepted connections.",
			w.front.accepted),
		M("workload_connections_refused_total", WRIT_COUNTER, 1, "Refused connections.",
			w.front.refused),
		M("workload_connections_killed_total", WRIT_COUNTER, 1,
			"Connections closed for a breach of limits or protocol.", w.front.killed),
		L("denials_total", "reason=\"no_match\"", "Calls that got no identity.",
			w.denied_no_match),
		L("denials_total", "reason=\"attestation\"", NULL, w.denied_attest),
		L("denials_total", "reason=\"header\"", NULL, w.denied_header),
	};
	struct writ_metric *refs[WRIT_COUNT(rows) + 1];
	for (size_t i = 0; i < WRIT_COUNT(rows); i++)
		refs[i] = &rows[i];
	refs[WRIT_COUNT(rows)] = w.attest_seconds;
	writ_metrics_print(refs, WRIT_COUNT(refs), out);
}
