#!/usr/bin/env bash
# Makes the picture of the shell that is in the README: a real conversation in a real terminal of 78
# columns, with a server, a second shell and a netcat.
#
#   examples/screen.sh             prints it
#   examples/screen.sh --readme    puts it into README.md
#
# With LINECHATD=/path/to/linechatd and LINECHAT=/path/to/linechat in the environment those are used,
# and nothing is built. Nothing outlives it.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=examples/lib/install.sh
. "$here/lib/install.sh"
# shellcheck source=examples/lib/running.sh
. "$here/lib/running.sh"

readme=
case ${1:-} in
  '') ;;
  --readme) readme=$here/../README.md ;;
  -h | --help)
    sed -n '2,/^set/{/^set/!s/^# \{0,1\}//p}' "$0"
    exit 0
    ;;
  *) give_up "what is '$1'? The only option is --readme." ;;
esac

need tmux tmux "is the terminal whose screen is shown"
need nc.openbsd netcat-openbsd "one of the members has nothing else"
need_programs linechatd linechat
install_missing
build_programs linechatd linechat
# shellcheck source=examples/lib/panes.sh
. "$here/lib/panes.sh"
start_server_at '' 5463

# Without what is left at its end: a prompt shows what is typed, and nothing else.
picture() {
  panes capture-pane -p -t "${pane[alice]}" | sed 's/ *$//' | sed -e :a -e '/^\n*$/{$d;N;ba' -e '}'
}

# build_programs has set it.
# shellcheck disable=SC2154
open_shell() {
  local command
  printf -v command 'exec env -u LINECHAT_NAME TZ=UTC %q --server %q --name %q --data-dir %q lobby' \
    "$linechat" "$address" "$1" "$work/profiles"
  panes new-session -d -s "$1" -x 78 -y 24 "$command"
  pane[$1]=$(panes list-panes -t "$1" -F '#{pane_id}')
  must_show "$1" 'you are in lobby'
}

open_shell alice
open_shell bob
must_show alice 'bob joined'
types bob 'good morning, alice! Anything from the night shift?'
must_show alice 'night shift?'
types alice 'bob: all quiet. The disk of db3 has a day left.'
must_show bob 'a day left.'
mkfifo "$work/netcat"
nc.openbsd "${address%:*}" "${address##*:}" <"$work/netcat" >"$work/netcat.out" &
running+=($!)
exec 5>"$work/netcat"
printf 'NICK cron\nJOIN lobby\nJOIN ops\n' >&5
must_show alice 'cron joined'
types alice '/join ops'
must_show alice 'you are in ops with cron'
printf 'MSG ops db3: / is at 91 %%\n' >&5
must_show alice 'is at 91 %'
types bob 'alice: coffee?'
must_show alice 'coffee?'
types alice '/pm bob in five minutes'
must_show bob 'in five minutes'
types bob '/msg alice see you there'
must_show alice 'see you there'
types alice '/members lobby'
must_show alice 'lobby: 3 members'
panes send-keys -t "${pane[alice]}" -l 'on it'

has_typed() {
  picture | tail -n 1 | grep -q 'on it$'
}
wait_until 'the line is typed' has_typed

[ -n "$readme" ] || {
  picture
  exit 0
}
{
  printf '```\n'
  picture
  printf '```\n'
} >"$work/picture"
sed -i -e "/<!-- screen -->/,/<!-- end of screen -->/{/<!-- screen -->/r $work/picture
/<!--/!d}" "$readme"
say "README.md has the screen as it is now"
