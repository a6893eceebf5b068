/* SPDX-License-Identifier: Apache-2.0 */
/* pb: limits of unpacking. Inside lib/rpc and its tests only. */
#ifndef WRIT_RPC_PB_H
#define WRIT_RPC_PB_H

/* What any message may take in memory besides 16 times its size on the wire. */
#define WRIT_PB_SLACK ((size_t)64 * 1024)

#endif
