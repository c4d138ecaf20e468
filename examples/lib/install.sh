# shellcheck shell=sh
# Sourced by Tests/run.sh and examples/quickstart.sh: finds out what is missing on this machine and
# installs it from Debian's packages, saying what and why. Plain sh; nothing here runs by itself.
#
#   need COMMAND PACKAGE WHY   notes PACKAGE as wanted if there is no such command (or file: a name
#                              with a slash in it)
#   install_missing            installs what was noted; does nothing, at once, if nothing was
#   need_swift                 ends the script unless Swift 6.2 or later answers

missing_packages=

say() {
  printf '== %s\n' "$*"
}

give_up() {
  printf '%s: %s\n' "$(basename "$0")" "$1" >&2
  shift
  for line in "$@"; do
    printf '  %s\n' "$line" >&2
  done
  exit 1
}

need() {
  case $1 in
    */*) [ -e "$1" ] && return 0 ;;
    *) command -v "$1" >/dev/null 2>&1 && return 0 ;;
  esac
  case " $missing_packages " in
    *" $2 "*) return 0 ;;
  esac
  say "missing: $1 ($3); it is in Debian's package $2"
  missing_packages="$missing_packages $2"
}

install_missing() {
  [ -n "$missing_packages" ] || return 0
  wanted=${missing_packages# }

  if ! command -v apt-get >/dev/null 2>&1; then
    give_up "there is no apt-get on this machine, so these are yours to install: $wanted" \
      "The names are Debian's. On another system, install the same programs under its names," \
      "then run this again."
  fi

  as_root=
  if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null 2>&1; then
      give_up "installing needs root, and there is no sudo. Ask somebody who has the right to run:" \
        "apt-get update && apt-get install $wanted"
    fi
    as_root=sudo
    if ! sudo -n true 2>/dev/null && ! [ -t 0 ]; then
      give_up "installing needs root, and sudo asks for a password here. Run this in a terminal:" \
        "sudo apt-get update && sudo apt-get install $wanted"
    fi
  fi

  say "installing with apt-get: $wanted"
  apt_options='-qq -o DPkg::Lock::Timeout=120 -o Dpkg::Use-Pty=0'
  # The words of these lists are meant to be split: they are options and package names.
  # shellcheck disable=SC2086
  $as_root apt-get $apt_options update \
    || give_up "apt-get update failed; its own words are above."
  # shellcheck disable=SC2086
  $as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get $apt_options install -y --no-install-recommends $wanted >/dev/null \
    || give_up "apt-get could not install all of: $wanted"
  missing_packages=
}

# What a Swift toolchain leans on besides itself: libraries of its own programs, and for what it
# builds the C library's headers, the C++ library, a linker, and git for the dependencies.
need_build_tools() {
  need git git "swift build fetches the packages it depends on with it"
  need /etc/ssl/certs/ca-certificates.crt ca-certificates "git fetches over HTTPS"
  need ld binutils "Swift links with it"
  need g++ g++ "Swift links against the C++ library that comes with it"
  need /usr/include/stdio.h libc6-dev "the C library's headers"
  need /usr/include/readline/readline.h libreadline-dev "the shell's lines are edited with GNU readline"
  need_library libsqlite3.so.0 libsqlite3-0
  need_library libncurses.so.6 libncurses6
  need_library libcurl.so.4 libcurl4
  need_library libxml2.so.2 libxml2
}

need_library() {
  /sbin/ldconfig -p 2>/dev/null | grep -q "^[[:space:]]*$1 " && return 0
  need "/lib/$1" "$2" "a library that swift build is linked with"
}

need_swift() {
  if ! command -v swift >/dev/null 2>&1; then
    give_up "there is no swift on the PATH. LineChat needs Swift 6.2 or later." \
      "Debian has no package of it. Take the toolchain for your system from swift.org/install," \
      "then make sure that 'swift --version' answers, and run this again."
  fi
  if ! swift_says=$(swift --version 2>&1); then
    give_up "swift is at $(command -v swift), but it does not run. It says:" "$swift_says"
  fi
  swift_version=$(printf '%s\n' "$swift_says" | sed -n 's/.*Swift version \([0-9.]*\).*/\1/p' | head -n 1)
  swift_major=${swift_version%%.*}
  swift_minor=${swift_version#*.}
  swift_minor=${swift_minor%%.*}
  case "$swift_major$swift_minor" in
    '' | *[!0-9]*)
      give_up "cannot read a version in what '$(command -v swift) --version' says:" "$swift_says" ;;
  esac
  if [ "$swift_major" -lt 6 ] || { [ "$swift_major" -eq 6 ] && [ "$swift_minor" -lt 2 ]; }; then
    give_up "$(command -v swift) is Swift $swift_version; LineChat needs 6.2 or later." \
      "Take a newer toolchain from swift.org/install, and put its bin folder first in PATH."
  fi
  say "Swift $swift_version"
}
