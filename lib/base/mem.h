/* SPDX-License-Identifier: Apache-2.0 */
/* mem: small, bounded allocations abort when memory is out; what a peer sizes goes through buf.h.
 */
#ifndef WRIT_BASE_MEM_H
#define WRIT_BASE_MEM_H

#include <stddef.h>

void *writ_alloc(size_t n) __attribute__((malloc, returns_nonnull)); /* zeroed; writ_free */
void *writ_alloc_array(size_t count, size_t size) __attribute__((malloc, returns_nonnull));
void *writ_realloc(void *p, size_t n)
	__attribute__((returns_nonnull)); /* new bytes are not zeroed */
char *writ_strdup(const char *s);         /* NULL stays NULL */
char *writ_strndup(const char *s, size_t n) __attribute__((returns_nonnull));
void *writ_memdup(const void *p, size_t n) __attribute__((returns_nonnull));
char *writ_asprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2), returns_nonnull));
void writ_free(void *p);
void writ_freep(void *pp);       /* for WRIT_AUTO: frees *(void **)pp */
void writ_closep(const int *fd); /* for WRIT_AUTO: closes *fd unless it is negative */

/* An owned local: WRIT_AUTO(writ_freep) char *s = ...; hand it on with writ_steal(s). */
#define WRIT_AUTO(fn) __attribute__((cleanup(fn)))
#define writ_steal(p)                                                                              \
	__extension__({                                                                            \
		__typeof__(p) writ_stolen_ = (p);                                                  \
		(p) = 0;                                                                           \
		writ_stolen_;                                                                      \
	})
#define writ_steal_fd(fd)                                                                          \
	__extension__({                                                                            \
		int writ_stolen_ = (fd);                                                           \
		(fd) = -1;                                                                         \
		writ_stolen_;                                                                      \
	})
#define WRIT_COUNT(a)                     (sizeof(a) / sizeof((a)[0]))
#define writ_container(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#endif
