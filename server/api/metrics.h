/* SPDX-License-Identifier: Apache-2.0 */
/* metrics: what the server counts. */
#ifndef WRIT_API_METRICS_H
#define WRIT_API_METRICS_H

#include "base/metrics.h"

enum writ_issued_for { WRIT_FOR_WORKLOAD, WRIT_FOR_AGENT, WRIT_FOR_MINT, WRIT_FOR_KINDS };
enum writ_call_result { WRIT_CALL_OK, WRIT_CALL_FAILED, WRIT_CALL_REFUSED, WRIT_CALL_RESULTS };

struct writ_server_metrics {
	struct writ_metric issued[WRIT_FOR_KINDS];
	struct writ_metric calls[WRIT_CALL_RESULTS];
	struct writ_metric sign; /* from the checked request to the certificate */
};

struct writ_api;
void writ_server_metrics_init(struct writ_server_metrics *m);
void writ_server_metrics_print(const struct writ_api *api, struct writ_buf *out);

#endif
