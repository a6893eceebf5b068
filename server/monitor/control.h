/* SPDX-License-Identifier: Apache-2.0 */
/* control: what the serving process and its monitor say to each other, over a socket pair of
 * packets: one type byte, text, and with WRIT_CONTROL_SIGNER a descriptor. Source of the format:
 * docs/protocol/signer.txt. */
#ifndef WRIT_MONITOR_CONTROL_H
#define WRIT_MONITOR_CONTROL_H

#include "base/str.h"

#define WRIT_CONTROL_FD  3    /* where a started serving process finds it */
#define WRIT_CONTROL_MAX 1024 /* bytes of a packet */

enum writ_control_type {
	WRIT_CONTROL_SIGNER =
		'S', /* to the serving process: a socket to a new signer comes along */
	WRIT_CONTROL_NOTIFY = 'N', /* to the monitor: text for the service manager, sd_notify(3) */
	WRIT_CONTROL_STUCK = 'K',  /* to the monitor: the signer does not answer; replace it */
};

/* Both directions, without waiting. fd_out: -1 or what goes along. WRIT_EBUSY: no room. */
WRIT_MUST writ_rc writ_control_send(int fd, enum writ_control_type type, struct writ_str text,
	int fd_out, struct writ_err *err);
/* The next packet; text points into buf. *fd_in is -1 when none came. WRIT_EBUSY: nothing there.
 * WRIT_EUNAVAIL: the other side is gone. */
WRIT_MUST writ_rc writ_control_recv(int fd, char buf[WRIT_CONTROL_MAX],
	enum writ_control_type *type, struct writ_str *text, int *fd_in, struct writ_err *err);

/* The serving process's end, on its loop. */
struct writ_loop;
struct writ_control;
struct writ_control_events {
	void (*signer)(void *arg, int fd); /* owns fd */
	void (*lost)(void *arg);           /* the monitor is gone: end */
};
WRIT_MUST writ_rc writ_control_open(struct writ_loop *loop, int fd,
	const struct writ_control_events *events, void *arg, struct writ_control **ret,
	struct writ_err *err);                   /* owns fd once it works */
void writ_control_close(struct writ_control *c); /* NULL is fine */
void writ_control_notify(
	struct writ_control *c, const char *text); /* "READY=1"; lost when nobody reads */
void writ_control_stuck(struct writ_control *c);

#endif
