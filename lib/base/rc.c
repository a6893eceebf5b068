/* SPDX-License-Identifier: Apache-2.0 */
#include "base/rc.h"

#include "base/mem.h"

static const struct {
	const char *name;
	int grpc, exit_code;
	bool is_public;
} table[WRIT_RC_COUNT] = {
#define X(rc_name, grpc_code, exit_code_, public_)                                                 \
	[WRIT_##rc_name] = { #rc_name, grpc_code, exit_code_, public_ },
	WRIT_RC_MAP(X)
#undef X
};

/* By gRPC status number; the names that gRPC's own status.proto gives them. */
static const struct {
	const char *name;
	writ_rc rc;
} by_grpc[] = {
	{ "OK", WRIT_OK },
	{ "Canceled", WRIT_ECANCELED },
	{ "Unknown", WRIT_EINTERNAL },
	{ "InvalidArgument", WRIT_EINVAL },
	{ "DeadlineExceeded", WRIT_ETIMEOUT },
	{ "NotFound", WRIT_ENOENT },
	{ "AlreadyExists", WRIT_EEXIST },
	{ "PermissionDenied", WRIT_EDENIED },
	{ "ResourceExhausted", WRIT_ELIMIT },
	{ "FailedPrecondition", WRIT_EPRECOND },
	{ "Aborted", WRIT_EBUSY },
	{ "OutOfRange", WRIT_EINVAL },
	{ "Unimplemented", WRIT_EUNSUP },
	{ "Internal", WRIT_EINTERNAL },
	{ "Unavailable", WRIT_EUNAVAIL },
	{ "DataLoss", WRIT_EIO },
	{ "Unauthenticated", WRIT_EUNAUTH },
};

static bool known(writ_rc rc)
{
	return (unsigned)rc < WRIT_RC_COUNT;
}

const char *writ_rc_name(writ_rc rc)
{
	return known(rc) ? table[rc].name : "EINTERNAL";
}

int writ_rc_grpc(writ_rc rc)
{
	return known(rc) ? table[rc].grpc : table[WRIT_EINTERNAL].grpc;
}

int writ_rc_exit(writ_rc rc)
{
	return known(rc) ? table[rc].exit_code : 1;
}

bool writ_rc_is_public(writ_rc rc)
{
	return known(rc) && table[rc].is_public;
}

writ_rc writ_rc_from_grpc(int status)
{
	if (status < 0 || (size_t)status >= WRIT_COUNT(by_grpc))
		return WRIT_EINTERNAL;
	return by_grpc[status].rc;
}

const char *writ_grpc_status_name(int status)
{
	if (status < 0 || (size_t)status >= WRIT_COUNT(by_grpc))
		return "Unknown";
	return by_grpc[status].name;
}
