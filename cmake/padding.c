/* SPDX-License-Identifier: Apache-2.0 */
/* Exits with 0 when a compiler's -ftrivial-auto-var-init=zero leaves what was assigned alone.
 * GCC 12.2 does not: for an array of structs with an array before a padded member it forgets the
 * inner array's size and clears other bytes. */
struct text {
	const char *p;
	unsigned long n;
};
struct item {
	struct {
		struct text text[7];
		struct {
			long a[5];
			int x, y;
			unsigned char flags;
		} meta;
	} spec;
	unsigned mask;
	const char *problem;
};

__attribute__((noinline)) static struct item make(const char *p)
{
	struct item i = { .mask = 1 };
	i.spec.text[3].p = p;
	return i;
}

int main(void)
{
	const char *p = "text";
	struct item list[] = { make(p), make(p), make(p), make(p), make(p) };
	int bad = 0;
	for (int i = 0; i < 5; i++)
		bad += list[i].spec.text[3].p != p;
	return bad;
}
