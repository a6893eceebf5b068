/* SPDX-License-Identifier: Apache-2.0 */
/* relay_impl: what the files of the relay share. Inside the relay only. */
#ifndef WRIT_FRONT_RELAY_IMPL_H
#define WRIT_FRONT_RELAY_IMPL_H

#include "front/relay.h"

/* One read from the near side. */
enum writ_got {
	WRIT_GOT_BYTES,
	WRIT_GOT_NOTHING,
	WRIT_GOT_END,
	WRIT_GOT_DEAD /* the relay ended */
};
enum writ_got writ_relay_read_near(struct writ_relay *r, uint8_t *p, size_t cap, size_t *n);
enum writ_got writ_relay_read_far(struct writ_relay *r, uint8_t *p, size_t cap, size_t *n);
/* Writes, keeping what the socket does not take. */
void writ_relay_write_near(struct writ_relay *r, const uint8_t *p, size_t n);
void writ_relay_write_far(struct writ_relay *r, const uint8_t *p, size_t n);
void writ_relay_flush_near(struct writ_relay *r);
void writ_relay_flush_far(struct writ_relay *r);
size_t writ_side_waiting(const struct writ_relay_side *s);

/* Could bytes that come now be taken? */
bool writ_relay_can_read_near(const struct writ_relay *r);
bool writ_relay_can_read_far(const struct writ_relay *r);
void writ_relay_up(struct writ_relay *r);     /* moves what is there from near to far */
void writ_relay_down(struct writ_relay *r);   /* and the other way */
void writ_relay_resume(struct writ_relay *r); /* the pause is over */
void writ_relay_update(
	struct writ_relay *r); /* sets what the kernel watches; last thing of each event */
void writ_relay_end(struct writ_relay *r, enum writ_relay_end how, const char *why);
void writ_relay_near_ended(struct writ_relay *r);
void writ_relay_far_ended(struct writ_relay *r);

#endif
