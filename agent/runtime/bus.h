/* SPDX-License-Identifier: Apache-2.0 */
/* bus: the way to a system's service manager, over D-Bus: from which file is a unit, and which
 * cgroup is its? sd-bus speaks. libsystemd is loaded when the first question is to be asked, so
 * that an agent that never asks one neither needs nor maps it. */
#ifndef WRIT_RUNTIME_BUS_H
#define WRIT_RUNTIME_BUS_H

#include "runtime/runtime.h"

#define WRIT_BUS_OBJECT_MAX 1024
#define WRIT_BUS_ANSWER_MAX (8 * 1024)

/* Loads libsystemd. WRIT_EUNAVAIL: it is not there, or too old. Any thread; looks at the disk. */
WRIT_MUST writ_rc writ_bus_load(struct writ_err *err);

/* Needs writ_bus_load, and a reach with a socket to the bus, the unit's name as its target, and the
 * user whose process has to be the manager as its owner. The answer is two texts, each ended by a
 * NUL: the property FragmentPath of the unit, and its ControlGroup. WRIT_ENOENT: the manager has no
 * such unit. WRIT_EDENIED: somebody else took the manager's name. Loop thread. */
extern const struct writ_runtime_way writ_runtime_bus;

#endif
