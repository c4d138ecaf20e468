#define _GNU_SOURCE
#include "CBench.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

int cbench_open_terminal(int columns, int rows, char *path, size_t path_bytes) {
  int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (master < 0) return -1;
  struct winsize size = {.ws_row = rows, .ws_col = columns};
  if (grantpt(master) == 0 && unlockpt(master) == 0 && ioctl(master, TIOCSWINSZ, &size) == 0 &&
      ptsname_r(master, path, path_bytes) == 0)
    return master;
  int error = errno;
  close(master);
  errno = error;
  return -1;
}

int cbench_set_own_session(posix_spawnattr_t *attributes) {
  return posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSID);
}

long cbench_find(const void *bytes, size_t count, const char *text) {
  const char *found = memmem(bytes, count, text, strlen(text));
  return found == NULL ? -1 : found - (const char *)bytes;
}

int cbench_pin(int processor) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(processor, &set);
  return sched_setaffinity(0, sizeof set, &set) == 0 ? 0 : errno;
}

int cbench_epoll(void) { return epoll_create1(EPOLL_CLOEXEC); }

int cbench_epoll_add(int epoll, int descriptor, int number) {
  struct epoll_event entry = {.events = EPOLLIN, .data = {.fd = number}};
  return epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &entry);
}

void cbench_epoll_remove(int epoll, int descriptor) {
  epoll_ctl(epoll, EPOLL_CTL_DEL, descriptor, NULL);
}

int cbench_epoll_wait(int epoll, int *numbers, int milliseconds) {
  struct epoll_event entries[1024];
  int found = epoll_wait(epoll, entries, 1024, milliseconds);
  for (int i = 0; i < found; i++) numbers[i] = entries[i].data.fd;
  return found;
}
