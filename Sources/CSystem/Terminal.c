// What must happen to a terminal inside a signal's handler: only calls that may be made there, and
// only variables that are fit for it. Everything else is done by the loop that reads the pipe.

#define _GNU_SOURCE

#include "CSystem.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

// Written before `guarded` says that they may be read.
static struct termios mode;
static volatile sig_atomic_t guarded = -1;
static volatile sig_atomic_t told = -1;
static volatile sig_atomic_t seconds_of_end = 0;
static struct sigaction before_fault[_NSIG];

// For the thread that edits lines: a stack that has run over is no place for a handler.
static char fault_stack[65536];

static const int faults[] = {SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGSYS, SIGQUIT};

static int seconds(void) {
  struct timespec now = {0, 0};
  clock_gettime(CLOCK_MONOTONIC, &now);
  // Never 0, which means that nobody has asked yet.
  return (int)now.tv_sec + 1;
}

void csystem_restore_terminal(void) {
  int terminal = guarded;
  // In the background the terminal is somebody else's now.
  if (terminal < 0 || tcgetpgrp(terminal) != getpgrp()) return;
  int error = errno;
  static const char plain[] = "\033[?2004l\r\n";
  if (write(terminal, plain, sizeof plain - 1) < 0) {
    // A terminal that has gone needs nothing.
  }
  tcsetattr(terminal, TCSANOW, &mode);
  errno = error;
}

static void on_fault(int number, siginfo_t *info, void *context) {
  (void)context;
  csystem_restore_terminal();
  guarded = -1;
  sigaction(number, &before_fault[number], NULL);
  // A fault of the processor comes again by itself, at the same place, for whoever handled it
  // before; what was sent has to be sent again.
  if (info->si_code <= 0 || number == SIGQUIT || number == SIGTRAP) raise(number);
}

static void on_exit_of_process(void) {
  csystem_restore_terminal();
  guarded = -1;
}

int csystem_guard_terminal(int terminal) {
  static int is_registered = 0;
  guarded = -1;
  if (tcgetattr(terminal, &mode) != 0) return -1;
  guarded = terminal;
  if (is_registered) return 0;
  is_registered = 1;
  atexit(on_exit_of_process);
  stack_t stack = {0};
  if (sigaltstack(NULL, &stack) == 0 && (stack.ss_flags & SS_DISABLE)) {
    stack = (stack_t){.ss_sp = fault_stack, .ss_size = sizeof fault_stack};
    sigaltstack(&stack, NULL);
  }
  struct sigaction action = {0};
  action.sa_sigaction = on_fault;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigfillset(&action.sa_mask);
  for (unsigned at = 0; at < sizeof faults / sizeof *faults; at++) {
    sigaction(faults[at], &action, &before_fault[faults[at]]);
    // Who started us may want SIGQUIT ignored.
    if (before_fault[faults[at]].sa_handler == SIG_IGN) {
      sigaction(faults[at], &before_fault[faults[at]], NULL);
    }
  }
  return 0;
}

void csystem_unguard_terminal(void) { guarded = -1; }

static void on_signal(int number) {
  int error = errno;
  if (number == SIGTERM) {
    // Asked once more, with time to spare between: whatever holds us up is not waited for.
    if (seconds_of_end != 0 && seconds() - seconds_of_end >= 2) {
      csystem_restore_terminal();
      signal(number, SIG_DFL);
      raise(number);
      return;
    }
    if (seconds_of_end == 0) seconds_of_end = seconds();
  }
  unsigned char byte = (unsigned char)number;
  if (told >= 0 && write(told, &byte, 1) < 0) {
    // A full pipe wakes its reader just as well.
  }
  errno = error;
}

void csystem_tell_signals(int descriptor) { told = descriptor; }

int csystem_catch_signal(int number, int restarts) {
  struct sigaction action = {0};
  struct sigaction before;
  if (sigaction(number, NULL, &before) != 0) return -1;
  if (before.sa_handler == SIG_IGN) return 0;
  action.sa_handler = on_signal;
  action.sa_flags = restarts ? SA_RESTART : 0;
  sigemptyset(&action.sa_mask);
  return sigaction(number, &action, NULL);
}

int csystem_stop_process(void) {
  struct sigaction action = {0};
  struct sigaction before;
  action.sa_handler = SIG_DFL;
  if (sigaction(SIGTSTP, &action, &before) != 0) return -1;
  raise(SIGTSTP);
  return sigaction(SIGTSTP, &before, NULL);
}
