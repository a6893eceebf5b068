/* SPDX-License-Identifier: Apache-2.0 */
/* Whether the kernel chose a program's addresses, by auxv. The addresses are of real programs. */
#include "attest/auxv.h"

#include "base/mem.h"

#include <elf.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

struct text {
	char bytes[256];
	size_t n;
};

static void add(struct text *t, uint64_t word, size_t size)
{
	uint32_t narrow = (uint32_t)word;
	assert_true(t->n + size <= sizeof(t->bytes));
	memcpy(t->bytes + t->n, size == sizeof(narrow) ? (void *)&narrow : (void *)&word, size);
	t->n += size;
}

static struct text auxv_of(uint64_t name, size_t size)
{
	const uint64_t pairs[][2] = { { AT_SYSINFO_EHDR, 0xf7ffc000 }, { AT_UID, 0 },
		{ AT_ENTRY, 0x8049000 }, { AT_EXECFN, name }, { AT_NULL, 0 } };
	struct text t = { .n = 0 };
	for (size_t i = 0; i < WRIT_COUNT(pairs); i++) {
		add(&t, pairs[i][0], size);
		add(&t, pairs[i][1], size);
	}
	return t;
}

static bool is_fixed(uint64_t name, size_t size)
{
	struct text t = auxv_of(name, size);
	return writ_auxv_is_fixed(writ_strn(t.bytes, t.n));
}

#if defined(__x86_64__)
static void a_stack_at_the_end_of_all_addresses_is_fixed(void **state)
{
	(void)state;
	assert_true(is_fixed(0x7fffffffeff2, 8));
	assert_true(is_fixed(0xffffdff2, 4));
	assert_true(is_fixed(0xbffffff2, 4)); /* ADDR_LIMIT_3GB */
	/* the longest name that execve takes, with and without what a descriptor adds */
	assert_true(is_fixed(0x7ffffffff000 - 8 - 4096, 8));
	assert_true(is_fixed(0x7ffffffff000 - 8 - 4096 - 32, 8));
}

static void a_stack_that_the_kernel_moved_is_not(void **state)
{
	(void)state;
	assert_false(is_fixed(0x7ffe4b655ff2, 8));
	assert_false(is_fixed(0x7ffffffff000, 8));
	assert_false(is_fixed(0x7fffffffcff2, 8)); /* two pages */
	assert_false(is_fixed(0xffba7ff2, 4));
	assert_false(is_fixed(0xffffbff2, 4));
	assert_false(is_fixed(0xbfffcff2, 4));
}
#endif

static void what_does_not_say_counts_as_fixed(void **state)
{
	(void)state;
	assert_true(writ_auxv_is_fixed(WRIT_STR("")));
	assert_true(is_fixed(0, 8));
	assert_true(is_fixed(0, 4));
	for (size_t size = 4; size <= 8; size += 4) {
		struct text whole = auxv_of(0x7abc0000, size);
		assert_false(writ_auxv_is_fixed(writ_strn(whole.bytes, whole.n)));
		/* cut within the pair that says it, and before */
		for (size_t n = 0; n < 8 * size; n++)
			assert_true(writ_auxv_is_fixed(writ_strn(whole.bytes, n)));
		struct text late = { .n = 0 }; /* what comes after the end is not part of it */
		add(&late, AT_NULL, size);
		add(&late, 0, size);
		add(&late, AT_EXECFN, size);
		add(&late, 0x7abc0000, size);
		assert_true(writ_auxv_is_fixed(writ_strn(late.bytes, late.n)));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#if defined(__x86_64__)
		cmocka_unit_test(a_stack_at_the_end_of_all_addresses_is_fixed),
		cmocka_unit_test(a_stack_that_the_kernel_moved_is_not),
#endif
		cmocka_unit_test(what_does_not_say_counts_as_fixed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
