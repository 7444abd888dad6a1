#!/usr/bin/env bash
# One of each thing that backups get wrong, in DIRECTORY (made if missing). Device nodes and owners only for root.
#
#   test/support/hostile-tree.sh DIRECTORY
set -euo pipefail
export LC_ALL=C.UTF-8
mkdir -p "$1"
cd "$1"
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
mkdir read-only && : >read-only/file && chmod 2555 read-only
truncate -s 20M sparse && echo end >>sparse
seq 400000 >several-blobs
ln -s plain link
ln -s '<&>"\' link-marks
ln -s $'new\nline\b\f\x01\x7f' link-control
ln -s $'bad\xff\xc3\xa9target' link-bytes
ln -s $'\xe2\x80\xa8' link-separator
ln plain hard-link
mkfifo fifo
for mode in 4755 2755 1777 7777; do : >"mode-$mode" && chmod "$mode" "mode-$mode"; done
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
[ "$(id -u)" = 0 ] || exit 0
mknod block b 8 300
mknod character c 1 3
: >owned && chown 12345:4294967294 owned
chown -h 12345 link
for mode in 0000 0111; do : >"mode-$mode" && chmod "$mode" "mode-$mode"; done
