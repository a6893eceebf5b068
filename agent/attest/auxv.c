/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/auxv.h"

#include <elf.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>

/* Where the stack of a program ends when nothing was subtracted: 64 bits, 32 bits, and 32 bits of
 * which a personality takes a quarter. */
static const uint64_t tops[] = {
#if defined(__x86_64__)
	0x7ffffffff000, 0xffffe000, 0xc0000000,
#elif defined(__aarch64__) /* by the kernel's CONFIG_ARM64_VA_BITS */
	UINT64_C(1) << 52, UINT64_C(1) << 48, UINT64_C(1) << 47, UINT64_C(1) << 42,
	UINT64_C(1) << 39, UINT64_C(1) << 36, 0xffff0000,
#endif
	0, /* the end of the list; of another machine's nothing is known */
};

/* Below the end lie a null pointer and the name that was given to execve, which AT_EXECFN points
 * to. The kernel adds to the name of a descriptor: /dev/fd/N/. */
#define NAME_ROOM (sizeof(uint64_t) + PATH_MAX + 32)

static uint64_t word_at(const char *p, size_t size)
{
	uint32_t narrow;
	uint64_t wide;
	if (size == sizeof(narrow)) {
		memcpy(&narrow, p, sizeof(narrow));
		return narrow;
	}
	memcpy(&wide, p, sizeof(wide));
	return wide;
}

/* 0: it is not there, which it never is. */
static uint64_t find(struct writ_str auxv, uint64_t type, size_t size)
{
	for (size_t i = 0; i + 2 * size <= auxv.n; i += 2 * size)
		if (word_at(auxv.p + i, size) == type)
			return word_at(auxv.p + i + size, size);
		else if (word_at(auxv.p + i, size) == AT_NULL)
			break;
	return 0;
}

bool writ_auxv_is_fixed(struct writ_str auxv)
{
	/* Two words of 4 bytes read as one of 8 are no type: no first word is followed by 0. */
	uint64_t name = find(auxv, AT_EXECFN, sizeof(uint64_t));
	if (name == 0)
		name = find(auxv, AT_EXECFN, sizeof(uint32_t));
	if (name == 0 || tops[0] == 0)
		return true;
	for (const uint64_t *top = tops; *top; top++)
		if (name < *top && *top - name <= NAME_ROOM)
			return true;
	return false;
}
