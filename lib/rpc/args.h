/* SPDX-License-Identifier: Apache-2.0 */
/* args: what a gRPC channel or server is made with. Inside lib/rpc only. */
#ifndef WRIT_RPC_ARGS_H
#define WRIT_RPC_ARGS_H

#include <grpc/grpc.h>

/* key and value are borrowed; gRPC copies them where it takes them. */
grpc_arg writ_grpc_number(char *key, int value);
grpc_arg writ_grpc_string(char *key, char *value);

#endif
