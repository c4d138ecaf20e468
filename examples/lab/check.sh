#!/usr/bin/env bash
# Does the exercises as their text says: types the commands of each into terminals of its own, and
# compares what is seen there with what is written. So the text is true, on this machine too.
#
#   examples/lab/check.sh          all of them
#   examples/lab/check.sh 3 5      these
#   examples/lab/check.sh FILE.md  an exercise of your own
#
# It uses the programs in .build/release, else those in .build/debug, or those in the folder
# LAB_PROGRAMS; ports that are free, in place of 5470 to 5479; and a temporary folder. Nothing of it is
# left. LAB_LIMIT is how many seconds a line may take to come (40), LAB_PAUSE how many are waited before
# each block, as somebody would who reads and thinks (0).
#
# What it reads in a file:
#   Terminal **NAME**   the blocks behind this, marked as `console`, are that terminal
#   $ COMMAND           typed at the shell's prompt, when that is there
#   > TEXT              typed into the program that runs there
#   ^C                  Ctrl-C; at the end of the block the prompt is back
#   …                   other lines may come here; empty ones count nowhere
#   anything else       the next line that is seen there, exactly; {time} is any time, {…} any text, and
#                       {word} a word that differs from run to run: the same name, the same word
# At the end of a file each terminal is at its prompt, and has shown nothing else.
set -uo pipefail
export LC_ALL=C.UTF-8

# There is no $(command) where a signal may come: bash 5.2 now and then loses one that comes in there, as
# it reads the trap's command as part of the substitution.

here=$(cd "$(dirname "$0")" && pwd)
# How long a line may take to come; a loaded machine is slow.
limit=${LAB_LIMIT:-40}
pause=${LAB_PAUSE:-0}
# Printed by a terminal's shell where its prompt would be.
mark=$'\001'

# What the terminals are, by their names.
declare -A typing=() screen=() process=() session=() at_prompt=() may_say_more=() shown=()
# What the words in braces were.
declare -A words=()
work=
ports=
exercise=
line_number=0

# Called by a trap, which the checker does not see.
# shellcheck disable=SC2317
clean_up() {
  trap '' INT TERM HUP
  end_terminals
  give_back
}

give_up() {
  printf 'check.sh: %s\n' "$*" >&2
  exit 2
}

