// The few calls of the system that Swift's Glibc module lacks, because they need _GNU_SOURCE.

#ifndef LINECHAT_CSYSTEM_H
#define LINECHAT_CSYSTEM_H

#include <sys/socket.h>

/// accept4 with SOCK_NONBLOCK and SOCK_CLOEXEC: one call instead of three for each connection, and
/// no moment at which another thread's exec could inherit the descriptor.
int csystem_accept(int descriptor, struct sockaddr *address, socklen_t *length);

/// pipe2 with O_NONBLOCK and O_CLOEXEC.
int csystem_pipe(int descriptors[2]);

/// A descriptor, non-blocking and close-on-exec, that becomes readable when the time given to
/// csystem_set_boot_timer has passed on CLOCK_BOOTTIME, which goes on while the machine sleeps:
/// poll's own timeout stands still then.
int csystem_boot_timer(void);

/// Sets it anew; it is not readable before that time has passed.
int csystem_set_boot_timer(int descriptor, long milliseconds);

#endif
