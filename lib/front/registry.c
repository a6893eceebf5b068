/* SPDX-License-Identifier: Apache-2.0 */
#include "front/registry.h"

#include "base/mem.h"

#include <pthread.h>

static struct entry {
	const struct writ_front *front;
	struct writ_peer *peer;
} * entries;
static size_t n_entries, n_used;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* for processes with several loops */

static void grow(size_t fd)
{
	if (fd < n_entries)
		return;
	size_t n = n_entries ? n_entries : 64;
	while (n <= fd)
		n *= 2;
	entries = writ_realloc(entries, n * sizeof(*entries));
	for (size_t i = n_entries; i < n; i++)
		entries[i] = (struct entry){ NULL, NULL };
	n_entries = n;
}

void writ_registry_put(const struct writ_front *f, int fd, struct writ_peer *p)
{
	(void)pthread_mutex_lock(&lock);
	grow((size_t)fd);
	struct writ_peer *before = entries[fd].peer;
	n_used += !before;
	entries[fd] = (struct entry){ f, writ_peer_ref(p) };
	(void)pthread_mutex_unlock(&lock);
	writ_peer_unref(before);
}

struct writ_peer *writ_registry_get(const struct writ_front *f, int fd)
{
	(void)pthread_mutex_lock(&lock);
	bool ours = fd >= 0 && (size_t)fd < n_entries && entries[fd].front == f;
	struct writ_peer *p = ours ? entries[fd].peer : NULL;
	(void)pthread_mutex_unlock(&lock);
	return p;
}

void writ_registry_forget(const struct writ_front *f)
{
	(void)pthread_mutex_lock(&lock);
	for (size_t i = 0; i < n_entries; i++) {
		if (entries[i].front != f)
			continue;
		writ_peer_unref(entries[i].peer);
		entries[i] = (struct entry){ NULL, NULL };
		n_used--;
	}
	if (!n_used) {
		writ_free(entries);
		entries = NULL;
		n_entries = 0;
	}
	(void)pthread_mutex_unlock(&lock);
}
