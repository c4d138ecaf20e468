#!/bin/sh
# A bot made of sh and netcat: whoever says !uptime in its group, or PM uptime !uptime, is told for how
# long it has been there.
#
#   bot.sh --group lobby
#   bot.sh --group ops --name clock --server chat.example.net:5463
#
#   --group GROUP        where it answers; default: lobby
#   --server HOST:PORT   default: $LINECHAT_SERVER, else 127.0.0.1:5463
#   --name NAME          what it is called; default: uptime
#   --netcat COMMAND     default: the first that is there of nc.openbsd, ncat, nc.traditional, nc and
#                        'busybox nc'
#   --ping SECONDS       how often it asks the server for a sign of life; default: 20
#
# When the server goes away it tries again, after a second, then after two, up to half a minute. Ctrl-C
# or SIGTERM ends it, and what it has started.
#
# Exit code: 0 it was ended; 1 the server refused it (its answer is on standard error); 2 wrong use;
# 3 there is no netcat.
set -u

server=${LINECHAT_SERVER:-127.0.0.1:5463}
group=lobby
name=uptime
netcat=
ping_seconds=20
retry_seconds_max=30

fail() {
  code=$1
  shift
  printf 'bot.sh: %s\n' "$*" >&2
  exit "$code"
}

while [ $# -gt 0 ]; do
  case $1 in
    --server | --group | --name | --netcat | --ping)
      [ $# -ge 2 ] || fail 2 "$1 takes a value"
      case $1 in
        --server) server=$2 ;;
        --group) group=$2 ;;
        --name) name=$2 ;;
        --netcat) netcat=$2 ;;
        --ping) ping_seconds=$2 ;;
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
# A word is not to bring in another line, or another word.
for word in "$name" "$group"; do
  case $word in
    '' | *[!A-Za-z0-9_.#-]*) fail 2 "'$word' is no name: letters, digits, '_', '.' and '-' are" ;;
  esac
done
case $ping_seconds in
  '' | 0* | *[!0-9]* | ??????*) fail 2 "--ping takes whole seconds, from 1" ;;
esac

find_netcat() {
  for netcat in nc.openbsd ncat nc.traditional nc 'busybox nc'; do
    command -v "${netcat%% *}" >/dev/null 2>&1 && return
  done
  fail 3 "there is no netcat here; Debian's package netcat-openbsd has one"
}
if [ -z "$netcat" ]; then find_netcat; fi
command -v "${netcat%% *}" >/dev/null 2>&1 || fail 3 "there is no ${netcat%% *} here"

host=${server%:*}
host=${host#[}
host=${host%]}
port=${server##*:}

work=$(mktemp -d) || fail 3 "there is no room for two pipes in ${TMPDIR:-/tmp}"
mkfifo "$work/say" "$work/hear" || fail 3 "two pipes can't be made in $work"
started=$(date +%s)
connection=
heart=
pause=
is_ending=no

# Ends one that this script has started, and waits for it.
end() {
  [ -n "$1" ] || return 0
  kill "$1" 2>/dev/null
  wait "$1" 2>/dev/null
}

# The netcat may be waiting for the server, and the server for it: both are let go.
disconnect() {
  end "$heart"
  heart=
  exec 3>&- 4<&-
  end "$connection"
  connection=
}

clean_up() {
  trap '' INT TERM HUP
  end "$pause"
  # The others hear that it left, and not that its connection broke.
  if [ -n "$connection" ]; then
    say QUIT
    timeout 2 grep -q '^OK QUIT' <&4
  fi
  disconnect
  rm -rf "$work"
}
trap clean_up EXIT
trap 'is_ending=yes; exit 0' INT TERM HUP
# A netcat that has gone is noticed by reading from it.
trap '' PIPE

say() { printf '%s\n' "$1" >&3 2>/dev/null; }

connect() {
  # Two words where the netcat is busybox's, hence no quotes.
  # shellcheck disable=SC2086
  $netcat "$host" "$port" <"$work/say" >"$work/hear" 2>/dev/null &
  connection=$!
  exec 3>"$work/say" 4<"$work/hear"
  # Some netcats notice that the server has gone when they have something to say to it.
  (
    trap - INT TERM HUP
    trap 'kill "$nap" 2>/dev/null; exit' TERM
    exec 4<&-
    while :; do
      sleep "$ping_seconds" >/dev/null 2>&1 3>&- &
      nap=$!
      wait "$nap"
      printf 'PING\n' >&3 2>/dev/null || exit
    done
  ) &
  heart=$!
}

# One line that was heard. Fails where nothing more is to be expected of this connection.
hear() {
  # What is said is cut into words, and is no pattern.
  set -f
  # shellcheck disable=SC2086
  set -- $1
  set +f
  case ${1:-} in
    INFO)
      case ${2:-} in
        linechatd) say "NICK $name" && say "JOIN $group" ;;
        shutting-down) return 1 ;;
      esac
      ;;
    ERR)
      printf 'bot.sh: %s\n' "$*" >&2
      # Who was let in once comes back later; its old connection may still have its name.
      if [ "$was_in" = no ]; then
        case ${2:-} in too-many-connections | shutting-down | internal) ;; *) exit 1 ;; esac
      fi
      return 1
      ;;
    OK)
      if [ "${2:-}" = JOIN ]; then
        was_in=yes
        retry_seconds=1
        printf 'bot.sh: in %s as %s\n' "$group" "$name" >&2
      fi
      ;;
    :*@*)
      [ "${4:-}" = '!uptime' ] && [ $# -eq 4 ] || return 0
      asker=${1#:}
      asker=${asker%%@*}
      seconds=$(($(date +%s) - started))
      case $2 in
        MSG) say "MSG $3 $asker: $seconds seconds" ;;
        PM) say "PM $asker $seconds seconds" ;;
      esac
      ;;
  esac
  return 0
}

was_in=no
retry_seconds=1
while :; do
  connect
  while IFS= read -r line <&4; do hear "$line" || break; done
  [ "$is_ending" = no ] || exit 0
  disconnect
  printf 'bot.sh: no server at %s; next try in %s s\n' "$server" "$retry_seconds" >&2
  sleep "$retry_seconds" &
  pause=$!
  wait "$pause"
  pause=
  retry_seconds=$((retry_seconds * 2))
  [ "$retry_seconds" -le "$retry_seconds_max" ] || retry_seconds=$retry_seconds_max
done
