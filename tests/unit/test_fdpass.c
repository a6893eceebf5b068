/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fdpass.h"

#include "check.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static int pair[2];

static int setup(void **state)
{
	(void)state;
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair);
}

static int teardown(void **state)
{
	(void)state;
	return close(pair[0]) + close(pair[1]);
}

static int count_open(void)
{
	int n = 0;
	DIR *d = opendir("/proc/self/fd");
	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static void a_descriptor_comes_with_its_bytes_or_none_does(void **state)
{
	char got[8];
	int fd = 99;
	struct stat here, there;
	(void)state;
	assert_int_equal(writ_fdpass_send(pair[0], "one", 3, STDIN_FILENO), 3);
	assert_int_equal(writ_fdpass_send(pair[0], "two", 3, -1), 3);
	assert_int_equal(writ_fdpass_recv(pair[1], got, sizeof(got), &fd), 3);
	assert_memory_equal(got, "one", 3);
	assert_true(fd > 2);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(fstat(STDIN_FILENO, &here) + fstat(fd, &there), 0);
	assert_int_equal(here.st_ino, there.st_ino);
	assert_int_equal(close(fd), 0);
	assert_int_equal(writ_fdpass_recv(pair[1], got, sizeof(got), &fd), 3);
	assert_int_equal(fd, -1);
}

static void of_several_descriptors_one_is_kept_and_none_is_lost(void **state)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(2 * sizeof(int))];
	} control = { .room = { 0 } };
	struct iovec part = { (char[]){ 'x' }, 1 };
	struct msghdr m = { .msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control.room,
		.msg_controllen = sizeof(control.room) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	const int both[2] = { STDIN_FILENO, STDERR_FILENO };
	char got[8];
	int fd = 99;
	(void)state;
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(both));
	memcpy(CMSG_DATA(c), both, sizeof(both));
	int before = count_open();
	assert_int_equal(sendmsg(pair[0], &m, 0), 1);
	assert_int_equal(writ_fdpass_recv(pair[1], got, sizeof(got), &fd), 1);
	assert_true(fd > 2);
	assert_int_equal(count_open(), before + 1);
	assert_int_equal(close(fd), 0);
}

static void nothing_waits(void **state)
{
	static char bulk[4096];
	int fd = 99;
	ssize_t k;
	(void)state;
	assert_int_equal(writ_fdpass_recv(pair[1], bulk, sizeof(bulk), &fd), -1);
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(fd, -1);
	do
		k = writ_fdpass_send(pair[0], bulk, sizeof(bulk), -1);
	while (k > 0);
	assert_int_equal(errno, EAGAIN);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_descriptor_comes_with_its_bytes_or_none_does),
		T(of_several_descriptors_one_is_kept_and_none_is_lost),
		T(nothing_waits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
