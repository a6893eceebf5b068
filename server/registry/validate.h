/* SPDX-License-Identifier: Apache-2.0 */
/* validate: what an entry has to be before it is stored. The texts are those that SPIRE's command
 * shows. Pure; any thread. */
#ifndef WRIT_REGISTRY_VALIDATE_H
#define WRIT_REGISTRY_VALIDATE_H

#include "store/rows.h"

#define WRIT_ENTRY_ID_MAX      255
#define WRIT_ENTRY_HINT_MAX    1024
#define WRIT_SELECTORS_MAX     256  /* of one entry or agent */
#define WRIT_SELECTOR_MAX      4096 /* bytes of type, ':' and value */
#define WRIT_FEDERATES_MAX     256
#define WRIT_DNS_NAMES_MAX     256
#define WRIT_TTL_MIN_S         60
#define WRIT_TTL_MAX_S         86400
#define WRIT_AGENT_VERSION_MAX 255

struct writ_selector {
	struct writ_str type, value;
};

/* Appends the selectors as a set of "type:value" (out: at least WRIT_ROW_BYTES_MAX). */
WRIT_MUST writ_rc writ_selectors_pack(
	const struct writ_selector *list, size_t n, struct writ_buf *out, struct writ_err *err);
/* A packed selector taken apart again; borrowed. */
struct writ_selector writ_selector_split(struct writ_str packed_item);

/* Everything about an entry that can be judged by itself, in the trust domain td: all text fields
 * (an empty ID stands for one that the registry makes), lifetimes, flags. WRIT_EINVAL. */
WRIT_MUST writ_rc writ_entry_check(
	const struct writ_entry_spec *spec, struct writ_str td, struct writ_err *err);
/* Host names as certificates carry them: at most 253 bytes, labels of letters, digits and inner
 * hyphens, "*." at most in front. */
WRIT_MUST writ_rc writ_dns_name_check(struct writ_str name, struct writ_err *err);

#endif
