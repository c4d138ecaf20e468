// What Swift's Glibc module leaves out.
#pragma once
#include <spawn.h>
#include <stddef.h>

// Opens a new terminal of so many columns and rows. Returns its master's descriptor and puts the path of
// the other side into `path`; -1 and errno where there is none.
int cbench_open_terminal(int columns, int rows, char *path, size_t path_bytes);

// Has the process lead a session of its own. Returns an error's number, or 0.
int cbench_set_own_session(posix_spawnattr_t *attributes);

// Has this process run on one processor only. Returns an error's number, or 0.
int cbench_pin(int processor);

// An epoll descriptor; the others are told whether they can be read, by the number they were added with.
int cbench_epoll(void);
int cbench_epoll_add(int epoll, int descriptor, int number);
void cbench_epoll_remove(int epoll, int descriptor);

// Fills in at most 1024 numbers, waiting so many milliseconds for the first; returns how many.
int cbench_epoll_wait(int epoll, int *numbers, int milliseconds);

// Where the text begins first in the bytes; -1: nowhere.
long cbench_find(const void *bytes, size_t count, const char *text);
