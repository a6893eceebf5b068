/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/client.h"

#include "rpc/args.h"
#include "rpc/wire.h"

#include <errno.h>
#include <grpc/grpc_posix.h>
#include <grpc/grpc_security.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* Longer than the five minutes below which a grpc-go server with default settings closes the
 * connection. */
#define KEEPALIVE_MS      310000
#define KEEPALIVE_WAIT_MS 20000
#define METADATA_MAX      16384

static grpc_channel *make_grpc(int fd, int64_t keepalive_ms)
{
	grpc_arg args[] = {
		/* a direct channel says "test.authority" otherwise */
		writ_grpc_string((char[]){ GRPC_ARG_DEFAULT_AUTHORITY }, (char[]){ "localhost" }),
		writ_grpc_number((char[]){ GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH }, WRIT_MESSAGE_MAX),
		writ_grpc_number((char[]){ GRPC_ARG_MAX_METADATA_SIZE }, METADATA_MAX),
		writ_grpc_number((char[]){ GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION }, 0),
		writ_grpc_number((char[]){ GRPC_COMPRESSION_CHANNEL_ENABLED_ALGORITHMS_BITSET }, 1),
		writ_grpc_number((char[]){ GRPC_ARG_ENABLE_CHANNELZ }, 0),
		writ_grpc_number((char[]){ GRPC_ARG_KEEPALIVE_TIME_MS }, (int)keepalive_ms),
		writ_grpc_number((char[]){ GRPC_ARG_KEEPALIVE_TIMEOUT_MS }, KEEPALIVE_WAIT_MS),
		writ_grpc_number((char[]){ GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA }, 0),
	};
	grpc_channel_args all = { WRIT_COUNT(args), args };
	grpc_channel_credentials *creds = grpc_insecure_credentials_create();
	grpc_channel *ch = grpc_channel_create_from_fd("localhost", fd, creds, &all);
	grpc_channel_credentials_release(creds);
	return ch;
}

writ_rc writ_channel_new_with(struct writ_loop *loop, int fd, const struct writ_channel_options *o,
	struct writ_channel **ret, struct writ_err *err)
{
	int64_t keepalive = o->keepalive_ms > 0 ? o->keepalive_ms : KEEPALIVE_MS;
	grpc_channel *ch = make_grpc(fd, keepalive < INT32_MAX ? keepalive : INT32_MAX);
	if (!ch)
		return writ_fail(err, WRIT_EINTERNAL, "the connection cannot be used for gRPC");
	struct writ_channel *c = writ_alloc(sizeof(*c));
	writ_rc rc = writ_cq_get(loop, o->relayed, &c->cq, err);
	if (rc != WRIT_OK) {
		grpc_channel_destroy(ch);
		writ_free(c);
		return rc;
	}
	writ_cq_stir(c->cq);
	c->loop = loop;
	c->grpc = ch;
	writ_list_init(&c->calls);
	*ret = c;
	return WRIT_OK;
}

writ_rc writ_channel_new(
	struct writ_loop *loop, int fd, struct writ_channel **ret, struct writ_err *err)
{
	return writ_channel_new_with(loop, fd, &(struct writ_channel_options){ 0 }, ret, err);
}

static writ_rc explain(const char *path, int errnum, struct writ_err *err)
{
	struct stat st;
	if (errnum == ENOENT || errnum == ENOTDIR)
		return writ_fail(err, WRIT_EUNAVAIL,
			"%s: there is no such socket; is the program that serves it running?",
			path);
	if (errnum == ECONNREFUSED)
		return writ_fail(err, WRIT_EUNAVAIL,
			"%s: nobody listens there any more; start the program that serves it",
			path);
	if (errnum == EAGAIN)
		return writ_fail(err, WRIT_EBUSY,
			"%s: too many connections wait there already; try again", path);
	if (errnum == EACCES && stat(path, &st) == 0)
		return writ_fail(err, WRIT_EDENIED,
			"%s: permission denied: its mode is %04o, its owner uid %u, its group gid "
			"%u",
			path, (unsigned)st.st_mode & 07777u, (unsigned)st.st_uid,
			(unsigned)st.st_gid);
	return writ_fail_errno(err, errnum, "%s", path);
}

writ_rc writ_channel_unix(
	struct writ_loop *loop, const char *path, struct writ_channel **ret, struct writ_err *err)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof(a.sun_path))
		return writ_fail(err, WRIT_EINVAL,
			"%s: longer than the %zu bytes a socket's path may have", path,
			sizeof(a.sun_path) - 1);
	memcpy(a.sun_path, path, strlen(path));
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return writ_fail_errno(err, errno, "%s", path);
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) != 0) {
		int errnum = errno;
		close(fd);
		return explain(path, errnum, err);
	}
	return writ_channel_new(loop, fd, ret, err);
}

static void finish(struct writ_task *t)
{
	struct writ_channel *c = writ_container(t, struct writ_channel, task);
	void (*done)(void *) = c->done;
	void *arg = c->done_arg;
	grpc_channel_destroy(c->grpc);
	writ_cq_put(c->cq);
	writ_free(c->last_text);
	writ_free(c->last_details);
	writ_free(c);
	if (done)
		done(arg);
}

void writ_channel_check(struct writ_channel *c)
{
	if (!c->closing || !writ_list_empty(&c->calls) || c->task.run)
		return;
	c->task.run = finish;
	writ_loop_post(c->loop, &c->task);
}

void writ_channel_close(struct writ_channel *c, void (*done)(void *arg), void *arg)
{
	c->closing = true;
	c->done = done;
	c->done_arg = arg;
	WRIT_LIST_EACH (n, &c->calls)
		writ_rpc_cancel(writ_container(n, struct writ_rpc, node));
	writ_channel_check(c);
}
