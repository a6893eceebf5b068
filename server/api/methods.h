/* SPDX-License-Identifier: Apache-2.0 */
/* methods: the one table of gRPC methods that the server knows: contract.md 3.4, row by row, and
 * our own. Handlers are named after service and method. */
#ifndef WRIT_API_METHODS_H
#define WRIT_API_METHODS_H

#include "rpc/rpc.h"

extern const struct writ_rpc_method writ_api_methods[];
extern const size_t writ_api_n_methods;

#define WRIT_API_HANDLERS(X)                                                                       \
	X(entry_count)                                                                             \
	X(entry_list)                                                                              \
	X(entry_get)                                                                               \
	X(entry_create)                                                                            \
	X(entry_update)                                                                            \
	X(entry_delete)                                                                            \
	X(entry_authorized)                                                                        \
	X(entry_sync)                                                                              \
	X(entry_sync_more)                                                                         \
	X(entry_sync_end)                                                                          \
	X(agent_count)                                                                             \
	X(agent_list)                                                                              \
	X(agent_get)                                                                               \
	X(agent_delete)                                                                            \
	X(agent_ban)                                                                               \
	X(agent_attest)                                                                            \
	X(agent_attest_more)                                                                       \
	X(agent_attest_end)                                                                        \
	X(agent_renew)                                                                             \
	X(agent_create_token)                                                                      \
	X(agent_post_status)                                                                       \
	X(bundle_get)                                                                              \
	X(bundle_count)                                                                            \
	X(bundle_append)                                                                           \
	X(svid_mint_x509)                                                                          \
	X(svid_batch_new_x509)                                                                     \
	X(debug_info)                                                                              \
	X(health_check)                                                                            \
	X(health_list)                                                                             \
	X(health_watch)                                                                            \
	X(push_watch)                                                                              \
	X(push_fetch)

#define X(name) void writ_h_##name(struct writ_call *c);
WRIT_API_HANDLERS(X)
#undef X

#endif
