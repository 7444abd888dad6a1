/**
 * The far end of a `ShellSession`: a POSIX shell (dash, busybox, bash) that answers requests with what every image has.
 *
 * A request is a line `OPERATION ARGUMENT…`; each argument is `=` and its bytes, all but plain ones as `\0ooo`. The answer is
 * what the operation prints, then the session's token, its status, a space, its complaints, and the token again.
 * Statuses: 44 missing, 45 of the wrong kind, 17 exists, 18 a directory that is not empty, 20 outside of the target.
 */
export const sessionScript = String.raw`
LC_ALL=C; export LC_ALL
t=$1
own=$(id -u):$(id -g)
umask 077
# ">" makes a new file or fails
set -C
# %x %y %z: for the fraction of a second, which %X has only in GNU's stat
format="$t#%f %h %u %g %s %d %i %t %T %X %Y %Z|%x|%y|%z|%U|%G|%n"

# prints the attributes of the arguments, and where symbolic links lead
describe() {
  [ $# -eq 0 ] || stat -c "$format" -- "$@"
}
links() {
  for link; do
    printf '%s' "$t>"; printf '%s' "$link"; printf '%s' "$t="; readlink -n -- "$link" || return
  done
}
present() {
  if [ -e "$1" ] || [ -L "$1" ]; then return 0; fi
  said=$(stat -- "$1" 2>&1)
  case $said in *denied*) printf '%s\n' "$said" >&2; return 1 ;; esac
  return 44
}
op_attributes() {
  present "$1" || return
  describe "$1" || return
  if [ -L "$1" ]; then links "$1"; fi
}
op_list() {
  present "$1" || return
  [ -d "$1" ] || return 45
  cd -P -- "$1" || return
  [ -r . ] || { echo 'Permission denied' >&2; return 1; }
  set --
  failed=0
  for each in ./* ./.[!.]* ./..?*; do
    if [ -L "$each" ]; then links "$each" || failed=1; elif [ ! -e "$each" ]; then continue; fi
    set -- "$@" "$each"
    if [ $# -ge 100 ]; then describe "$@" || failed=1; set --; fi
  done
  describe "$@" || failed=1
  return $failed
}
op_head() {
  present "$1" || return
  if [ -L "$1" ] || [ ! -f "$1" ]; then return 45; fi
  head -c "$2" -- "$1" && describe "$1"
}

# the directory $2 of the target $1, reached through no symbolic link (cd -P says in PWD where it is): from then on "./name" cannot lead elsewhere
enter() {
  cd -P -- "$1$2/" || return 44
  [ "$PWD" = "$1$2" ] || [ "$1$2" = "" ] || return 17
}
op_root() {
  mkdir -p -- "$1" && cd -P -- "$1" && [ -w . ] && printf '%s' "$PWD"
}
# ROOT EXISTING COMPONENT…
op_mkdir() {
  root=$1; existing=$2; shift 2
  enter "$root" '' || return
  at=$root
  for each; do
    if [ -L "./$each" ]; then return 17; fi
    if [ ! -d "./$each" ]; then
      if [ -e "./$each" ]; then
        [ "$existing" = replace ] || return 17
        rm -f -- "./$each" || return
      fi
      mkdir -m 700 -- "./$each" || return
    fi
    at=$at/$each
    cd -P -- "./$each" || return
    [ "$PWD" = "$at" ] || return 17
  done
}
# sets "to": where the new thing is made, its own name or a temporary one beside what it replaces
place() {
  to=$1
  if [ -e "./$1" ] || [ -L "./$1" ]; then
    [ "$2" = replace ] || return 17
    if [ -d "./$1" ] && [ ! -L "./$1" ]; then rmdir -- "./$1" 2>/dev/null || return 18; else to=$3; fi
  fi
}
# ROOT DIRECTORY NAME EXISTING TEMPORARY SIZE
op_create() {
  enter "$1" "$2" && place "$3" "$4" "$5" || return
  : >"./$to" || return
  size "$to" "$6" || { rm -f -- "./$to"; return 1; }
  printf '%s' "$to"
}
size() {
  [ "$2" = 0 ] && { : >|"./$1"; return; }
  said=$(dd if=/dev/null of="./$1" bs=1 seek="$2" count=0 2>&1) || { printf '%s\n' "$said" >&2; return 1; }
}
# ROOT DIRECTORY NAME SIZE
op_revise() {
  enter "$1" "$2" || return
  if [ -L "./$3" ] || [ ! -f "./$3" ]; then return 45; fi
  [ "$(stat -c %h -- "./$3")" = 1 ] || return 45
  size "$3" "$4"
}
# ROOT DIRECTORY NAME LENGTH BLOCK BLOCKS, then LENGTH bytes
op_write() {
  enter "$1" "$2" || return
  if [ -L "./$3" ]; then return 17; fi
  take "$3" "$4" "$5" "$6"
}
take() {
  [ "$2" = 0 ] && return
  said=$(dd ibs="$2" count=1 iflag=fullblock obs="$3" seek="$4" conv=notrunc of="./$1" 2>&1) || { printf '%s\n' "$said" >&2; return 1; }
}
# ROOT DIRECTORY TEMPORARY NAME
op_publish() {
  enter "$1" "$2" || return
  if [ -d "./$4" ] && [ ! -L "./$4" ]; then return 18; fi
  mv -f -- "./$3" "./$4"
}
op_remove() {
  enter "$1" "$2" && rm -f -- "./$3"
}
# ROOT DIRECTORY NAME EXISTING TEMPORARY LENGTH [attributes], then LENGTH bytes
op_whole() {
  enter "$1" "$2" && place "$3" "$4" "$5" || return
  name=$3
  : >"./$to" || return
  take "$to" "$6" 65536 0 || { rm -f -- "./$to"; return 1; }
  shift 6
  if [ $# -gt 0 ]; then attributes "$to" "$@"; fi
  [ "$to" = "$name" ] || mv -f -- "./$to" "./$name"
}
# ROOT DIRECTORY NAME EXISTING TEMPORARY KIND, and: target | - | b|c MAJOR MINOR | DIRECTORY NAME of the first link
op_special() {
  if [ "$6" = link ]; then (enter "$1" "$7") || return; fi
  enter "$1" "$2" || return
  if [ "$6" = link ] && [ "$1$7/$8" -ef "./$3" ]; then return 0; fi
  root=$1
  place "$3" "$4" "$5" || return
  name=$3; kind=$6; shift 6
  case $kind in
    symlink) ln -s -- "$1" "./$to" ;;
    fifo) mkfifo -- "./$to" ;;
    device) mknod "./$to" "$1" "$2" "$3" ;;
    link) ln -- "$root$1/$2" "./$to" ;;
  esac || return
  [ "$to" = "$name" ] || mv -f -- "./$to" "./$name"
}
# ROOT DIRECTORY NAME TYPE [attributes]
op_apply() {
  enter "$1" "$2" || return
  case $4 in
    symlink) [ -L "./$3" ] ;;
    dir) [ -d "./$3" ] && [ ! -L "./$3" ] ;;
    *) [ -e "./$3" ] && [ ! -L "./$3" ] && [ ! -d "./$3" ] ;;
  esac || return 17
  name=$3; shift 4
  attributes "$name" "$@"
}
# NAME OWNER ATIME MTIME MODE SAFE-MODE: prints a line for what cannot be set; no mode for symbolic links
attributes() {
  mode=$5
  if [ -L "./$1" ] || [ "$2" != "$own" ] || [ ! -O "./$1" ] || [ ! -G "./$1" ]; then
    said=$(chown -h -- "$2" "./$1" 2>&1) || { printf 'owner %s\n' "$said"; mode=$6; }
  fi
  said=$(touch -h -c -d "$3" -- "./$1" 2>&1) &&
    { [ "$3" = "$4" ] || said=$(touch -h -c -m -d "$4" -- "./$1" 2>&1); }
  if [ $? -ne 0 ]; then
    if touch -h -c -d "\${4%.*}" -- "./$1" 2>/dev/null; then printf 'seconds\n'; else printf 'times %s\n' "$said"; fi
  fi
  [ -z "$mode" ] || said=$(chmod -- "$mode" "./$1" 2>&1) || printf 'mode %s\n' "$said"
}
op_sync() {
  sync
}

while IFS= read -r line; do
  set -f; set -- $line; set +f
  op=$1; shift
  count=$#
  while [ "$count" -gt 0 ]; do
    case $1 in
      *\\*) plain=$(printf '%b.' "\${1#=}") ;;
      *) plain="\${1#=}." ;;
    esac
    shift
    set -- "$@" "\${plain%.}"
    count=$((count - 1))
  done
  { said=$("op_$op" "$@" 2>&1 >&3); } 3>&1
  printf '%s%s %s%s' "$t" "$?" "$said" "$t"
done
`.replaceAll('\\${', '${');
