/* SPDX-License-Identifier: Apache-2.0 */
/* In libwrit only: a library tells what is wrong by what it returns, and writes nothing on its
 * program's standard error. What is left, gRPC's complaints about the agent, are warnings. */
#include "base/log.h"

static void __attribute__((constructor)) be_quiet(void)
{
	writ_log_set_level(WRIT_LOG_ERROR);
}
