#!/bin/sh
# A plugin for Nagios and Icinga: is the server there, how busy is it, and is who should be in a group
# in it? One line on standard output, with performance data behind the bar.
#
#   nagios-check.sh --server chat.example.net:5463 -w connections=8000 -c connections=9500
#   nagios-check.sh --group ops --at-least 2
#
#   --server HOST:PORT   default: $LINECHAT_SERVER, else 127.0.0.1:5463
#   --timeout SECONDS    how long the server may take to answer everything; default: 10
#   -w KEY=NUMBER        a warning where the server's STATS say more than that for this key; may be
#                        repeated. Keys are connections, names, groups, slow-consumers, bytes-pending
#                        and others: echo STATS | nc HOST PORT lists them. The key time is the answer's,
#                        in milliseconds
#   -c KEY=NUMBER        the same, critical
#   --group GROUP        counts the group's members
#   --at-least NUMBER    critical where they are fewer
#   --netcat COMMAND     default: the first that is there of nc.openbsd, ncat, nc.traditional, nc and
#                        'busybox nc'
#
# Exit code: 0 all is well; 1 warning; 2 critical, or there is no such server; 3 unknown: wrong use, or
# no netcat.
set -u

server=${LINECHAT_SERVER:-127.0.0.1:5463}
timeout_seconds=10
warnings=
criticals=
group=
at_least=
netcat=

end() {
  code=$1
  shift
  case $code in
    0) printf 'LINECHAT OK - %s\n' "$*" ;;
    1) printf 'LINECHAT WARNING - %s\n' "$*" ;;
    2) printf 'LINECHAT CRITICAL - %s\n' "$*" ;;
    *) printf 'LINECHAT UNKNOWN - %s\n' "$*" ;;
  esac
  exit "$code"
}

# Up to eighteen digits: what sh can count with.
is_number() {
  case $1 in '' | *[!0-9]* | ???????????????????*) return 1 ;; esac
}

threshold() {
  case ${1%%=*} in
    '' | *[!a-z-]*) end 3 "'$1' is no threshold; write connections=100 or the like" ;;
  esac
  is_number "${1#*=}" || end 3 "'$1' is no threshold; write connections=100 or the like"
}

while [ $# -gt 0 ]; do
  case $1 in
    --server | --timeout | -w | --warning | -c | --critical | --group | --at-least | --netcat)
      [ $# -ge 2 ] || end 3 "$1 takes a value"
      case $1 in
        --server) server=$2 ;;
        --timeout) timeout_seconds=$2 ;;
        -w | --warning) threshold "$2" && warnings="$warnings $2" ;;
        -c | --critical) threshold "$2" && criticals="$criticals $2" ;;
        --group) group=$2 ;;
        --at-least) at_least=$2 ;;
        --netcat) netcat=$2 ;;
      esac
      shift 2
      ;;
    -h | --help)
      sed -n '2,/^set/s/^# \{0,1\}//p' "$0"
      exit 0
      ;;
    *) end 3 "what is '$1'? --help lists the options." ;;
  esac
done
case $timeout_seconds in
  '' | 0* | *[!0-9]* | ?????*) end 3 "--timeout takes whole seconds, from 1 to 9999" ;;
