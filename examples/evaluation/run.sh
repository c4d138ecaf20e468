#!/bin/sh
# The whole evaluation in one command: installs what is missing, builds, measures LineChat beside others
# scenario by scenario, and writes tables, CSV files and plots. Ctrl-C ends it; what is done by then
# stays, and a scenario that is named again is measured anew.
#
#   examples/evaluation/run.sh                 everything, into examples/evaluation/results: 35 minutes
#   examples/evaluation/run.sh idle nodes      these scenarios, and their plots
#   examples/evaluation/run.sh plots           the plots alone, of what was measured before
#   examples/evaluation/run.sh --quick         smaller and shorter, into results-quick: 5 minutes
#
#   --results DIR   writes there instead
#
# The scenarios, in their order:
#   messages   few or many at once: one message under way, or 256
#   payload    small or big: 16 B to 16 KiB
#   members    few or many: 10, 100 and 1000 hear
#   grid       every size with every number of members, LineChat and the plain relay alone
#   groups     many groups in which everybody speaks
#   idle       beside 0, 1000 and 10000 connections that say nothing
#   churn      coming and going
#   typing     a key's echo in the shell while messages arrive
#   nodes      from node to node, directly or through the server
#   away       nodes while the server is killed and started again
#   recovery   all come back after a kill
#   kills      what plain clients lose while their server is killed again and again
#   faults     nodes, calm, and with more and more kills and faults of the network
#
# Times are of a machine with two cores that does nothing else. With other work on it the ratios still
# mean something, the rest does not.
set -eu

all='messages payload members grid groups idle churn typing nodes away recovery kills faults'

cd "$(dirname "$0")/../.."
. examples/lib/install.sh
package=examples/evaluation

usage() { sed -n '2,/^set/s/^# \{0,1\}//p' "$package/run.sh"; }

quick=no
results=
wanted=
while [ $# -gt 0 ]; do
  case $1 in
    --quick) quick=yes ;;
    --results)
      [ $# -ge 2 ] || give_up "--results takes a directory"
      results=$2
      shift
      ;;
    -h | --help)
      usage
      exit 0
      ;;
    -*) give_up "there is no option $1; --help lists them" ;;
    *)
      case " $all plots " in
        *" $1 "*) wanted="$wanted $1" ;;
        *) give_up "there is no scenario $1; they are: $all" ;;
      esac
      ;;
  esac
  shift
done
[ -n "$wanted" ] || wanted="$all plots"

# What differs between a short look and the figures that are kept.
if [ "$quick" = yes ]; then
  : "${results:=$package/results-quick}"
  pairs=3 seconds=0.1 talk=1 receivers='10 100' sizes='16 1024 16384' visits=500
  idle='0 1000' joined=1000 nodes='1 10' windows='1 100' sessions=300 stored=10000
  keys=300 rates=0,1000 kills='0 2' dying=4 minutes=0.15 paces='0 1 4'
else
  : "${results:=$package/results}"
  pairs=9 seconds=0.5 talk=2 receivers='10 100 1000' sizes='16 64 1024 16384' visits=2000
  idle='0 1000 10000' joined=10000 nodes='1 10 50' windows='1 100 1000' sessions=1000 stored=100000
  keys=2000 rates=0,1000,10000 kills='0 1 3 6' dying=10 minutes=1 paces='0 0.5 1 2 4'
fi

need setpriv util-linux "ends what is measured if the benchmark is killed"
need taskset util-linux "keeps what is measured on one processor"
need gnuplot gnuplot-nox "draws the plots"
need nats-server nats-server "is measured beside LineChat"
need redis-server redis-server "is measured beside LineChat"
[ -x /usr/sbin/ngircd ] || need ngircd ngircd "is measured beside LineChat"
need_build_tools
install_missing

mkdir -p "$results"
results=$(cd "$results" && pwd)
work=$(mktemp -d)
# What a program leaves behind where it is killed goes with it.
export TMPDIR="$work"
child=

end() {
  trap '' INT TERM HUP
  if [ -n "$child" ]; then
    kill -TERM "$child" 2>/dev/null || true
    wait "$child" 2>/dev/null || true
  fi
  rm -rf "$work"
}
trap end EXIT
trap 'say "interrupted; what is done is in $results"; exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

# A program that ends after so many seconds at the latest, and with this script.
bounded() {
  limit=$1
  shift
  timeout -k 5 "$limit" "$@" &
  child=$!
  code=0
  wait "$child" || code=$?
  child=
  [ "$code" -ne 124 ] || say "ended after $limit seconds: ${1##*/} $2"
  return "$code"
}

build() {
  need_swift
  for product in linechatd linechat linechat-chaos; do
    swift build -c release --product "$product" >&2
  done
  swift build -c release --package-path "$package" >&2
  programs=$(swift build -c release --show-bin-path)
  bench=$(swift build -c release --package-path "$package" --show-bin-path)/linechat-bench
}

# measure NAME WORKLOAD OPTION …: a workload of the benchmark; what it gives is put into place when all of it
# is there.
measure() {
  name=$1 workload=$2
  shift 2
  bounded 2400 "$bench" "$workload" --save "$work/$name" --linechatd "$programs/linechatd" \
    --linechat "$programs/linechat" "$@" || return
  keep "$name"
}

keep() {
  for file in "$work/$1.csv" "$work/$1.md" "$work/$1-delays.csv"; do
    [ ! -e "$file" ] || mv "$file" "$results/"
  done
}

