# shellcheck shell=bash
# Sourced by the examples that start programs of LineChat, after install.sh: builds them, keeps what is
# temporary in one folder, and sees to it that nothing outlives the script.
#
#   need_programs NAME …    notes what building them needs, where LINECHATD and LINECHAT in the
#                           environment do not say where they are; install_missing comes after it
#   build_programs NAME …   puts the path of each into a variable of that name: built in release, or
#                           what is said in the environment
#   start_server PORT       starts linechatd there (0: a free port) and puts its address into `address`
#   wait_until WHAT COMMAND …   runs the command until it succeeds; gives up after 20 seconds
#
# `work` is the folder, `running` the processes that are to end with the script.

work=$(mktemp -d)
running=()

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

# Those of the names that the environment says nothing of go to `missing`.
find_programs() {
  local name variable
  missing=()
  for name in "$@"; do
    variable=${name^^}
    if [ -n "${!variable:-}" ]; then
      printf -v "$name" '%s' "${!variable}"
    else
      missing+=("$name")
    fi
  done
}

need_programs() {
  find_programs "$@"
  [ ${#missing[@]} -eq 0 ] || need_build_tools
}

build_programs() {
  local name
  find_programs "$@"
  [ ${#missing[@]} -gt 0 ] || return 0
  need_swift
  cd "$(dirname "${BASH_SOURCE[0]}")/../.." || give_up "the examples have lost their folder"
  for name in "${missing[@]}"; do
    say "building $name (the first time takes some minutes)"
    swift build -c release --product "$name"
    printf -v "$name" '%s/%s' "$(swift build -c release --show-bin-path)" "$name"
  done
}

start_server() {
  rm -f "$work/log"
  mkfifo "$work/log"
  # In a session of its own: Ctrl-C in this terminal is for whoever has it.
  # build_programs has set it.
  # shellcheck disable=SC2154
  setsid "$linechatd" --listen "127.0.0.1:$1" --data-dir "$work/state" 2>"$work/log" &
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

# The usual port, or where that is taken one that is free; with a port of the user's, that or none.
start_server_at() {
  start_server "${1:-$2}" && return 0
  if [ -n "$1" ] || ! start_server 0; then
    cat "$work/server.log" >&2
    give_up "the server did not start; its own words are above."
  fi
}

wait_until() {
  local what=$1 deadline=$((SECONDS + 20))
  shift
  until "$@"; do
    [ $SECONDS -lt $deadline ] || give_up "it did not happen within 20 seconds: $what"
    sleep 0.05
  done
}
