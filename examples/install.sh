#!/bin/sh
# Installs linechat and linechatd: both programs, their manual pages, and completions for bash, zsh and
# fish. Says what it does, and takes all of it away again.
#
#   examples/install.sh                  builds in release, installs under /usr/local
#   examples/install.sh --prefix DIR     installs there: DIR/bin, DIR/share/man and so on
#   examples/install.sh --static         builds programs that run where no Swift is installed
#                                        (linechat still needs Debian's package libreadline8)
#   examples/install.sh --from DIR       builds nothing: takes linechat, linechatd and linechat-kit
#                                        from there (or set LINECHAT_BUILT=DIR)
#   examples/install.sh --uninstall      removes what was installed under the prefix, and the
#                                        directories that were made for it, where they are empty
#
# It uses sudo where the prefix belongs to root, and for nothing else. What members and the server have
# written to their own directories stays; it is in ~/.local/state.
#
# What is installed is listed in PREFIX/share/linechat/installed.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=examples/lib/install.sh
. "$here/lib/install.sh"

prefix=/usr/local
from=${LINECHAT_BUILT:-}
static=
uninstall=no
list=share/linechat/installed
while [ $# -gt 0 ]; do
  case $1 in
    --prefix | --from)
      [ $# -ge 2 ] || give_up "$1 takes a directory"
      case $1 in
        --prefix) prefix=$2 ;;
        --from) from=$2 ;;
      esac
      shift
      ;;
    --static) static=--static-swift-stdlib ;;
    --uninstall) uninstall=yes ;;
    -h | --help)
      sed -n '2,/^set/s/^# \{0,1\}//p' "$0"
      exit 0
      ;;
    *) give_up "what is '$1'? --help lists the options." ;;
  esac
  shift
done
[ -n "$prefix" ] || give_up "--prefix takes a directory"
[ -z "$static" ] || [ -z "$from" ] \
  || give_up "--static says how to build, and --from builds nothing; take one of them away"
