#!/bin/sh
# Everything a change must pass, in one command: installs what the tests use, then reads the shell
# scripts, checks the formatting, builds, tests, runs the simulator with fixed seeds, and the quickstart.
# Ends with a code other than 0 at the first thing that fails.
#
#   Tests/run.sh                       the lot
#   Tests/run.sh --filter NetcatTests  what follows is handed to swift test
set -eu

cd "$(dirname "$0")/.."
. examples/lib/install.sh

need nc.openbsd netcat-openbsd "OpenBSD's netcat, a client in the tests"
need nc.traditional netcat-traditional "the traditional netcat, a client in the tests"
need ncat ncat "Nmap's netcat, a client in the tests"
need busybox busybox "has a netcat of its own, a client in the tests"
need telnet telnet "a client in the tests"
need socat socat "a client in the tests"
need tmux tmux "plays the terminals that people type in"
need man man-db "shows the manual pages"
need mandoc mandoc "reads the manual pages for mistakes"
need zsh zsh "completes words in the tests"
need fish fish "completes words in the tests"
need setpriv util-linux "ends what a test started if the test is killed"
need shellcheck shellcheck "reads the shell scripts for mistakes"
need_build_tools
install_missing
need_swift

step() {
  say "$*"
  "$@"
}

# swift test, and what failed once more at its end: thousands of lines may be between the two.
run_tests() {
  output=.build/tests.log
  rm -f "$output.failed"
  { swift test "$@" 2>&1 || : >"$output.failed"; } | tee "$output"
  if [ -e "$output.failed" ]; then
    say "what failed, of all that is in $output:"
    grep -a -A 2 -e '^✘' -e 'Fatal error' "$output" || tail -n 40 "$output"
    return 1
  fi
}

step shellcheck -x Tests/*.sh Tests/Fuzz/run.sh .ci/run examples/*.sh examples/lib/*.sh examples/lab/*.sh examples/evaluation/*.sh
step swift format lint --strict -r Sources Tests examples/bot examples/evaluation/Sources
# Programs and tests together: one after the other takes half a minute more.
step swift build --build-tests
# If a test traps, say where.
export SWIFT_BACKTRACE=enable=yes,color=no,interactive=no,threads=crashed,images=none,registers=none
say "swift test $*"
run_tests "$@"
# All of it at once, the quickstart's programs too: one after the other leaves a processor idle.
step swift build -c release
step .build/release/linechat-sim --seeds 900
step .build/release/linechat-sim --nodes --seeds 1000
# The README's first command: builds in release, and must show its chat to the end.
step examples/quickstart.sh --once
say "all passed"
