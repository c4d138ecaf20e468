# shellcheck shell=sh
# Makes a terminal one of an exercise. In each terminal, at the top of the repository:
#
#   . examples/lab/enter.sh 3
#
# The programs are found from here on, they use the ports from 5470 on and a folder of the exercise,
# and that is where the terminal is then. Neither a server of yours nor your profiles are touched.
#
# For those who check the exercises by program, in the environment: LAB_PROGRAMS, the folder of
# linechat and linechatd; LAB_FOLDER, where the exercises' folders are made; LAB_PORT, the first of
# ten ports.

# Returns from here with a failure, and does not end the terminal.
lab_enter() {
  case ${1:-} in
    [1-6]) ;;
    *)
      echo "which exercise? One of 1 to 6: . examples/lab/enter.sh 3" >&2
      return 1
      ;;
  esac
  if ! [ -f examples/lab/enter.sh ]; then
    echo "go to the top of the repository first: that is where examples/lab is" >&2
    return 1
  fi
  for lab_programs in "${LAB_PROGRAMS:-}" "$PWD/.build/release" "$PWD/.build/debug" ''; do
    [ -x "$lab_programs/linechat" ] && [ -x "$lab_programs/linechatd" ] && break
  done
  if [ -z "$lab_programs" ]; then
    echo "linechat and linechatd are not built yet: swift build" >&2
    return 1
  fi
  for lab_command in nc.openbsd socat; do
    if ! command -v "$lab_command" >/dev/null; then
      echo "there is no $lab_command here: sudo apt-get install netcat-openbsd socat" >&2
      return 1
    fi
  done

  # What you have set for programs of your own is not for these.
  for lab_name in $(env | sed -n 's/^\(LINECHATD\{0,1\}_[A-Z_]*\)=.*/\1/p'); do
    unset "$lab_name"
  done
  lab_parent=${LAB_FOLDER:-/tmp/linechat-lab-$(id -u)}
  (umask 077 && mkdir -p "$lab_parent/$1") || return 1
  if ! [ -O "$lab_parent" ] || [ -L "$lab_parent" ]; then
    echo "$lab_parent is not yours; name another folder: export LAB_FOLDER=$HOME/lab" >&2
    return 1
  fi
  LAB=$lab_parent/$1
  cd "$LAB" || return 1
  export LAB
  export LINECHATD_LISTEN="127.0.0.1:${LAB_PORT:-5470}" LINECHATD_DATA_DIR="$LAB/server"
  export LINECHAT_SERVER="127.0.0.1:${LAB_PORT:-5470}" LINECHAT_DATA_DIR="$LAB"
  case :$PATH: in
    *:"$lab_programs":*) ;;
    *) PATH=$lab_programs:$PATH ;;
  esac
  # Other netcats know no -U.
  nc() { nc.openbsd "$@"; }
}

lab_enter "$@"