# The words of the lists are meant to be split, here and below.
# shellcheck disable=SC2086
fan_out() {
  name=$1
  shift
  measure "$name" fan-out --pairs $pairs --seconds $seconds "$@"
}

# shellcheck disable=SC2086
scenario() {
  case $1 in
    messages) fan_out messages --receivers 100 --bytes 64 --windows 1 256 ;;
    payload) fan_out payload --receivers 100 --bytes $sizes --windows 256 ;;
    members) fan_out members --receivers $receivers --bytes 64 --windows 256 1 ;;
    grid)
      fan_out grid --receivers $receivers --bytes $sizes --windows 256 --contestants linechat relay
      ;;
    groups) measure groups many-to-many --pairs $pairs --seconds $seconds ;;
    idle) measure idle idle --pairs $pairs --seconds $talk --idle $idle --joined $joined ;;
    churn) measure churn churn --pairs $pairs --visits $visits ;;
    typing) measure typing typing --rates $rates --keys $keys ;;
    nodes) measure nodes direct --receivers $nodes --windows $windows --seconds $talk ;;
    away) measure away away --seconds $((talk * 2)) --away $((talk * 2)) ;;
    recovery) measure recovery recovery --sessions $sessions --members $stored ;;
    kills) measure kills kills --pairs 1 --kills $kills --seconds $dying ;;
    faults) faults ;;
    plots) ;;
  esac
}

# Several runs, each with more going wrong than the one before; the same seed, so that they are the same
# people who say the same.
faults() {
  for pace in $paces; do
    say "faults: $pace times as many as usual, $minutes minutes"
    bounded 900 "$programs/linechat-chaos" faults --seed 8 --minutes "$minutes" --pace "$pace" \
      --csv "$work/faults.csv" >"$work/faults.log" || {
      cat "$work/faults.log"
      say "linechat-chaos has found something wrong; its words are above"
      return 1
    }
  done
  awk -F, '
    BEGIN {
      count = split("pace,minutes,said,accepted,delivered,lost,twice,out of order,kills of nodes," \
        "kills of the server,seconds until all had arrived", wanted, ",")
    }
    NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i }
    {
      line = "|"
      for (i = 1; i <= count; i++) line = line " " $at[wanted[i]] " |"
      print line
      if (NR == 1) {
        line = "|"
        for (i = 1; i <= count; i++) line = line "---:|"
        print line
      }
    }' "$work/faults.csv" >"$work/faults.md"
  cat "$work/faults.md"
  keep faults
}

# On what it was measured.
machine() {
  echo '| | |'
  echo '|---|---|'
  sed -n 's/^model name[^:]*: */| processor | /p' /proc/cpuinfo | sed -n '1s/$/ |/p'
  echo "| processors | $(nproc) |"
  awk '/^MemTotal/ { printf "| memory | %.0f GiB |\n", $2 / 1048576 }' /proc/meminfo
  echo "| kernel | $(uname -s) $(uname -r | cut -d- -f1) |"
  echo "| Swift | $swift_version |"
  echo "| nats-server | $(nats-server --version | sed 's/.*v//') |"
  echo "| redis-server | $(redis-server --version | sed 's/.* v=\([^ ]*\).*/\1/') |"
  echo "| ngircd | $(PATH=$PATH:/usr/sbin ngircd --version | sed -n '1s/[^0-9]*\([0-9][0-9.]*[0-9]\).*/\1/p') |"
  echo "| state of the tree | $(git describe --always --dirty 2>/dev/null || echo unknown) |"
  echo "| load before it began | $(cut -d' ' -f1 /proc/loadavg) |"
}

# What LineChat costs beside the others, of all scenarios that were measured, in one table.
ratios() {
  set --
  for name in $all; do
    case $name in
      messages | payload | members | grid | groups | idle | churn)
        [ ! -e "$results/$name.csv" ] || set -- "$@" "$results/$name.csv"
        ;;
    esac
  done
  [ $# -gt 0 ] || return 0
  awk -f "$package/ratios.awk" "$@" >"$work/ratios.md"
  mv "$work/ratios.md" "$results/"
}

# Each plot says in its first line which files it is drawn of.
plots() {
  for script in "$package"/plots/*.gp; do
    name=$(basename "$script" .gp)
    [ "$name" != style ] || continue
    sources=$(sed -n '1s/^# Of //p' "$script")
    for source in $sources; do
      if [ ! -e "$results/$source" ]; then
        say "no plot of $name: there is no $source yet"
        continue 2
      fi
    done
    gnuplot -e "results='$results'" -e "load '$package/plots/style.gp'" \
      -e "set output '$work/$name.svg'" "$script"
    mv "$work/$name.svg" "$results/"
    say "drawn: $results/$name.svg"
  done
}

case $wanted in
  ' plots') ;;
  *)
    build
    machine >"$work/machine.md"
    mv "$work/machine.md" "$results/"
    ;;
esac
began=$(date +%s)
failed=
for name in $wanted; do
  [ "$name" != plots ] || continue
  say "$name"
  start=$(date +%s)
  # One that can't be measured keeps nobody from the others.
  scenario "$name" || failed="$failed $name"
  say "$name took $(($(date +%s) - start)) s"
done
ratios
plots
say "done in $(($(date +%s) - began)) s; all of it is in $results"
[ -z "$failed" ] || give_up "could not be measured, for what is said above:$failed"
