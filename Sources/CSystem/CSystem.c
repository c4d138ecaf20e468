#define _GNU_SOURCE

#include "CSystem.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

int csystem_accept(int descriptor, struct sockaddr *address, socklen_t *length) {
  return accept4(descriptor, address, length, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

int csystem_pipe(int descriptors[2]) {
  return pipe2(descriptors, O_NONBLOCK | O_CLOEXEC);
}

int csystem_boot_timer(void) {
  return timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC);
}

int csystem_set_boot_timer(int descriptor, long milliseconds) {
  struct itimerspec time = {
      .it_value = {.tv_sec = milliseconds / 1000, .tv_nsec = milliseconds % 1000 * 1000000}};
  return timerfd_settime(descriptor, 0, &time, NULL);
}

int csystem_open_signals(const sigset_t *signals) {
  return signalfd(-1, signals, SFD_NONBLOCK | SFD_CLOEXEC);
}

int csystem_take_signal(int descriptor, int *is_from_terminal) {
  struct signalfd_siginfo info;
  if (read(descriptor, &info, sizeof info) != sizeof info) return 0;
  *is_from_terminal = info.ssi_code == SI_KERNEL;
  return (int)info.ssi_signo;
}
