#!/usr/bin/env bash
# Makes test/vectors/restic/*.json anew: repositories by real restic programs over a hostile tree, reduced to the
# documents in them. Needs root (device nodes, owners), setfattr, setfacl, a tmpfs at /dev/shm, and the programs named
# below. Inode numbers and present times differ each time; the tests read both from the vectors.
#
#   test/vectors/make-restic-vectors.sh [OLD_RESTIC] [NEW_RESTIC] [sealed-only]
set -euo pipefail
old=${1:-restic}
new=${2:-restic-new}
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
times=$(mktemp -d -p /dev/shm)
trap 'rm -rf "$work" "$times"' EXIT
export RESTIC_PASSWORD=vectors RESTIC_PROGRESS_FPS=0 LC_ALL=C.UTF-8

time_tree() { # DIRECTORY on a file system that holds 64 bits of seconds
  mkdir -p "$1"
  local seconds
  for seconds in 253402300799.999999999 253402300800 300000000000.25 -62135596800 -62135596801.5 -62167219200 \
    -62167219201 -70000000000 -1.000000001 0 0.1; do
    : >"$1/$seconds"
    touch -d "@$seconds" "$1/$seconds"
  done
  : >"$1/leap-day" && touch -d '@261694195200' "$1/leap-day"
}

make() { # NAME PROGRAM VERSION ZONE TREE
  local repository=$work/$1
  export RESTIC_REPOSITORY=$repository TZ=$4 RESTIC_CACHE_DIR=$work/cache
  local restic=("$2" --quiet)
  "${restic[@]}" init --repository-version "$3"
  "${restic[@]}" backup "$5" --tag 'one,<two>' --exclude '*.never' --host 'höst "<1>"'
  echo more >"$5/more"
  "${restic[@]}" backup "$5" --host 'höst "<1>"'
  "${restic[@]}" tag --add 'later & more' latest
  # A lock exists only while a program runs: one that waits for its standard input.
  mkfifo "$work/wait"
  "${restic[@]}" backup --stdin --host waiting <"$work/wait" &
  exec 9>"$work/wait"
  until compgen -G "$repository/locks/*" >/dev/null; do sleep 0.05; done
  mkdir "$work/locks" && cp "$repository"/locks/* "$work/locks/"
  echo waited >&9 && exec 9>&-
  wait $!
  node --disable-warning=ExperimentalWarning "$here/collect-restic-vectors.ts" \
    --restic "$2" --zone "$4" --repository "$repository" --locks "$work/locks" --tree "$5" --out "$here/restic/$1.json"
  rm -rf "$work/wait" "$work/locks"
}

# A whole repository, sealed as it is: every file of it, and what it must restore to.
make_sealed() { # NAME PROGRAM VERSION
  local repository=$work/$1 tree=$work/$1-tree
  export RESTIC_REPOSITORY=$repository TZ=UTC RESTIC_CACHE_DIR=$work/cache
  local restic=("$2" --quiet)
  mkdir -p "$tree/directory <&>"
  seq 2000 >"$tree/text"
  head -c 3000 /dev/urandom >"$tree/noise"
  printf '%s' small >"$tree/directory <&>/"$'na\nme\xff'
  : >"$tree/empty"
  "${restic[@]}" init --repository-version "$3"
  (cd "$tree" && "${restic[@]}" backup . --host sealed)
  rm "$tree/empty" && seq 1000 2500 >"$tree/text"
  (cd "$tree" && "${restic[@]}" backup . --host sealed)
  node "$here/collect-sealed-repository.ts" --repository "$repository" --tree "$tree" --out "$here/restic/$1.json"
}

make_sealed sealed-v1 "$old" 1
make_sealed sealed-v2 "$new" 2
[ "${3:-}" != sealed-only ] || exit 0
"$here/../support/hostile-tree.sh" "$work/a" && make old-v1 "$old" 1 Asia/Kathmandu "$work/a"
"$here/../support/hostile-tree.sh" "$work/b" && make old-v2 "$old" 2 UTC "$work/b"
"$here/../support/hostile-tree.sh" "$work/c" && make new-v2 "$new" 2 America/St_Johns "$work/c"
time_tree "$times/d" && make new-times "$new" 2 UTC "$times/d"
