/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a fuzz target over files and folders given as arguments: the seeds as a regression test,
 * without libFuzzer. Each seed is also tried cut short at every length and with each byte flipped
 * once, within a budget. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SEED_MAX     (1024 * 1024)
#define VARIANTS_MAX 2000

static size_t inputs;

static void try_bytes(const uint8_t *p, size_t n)
{
	/* An exact copy, so that the sanitizer sees a read past the end. */
	uint8_t *copy = malloc(n ? n : 1);
	if (!copy)
		abort();
	if (n)
		memcpy(copy, p, n);
	LLVMFuzzerTestOneInput(copy, n);
	free(copy);
	inputs++;
}

static void try_variants(uint8_t *p, size_t n)
{
	size_t step = n / VARIANTS_MAX + 1;
	for (size_t i = 0; i < n; i += step) {
		try_bytes(p, i);
		p[i] ^= (uint8_t)(1u << (i % 8));
		try_bytes(p, n);
		p[i] ^= (uint8_t)(1u << (i % 8));
	}
}

static int run_file(const char *path)
{
	static uint8_t data[SEED_MAX];
	FILE *f = fopen(path, "re");
	if (!f) {
		perror(path);
		return 1;
	}
	size_t n = fread(data, 1, sizeof(data), f);
	fclose(f);
	try_bytes(data, n);
	try_variants(data, n);
	return 0;
}

static int run_path(const char *path)
{
	struct stat st;
	if (stat(path, &st) != 0) {
		perror(path);
		return 1;
	}
	if (!S_ISDIR(st.st_mode))
		return run_file(path);
	DIR *d = opendir(path);
	if (!d) {
		perror(path);
		return 1;
	}
	int bad = 0;
	for (struct dirent *e = readdir(d); e; e = readdir(d)) {
		char sub[4096];
		if (e->d_name[0] == '.')
			continue;
		snprintf(sub, sizeof(sub), "%s/%s", path, e->d_name);
		bad |= run_path(sub);
	}
	closedir(d);
	return bad;
}

int main(int argc, char **argv)
{
	int bad = 0;
	for (int i = 1; i < argc; i++)
		bad |= run_path(argv[i]);
	printf("%zu inputs\n", inputs);
	return bad || inputs == 0;
}
