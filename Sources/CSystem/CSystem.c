#define _GNU_SOURCE

#include "CSystem.h"

#include <fcntl.h>
#include <unistd.h>

int csystem_accept(int descriptor, struct sockaddr *address, socklen_t *length) {
  return accept4(descriptor, address, length, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

int csystem_pipe(int descriptors[2]) {
  return pipe2(descriptors, O_NONBLOCK | O_CLOEXEC);
}