# Says what is wrong where, and what each terminal has shown.
fail() {
  {
    printf '%s:%s: %s\n' "$exercise" "$line_number" "$1"
    shift
    [ $# -eq 0 ] || printf '  %s\n' "$@"
    for name in "${!shown[@]}"; do
      printf -- '--- terminal %s\n%s' "$name" "${shown[$name]}"
    done
  } >&2
  exit 1
}

# MARK: Terminals

# The processes of a session in `found`, by /proc: state, parent, group and session stand behind the name.
find_processes_of() {
  # A trap may run within "IFS= read", and has its IFS then.
  local file text IFS=' '
  found=()
  for file in /proc/[0-9]*/stat; do
    { read -r text <"$file"; } 2>/dev/null || continue
    # The words are meant to be split.
    # shellcheck disable=SC2086
    set -- "$1" ${text##*) }
    if [ "${5:-}" = "$1" ]; then
      file=${file#/proc/}
      found+=("${file%/stat}")
    fi
  done
}

# A shell in a terminal of its own, as it is after enter.sh.
open_terminal() {
  local name=$1 in out descriptor number=${1:1}
  mkfifo "$work/$name.in" "$work/$name.out"
  (
    # Whoever has another terminal's input open would keep it from ending.
    for descriptor in "${typing[@]}" "${screen[@]}"; do exec {descriptor}>&-; done
    cd "$here/../.." || exit
    export PS1='' PS2='' PROMPT_COMMAND="printf '\\001\\n'" TERM=dumb HISTFILE=
    exec socat -t 0 - \
      'EXEC:bash --norc --noprofile --noediting -i,pty,setsid,ctty,stderr,echo=0,onlcr=0' \
      <"$work/$name.in" >"$work/$name.out" 2>"$work/$name.errors"
  ) &
  process[$name]=$!
  # Both ways, so that neither the opening nor a write depends on whether it lives.
  exec {in}<>"$work/$name.in" {out}<>"$work/$name.out"
  typing[$name]=$in
  screen[$name]=$out
  shown[$name]=
  may_say_more[$name]=
  at_prompt[$name]=
  await_prompt "$name"
  type_into "$name" "echo \$\$"
  next_line "$name" || fail "terminal $name did not start" "$(cat "$work/$name.errors")"
  number=$line
  session[$name]=$number
  await_prompt "$name"
  type_into "$name" ". examples/lab/enter.sh $folder"
  await_prompt "$name"
  shown[$name]=
}

type_into() {
  at_prompt[$1]=
  may_say_more[$1]=
  shown[$1]+="> $2"$'\n'
  printf '%s\n' "$2" >&"${typing[$1]}"
}

# The next line of a terminal in `line`; fails where it is the prompt, or none comes.
next_line() {
  [ -z "${at_prompt[$1]}" ] || return 1
  line=
  while [ -z "$line" ]; do
    if ! IFS= read -r -t "$limit" -u "${screen[$1]}" line; then
      fail "terminal $1 shows nothing more for $limit seconds"
    fi
    line=${line%$'\r'}
  done
  if [ "$line" = "$mark" ]; then
    at_prompt[$1]=yes
    return 1
  fi
  shown[$1]+="$line"$'\n'
}

# Nothing else may be shown before.
await_prompt() {
  while next_line "$1"; do
    [ -n "${may_say_more[$1]}" ] || fail "terminal $1 shows a line that is not written" "$line"
  done
}

end_terminals() {
  local name one found signal
  for name in "${!typing[@]}"; do
    one=${typing[$name]}
    exec {one}>&-
    one=${screen[$name]}
    exec {one}<&-
  done
  for name in "${!process[@]}"; do
    for signal in HUP TERM KILL; do
      for _ in {1..50}; do
        find_processes_of "${session[$name]:-none}"
        [ ${#found[@]} -gt 0 ] || break 2
        kill "-$signal" "${found[@]}" 2>/dev/null
        sleep 0.1
      done
    done
  done
  # The one started last may not have been noted, as the end came in that moment.
  for one in "${process[@]}" "${!:-}"; do kill "$one" 2>/dev/null; done
  wait
  typing=() screen=() process=() session=() at_prompt=() may_say_more=() shown=()
}

# MARK: What is written

# The text with this run's ports.
with_ports() {
  local digit
  text=$1
  for digit in {0..9}; do text=${text//547$digit/$((port + digit))}; done
}

# Turns a written line into a regular expression in `pattern`, and the names of the words that it has
# in `names`.
make_pattern() {
  local rest=$1 before name
  pattern='^'
  names=()
  while [[ $rest =~ ^([^{]*\{*)\{([a-z][a-z0-9]*|…)\}(.*)$ ]]; do
    before=${BASH_REMATCH[1]}
    name=${BASH_REMATCH[2]}
    rest=${BASH_REMATCH[3]}
    quote "$before"
    if [ "$name" = time ]; then
      pattern+='[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}\.[0-9]{6}Z'
    elif [ "$name" = … ]; then
      pattern+='.*'
    elif [ -n "${words[$name]:-}" ]; then
      quote "${words[$name]}"
    else
      pattern+='([^] ;,"()]+)'
      names+=("$name")
    fi
  done
  quote "$rest"
  pattern+='$'
}

# Adds text that stands for itself to `pattern`.
quote() {
  local quoted=$1 special
  for special in \\ . '[' ']' '*' ^ '$' + '?' '(' ')' '{' '}' '|'; do
    quoted=${quoted//"$special"/"\\$special"}
  done
  pattern+=$quoted
}

# Whether `line` is the written one; takes the words that are new from it.
matches() {
  local number name word
  local -A new=()
  [[ $line =~ $pattern ]] || return 1
  for ((number = 0; number < ${#names[@]}; number++)); do
    name=${names[number]}
    word=${BASH_REMATCH[number + 1]}
    [ "${new[$name]:-$word}" = "$word" ] || return 1
    new[$name]=$word
  done
  for name in "${!new[@]}"; do words[$name]=${new[$name]}; done
}

expect() {
  local name=$1 text pattern names
  with_ports "$2"
  make_pattern "$text"
  while next_line "$name"; do
    if matches; then
      may_say_more[$name]=
      return
    fi
    [ -n "${may_say_more[$name]}" ] \
      || fail "terminal $name shows something else" "written: $text" "shown:   $line"
  done
  fail "terminal $name is at its prompt, and has not shown this" "written: $text"
}

# What a person types may name words that were seen before.
fill_in() {
  local name
  with_ports "$1"
  for name in "${!words[@]}"; do text=${text//"{$name}"/${words[$name]}}; done
}

do_line() {
  local name=$1 text
  case $2 in
    '$ '*)
      fill_in "${2#'$ '}"
      await_prompt "$name"
      type_into "$name" "$text"
      ;;
    '> '*)
      [ -z "${at_prompt[$name]}" ] || fail "no program runs in terminal $name to type this into"
      fill_in "${2#'> '}"
      type_into "$name" "$text"
      ;;
    '^C')
      [ -z "${at_prompt[$name]}" ] || fail "no program runs in terminal $name to be ended"
      printf '\003' >&"${typing[$name]}"
      is_ending=yes
      ;;
    '') ;;
    '…') may_say_more[$name]=yes ;;
    *) expect "$name" "$2" ;;
  esac
}

begin_block() {
  [ -n "$1" ] || fail "which terminal is this block? Write: Terminal **alice**"
  [ -n "${typing[$1]:-}" ] || open_terminal "$1"
  # What is waited for never comes; unlike a sleep, this ends when the check is ended.
  [ "$pause" = 0 ] || read -r -t "$pause" <> <(:)
}

# Reads a file, and does what it says.
do_file() {
  local text name='' inside='' is_ending='' commands=0
  while IFS= read -r text || [ -n "$text" ]; do
    line_number=$((line_number + 1))
    if [ -z "$inside" ]; then
      if [[ $text =~ ^\`\`\`(.*)$ ]]; then
        inside=${BASH_REMATCH[1]:-text}
        [ "$inside" != console ] || begin_block "$name"
      elif [[ $text =~ ^Terminal\ \*\*([a-z][a-z0-9]*)\*\* ]]; then
        name=${BASH_REMATCH[1]}
      fi
    elif [ "$text" = '```' ]; then
      [ -z "$is_ending" ] || await_prompt "$name"
      is_ending=
      inside=
    elif [ "$inside" = console ]; then
      do_line "$name" "$text"
      commands=$((commands + 1))
    fi
  done <"$1"
  [ "$commands" -gt 0 ] || fail "there is nothing to do in it"
  line_number=end
  for name in "${!typing[@]}"; do
    await_prompt "$name"
  done
}

# MARK: Surroundings

# Ten ports in a row that nobody listens on, below those that the system hands out. A folder says to
# other checks that they are taken, as nobody listens there yet.
find_ports() {
  local number
  while true; do
    port=$((10000 + SRANDOM % 2200 * 10))
    for number in {0..9}; do
      ! (exec 3<>"/dev/tcp/127.0.0.1/$((port + number))") 2>/dev/null || continue 2
    done
    ports=/tmp/linechat-lab-ports.$port
    ! mkdir "$ports" 2>/dev/null || return
  done
}

give_back() {
  [ -z "$work" ] || rm -rf "$work"
  [ -z "$ports" ] || rmdir "$ports"
  work=
  ports=
}

check() {
  local started=$SECONDS left
  exercise=$1
  line_number=0
  words=()
  folder=1
  [[ ${1##*/} =~ ^([1-6])- ]] && folder=${BASH_REMATCH[1]}
  work=${TMPDIR:-/tmp}/linechat-lab.$SRANDOM
  if ! mkdir -m 700 "$work"; then
    work=
    exit 2
  fi
  find_ports
  export LAB_FOLDER=$work/lab LAB_PORT=$port
  do_file "$1"
  end_terminals
  for left in "$work/lab"/*; do
    [ ! -e "$left" ] || fail "its folder is still there" "$left"
  done
  give_back
  printf '%s: as it is written (%s s)\n' "${1##*/}" $((SECONDS - started))
}

files=()
for argument; do
  case $argument in
    -h | --help)
      sed -n '2,/^set/s/^# \{0,1\}//p' "$0"
      exit 0
      ;;
    [1-9]) files+=("$here/$argument"-*.md) ;;
    *) files+=("$argument") ;;
  esac
done
[ ${#files[@]} -gt 0 ] || files=("$here"/[0-9]-*.md)
for file in "${files[@]}"; do
  [ -r "$file" ] || give_up "there is no exercise $file"
done
for command in socat nc.openbsd; do
  command -v "$command" >/dev/null || give_up "there is no $command: apt-get install socat netcat-openbsd"
done

trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP
for file in "${files[@]}"; do check "$file"; done
