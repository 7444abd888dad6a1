#!/usr/bin/env bash
# Makes test/vectors/restic/*.json anew: repositories by real restic programs over a hostile tree, reduced to the
# documents in them. Needs root (device nodes, owners), setfattr, setfacl, a tmpfs at /dev/shm, and the programs named
# below. Inode numbers and present times differ each time; the tests read both from the vectors.
#
#   test/vectors/make-restic-vectors.sh [OLD_RESTIC] [NEW_RESTIC]
set -euo pipefail
old=${1:-restic}
new=${2:-restic-0.19}
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
times=$(mktemp -d -p /dev/shm)
trap 'rm -rf "$work" "$times"' EXIT
export RESTIC_PASSWORD=vectors RESTIC_PROGRESS_FPS=0 LC_ALL=C.UTF-8

nasty_tree() { # DIRECTORY
  mkdir -p "$1"
  cd "$1"
  local name
  for name in plain 'with space' 'quote"s' "apostrophe's" 'back\slash' 'ends\' '\x41' '<tag>&amp;' '%s%n' '-rf' '$(id)' '~' \
    $'new\nline' $'tab\tbell\a' $'\b\f\r\v' $'\e[31mred' $'\x01\x1f\x7f' $'\xc2\x80\xc2\x9f' $'\xc2\xa0' $'\xc2\xad' \
    'ünïcödé' $'e\xcc\x81' '漢字' '😀' '👨‍👩‍👧' $'\xe2\x80\xa8\xe2\x80\xa9' $'\xe2\x80\xaertl' $'\xef\xbb\xbfbom' $'\xef\xbf\xbd' \
    $'\xee\x80\x80' $'\xf3\xa0\x80\x81' $'\xf4\x8f\xbf\xbf' $'\xef\xb7\x90' $'\xff' $'bad\xff\xfebytes' $'caf\xe9' $'cut\xe2\x82' \
    $'\xed\xa0\x80' $'\xed\xb2\x80' $'\xc0\xaf' $'\xf4\x90\x80\x80' $'z\x80<\xff>' 'ａ' $'\xf0\x9f\x98'; do
    printf '%s' "$name" >"./$name"
  done
  printf '%s' 'longest' >"$(printf 'n%.0s' {1..255})"
  : >empty-file
  mkdir empty-directory 'directory "with" <marks>' && : >'directory "with" <marks>/child'
  truncate -s 20M sparse
  seq 400000 >several-blobs
  ln -s plain link
  ln -s '<&>"\' link-marks
  ln -s $'new\nline\b\f\x01\x7f' link-control
  ln -s $'bad\xff\xc3\xa9target' link-bytes
  ln -s $'\xe2\x80\xa8' link-separator
  ln plain hard-link
  mkfifo fifo
  mknod block b 8 300
  mknod character c 1 3
  local mode
  for mode in 0000 0111 4755 2755 1777 7777; do : >"mode-$mode" && chmod "$mode" "mode-$mode"; done
  : >owned && chown 12345:4294967294 owned
  : >xattrs
  setfattr -n user.text -v '<value>' xattrs
  setfattr -n user.bytes -v 0x00ff80 xattrs
  setfattr -n user.empty xattrs
  setfattr -n $'user.n\xc3\xa4me<&>"' -v 1 xattrs
  : >acl && setfacl -m u:1:rwx,g:2:r acl
  setfacl -d -m u:1:rwx empty-directory
  touch -d '1966-07-30T15:00:00.5Z' before-1970
  touch -d '1969-12-31T23:59:59.999999999Z' just-before-1970
  touch -d '2286-11-20T17:46:40.000000001Z' far
  touch -d '2026-03-29T01:30:00.120Z' summer
  touch -d '2026-01-01T00:00:00Z' whole-second
  cd - >/dev/null
}

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

nasty_tree "$work/a" && make old-v1 "$old" 1 Asia/Kathmandu "$work/a"
nasty_tree "$work/b" && make old-v2 "$old" 2 UTC "$work/b"
nasty_tree "$work/c" && make new-v2 "$new" 2 America/St_Johns "$work/c"
time_tree "$times/d" && make new-times "$new" 2 UTC "$times/d"
