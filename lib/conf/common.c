/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/common.h"

#include "base/mem.h"

#include <string.h>

const struct writ_conf_choice writ_conf_log_levels[] = {
	{ "DEBUG", WRIT_LOG_DEBUG },
	{ "INFO", WRIT_LOG_INFO },
	{ "WARN", WRIT_LOG_WARN },
	{ "WARNING", WRIT_LOG_WARN },
	{ "ERROR", WRIT_LOG_ERROR },
	{ NULL, 0 },
};
const struct writ_conf_choice writ_conf_log_formats[] = {
	{ "text", WRIT_LOG_TEXT },
	{ "json", WRIT_LOG_JSON },
	{ NULL, 0 },
};

#define HEALTH(member) .offset = offsetof(struct writ_conf_health, member)

static const struct writ_conf_field health_fields[] = {
	{ .key = "listener_enabled",
		.type = WRIT_CONF_BOOL,
		.def = "false",
		HEALTH(listener_enabled),
		.help = "Whether to answer HTTP health checks." },
	{ .key = "bind_address",
		.type = WRIT_CONF_STRING,
		.def = "localhost",
		HEALTH(bind_address),
		.help = "Address of the health listener." },
	{ .key = "bind_port",
		.type = WRIT_CONF_PORT,
		.def = "80",
		HEALTH(bind_port),
		.help = "Port of the health listener; 0 takes a free one." },
	{ .key = "live_path",
		.type = WRIT_CONF_STRING,
		.def = "/live",
		HEALTH(live_path),
		.help = "Path that answers 200 while the process works." },
	{ .key = "ready_path",
		.type = WRIT_CONF_STRING,
		.def = "/ready",
		HEALTH(ready_path),
		.help = "Path that answers 200 while the process can serve." },
};
const struct writ_conf_table writ_conf_health_table = { "health_checks", health_fields,
	WRIT_COUNT(health_fields), sizeof(struct writ_conf_health) };

#define PROMETHEUS(member) .offset = offsetof(struct writ_conf_prometheus, member)

static const struct writ_conf_field prometheus_fields[] = {
	{ .type = WRIT_CONF_PRESENT, PROMETHEUS(is_on) },
	{ .key = "host",
		.type = WRIT_CONF_STRING,
		.def = "localhost",
		PROMETHEUS(host),
		.help = "Address of the metrics listener." },
	{ .key = "port",
		.type = WRIT_CONF_PORT,
		.flags = WRIT_CONF_REQUIRED,
		PROMETHEUS(port),
		.help = "Port of the metrics listener; 0 takes a free one." },
	WRIT_CONF_REFUSE("tls", "",
		"metrics would be readable without it: leave host at localhost and put writ-gate "
		"in front"),
};
static const struct writ_conf_table prometheus_table = { "telemetry.Prometheus", prometheus_fields,
	WRIT_COUNT(prometheus_fields), sizeof(struct writ_conf_prometheus) };

#define NO_SINK  "metrics are there in Prometheus' form only, use Prometheus { host, port }"
#define NO_LABEL "let Prometheus relabel or drop what it scrapes"

static const struct writ_conf_field telemetry_fields[] = {
	{ .key = "Prometheus",
		.type = WRIT_CONF_BLOCK,
		.block = &prometheus_table,
		.offset = offsetof(struct writ_conf_telemetry, prometheus),
		.help = "HTTP listener for metrics in Prometheus' text form." },
	WRIT_CONF_IGNORE("Statsd", "", NO_SINK),
	WRIT_CONF_IGNORE("DogStatsd", "", NO_SINK),
	WRIT_CONF_IGNORE("M3", "", NO_SINK),
	WRIT_CONF_IGNORE("InMem", "", NO_SINK),
	WRIT_CONF_IGNORE("MetricPrefix", "", NO_LABEL),
	WRIT_CONF_IGNORE("EnableTrustDomainLabel", "false", NO_LABEL),
	WRIT_CONF_IGNORE("EnableHostnameLabel", "false", NO_LABEL),
	WRIT_CONF_IGNORE("AllowedPrefixes", "", NO_LABEL),
	WRIT_CONF_IGNORE("BlockedPrefixes", "", NO_LABEL),
	WRIT_CONF_IGNORE("AllowedLabels", "", NO_LABEL),
	WRIT_CONF_IGNORE("BlockedLabels", "", NO_LABEL),
};
const struct writ_conf_table writ_conf_telemetry_table = { "telemetry", telemetry_fields,
	WRIT_COUNT(telemetry_fields), sizeof(struct writ_conf_telemetry) };

static bool is_trust_domain_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_';
}

static bool fold(char *name)
{
	bool is_folded = false;
	for (char *c = name; *c != '\0'; c++) {
		if (*c < 'A' || *c > 'Z')
			continue;
		*c = (char)(*c - 'A' + 'a');
		is_folded = true;
	}
	return is_folded;
}

void writ_conf_check_trust_domain(char *name, struct writ_conf_pos pos, struct writ_conf_diags *d)
{
	if (name == NULL)
		return;
	bool is_folded = fold(name);
	size_t n = strlen(name);
	const char *c = name;
	while (is_trust_domain_char(*c))
		c++;
	if (writ_str_starts(writ_cstr(name), WRIT_STR("spiffe://")))
		writ_conf_diag_add(d, WRIT_CONF_ERROR, pos,
			"trust_domain is a name, not an ID: remove \"spiffe://\"");
	else if (n > WRIT_CONF_TRUST_DOMAIN_MAX)
		writ_conf_diag_add(d, WRIT_CONF_ERROR, pos,
			"trust_domain has %zu bytes, at most %d are allowed", n,
			WRIT_CONF_TRUST_DOMAIN_MAX);
	else if (*c != '\0')
		writ_conf_diag_add(d, WRIT_CONF_ERROR, pos,
			"trust_domain %s has characters other than a-z, 0-9, \".\", \"-\" and "
			"\"_\"",
			WRIT_CONF_Q(name));
	else if (is_folded)
		writ_conf_diag_add(d, WRIT_CONF_WARNING, pos,
			"trust_domain is taken as \"%s\": trust domains are lower case", name);
}

static const struct writ_conf_node *find_block(const struct writ_conf_node *root, const char *block)
{
	const struct writ_conf_node *b = writ_conf_get(root, block);
	if (b != NULL && writ_conf_kind(b) == WRIT_NODE_LIST)
		return writ_conf_next(b, NULL);
	return b;
}

bool writ_conf_is_written(const struct writ_conf_node *root, const char *block, const char *key)
{
	return writ_conf_get(find_block(root, block), key) != NULL;
}

struct writ_conf_pos writ_conf_where(
	const struct writ_conf_node *root, const char *block, const char *key)
{
	const struct writ_conf_node *b = writ_conf_get(root, block);
	const struct writ_conf_node *n = writ_conf_get(find_block(root, block), key);
	if (n != NULL)
		return writ_conf_value_pos(n);
	return writ_conf_pos(b != NULL ? b : root);
}