newline='
'
case $prefix in
  *"$newline"*) give_up "no newline may be in the prefix" ;;
  /*) ;;
  *) prefix=$(pwd)/$prefix ;;
esac
while [ "$prefix" != "${prefix%/}" ]; do prefix=${prefix%/}; done
[ -n "$prefix" ] || give_up "the prefix is the root directory; name another, such as /usr/local"

# --- As whom

# The nearest thing above the prefix that is there already.
standing=$prefix
while ! [ -e "$standing" ]; do standing=$(dirname "$standing"); done
as_root=
if ! [ -w "$standing" ]; then
  command -v sudo >/dev/null 2>&1 || give_up \
    "$standing is not yours to write to, and there is no sudo." \
    "Run this as root, or take a prefix of your own: --prefix \"\$HOME/.local\""
  if ! sudo -n true 2>/dev/null && ! [ -t 0 ]; then
    give_up "$standing is not yours to write to, and sudo asks for a password here." \
      "Run this in a terminal, or take a prefix of your own: --prefix \"\$HOME/.local\""
  fi
  as_root=sudo
  say "$standing is not yours to write to: what is done there is done with sudo"
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

# --- Away with it

# The list has a line for each file, `file bin/linechat`, and for each directory that was made,
# `dir share/man`, the outermost first; `above /opt` is one above the prefix.
remove_listed() {
  while read -r kind path; do
    case $path in /* | *../* | '') continue ;; esac
    [ "$kind" = file ] || continue
    $as_root rm -f "$prefix/$path"
  done <"$work/listed"
  $as_root rm -f "$prefix/$list"
  sed '1!G;h;$!d' "$work/listed" >"$work/backwards"
  while read -r kind path; do
    case $kind in
      dir) case $path in /* | *../* | '') continue ;; esac ;;
      above) case $prefix in "$path"/*) ;; *) continue ;; esac ;;
      *) continue ;;
    esac
    [ "$kind" = above ] || path=$prefix/$path
    path=${path%/.}
    # One that somebody else uses by now stays.
    $as_root rmdir "$path" 2>/dev/null || true
  done <"$work/backwards"
}

if [ "$uninstall" = yes ]; then
  [ -f "$prefix/$list" ] || give_up \
    "nothing that this script has installed is under $prefix: there is no $prefix/$list"
  cp "$prefix/$list" "$work/listed"
  remove_listed
  say "removed from $prefix: $(grep -c '^file ' "$work/listed") files"
  exit 0
fi

# --- The programs

is_built_here=no
if [ -z "$from" ]; then
  is_built_here=yes
  need_build_tools
  install_missing
  need_swift
  say "building in release (the first time takes some minutes)"
  for product in linechat linechatd linechat-kit; do
    # One word, or none at all.
    # shellcheck disable=SC2086
    (cd "$here/.." && swift build -c release $static --product "$product")
  done
  from=$(cd "$here/.." && swift build -c release --show-bin-path)
fi
for program in linechat linechatd linechat-kit; do
  [ -x "$from/$program" ] || give_up \
    "there is no program $from/$program; without --from this script builds it"
done

# --- What belongs to them

mkdir "$work/made"
for program in linechat linechatd; do
  cp "$from/$program" "$work/made/$program"
  # A third of it is for debuggers. The names of functions stay: a crash is told with them.
  [ "$is_built_here" = no ] || strip --strip-debug "$work/made/$program"
  for piece in man bash zsh fish; do
    "$from/linechat-kit" "$piece" "$from/$program" >"$work/made/$program.$piece" \
      || give_up "$program's $piece could not be made; the words above say why"
  done
done

# --- Into the prefix

: >"$work/listed"
[ ! -f "$prefix/$list" ] || cp "$prefix/$list" "$work/listed"
: >"$work/new"

# Makes a directory under the prefix, and notes those that were not there.
make_directory() {
  missing=
  path=$1
  while ! [ -d "$path" ]; do
    missing="$path$newline$missing"
    path=$(dirname "$path")
  done
  [ -n "$missing" ] || return 0
  printf '%s' "$missing" | while IFS= read -r path; do
    $as_root mkdir "$path"
    case $path in
      "$prefix") printf 'dir .\n' ;;
      "$prefix"/*) printf 'dir %s\n' "${path#"$prefix"/}" ;;
      *) printf 'above %s\n' "$path" ;;
    esac >>"$work/new"
  done
}

# put MODE FILE DESTINATION
put() {
  make_directory "$(dirname "$prefix/$3")"
  # A program that runs just now can't be written over, but it can be replaced.
  $as_root install -m "$1" "$2" "$prefix/$3.new"
  $as_root mv -f "$prefix/$3.new" "$prefix/$3"
  printf 'file %s\n' "$3" >>"$work/new"
}

# What is there already is in the list before anything else is: if this ends half-way, --uninstall
# finds it.
keep_list() {
  cat "$work/listed" "$work/new" | awk '!seen[$0]++' >"$work/list"
  $as_root install -m 644 "$work/list" "$prefix/$list"
}
make_directory "$prefix/share/linechat"
trap 'keep_list || true; rm -rf "$work"' EXIT

for program in linechat linechatd; do
  section=1
  [ "$program" = linechat ] || section=8
  put 755 "$work/made/$program" "bin/$program"
  put 644 "$work/made/$program.man" "share/man/man$section/$program.$section"
  put 644 "$work/made/$program.bash" "share/bash-completion/completions/$program"
  put 644 "$work/made/$program.zsh" "share/zsh/site-functions/_$program"
  put 644 "$work/made/$program.fish" "share/fish/vendor_completions.d/$program.fish"
done
keep_list
trap 'rm -rf "$work"' EXIT

# --- Does it work?

for program in linechat linechatd; do
  said=$("$prefix/bin/$program" --version) \
    || give_up "$prefix/bin/$program does not run; its own words are above"
  say "installed: $prefix/bin/$program ($said)"
done
case :$PATH: in
  *:"$prefix/bin":*) ;;
  *) say "$prefix/bin is not in your PATH; add it: PATH=\"$prefix/bin:\$PATH\"" ;;
esac
say "read: man linechat, man linechatd; a new shell completes their options"
say "away with all of it: $0 --prefix $prefix --uninstall"
