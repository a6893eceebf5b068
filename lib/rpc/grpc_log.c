/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/absl_checks.h"
#include "rpc/channel.h"

#include "base/log.h"

#include <grpc/grpc.h>
#include <grpc/support/log.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX 512 /* bytes of one message: it may hold what a peer sent */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int users;

/* Any thread. gRPC's errors are what peers do to it, raw bytes included: escaped and limited by the
 * log, and not an error of ours. */
static void to_log(gpr_log_func_args *args)
{
	const char *file = strrchr(args->file, '/');
	struct writ_str text = writ_strn(args->message, strnlen(args->message, TEXT_MAX));
	WRIT_LOG_LIMITED(WARN, "grpc", WRIT_KV("file", file ? file + 1 : args->file),
		WRIT_KV("line", args->line), WRIT_KV("text", text));
}

void writ_rpc_init(void)
{
	pthread_mutex_lock(&lock);
	if (users++ == 0) {
		gpr_set_log_function(to_log);
		gpr_set_log_verbosity(GPR_LOG_SEVERITY_ERROR);
		grpc_init();
	}
	pthread_mutex_unlock(&lock);
}

void writ_rpc_init_program(void)
{
	(void)unsetenv("GRPC_POLL_STRATEGY");
	(void)writ_absl_checks_off();
	writ_rpc_init();
}

void writ_rpc_shutdown(void)
{
	pthread_mutex_lock(&lock);
	if (--users == 0)
		grpc_shutdown_blocking();
	pthread_mutex_unlock(&lock);
}
