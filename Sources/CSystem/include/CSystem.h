// The few calls of the system that Swift's Glibc module lacks, because they need _GNU_SOURCE.

#ifndef LINECHAT_CSYSTEM_H
#define LINECHAT_CSYSTEM_H

#include <sys/socket.h>

/// accept4 with SOCK_NONBLOCK and SOCK_CLOEXEC: one call instead of three for each connection, and
/// no moment at which another thread's exec could inherit the descriptor.
int csystem_accept(int descriptor, struct sockaddr *address, socklen_t *length);

/// pipe2 with O_NONBLOCK and O_CLOEXEC.
int csystem_pipe(int descriptors[2]);

#endif
