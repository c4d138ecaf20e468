// The few calls of the system that Swift's Glibc module lacks, because they need _GNU_SOURCE, and what
// happens inside signal handlers, where nothing of Swift may run. No header of the system is included
// here: what two modules bring in, Swift may not see by the name of one of them.

#ifndef LINECHAT_CSYSTEM_H
#define LINECHAT_CSYSTEM_H

/// accept4 with SOCK_NONBLOCK and SOCK_CLOEXEC: one call instead of three for each connection, and
/// no moment at which another thread's exec could inherit the descriptor.
int csystem_accept(int descriptor, void *address, unsigned int *length);

/// pipe2 with O_NONBLOCK and O_CLOEXEC.
int csystem_pipe(int descriptors[2]);

/// An epoll descriptor, close-on-exec.
int csystem_epoll(void);

/// Has it tell of `descriptor` under `number`, for these events of poll; they have the same values.
int csystem_epoll_add(int epoll, int descriptor, short events, int number);

int csystem_epoll_remove(int epoll, int descriptor);

/// Fills in at most `count` numbers and their events without waiting, and returns how many; -1: none, as
/// something is wrong.
int csystem_epoll_take(int epoll, int *numbers, short *events, int count);

/// Notes the mode that a terminal is in now, and from here on restores it (and ends bracketed paste)
/// when the process ends by exit or by a fault (SIGSEGV, a trap, abort, SIGQUIT), whichever thread
/// it hits. -1: it is no terminal.
int csystem_guard_terminal(int terminal);

/// The terminal is as it was, or no longer ours to restore.
void csystem_unguard_terminal(void);

/// Restores it now, if it is guarded and this process is in its foreground. May be called in a
/// signal's handler.
void csystem_restore_terminal(void);

/// Where handlers write the numbers of signals, a byte each: a pipe that does not block. -1: nowhere.
void csystem_tell_signals(int descriptor);

/// From here on the signal is told. One that is ignored stays ignored: whoever started this process
/// wants it so. `restarts`: calls that it interrupts go on (but poll, which never does). A second
/// SIGTERM after two seconds or more ends the process at once.
int csystem_catch_signal(int number, int restarts);

/// Stops this process as ^Z does by default, and returns when it goes on: at once where nobody could
/// ever continue it, as in a terminal window without a shell.
int csystem_stop_process(void);

/// Starts `/bin/sh -c command` in a session of its own, so that it has no terminal and gets none of its
/// signals: its three streams are /dev/null, no other descriptor is open, and all signals are as by
/// default. `environment` is `NAME=value` each, with NULL behind the last. Returns 0, or what went
/// wrong as an errno.
int csystem_spawn_shell(const char *command, char *const environment[], int *process);

/// A descriptor, non-blocking and close-on-exec, that becomes readable when the time given to
/// csystem_set_boot_timer has passed on CLOCK_BOOTTIME, which goes on while the machine sleeps:
/// poll's own timeout stands still then.
int csystem_boot_timer(void);

/// Sets it anew; it is not readable before that time has passed.
int csystem_set_boot_timer(int descriptor, long milliseconds);

/// A descriptor, non-blocking and close-on-exec, from which these signals are taken. They must be
/// blocked.
int csystem_open_signals(const int *signals, int count);

/// The next of them; 0: none has come. Whether it is one that the kernel sends to everybody at a
/// terminal, such as that of ^C.
int csystem_take_signal(int descriptor, int *is_from_terminal);

#endif
