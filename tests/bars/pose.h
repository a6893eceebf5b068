/* SPDX-License-Identifier: Apache-2.0 */
/* pose: one process poses as another one. Each attack is a function that runs in a process group of
 * its own, starts what it needs, and has whoever gets an answer tell it; see pose.c. */
#ifndef WRIT_TESTS_POSE_H
#define WRIT_TESTS_POSE_H

#include "ask.h"

#include <sys/types.h>

#define POSE_AGENTS 8 /* processes of the agent */

struct pose {
	const char *socket, *trusted, *wanted;
	const char *self;   /* this program, another one than trusted */
	const char *helper; /* of the attack: a set-user-ID program, a path */
	uid_t uid;          /* the attacker's */
	unsigned n;         /* number of this try */
	int64_t delay_us;   /* between asking and exec */
	int stall_ms;       /* how long the agent is stopped */
	pid_t agent[POSE_AGENTS];
	size_t n_agent;
	int report;    /* pipe; no CLOEXEC: other programs tell, too */
	int n_results; /* what one run has to tell */
};

struct pose_attack {
	const char *name;
	void (*run)(struct pose *p); /* as root, where we are */
	int n_results;               /* 0: one */
};

/* Each ends with a name of NULL. */
extern const struct pose_attack pose_exec_attacks[], pose_pid_attacks[], pose_user_attacks[],
	pose_message_attacks[], pose_again_attacks[], pose_setuid_attacks[];

/* How long an answer is waited for: POSE_WAIT_MS of the environment. The agent waits 5 s for the
 * ACK of its PING. */
int pose_wait_ms(void);
void pose_tell(const struct pose *p, enum ask_got got);
/* Tells that the attack could not be made, with errno's text, and ends the process. */
_Noreturn void pose_unready(const struct pose *p, const char *what);
void pose_drop(const struct pose *p);           /* to the attacker's user */
int pose_connect(const struct pose *p);         /* or unready */
void pose_ask_on(const struct pose *p, int fd); /* asks and tells */
void pose_hear(const struct pose *p, int fd);   /* reads only, and tells */
_Noreturn void pose_become_trusted(const struct pose *p);
_Noreturn void pose_become_trusted_fd(const struct pose *p, int close_fd);
/* This process gets that number as if by chance: a child with this pid, running trusted or
 * (fn != NULL) fn(p, arg). -1: it was not to be had. */
pid_t pose_spawn_as(
	const struct pose *p, pid_t pid, void (*fn)(const struct pose *p, int arg), int arg);
/* `pose return FD WANTED REPORT`, in the process that was the trusted program before: see
 * pose_again.c. */
int pose_return(int fd, const char *wanted, int report);
int pose_anew(const char *wanted, int report);
/* `pose listen FD WANTED REPORT`: the question has been asked by whoever this process was before.
 */
int pose_listen(int fd, const char *wanted, int report);
void pose_run_trusted(const struct pose *p, const char *what); /* see trusted.c; does not return */
void pose_stop_agent(const struct pose *p, int sig);           /* SIGSTOP, SIGCONT */
bool pose_until_exec(int gate); /* the other end of a CLOEXEC pipe closes */

#endif
