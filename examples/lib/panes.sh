# shellcheck shell=bash
# Sourced by the examples that show shells in a terminal, after running.sh: a tmux of their own, where
# each person has a pane. Nothing of the user's tmux is touched, and none of their settings is used.
#
#   panes ARGUMENT …       tmux, with these arguments
#   types PERSON LINE      types a line and Enter
#   shows PERSON TEXT      succeeds where the text is to be seen in the pane, or was
#   must_show PERSON TEXT  waits for that
#
# `pane` has the pane of each person. One row must be long enough for each text that is looked for.

declare -A pane=()
# running.sh has set it.
# shellcheck disable=SC2154
panes_socket="$work/tmux"

panes() {
  env -u TMUX -u TMUX_PANE TERM="${TERM:-screen}" tmux -f /dev/null -S "$panes_socket" "$@"
}

# Also false for one that is dead and waits for whoever is to take note of it.
process_runs() {
  local text
  { read -r text <"/proc/$1/stat"; } 2>/dev/null && [[ $text != *') Z '* ]]
}

# A shell whose terminal goes writes down what it knows before it ends, and needs its folder for that.
end_panes() {
  # A trap may run within "IFS= read", and has its IFS then.
  local process processes IFS=$'\n'
  trap '' INT TERM HUP
  processes=$(panes list-panes -a -F '#{pane_pid}' 2>/dev/null) || true
  panes kill-server 2>/dev/null || true
  for process in $processes; do
    for _ in {1..100}; do
      process_runs "$process" || continue 2
      sleep 0.05
    done
    kill -KILL "$process" 2>/dev/null || true
  done
  clean_up
}
trap end_panes EXIT

types() {
  panes send-keys -t "${pane[$1]}" -l "$2"
  panes send-keys -t "${pane[$1]}" Enter
}

shows() {
  panes capture-pane -p -S - -t "${pane[$1]}" | grep -qF -- "$2"
}

must_show() {
  local deadline=$((SECONDS + 30))
  until shows "$1" "$2"; do
    if [ $SECONDS -ge $deadline ]; then
      panes capture-pane -p -S - -t "${pane[$1]}" >&2 || true
      give_up "$1 should have seen '$2'; the screen is above."
    fi
    sleep 0.05
  done
}
