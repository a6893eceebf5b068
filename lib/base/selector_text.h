/* SPDX-License-Identifier: Apache-2.0 */
/* selector_text: what a selector's text says by itself, for who explains entries. Pure. */
#ifndef WRIT_BASE_SELECTOR_TEXT_H
#define WRIT_BASE_SELECTOR_TEXT_H

#include "base/str.h"

/* False of groups and states, which half of the machine's processes have in common. */
bool writ_selector_tells(struct writ_str selector);

#endif
