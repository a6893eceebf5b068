/* SPDX-License-Identifier: Apache-2.0 */
/* metrics: a fixed registry in Prometheus' text form (version 0.0.4). Names and labels are compiled
 * in: a peer cannot create a series. Counters and gauges are atomic, any thread. */
#ifndef WRIT_BASE_METRICS_H
#define WRIT_BASE_METRICS_H

#include "base/buf.h"

#include <stdatomic.h>

enum writ_metric_kind { WRIT_COUNTER, WRIT_GAUGE, WRIT_HISTOGRAM };

#define WRIT_BUCKETS 12

struct writ_metric {
	const char *name;   /* with the unit: writ_agent_sync_lag_seconds; series of one name are
			       neighbours */
	const char *labels; /* "type=\"x509\"" or NULL */
	const char *help;   /* of the first series of a name */
	enum writ_metric_kind kind;
	double scale; /* what one unit of value is worth; 0 means 1 (micro-seconds: 1e-6) */
	_Atomic int64_t value; /* a histogram's sum */
	_Atomic int64_t
		buckets[WRIT_BUCKETS + 1]; /* histogram: 100 us, x3.16 each, the last +Inf */
};

void writ_metric_add(struct writ_metric *m, int64_t n);
void writ_metric_set(struct writ_metric *m, int64_t n);
void writ_metric_observe_us(struct writ_metric *m, int64_t us); /* histogram of micro-seconds */
/* Appends the exposition of an array of metrics. */
void writ_metrics_print(struct writ_metric *const *metrics, size_t n, struct writ_buf *out);

#endif
