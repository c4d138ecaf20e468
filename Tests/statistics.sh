#!/bin/sh
# Counts the tests: what there is in each target, what passes, and what of it had to be mended first.
# Prints the table that is in the README.
#
#   Tests/statistics.sh         runs all tests; what they say is on standard error
#   Tests/statistics.sh FILE    counts what a run has left in FILE, made by
#                               swift test --event-stream-version 0 --event-stream-output-path FILE
#
# A case is one run of a test with one set of arguments; a test without arguments is one case. If one
# case of a test fails, none of that test's counts as passed.
#
# The rule: what the simulator, or a reader, found in code that had passed its tests is written down
# as the smallest test that shows it, in a suite whose name has Finding in it. Such a test failed
# first, and passes after the fix. All others count as passed at once. Among them are tests of
# faults that were found by other means, and how often a test failed while what it tests was being
# written is recorded nowhere: so the number of those that passed after a fix is the least that it
# can be.
#
# The exit code is 0 only where all have passed.
set -eu

case ${1:-} in
  -h | --help)
    sed -n '2,/^set/s/^# \{0,1\}//p' "$0"
    exit 0
    ;;
esac

fresh=
if [ $# -gt 0 ]; then
  events=$1
  if ! [ -r "$events" ]; then
    echo "statistics.sh: there is no $events to count" >&2
    exit 2
  fi
else
  cd "$(dirname "$0")/.."
  fresh=$(mktemp -d)
  trap 'rm -rf "$fresh"' EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  events=$fresh/events
  # Whether all passed is counted below, too.
  swift test --event-stream-version 0 --event-stream-output-path "$events" >&2 || true
  [ -s "$events" ] || exit 1
fi

# One JSON object a line; a quote within a text has a backslash before it, so these patterns can't be
# found in one.
awk '
  function field(name,   at, rest) {
    at = index($0, "\"" name "\":\"")
    if (!at) return ""
    rest = substr($0, at + length(name) + 4)
    return substr(rest, 1, index(rest, "\"") - 1)
  }
  /"kind":"(testCaseEnded|testEnded|testSkipped)"/ {
    test = field("testID")
    # Suites end, too.
    if (test !~ /:[0-9]+:[0-9]+$/) next
    if (/"kind":"testCaseEnded"/) cases[test]++
    else if (/"kind":"testSkipped"/) skipped++
    else ended[test] = field("symbol")
  }
  END {
    for (test in ended) {
      target = test
      sub(/\..*/, "", target)
      if (!(target in tests)) names[++count] = target
      # Only cases with arguments are told of.
      number = cases[test] ? cases[test] : 1
      tests[target]++
      all[target] += number
      if (ended[test] !~ /^pass/) continue
      if (substr(test, length(target) + 2) ~ /^[A-Za-z]*Finding/) mended[target] += number
      else atOnce[target] += number
    }
    for (i = 2; i <= count; i++) {
      for (j = i; j > 1 && names[j] < names[j - 1]; j--) {
        name = names[j]; names[j] = names[j - 1]; names[j - 1] = name
      }
    }
    print "| target | tests | cases | passed at once | passed after a fix | passed in total |"
    print "|---|---:|---:|---:|---:|---:|"
    row = "| %s | %d | %d | %d | %d | %d |\n"
    for (i = 1; i <= count; i++) {
      name = names[i]
      printf row, name, tests[name], all[name], atOnce[name], mended[name], atOnce[name] + mended[name]
      t += tests[name]; c += all[name]; a += atOnce[name]; m += mended[name]
    }
    printf row, "all", t, c, a, m, a + m
    if (skipped) printf "\nTests skipped: %d.\n", skipped
    exit !(t > 0 && c == a + m)
  }
' "$events"
