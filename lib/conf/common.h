/* SPDX-License-Identifier: Apache-2.0 */
/* common: the blocks and rows that every program's configuration has. */
#ifndef WRIT_CONF_COMMON_H
#define WRIT_CONF_COMMON_H

#include "base/log.h"
#include "conf/parse.h"
#include "conf/plugin.h"

#define WRIT_CONF_TRUST_DOMAIN_MAX 255
#define WRIT_CONF_SOCKET_MAX       107 /* sun_path without its NUL */

struct writ_conf_log {
	char *file; /* NULL: stderr */
	int level;  /* enum writ_log_level */
	int format; /* enum writ_log_format */
};

struct writ_conf_health {
	bool listener_enabled;
	char *bind_address;
	uint16_t bind_port;
	char *live_path, *ready_path;
};

struct writ_conf_prometheus {
	bool is_on;
	char *host;
	uint16_t port;
};

struct writ_conf_telemetry {
	struct writ_conf_prometheus prometheus;
};

extern const struct writ_conf_table writ_conf_health_table;
extern const struct writ_conf_table writ_conf_telemetry_table;
extern const struct writ_conf_choice writ_conf_log_levels[];
extern const struct writ_conf_choice writ_conf_log_formats[];

/* Rows for the log, in the block of a program whose struct s has a `struct writ_conf_log log`. */
#define WRIT_CONF_LOG_ROWS(s)                                                                      \
	{ .key = "log_file",                                                                       \
		.type = WRIT_CONF_PATH,                                                            \
		.offset = offsetof(s, log.file),                                                   \
		.help = "File that the log goes to instead of standard error; SIGHUP and SIGUSR2 " \
			"open it again." },                                                        \
		{ .key = "log_level",                                                              \
			.type = WRIT_CONF_ENUM,                                                    \
			.def = "INFO",                                                             \
			.offset = offsetof(s, log.level),                                          \
			.choices = writ_conf_log_levels,                                           \
			.help = "Least grave event that is logged." },                             \
		{ .key = "log_format",                                                             \
			.type = WRIT_CONF_ENUM,                                                    \
			.def = "text",                                                             \
			.offset = offsetof(s, log.format),                                         \
			.choices = writ_conf_log_formats,                                          \
			.help = "Form of a log line." },                                           \
		WRIT_CONF_IGNORE("log_source_location", "false",                                   \
			"each log line has an event name that is found in one place of the "       \
			"source")

/* Rows for SPIRE's undocumented profiling keys. */
#define WRIT_CONF_PROFILING_ROWS                                                                   \
	WRIT_CONF_IGNORE("profiling_enabled", "false", "use perf(1) instead"),                     \
		WRIT_CONF_IGNORE("profiling_port", "", "use perf(1) instead"),                     \
		WRIT_CONF_IGNORE("profiling_freq", "", "use perf(1) instead"),                     \
		WRIT_CONF_IGNORE("profiling_names", "", "use perf(1) instead")

/* Checks a trust domain's grammar (SPIFFE-ID 2.1) and folds ASCII upper case in place, with a
 * warning. Adds to d at pos. name NULL: nothing (its absence was reported). */
void writ_conf_check_trust_domain(char *name, struct writ_conf_pos pos, struct writ_conf_diags *d);

/* Where block.key was written; the block, or the file's start when it was not. */
struct writ_conf_pos writ_conf_where(
	const struct writ_conf_node *root, const char *block, const char *key);
bool writ_conf_is_written(const struct writ_conf_node *root, const char *block, const char *key);

#endif
