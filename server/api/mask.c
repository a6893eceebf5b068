/* SPDX-License-Identifier: Apache-2.0 */
#include "api/mask.h"

#define KEY_FIELD 1u
#define FIELD_MAX 31u

uint32_t writ_mask_bits(const ProtobufCMessage *mask)
{
	if (!mask)
		return UINT32_MAX;
	uint32_t bits = 1u << KEY_FIELD;
	for (unsigned i = 0; i < mask->descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &mask->descriptor->fields[i];
		const void *at = (const char *)mask + f->offset;
		if (f->type == PROTOBUF_C_TYPE_BOOL && f->id <= FIELD_MAX &&
			*(const protobuf_c_boolean *)at)
			bits |= 1u << f->id;
	}
	return bits;
}
