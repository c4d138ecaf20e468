#define _GNU_SOURCE

#include "CSystem.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

int csystem_accept(int descriptor, void *address, unsigned int *length) {
  return accept4(descriptor, address, length, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

int csystem_pipe(int descriptors[2]) {
  return pipe2(descriptors, O_NONBLOCK | O_CLOEXEC);
}

int csystem_epoll(void) { return epoll_create1(EPOLL_CLOEXEC); }

int csystem_epoll_add(int epoll, int descriptor, short events, int number) {
  struct epoll_event entry = {.events = (unsigned short)events, .data = {.fd = number}};
  return epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &entry);
}

int csystem_epoll_remove(int epoll, int descriptor) {
  struct epoll_event unused;
  return epoll_ctl(epoll, EPOLL_CTL_DEL, descriptor, &unused);
}

int csystem_epoll_take(int epoll, int *numbers, short *events, int count) {
  struct epoll_event entries[256];
  int found = epoll_wait(epoll, entries, count < 256 ? count : 256, 0);
  for (int i = 0; i < found; i++) {
    numbers[i] = entries[i].data.fd;
    events[i] = (short)entries[i].events;
  }
  return found;
}

int csystem_boot_timer(void) {
  return timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC);
}

int csystem_set_boot_timer(int descriptor, long milliseconds) {
  struct itimerspec time = {
      .it_value = {.tv_sec = milliseconds / 1000, .tv_nsec = milliseconds % 1000 * 1000000}};
  return timerfd_settime(descriptor, 0, &time, NULL);
}

int csystem_spawn_shell(const char *command, char *const environment[], int *process) {
  posix_spawn_file_actions_t files;
  int failure = posix_spawn_file_actions_init(&files);
  if (failure != 0) return failure;
  posix_spawnattr_t how;
  failure = posix_spawnattr_init(&how);
  if (failure != 0) {
    posix_spawn_file_actions_destroy(&files);
    return failure;
  }
  sigset_t all, none;
  sigfillset(&all);
  sigemptyset(&none);
  char *const arguments[] = {"sh", "-c", (char *)command, NULL};
  if ((failure = posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0)) == 0 &&
      (failure = posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0)) == 0 &&
      (failure = posix_spawn_file_actions_adddup2(&files, 1, 2)) == 0 &&
      (failure = posix_spawn_file_actions_addclosefrom_np(&files, 3)) == 0 &&
      (failure = posix_spawnattr_setsigdefault(&how, &all)) == 0 &&
      (failure = posix_spawnattr_setsigmask(&how, &none)) == 0 &&
      (failure = posix_spawnattr_setflags(
           &how, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK)) == 0) {
    failure = posix_spawn(process, "/bin/sh", &files, &how, arguments, environment);
  }
  posix_spawnattr_destroy(&how);
  posix_spawn_file_actions_destroy(&files);
  return failure;
}

int csystem_open_signals(const int *signals, int count) {
  sigset_t set;
  sigemptyset(&set);
  for (int i = 0; i < count; i++) sigaddset(&set, signals[i]);
  return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

int csystem_take_signal(int descriptor, int *is_from_terminal) {
  struct signalfd_siginfo info;
  if (read(descriptor, &info, sizeof info) != sizeof info) return 0;
  *is_from_terminal = info.ssi_code == SI_KERNEL;
  return (int)info.ssi_signo;
}
