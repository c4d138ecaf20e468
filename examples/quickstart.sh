#!/usr/bin/env bash
# The first look at LineChat: builds it, starts the server, lets two people with nothing but netcat
# chat through it, so that you see what each of them sees, and then puts you into the shell with one
# of them.
#
#   examples/quickstart.sh             ends with /quit or Ctrl-D in the shell
#   examples/quickstart.sh --once      ends by itself; exit code 0 only if every line arrived
#   examples/quickstart.sh --port N    listens there, instead of on 5463 or a free port
#
# With LINECHATD=/path/to/linechatd and LINECHAT=/path/to/linechat in the environment those are used,
# and nothing is built.
#
# Nothing outlives it: the server, the netcats, the shell and the temporary folder go when it ends.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=examples/lib/install.sh
. "$here/lib/install.sh"
# shellcheck source=examples/lib/running.sh
. "$here/lib/running.sh"

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
need_programs linechatd linechat
install_missing
find_netcat || give_up "still no netcat after installing one"
build_programs linechatd linechat

usual_port=5463
[ "$once" = no ] || usual_port=0
start_server_at "$port" "$usual_port"
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
  setsid "$netcat" "${address%:*}" "${address##*:}" <"$work/$1.in" >"$work/$1.out" 2>&1 &
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
  say "and carol says something with the shell, from a pipe"
  # build_programs has set it.
  # shellcheck disable=SC2154
  "$linechat" --server "$address" --name carol --data-dir "$work/profiles" lobby \
    <<<'hello from a pipe' >"$work/carol" 2>&1 || give_up "it says: $(cat "$work/carol")"
  for person in alice bob; do
    sees "$person" ':carol@relay JOIN lobby'
    sees "$person" ':carol@relay MSG lobby hello from a pipe'
    sees "$person" ':carol@relay LEAVE lobby*'
  done
  types bob 'QUIT'
  sees bob 'OK QUIT'
  sees alice ':bob@relay LEAVE lobby*'
  types alice 'QUIT'
  sees alice 'OK QUIT'
  echo
  say "every line arrived"
  exit 0
fi

types alice 'QUIT'
sees alice 'OK QUIT'
sees bob ':alice@relay LEAVE lobby*'

# From here on bob answers by himself: with the line that he got.
answer() {
  trap '' INT
  while IFS= read -r line; do
    case $line in
      ':'*' MSG lobby '*) printf 'MSG lobby my netcat shows: %s\n' "$line" >&7 ;;
      ':'*' PM bob '*)
        sender=${line#:}
        printf 'PM %s my netcat shows: %s\n' "${sender%%@*}" "$line" >&7
        ;;
    esac
  done
}
answer <&8 &
running+=($!)

cat <<END

Now you. bob is still there with his netcat, and answers with what it shows him. Type

    hello               and it is said in the lobby
    /members            who is there, and where
    /pm bob psst        to bob alone; TAB completes his name, and everything else
    /help               what else there is
    /quit               ends all of this

From other terminals, as long as this runs:

    $(printf '%-18s' "$netcat ${address%:*} ${address##*:}")  then NICK dave and JOIN lobby
    $linechat --server $address --name erin lobby

END

if [ ! -t 0 ] || [ ! -t 1 ]; then
  trap 'echo; say "ended: the server and the netcats are gone"; exit 0' INT
  say "this is no terminal, so there is no shell here; Ctrl-C ends the server"
  wait "$server" || true
  cat "$work/server.log" >&2
  give_up "the server ended; its log is above."
fi
# In the shell Ctrl-C is a key like others, and no reason to end.
trap : INT
"$linechat" --server "$address" --data-dir "$work/profiles" lobby || give_up "the shell ended so: $?"
say "ended: the server, the netcats and what they kept are gone"
