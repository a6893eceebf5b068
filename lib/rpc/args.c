/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/args.h"

grpc_arg writ_grpc_number(char *key, int value)
{
	return (grpc_arg){ .type = GRPC_ARG_INTEGER, .key = key, .value.integer = value };
}

grpc_arg writ_grpc_string(char *key, char *value)
{
	return (grpc_arg){ .type = GRPC_ARG_STRING, .key = key, .value.string = value };
}
