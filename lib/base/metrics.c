/* SPDX-License-Identifier: Apache-2.0 */
#include "base/metrics.h"

#include "base/mem.h"

#include <inttypes.h>
#include <string.h>

/* Upper bounds of a histogram in micro-seconds: half a decade each. */
static const int64_t bounds_us[WRIT_BUCKETS] = { 100, 316, 1000, 3162, 10000, 31623, 100000, 316228,
	1000000, 3162278, 10000000, 31622777 };

void writ_metric_add(struct writ_metric *m, int64_t n)
{
	atomic_fetch_add_explicit(&m->value, n, memory_order_relaxed);
}

void writ_metric_set(struct writ_metric *m, int64_t n)
{
	atomic_store_explicit(&m->value, n, memory_order_relaxed);
}

void writ_metric_observe_us(struct writ_metric *m, int64_t us)
{
	size_t i = 0;
	while (i < WRIT_BUCKETS && us > bounds_us[i])
		i++;
	atomic_fetch_add_explicit(&m->buckets[i], 1, memory_order_relaxed);
	writ_metric_add(m, us);
}

static void print_histogram(const struct writ_metric *m, struct writ_buf *out)
{
	const char *labels = m->labels ? m->labels : "";
	const char *comma = m->labels ? "," : "";
	int64_t total = 0;
	for (size_t i = 0; i <= WRIT_BUCKETS; i++) {
		total += atomic_load_explicit(&m->buckets[i], memory_order_relaxed);
		writ_buf_addf(out, "%s_bucket{%s%sle=\"", m->name, labels, comma);
		if (i < WRIT_BUCKETS)
			writ_buf_addf(out, "%g", (double)bounds_us[i] * 1e-6);
		else
			writ_buf_add_cstr(out, "+Inf");
		writ_buf_addf(out, "\"} %" PRId64 "\n", total);
	}
	const char *open = m->labels ? "{" : "", *close = m->labels ? "}" : "";
	writ_buf_addf(out, "%s_sum%s%s%s %.15g\n%s_count%s%s%s %" PRId64 "\n", m->name, open,
		labels, close, (double)atomic_load_explicit(&m->value, memory_order_relaxed) * 1e-6,
		m->name, open, labels, close, total);
}

void writ_metrics_print(struct writ_metric *const *metrics, size_t n, struct writ_buf *out)
{
	static const char *const kinds[] = { "counter", "gauge", "histogram" };
	const char *last = "";
	for (size_t i = 0; i < n; i++) {
		const struct writ_metric *m = metrics[i];
		if (strcmp(m->name, last) != 0)
			writ_buf_addf(out, "# HELP %s %s\n# TYPE %s %s\n", m->name,
				m->help ? m->help : "", m->name, kinds[m->kind]);
		last = m->name;
		if (m->kind == WRIT_HISTOGRAM) {
			print_histogram(m, out);
			continue;
		}
		writ_buf_add_cstr(out, m->name);
		if (m->labels)
			writ_buf_addf(out, "{%s}", m->labels);
		int64_t v = atomic_load_explicit(&m->value, memory_order_relaxed);
		if (m->scale != 0.0)
			writ_buf_addf(out, " %.15g\n", (double)v * m->scale);
		else
			writ_buf_addf(out, " %" PRId64 "\n", v);
	}
}
