/* SPDX-License-Identifier: Apache-2.0 */
/* ask: as much HTTP/2 as it takes to ask the Workload API for an identity, for programs that pose
 * as others: nothing is hidden in a library, each byte is written by the process that asks. */
#ifndef WRIT_TESTS_ASK_H
#define WRIT_TESTS_ASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ASK_MAX 512 /* bytes of one question */

/* What became of a question; also what is written to the pipe on which an attacker reports. */
enum ask_got {
	ASK_SERVED = 'S',  /* the identity that was wanted */
	ASK_REFUSED = 'R', /* a status, or the end of the connection */
	ASK_SILENT = 'T',  /* nothing in time */
	ASK_UNREADY = 'E', /* the attack could not be made */
};

/* A connection to that socket, waiting its turn in the queue. -1: errno. */
int ask_connect(const char *path);
/* Preface, SETTINGS and a call of FetchX509SVID: how many bytes of out (room: ASK_MAX). */
size_t ask_bytes(uint8_t *out);
/* A further call on an open connection; stream: 3, 5, ... */
size_t ask_again_bytes(uint8_t *out, uint32_t stream);
bool ask_send(int fd);
/* Reads until wanted ("spiffe://example.org/trusted") is among the bytes. answers: acknowledges
 * SETTINGS and PING, as every HTTP/2 library does without being asked. */
enum ask_got ask_wait(int fd, const char *wanted, int timeout_ms, bool answers);
/* send and wait. */
enum ask_got ask(int fd, const char *wanted, int timeout_ms);
/* Answers what comes for that long, and cares for nothing else. */
void ask_answer_for(int fd, int64_t us);
/* The same, until a PING was acknowledged. False: none came in time. */
bool ask_answer_ping(int fd, int timeout_ms);
/* Waits for a PING and keeps it for ask_acknowledge. */
bool ask_await_ping(int fd, int timeout_ms, uint8_t payload[8]);
void ask_acknowledge(int fd, const uint8_t payload[8]);
/* Waits for wanted on a connection that has a stream already, and asks on a further one. */
bool ask_send_again(int fd);
enum ask_got ask_again(int fd, const char *wanted, int timeout_ms);

int64_t ask_now_us(void);

#endif
