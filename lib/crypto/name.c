/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/name.h"

#include <string.h>

#define NAME_MAX_LEN  1024
#define SERIAL_OCTETS 20

static bool is_printable_string(const char *s)
{
	for (; *s; s++) {
		bool alnum = (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') ||
			(*s >= '0' && *s <= '9');
		if (!alnum && !strchr(" '()+,-./:=?", *s))
			return false;
	}
	return true;
}

void writ_name_add(struct writ_buf *b, const struct writ_attr *attrs, size_t n)
{
	size_t name = writ_der_open(b, WRIT_DER_SEQ);
	for (size_t i = 0; i < n; i++) {
		const char *v = attrs[i].value;
		const uint8_t oid[] = { 0x55, 4, attrs[i].type };
		if (!v || !*v)
			continue;
		size_t set = writ_der_open(b, WRIT_DER_SET), pair = writ_der_open(b, WRIT_DER_SEQ);
		writ_der_add(b, WRIT_DER_OID, oid, sizeof(oid));
		writ_der_add(b, is_printable_string(v) ? WRIT_DER_PRINTABLE : WRIT_DER_UTF8, v,
			strlen(v));
		writ_der_close(b, pair);
		writ_der_close(b, set);
	}
	writ_der_close(b, name);
}

static bool pair_ok(struct writ_der *set)
{
	/* UTF8, numeric, printable, teletex, IA5, universal, BMP string */
	static const uint8_t texts[] = { 0x0c, 0x12, 0x13, 0x14, 0x16, 0x1c, 0x1e };
	struct writ_der pair, oid, value;
	uint8_t tag;
	if (!writ_der_get(set, WRIT_DER_SEQ, &pair) || !writ_der_get(&pair, WRIT_DER_OID, &oid) ||
		!oid.n || oid.p[oid.n - 1] & 0x80 || !writ_der_any(&pair, &tag, &value, NULL) ||
		pair.n)
		return false;
	return memchr(texts, tag, sizeof(texts)) &&
		(tag != WRIT_DER_UTF8 || writ_is_utf8(value.p, value.n));
}

bool writ_name_ok(struct writ_der name)
{
	struct writ_der sets, set;
	if (name.n > NAME_MAX_LEN || !writ_der_get(&name, WRIT_DER_SEQ, &sets) || name.n)
		return false;
	while (sets.n) {
		if (!writ_der_get(&sets, WRIT_DER_SET, &set) || !set.n)
			return false;
		while (set.n) {
			if (!pair_ok(&set))
				return false;
		}
	}
	return true;
}

struct writ_str writ_name_attr(struct writ_der name, uint8_t type)
{
	static const uint8_t texts[] = { WRIT_DER_UTF8, WRIT_DER_PRINTABLE, 0x16 };
	const uint8_t wanted[] = { 0x55, 4, type };
	struct writ_str found = { NULL, 0 };
	struct writ_der sets, set, pair, oid, value;
	uint8_t tag;
	if (!writ_der_get(&name, WRIT_DER_SEQ, &sets))
		return found;
	while (writ_der_get(&sets, WRIT_DER_SET, &set))
		while (writ_der_get(&set, WRIT_DER_SEQ, &pair))
			if (writ_der_get(&pair, WRIT_DER_OID, &oid) &&
				writ_der_any(&pair, &tag, &value, NULL) &&
				writ_der_eq(oid, writ_der(wanted, sizeof(wanted))) &&
				memchr(texts, tag, sizeof(texts)) && writ_is_utf8(value.p, value.n))
				found = writ_strn(value.p, value.n);
	return found;
}

void writ_serial_dec(struct writ_der v, char out[64])
{
	uint8_t digits[64], rest[SERIAL_OCTETS] = { 0 };
	size_t n = 0, len = v.n < SERIAL_OCTETS ? v.n : SERIAL_OCTETS;
	memcpy(rest, v.p, len);
	for (size_t first = 0; first < len;) {
		unsigned carry = 0;
		for (size_t i = first; i < len; i++) {
			carry = carry << 8 | rest[i];
			rest[i] = (uint8_t)(carry / 10);
			carry %= 10;
		}
		digits[n++] = (uint8_t)carry;
		while (first < len && !rest[first])
			first++;
	}
	while (n > 1 && !digits[n - 1])
		n--;
	for (size_t i = 0; i < n; i++)
		out[i] = (char)('0' + digits[n - 1 - i]);
	out[n] = '\0';
}
