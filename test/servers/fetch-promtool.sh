#!/bin/sh
# promtool of Debian's package prometheus (19 MB) into FOLDER, once, without installing the package: it would start a server
# and bring 100 MB of its pages along.
# usage: fetch-promtool.sh FOLDER     needs: apt, dpkg-deb. Prints the path of the program.
set -eu
folder=$1
if [ ! -x "$folder/promtool" ]; then
  work=$folder.making.$$
  trap 'rm -rf "$work"' EXIT
  mkdir -p "$work/root"
  cd "$work"
  apt-get -qq download prometheus >/dev/null 2>&1 || { apt-get -qq update >/dev/null; apt-get -qq download prometheus >/dev/null; }
  dpkg-deb --fsys-tarfile prometheus_*.deb | tar -x -C root ./usr/bin/promtool
  mkdir -p "$folder"
  mv root/usr/bin/promtool "$folder/promtool"
fi
echo "$folder/promtool"
