#!/usr/bin/env bash
# A server and three people in the shell, each in a pane of its own, as you would have them in four
# terminals: type in one and see it in the others. Change panes with Ctrl-B and an arrow key, or with
# the mouse; Ctrl-D or /quit ends a shell. It ends with the last of them, or with Ctrl-B d.
#
#   examples/three-peers.sh            needs a terminal
#   examples/three-peers.sh --once     the same without one: they chat by themselves, the server is
#                                      killed in between, and the exit code is 0 only if every line
#                                      arrived
#
# With LINECHATD=/path/to/linechatd and LINECHAT=/path/to/linechat in the environment those are used,
# and nothing is built. Nothing outlives it.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=examples/lib/install.sh
. "$here/lib/install.sh"
# shellcheck source=examples/lib/running.sh
. "$here/lib/running.sh"

once=no
case ${1:-} in
  '') ;;
  --once) once=yes ;;
  -h | --help)
    sed -n '2,/^set/{/^set/!s/^# \{0,1\}//p}' "$0"
    exit 0
    ;;
  *) give_up "what is '$1'? The only option is --once." ;;
esac
[ $# -le 1 ] || give_up "what is '$2'? The only option is --once."
if [ "$once" = no ] && { [ ! -t 0 ] || [ ! -t 1 ]; }; then
  give_up "this is no terminal; --once shows the same without one."
fi

need tmux tmux "shows each of the three in a pane"
need_programs linechatd linechat
install_missing
build_programs linechatd linechat
# shellcheck source=examples/lib/panes.sh
. "$here/lib/panes.sh"

# The others need to know where the server is, and it must have the same place when it comes back.
start_server_at '' "$([ "$once" = yes ] && echo 0 || echo 5463)"

# build_programs has set it.
# shellcheck disable=SC2154
shell() {
  printf 'exec env -u LINECHAT_NAME %q --server %q --name %q --data-dir %q lobby' \
    "$linechat" "$address" "$1" "$work/profiles"
}

size=(-x 120 -y 48)
[ "$once" = yes ] || size=(-x "$(tput cols)" -y "$(tput lines)")
panes new-session -d -s peers "${size[@]}" "exec tail -n +1 -f $(printf %q "$work/server.log")"
panes set -g mouse on
panes set -g status off
panes set -g pane-border-status top
panes set -g pane-border-format ' #{pane_title} '
panes select-pane -t peers -T "the server's log"
for person in alice bob carol; do
  pane[$person]=$(panes split-window -t peers -P -F '#{pane_id}' "$(shell "$person")")
  panes select-pane -t "${pane[$person]}" -T "$person"
  panes select-layout -t peers tiled
done
for person in alice bob carol; do must_show "$person" 'you are in lobby'; done

# The log's pane is the first one, and stays.
shells_run() {
  [ "$(panes list-panes -t peers -F x 2>/dev/null | wc -l)" -gt 1 ]
}

shells_ended() {
  ! shells_run
}

if [ "$once" = no ]; then
  panes select-pane -t "${pane[alice]}"
  # With the last shell the server's log goes too.
  (
    while shells_run; do sleep 0.2; done
    panes kill-server 2>/dev/null || true
  ) &
  running+=($!)
  panes attach -t peers || true
  say "ended: the server and the three shells are gone"
  exit 0
fi

others() {
  local person
  for person in alice bob carol; do [ "$person" = "$1" ] || echo "$person"; done
}

# What somebody says in the group is seen by everybody, the one who said it included.
says() {
  types "$1" "$2"
  must_show "$1" "<$1> $2"
  for person in $(others "$1"); do must_show "$person" "<$1> $2"; done
  say "$1: $2"
}

must_show alice 'carol joined'
for person in alice bob carol; do says "$person" "good morning from $person"; done
types alice '/pm carol only for you'
must_show carol '[alice -> you] only for you'
if shows bob 'only for you'; then give_up "bob saw what was said to carol alone."; fi
say "alice to carol: only for you"

kill -KILL "$server"
wait "$server" 2>/dev/null || true
for person in alice bob carol; do must_show "$person" 'the server is away'; done
say "the server was killed"
for person in alice bob carol; do says "$person" "without a server, $person"; done

start_server "${address##*:}" || give_up "the server did not start again: $(cat "$work/server.log")"
for person in alice bob carol; do must_show "$person" 'the server is back'; done
say "the server is back"
for person in alice bob carol; do says "$person" "and good night from $person"; done

for person in alice bob carol; do types "$person" '/quit'; done
wait_until 'the shells end' shells_ended
say "every line arrived"