esac
case $group in
  *[!A-Za-z0-9_.#-]*) end 3 "'$group' is no group: letters, digits, '_', '.' and '-' are" ;;
esac
if [ -n "$at_least" ]; then
  is_number "$at_least" || end 3 "--at-least takes a number"
  [ -n "$group" ] || end 3 "--at-least needs a --group"
fi

find_netcat() {
  for netcat in nc.openbsd ncat nc.traditional nc 'busybox nc'; do
    command -v "${netcat%% *}" >/dev/null 2>&1 && return
  done
  end 3 "there is no netcat here; Debian's package netcat-openbsd has one"
}
if [ -z "$netcat" ]; then find_netcat; fi
command -v "${netcat%% *}" >/dev/null 2>&1 || end 3 "there is no ${netcat%% *} here"

# In milliseconds, where date can tell them.
now() {
  nanoseconds=$(date +%s%N)
  is_number "${nanoseconds%??????}" || nanoseconds=$(date +%s)000000000
  printf '%s\n' "${nanoseconds%??????}"
}

host=${server%:*}
host=${host#[}
host=${host%]}
requests='STATS\n'
[ -z "$group" ] || requests="${requests}MEMBERS $group\\n"
began=$(now)
# Two words where the netcat is busybox's, hence no quotes; the group has no % in it.
# shellcheck disable=SC2086,SC2059
answer=$(
  printf "${requests}QUIT\\n" \
    | timeout "$timeout_seconds" $netcat "$host" "${server##*:}" 2>/dev/null
)
took=$(($(now) - began))
[ "$took" -ge 0 ] || took=0

# The lines of the answer that a pattern matches.
lines() { printf '%s\n' "$answer" | grep "$1"; }

if [ -z "$answer" ]; then
  [ "$took" -lt "$((timeout_seconds * 1000))" ] \
    || end 2 "no answer from $server within $timeout_seconds s"
  end 2 "no answer from $server: nobody listens there, or it hangs up"
fi
if ! lines '^INFO linechatd ' >/dev/null; then
  refusal=$(lines '^ERR ' | head -n 1 | tr -d '|')
  [ -z "$refusal" ] || end 2 "$server says: $refusal"
  end 2 "what answers at $server is no linechatd"
fi
lines '^OK STATS' >/dev/null || end 2 "$server did not answer STATS within $timeout_seconds s"

value() {
  if [ "$1" = time ]; then
    printf '%s\n' "$took"
  else
    lines "^STAT $1 [0-9]" | sed 's/^STAT [^ ]* //' | head -n 1
  fi
}

limit() {
  found=
  # Words, each of them KEY=NUMBER.
  for one in $2; do [ "${one%%=*}" != "$1" ] || found=${one#*=}; done
  printf '%s' "$found"
}

code=0
trouble=
worse() {
  [ "$code" -ge "$1" ] || code=$1
  trouble="${trouble:+$trouble, }$2"
}

data="time=${took}ms;$(limit time "$warnings");$(limit time "$criticals");0"
for key in connections names groups slow-consumers bytes-pending bytes-kept; do
  keys="${keys:-time} $key"
done
for threshold in $warnings $criticals; do
  case " $keys " in *" ${threshold%%=*} "*) ;; *) keys="$keys ${threshold%%=*}" ;; esac
done
for key in $keys; do
  number=$(value "$key")
  warning=$(limit "$key" "$warnings")
  critical=$(limit "$key" "$criticals")
  if [ -z "$number" ]; then
    [ -z "$warning$critical" ] || end 3 "the server's STATS have no $key"
    continue
  fi
  if [ -n "$critical" ] && [ "$number" -gt "$critical" ]; then
    worse 2 "$key is $number, more than $critical"
  elif [ -n "$warning" ] && [ "$number" -gt "$warning" ]; then
    worse 1 "$key is $number, more than $warning"
  fi
  [ "$key" = time ] && continue
  case $key in bytes-*) unit=B ;; *) unit= ;; esac
  data="$data $key=$number$unit;$warning;$critical;0"
done

about="$(lines '^INFO linechatd ' | head -n 1 | cut -d ' ' -f 3) answered in $took ms"
about="$about, $(value connections) connections"
if [ -n "$group" ]; then
  members=$(lines '^OK MEMBERS ' | head -n 1 | sed 's/.* //')
  if [ -z "$members" ]; then
    lines '^ERR no-such-group MEMBERS ' >/dev/null \
      || end 2 "$server did not say who is in $group"
    members=0
  fi
  about="$about, $members in $group"
  data="$data members=$members;;${at_least:+$at_least:};0"
  if [ -n "$at_least" ] && [ "$members" -lt "$at_least" ]; then
    worse 2 "$members in $group, fewer than $at_least"
  fi
fi
end "$code" "${trouble:+$trouble; }linechatd $about | $data"
