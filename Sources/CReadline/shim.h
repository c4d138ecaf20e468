// GNU readline, as Swift sees it. Its variables are globals without any protection: they are all for
// the one thread that edits lines, and LineShell sees to that. The pragma says so to Swift, which
// would otherwise refuse each use.

#ifndef LINECHAT_CREADLINE_H
#define LINECHAT_CREADLINE_H

// readline.h uses FILE, and stdio.h's own variables are none of readline's.
#include <stdio.h>

#pragma clang attribute push(__attribute__((swift_attr("nonisolated(unsafe)"))), apply_to = variable(is_global))
#include <readline/history.h>
#include <readline/readline.h>
#pragma clang attribute pop

#endif
