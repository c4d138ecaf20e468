// What Swift's Glibc module leaves out.
#pragma once
#include <spawn.h>
#include <stddef.h>

// Opens a new terminal of so many columns and rows. Returns its master's descriptor and puts the path of
// the other side into `path`; -1 and errno where there is none.
int cbench_open_terminal(int columns, int rows, char *path, size_t path_bytes);

// Has the process lead a session of its own. Returns an error's number, or 0.
int cbench_set_own_session(posix_spawnattr_t *attributes);

// Whether the text is somewhere in the bytes: 1 or 0.
int cbench_contains(const void *bytes, size_t count, const char *text);
