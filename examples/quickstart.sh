#!/usr/bin/env bash
# The first look at LineChat: builds the server, starts it, and lets two people with nothing but
# netcat chat through it, so that you see what each of them sees. Then it stays up for you.
#
#   examples/quickstart.sh             stays up until Ctrl-C
#   examples/quickstart.sh --once      ends by itself; exit code 0 only if every line arrived
#   examples/quickstart.sh --port N    listens there, instead of on 5463 or a free port
#
# With LINECHATD=/path/to/linechatd in the environment that one is used, and nothing is built.
#
# Nothing outlives it: the server, both netcats and the temporary folder go when it ends.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=examples/lib/install.sh
. "$here/lib/install.sh"

once=no
port=
while [ $# -gt 0 ]; do
  case $1 in
    --once) once=yes ;;
    --port)
      [ $# -ge 2 ] || give_up "--port takes a number"
      port=$2
      shift
      ;;
    -h | --help)
      sed -n '2,/^set/s/^# \{0,1\}//p' "$0"
      exit 0
      ;;
    *) give_up "what is '$1'? The options are --once and --port N." ;;
  esac
  shift
done

find_netcat() {
  for netcat in nc.openbsd ncat nc.traditional nc; do
    command -v "$netcat" >/dev/null 2>&1 && return 0
  done
  netcat=
  return 1
}

find_netcat || need nc.openbsd netcat-openbsd "the two people in this show chat with it"
[ -n "${LINECHATD:-}" ] || need_build_tools
install_missing
find_netcat || give_up "still no netcat after installing one"

linechatd=${LINECHATD:-}
if [ -z "$linechatd" ]; then
  need_swift
  say "building linechatd (the first time takes a minute or two)"
  cd "$here/.."
  swift build -c release --product linechatd
  linechatd=$(swift build -c release --product linechatd --show-bin-path)/linechatd
fi

# What must end with this script is noted here as it starts.
work=$(mktemp -d)
running=()

# Called by the trap below, which the checker does not see.
# shellcheck disable=SC2317
clean_up() {
  trap '' INT TERM HUP
  for process in "${running[@]}"; do
    kill -TERM "$process" 2>/dev/null || true
  done
  wait
  rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

# Starts linechatd on a port and waits until its log says where it listens; puts that in `address`.
start_server() {
  rm -f "$work/log"
  mkfifo "$work/log"
  "$linechatd" --listen "127.0.0.1:$1" --data-dir "$work/state" 2>"$work/log" &
  server=$!
  exec 9<"$work/log"
  address=
  while IFS= read -t 10 -r line <&9; do
    printf '%s\n' "$line" >>"$work/server.log"
    case $line in
      *'listening on '*)
        address=${line##*listening on }
        address=${address%% *}
        break
        ;;
    esac
  done
  if [ -z "$address" ]; then
    kill -TERM "$server" 2>/dev/null || true
    wait "$server" || true
    return 1
  fi
  running+=("$server")
  # From here on the log is only kept: a pipe that nobody empties would stop the server.
  cat <&9 >>"$work/server.log" &
}

# Without --port: the usual port, or where that is taken (or with --once) one that is free.
first_port=${port:-5463}
[ "$once" = yes ] && first_port=${port:-0}
if ! start_server "$first_port"; then
  if [ -n "$port" ] || ! start_server 0; then
    cat "$work/server.log" >&2
    give_up "the server did not start; its own words are above."
  fi
fi
say "the server listens on $address"

# Each has a terminal here: alice's is the left column, bob's the right one. What they type has a
# '>' before it; the rest is what their netcat shows.
bold=
plain=
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
  bold=$(printf '\033[1m')
  plain=$(printf '\033[0m')
fi
declare -A indent=([alice]='' [bob]='                                        ')

show() {
  printf '%s\n' "$2" | fold -s -w 38 | sed "s/ *$//; s/^/${indent[$1]}/"
}

connect() {
  mkfifo "$work/$1.in" "$work/$1.out"
  "$netcat" "${address%:*}" "${address##*:}" <"$work/$1.in" >"$work/$1.out" 2>&1 &
  running+=($!)
  if [ "$1" = alice ]; then
    exec 5>"$work/alice.in" 6<"$work/alice.out"
  else
    exec 7>"$work/bob.in" 8<"$work/bob.out"
  fi
}

types() {
  printf '%s' "$bold"
  show "$1" "> $2"
  printf '%s' "$plain"
  if [ "$1" = alice ]; then printf '%s\n' "$2" >&5; else printf '%s\n' "$2" >&7; fi
}

# The next line on somebody's screen must match the pattern.
sees() {
  local line='' input=6
  [ "$1" = alice ] || input=8
  if ! IFS= read -t 10 -r -u "$input" line; then
    give_up "$1 should have seen '$2', but nothing came."
  fi
  show "$1" "$line"
  # The pattern is one: its stars are meant.
  # shellcheck disable=SC2254
  case $line in
    $2) ;;
    *) give_up "$1 should have seen '$2'." ;;
  esac
}

cat <<END

alice's terminal                        bob's terminal
\$ $(printf '%-36s' "$netcat ${address%:*} ${address##*:}")  \$ $netcat ${address%:*} ${address##*:}
--------------------------------------  --------------------------------------
END

connect alice
sees alice 'INFO linechatd *'
types alice 'NICK alice'
sees alice 'OK NICK alice'
types alice 'JOIN lobby'
sees alice 'MEMBER lobby alice@relay online*'
sees alice 'OK JOIN lobby 1'

connect bob
sees bob 'INFO linechatd *'
types bob 'NICK bob'
sees bob 'OK NICK bob'
types bob 'JOIN lobby'
sees bob 'MEMBER lobby alice@relay online*'
sees bob 'MEMBER lobby bob@relay online*'
sees bob 'OK JOIN lobby 2'
sees alice ':bob@relay JOIN lobby'

types alice 'MSG lobby hello, bob'
sees alice 'OK MSG lobby 1/1'
sees bob ':alice@relay MSG lobby hello, bob'
types bob 'MSG lobby hello! This is only nc?'
sees bob 'OK MSG lobby 1/1'
sees alice ':bob@relay MSG lobby hello! This is only nc[?]'
types alice 'PM bob only nc, yes'
sees alice 'OK PM bob'
sees bob ':alice@relay PM bob only nc, yes'

if [ "$once" = yes ]; then
  types bob 'QUIT'
  sees bob 'OK QUIT'
  sees alice ':bob@relay LEAVE lobby*'
  types alice 'QUIT'
  sees alice 'OK QUIT'
  echo
  say "every line arrived"
  exit 0
fi

cat <<END

The server is up, and alice and bob are still in the lobby. Your turn: open another terminal and
type this, a line at a time.

    $netcat ${address%:*} ${address##*:}
    NICK carol
    JOIN lobby
    MSG lobby hello from carol

Your lines will show up in their columns here. HELP lists what else you can type.
Ctrl-C here ends everything.

END

watch_screen() {
  while IFS= read -r line; do
    show "$1" "$line"
  done
}
watch_screen alice <&6 &
running+=($!)
watch_screen bob <&8 &
running+=($!)
trap 'echo; say "ended: the server and both netcats are gone"; exit 0' INT
wait "$server" || true
cat "$work/server.log" >&2
give_up "the server ended; its log is above."
