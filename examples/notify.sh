#!/bin/sh
# Says one thing in a group and ends: an alert from a script.
#
#   notify.sh --group ops disk is full on db3
#   df -h / | notify.sh --group ops --name db3 --server chat.example.net:5463
#
#   --group GROUP        where to say it
#   --server HOST:PORT   default: $LINECHAT_SERVER, else 127.0.0.1:5463
#   --name NAME          who says it; default: notify
#
# The text is what follows, or else standard input. It may hold anything: newlines become spaces,
# what LineChat refuses (control characters, what is not UTF-8) is taken out, and what is longer
# than 4,000 bytes is cut, with an ellipsis.
#
# Exit code: 0 somebody has it, or it is kept for somebody who is away; 1 it was refused, or nobody is
# there (the server's answer is on standard error); 2 wrong use, or nothing left to say; 3 the server
# did not answer.
set -u

server=${LINECHAT_SERVER:-127.0.0.1:5463}
name=notify
group=
text_bytes_max=4000
answer_within_seconds=20

fail() {
  code=$1
  shift
  printf 'notify.sh: %s\n' "$*" >&2
  exit "$code"
}

while [ $# -gt 0 ]; do
  case $1 in
    --server | --name | --group)
      [ $# -ge 2 ] || fail 2 "$1 takes a value"
      case $1 in
        --server) server=$2 ;;
        --name) name=$2 ;;
        --group) group=$2 ;;
      esac
      shift 2
      ;;
    -h | --help)
      sed -n '2,/^set/s/^# \{0,1\}//p' "$0"
      exit 0
      ;;
    --)
      shift
      break
      ;;
    --*) fail 2 "what is '$1'? --help lists the options." ;;
    *) break ;;
  esac
done
[ -n "$group" ] || fail 2 "--group is needed: where should it be said?"

# Any netcat will do: the QUIT at the end lets each of them end by itself.
find_netcat() {
  for netcat in nc.openbsd ncat nc.traditional nc 'busybox nc'; do
    command -v "${netcat%% *}" >/dev/null 2>&1 && return
  done
  fail 3 "there is no netcat here; Debian's package netcat-openbsd has one"
}
find_netcat

# Bytes in, one line of what LineChat accepts out. First the ASCII controls go, then what is not
# UTF-8 (by way of UTF-16, as iconv alone lets sequences of six bytes through), then the characters
# beyond ASCII that are refused: U+0080 to U+009F, U+2028 to U+202E, U+2066 to U+2069.
one_clean_line() {
  tr '\n\r' '  ' | tr -d '\000-\010\013\014\016-\037\177' \
    | iconv -c -f UTF-8 -t UTF-16LE 2>/dev/null | iconv -c -f UTF-16LE -t UTF-8 \
    | LC_ALL=C sed 's/\xc2[\x80-\x9f]//g; s/\xe2\x80[\xa8-\xae]//g; s/\xe2\x81[\xa6-\xa9]//g
                    s/ *$//'
}

text() {
  if [ $# -gt 0 ]; then printf '%s' "$*"; else head -c 65536; fi
}

# A word is not to bring in another line, or another word.
for word in "$name" "$group"; do
  case $word in
    '' | *[!A-Za-z0-9_.#-]*) fail 2 "'$word' is no name: letters, digits, '_', '.' and '-' are" ;;
  esac
done

said=$(text "$@" | one_clean_line)
if [ "$(printf '%s' "$said" | wc -c)" -gt "$text_bytes_max" ]; then
  said=$(printf '%s' "$said" | head -c "$text_bytes_max" | iconv -c -f UTF-8 -t UTF-8 2>/dev/null)…
fi
[ -n "$said" ] || fail 2 "nothing to say: the text is empty"

host=${server%:*}
host=${host#[}
host=${host%]}
# Two words where the netcat is busybox's, hence no quotes.
# shellcheck disable=SC2086
answer=$(
  printf 'NICK %s\nMSG %s %s\nQUIT\n' "$name" "$group" "$said" \
    | timeout "$answer_within_seconds" $netcat "$host" "${server##*:}"
)
answered() {
  printf '%s\n' "$answer" | grep -q "$1"
}
answered '^OK MSG [^ ]* [1-9]' && exit 0
answered '^OK MSG [^ ]* 0/[0-9]* kept ' && exit 0
answered '^OK MSG ' && fail 1 "nobody is in $group to hear it"
answered '^ERR' && fail 1 "$(printf '%s\n' "$answer" | grep '^ERR' | tail -n 1)"
fail 3 "no answer from $server"
