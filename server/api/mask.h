/* SPDX-License-Identifier: Apache-2.0 */
/* mask: SPIRE's field masks: messages of bools whose field numbers are those of the message they
 * mask. Pure. */
#ifndef WRIT_API_MASK_H
#define WRIT_API_MASK_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stdint.h>

/* Bit 1 << N: field number N is wanted. NULL: all. Field 1, the key, always is. */
uint32_t writ_mask_bits(const ProtobufCMessage *mask);
static inline bool writ_mask_has(uint32_t bits, unsigned field)
{
	return (bits >> field & 1) != 0;
}

#endif
