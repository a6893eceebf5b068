/* SPDX-License-Identifier: Apache-2.0 */
/* Whose is a port of loopback. A kubelet that listens on all addresses of both families has its row
 * in tcp6. */
#include "runtime/kubelet.h"

#include <netinet/in.h>
#include <stdio.h>

#include "base/mem.h"

#define ROW_MAX      512
#define LISTEN_STATE "0A"

static bool next_word(struct writ_str *row, struct writ_str *word)
{
	while (row->n > 0 && row->p[0] == ' ')
		*row = writ_strn(row->p + 1, row->n - 1);
	if (row->n == 0)
		return false;
	(void)writ_str_cut(row, ' ', word);
	return true;
}

/* "sl local_address rem_address st tx:rx tr:when retrnsmt uid ..." (proc(5)). True: this row
 * listens at address (hex, as the kernel prints it), and *uid is whose it is. */
static bool is_listener(struct writ_str row, const char *const *addresses, uint64_t *uid)
{
	enum { LOCAL = 1, STATE = 3, UID = 7 };
	struct writ_str words[UID + 1];
	for (size_t i = 0; i <= UID; i++)
		if (!next_word(&row, &words[i]))
			return false;
	if (!writ_str_eq(words[STATE], WRIT_STR(LISTEN_STATE)) ||
		writ_parse_u64(words[UID], 0, UINT32_MAX, uid, NULL) != WRIT_OK)
		return false;
	for (size_t i = 0; addresses[i]; i++)
		if (writ_str_eq(words[LOCAL], writ_cstr(addresses[i])))
			return true;
	return false;
}

/* 1: found, and *uid is set; 0: not in this file; -1: more than one owner. */
static int search(const char *path, const char *const *addresses, uid_t *uid)
{
	char row[ROW_MAX];
	int found = 0;
	FILE *f = fopen(path, "re");
	if (!f)
		return 0;
	while (found >= 0 && fgets(row, sizeof(row), f)) {
		uint64_t one;
		if (!is_listener(writ_cstr(row), addresses, &one))
			continue;
		found = found == 1 && *uid != (uid_t)one ? -1 : 1;
		*uid = (uid_t)one;
	}
	(void)fclose(f);
	return found;
}

writ_rc writ_tcp_listener_uid(uint16_t port, uid_t *ret, struct writ_err *err)
{
	uint32_t loopback = htonl(INADDR_LOOPBACK); /* the kernel prints the word as it stands */
	char exact[16];
	char any[16];
	char mapped[48];
	char any6[48];
	uid_t uid[2] = { 0, 0 };
	(void)snprintf(exact, sizeof(exact), "%08X:%04X", loopback, port);
	(void)snprintf(any, sizeof(any), "00000000:%04X", port);
	(void)snprintf(mapped, sizeof(mapped), "0000000000000000%08X%08X:%04X", htonl(0xffff),
		loopback, port);
	(void)snprintf(any6, sizeof(any6), "%032d:%04X", 0, port);
	const char *const v4[] = { exact, any, NULL };
	const char *const v6[] = { mapped, any6, NULL };
	int in4 = search("/proc/net/tcp", v4, &uid[0]);
	int in6 = search("/proc/net/tcp6", v6, &uid[1]);
	if (in4 == 0 && in6 == 0)
		return writ_fail(err, WRIT_ENOENT, "nobody listens at port %u here", port);
	/* Where two could have been meant, a stranger is one of them. */
	if (in4 < 0 || in6 < 0 || (in4 && in6 && uid[0] != uid[1]))
		return writ_fail(err, WRIT_EDENIED, "more than one user listens at port %u", port);
	*ret = in4 ? uid[0] : uid[1];
	return WRIT_OK;
}
