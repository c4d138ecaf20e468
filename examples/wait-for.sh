#!/bin/sh
# Blocks until somebody says something in a group, prints that line, and ends.
#
#   wait-for.sh --group deploys --timeout 600 && ./after-deploy.sh
#
#   --group GROUP        where to listen; it is joined, and left again
#   --server HOST:PORT   default: $LINECHAT_SERVER, else 127.0.0.1:5463
#   --timeout SECONDS    default: 60; at most 86400
#
# Prints the message as it came, as in ':alice@relay MSG deploys web is out'.
# Exit code: 0 a message came; 1 none came in time; 2 wrong use; 3 the server did not answer, or
# refused (its answer is on standard error).
set -u

server=${LINECHAT_SERVER:-127.0.0.1:5463}
group=
timeout_seconds=60

fail() {
  code=$1
  shift
  printf 'wait-for.sh: %s\n' "$*" >&2
  exit "$code"
}

while [ $# -gt 0 ]; do
  case $1 in
    --server | --group | --timeout)
      [ $# -ge 2 ] || fail 2 "$1 takes a value"
      case $1 in
        --server) server=$2 ;;
        --group) group=$2 ;;
        --timeout) timeout_seconds=$2 ;;
      esac
      shift 2
      ;;
    -h | --help)
      sed -n '2,/^set/s/^# \{0,1\}//p' "$0"
      exit 0
      ;;
    *) fail 2 "what is '$1'? --help lists the options." ;;
  esac
done
case $group in
  '') fail 2 "--group is needed: where should I listen?" ;;
  *[!A-Za-z0-9_.#-]*) fail 2 "'$group' is no group: letters, digits, '_', '.' and '-' are" ;;
esac
case $timeout_seconds in
  '' | *[!0-9]* | ??????*) fail 2 "--timeout takes whole seconds, at most 86400" ;;
esac

# Any netcat will do: the QUIT at the end lets each of them end by itself.
find_netcat() {
  for netcat in nc.openbsd ncat nc.traditional nc 'busybox nc'; do
    command -v "${netcat%% *}" >/dev/null 2>&1 && return
  done
  fail 3 "there is no netcat here; Debian's package netcat-openbsd has one"
}
find_netcat

host=${server%:*}
host=${host#[}
host=${host%]}
# Two words where the netcat is busybox's, hence no quotes. The server does the waiting; the limit is
# for one that does not answer.
# shellcheck disable=SC2086
answer=$(
  printf 'JOIN %s\nWAIT %s 1\nQUIT\n' "$group" "$timeout_seconds" \
    | timeout $((timeout_seconds + 20)) $netcat "$host" "${server##*:}"
)
message=$(printf '%s\n' "$answer" | grep '^:[^ ]* MSG ' | head -n 1)
if [ -n "$message" ]; then
  printf '%s\n' "$message"
  exit 0
fi
case $answer in
  *ERR*) fail 3 "$(printf '%s\n' "$answer" | grep '^ERR' | head -n 1)" ;;
  *'OK WAIT '*) exit 1 ;;
  *) fail 3 "no answer from $server" ;;
esac
