#!/bin/sh
# Feeds one part of LineChat with bytes that libFuzzer draws, in a release build with libFuzzer's coverage
# and, unless it is to be quick, the address sanitizer in every module: first with all of the corpus, then
# with what it makes of it. What fails lies in Tests/Fuzz/found and is shown again by giving it as FILE.
set -eu

usage() {
  echo "usage: Tests/Fuzz/run.sh [--quick] TARGET [--runs N | --minutes M | FILE ...]"
  echo "  TARGET       line-reader, message-parser, journal-reader, directory-session or peer-session"
  echo "  --quick      without the address sanitizer: more inputs in the time, for long runs"
  echo "  --runs N     so many inputs (default: 100000)"
  echo "  --minutes M  as many as there is time for"
  echo "  FILE ...     these inputs alone, once"
}

fail() {
  echo "Tests/Fuzz/run.sh: $1" >&2
  usage >&2
  exit 64
}

number() {
  case ${2-} in
    '' | *[!0-9]* | 0*) fail "$1 wants a whole number above 0" ;;
  esac
}

here=$(cd "$(dirname "$0")" && pwd)
# Two builds, each with a directory of its own, so that neither undoes the other.
products=$here/.build
link="--sanitize=fuzzer --sanitize=address"
instrument=fuzzer,address
if [ "${1-}" = --quick ]; then
  products=$here/.build-quick
  link=--sanitize=fuzzer
  instrument=fuzzer
  shift
fi
case ${1-} in
  -h | --help)
    usage
    exit
    ;;
  line-reader | message-parser | journal-reader | directory-session | peer-session) target=$1 ;;
  '') fail "which target?" ;;
  *) fail "there is no target $1" ;;
esac
shift
case ${1-} in
  '') limit=-runs=100000 ;;
  --runs)
    number "$@"
    limit=-runs=$2
    shift 2
    ;;
  --minutes)
    number "$@"
    limit=-max_total_time=$(($2 * 60))
    shift 2
    ;;
  -*) fail "there is no option $1" ;;
  *) limit= ;;
esac
if [ -n "$limit" ] && [ $# -gt 0 ]; then fail "what is $1?"; fi

# --sanitize links; what puts libFuzzer's counters into every module is the compiler's own flag.
# shellcheck disable=SC2086 # $link is one option or two.
build() {
  swift build --package-path "$here" --scratch-path "$products" -c release "$@" $link \
    -Xswiftc -sanitize=$instrument
}
build --product linechat-fuzz >&2
program=$(build --show-bin-path)/linechat-fuzz
export LINECHAT_FUZZ_TARGET="$target"
# A trap is for libFuzzer, which writes the input down.
export SWIFT_BACKTRACE=enable=no
# The sanitizer's look for leaks at the end knows nothing of Swift's globals.
export ASAN_OPTIONS=detect_leaks=0
if [ -z "$limit" ]; then exec "$program" "$@"; fi

case $target in
  line-reader | message-parser) longest=512 ;;
  journal-reader) longest=1024 ;;
  *) longest=6000 ;;
esac
mkdir -p "$here/found/$target"
# Inputs that take long are drawn less often. New inputs go to the first directory; the corpus in the
# tree is read alone.
# A session's core leaves some KB behind in this build, as the compiler skips the deinit of what it has
# for the tables: hence so much memory. The programs do not (a node that is started and stopped 600
# times), and have one core for all their life.
exec "$program" "$limit" -max_len=$longest -timeout=20 -rss_limit_mb=6144 -print_final_stats=1 \
  -entropic_scale_per_exec_time=1 \
  -dict="$here/words.dict" -artifact_prefix="$here/found/$target-" \
  "$here/found/$target" "$here/corpus/$target"
