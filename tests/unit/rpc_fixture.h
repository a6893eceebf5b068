/* SPDX-License-Identifier: Apache-2.0 */
/* rpc_fixture: a loop, a server with an echo service, and channels to it over socket pairs. */
#ifndef WRIT_TEST_RPC_FIXTURE_H
#define WRIT_TEST_RPC_FIXTURE_H

#include "check.h"

#include "base/clock.h"
#include "base/mem.h"
#include "rpc/channel.h"
#include "rpc/rpc.h"
#include "rpc/server.h"

#include "grpc/health/v1/health.pb-c.h"

typedef Grpc__Health__V1__HealthCheckRequest Text;
#define TEXT_INIT GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT
#define TEXT      (&grpc__health__v1__health_check_request__descriptor)

#define CHANNELS    8
#define MAX_REQUEST 65536
#define WAIT_MS     20000 /* for what has to happen; a test that waits this long fails */

/* The server's side of the tests. */
struct fixture {
	struct writ_loop *loop;
	struct writ_rpc_server *server;
	struct writ_channel *ch[CHANNELS];
	int server_fd[CHANNELS];
	struct writ_call *held; /* the call that "Hold" or "Idle" got */
	bool hold_on_end;       /* "Hold" sets on_end */
	int ended, after, messages, half_closed;
	int last_status; /* of `after` */
	char last_message[128];
	bool last_cancelled;
	bool refuse_later, deny; /* what `before` does */
	struct writ_call *undecided;
	bool stopped;
	int64_t deadline_left;
	struct writ_task task;
};

/* A call seen from the client. */
struct probe {
	struct fixture *f;
	struct writ_rpc *rpc;
	int messages, ended;
	struct writ_rpc_status status;
	char text[WRIT_ERR_MAX], last[256];
	uint8_t details[64];
	bool done;
	int want; /* done is also set after so many messages */
	bool cancel_at_want;
};

int fixture_setup(void **state);
int fixture_setup_light(void **state); /* a server without gRPC's filters */
int fixture_teardown(void **state);
int fixture_setup_short(void **state); /* the server's own deadline is 50 ms */
void fixture_stop(struct fixture *f, int64_t ms);

void probe_start(struct probe *p, struct fixture *f, const char *path, const char *text);
void probe_start_with(
	struct probe *p, struct fixture *f, struct writ_rpc_request req, const char *text);
void probe_wait(struct probe *p); /* until it ended or `want` messages came */
void probe_send(struct probe *p, const char *text);
void wait_for(struct fixture *f, const bool *flag);
/* Runs the loop until *n >= want. */
void wait_count(struct fixture *f, const int *n, int want);

#endif
