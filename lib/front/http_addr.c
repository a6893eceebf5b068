/* SPDX-License-Identifier: Apache-2.0 */
#include "front/http.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

/* RFC 6890, the rows that are not "globally reachable" because they stay on the machine or link. */
static bool is_local_v4(uint32_t a)
{
	static const struct {
		uint32_t net, mask;
	} rows[] = {
		{ 0x00000000, 0xff000000 }, /* this network */
		{ 0x7f000000, 0xff000000 }, /* loopback */
		{ 0xa9fe0000, 0xffff0000 }, /* link-local, where clouds keep credentials */
		{ 0xe0000000, 0xe0000000 }, /* multicast, reserved, broadcast */
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if ((a & rows[i].mask) == rows[i].net)
			return true;
	}
	return false;
}

static uint32_t v4_at(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static bool is_local_v6(const uint8_t a[16])
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	static const uint8_t nat64[12] = { 0, 0x64, 0xff, 0x9b };
	static const uint8_t zeros[12] = { 0 };
	/* Also ::, ::1 and the old IPv4-compatible addresses. */
	if (!memcmp(a, zeros, 12))
		return true;
	if (!memcmp(a, mapped, 12) || !memcmp(a, nat64, 12))
		return is_local_v4(v4_at(a + 12));
	if (a[0] == 0x20 && a[1] == 0x02) /* 6to4 */
		return is_local_v4(v4_at(a + 2));
	return a[0] == 0xff || (a[0] == 0xfe && (a[1] & 0xc0) == 0x80);
}

bool writ_http_is_local(const struct sockaddr *sa)
{
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	if (sa->sa_family == AF_INET) {
		memcpy(&v4, sa, sizeof(v4));
		return is_local_v4(ntohl(v4.sin_addr.s_addr));
	}
	if (sa->sa_family != AF_INET6)
		return true;
	memcpy(&v6, sa, sizeof(v6));
	return is_local_v6(v6.sin6_addr.s6_addr);
}
