#!/bin/sh
# FILE of Debian's PACKAGE into FOLDER, once, without installing the package: that would start servers, or bring a hundred
# megabytes along.
# usage: fetch-from-package.sh FOLDER PACKAGE FILE     FILE as in the package: ./usr/bin/promtool
# needs: apt, dpkg-deb. Prints where it is.
set -eu
folder=$1 package=$2 file=$3 name=${3##*/}
if [ ! -e "$folder/$name" ]; then
  work=$folder.making.$$
  trap 'rm -rf "$work"' EXIT
  mkdir -p "$work/root"
  cd "$work"
  apt-get -qq download "$package" >/dev/null 2>&1 || { apt-get -qq update >/dev/null; apt-get -qq download "$package" >/dev/null; }
  dpkg-deb --fsys-tarfile "${package}"_*.deb | tar -x -C root "$file"
  mkdir -p "$folder"
  mv "root/$file" "$folder/$name"
fi
echo "$folder/$name"
