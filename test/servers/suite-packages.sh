#!/bin/sh
# Servers newer than the installed Debian: downloads PACKAGE with what it needs from SUITE and unpacks it into FOLDER, once.
# Nothing is installed. Programs there run through their own loader: see `wrapper` below.
# usage: suite-packages.sh FOLDER SUITE PROGRAM PACKAGE...     needs: apt, dpkg-deb. Prints nothing when FOLDER is ready.
set -eu
folder=$1 suite=$2 program=$3
shift 3
[ -e "$folder/ready" ] && exit 0
work=$folder.making.$$
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/state/lists/partial" "$work/cache/archives/partial" "$work/root"
: >"$work/status"
mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null |
  sed -n 's/^deb \(\[[^]]*\] \)\{0,1\}\(http[^ ]*debian\)\/\{0,1\} .*/\2/p; s/^URIs: *\(http[^ ]*debian\)\/\{0,1\}$/\1/p' | head -n 1)
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] ${mirror:-http://deb.debian.org/debian} $suite main" >"$work/sources.list"
apt() {
  apt-get -q -o Dir::State="$work/state" -o Dir::State::status="$work/status" -o Dir::Cache="$work/cache" \
    -o Dir::Etc::SourceList="$work/sources.list" -o Dir::Etc::SourceParts=- -o Acquire::Languages=none \
    -o APT::Sandbox::User= -o Debug::NoLocking=1 -o APT::Install-Recommends=0 "$@" >"$work/log" 2>&1 || { tail -n 20 "$work/log" >&2; exit 1; }
}
apt update
apt install -y --download-only "$@"
for package in "$work"/cache/archives/*.deb; do dpkg-deb -x "$package" "$work/root"; done
# bin/NAME runs the program with the libraries it was built for, whatever this machine has.
mkdir "$work/bin"
for path in $program; do
  cat >"$work/bin/${path##*/}" <<EOF
#!/bin/sh
# MySQL and MariaDB look for their messages and plugins below --basedir, which comes after --no-defaults.
root=$folder/root
[ "\${1:-}" = --no-defaults ] && { shift; set -- --no-defaults --basedir="\$root/usr" "\$@"; }
exec "\$root/usr/lib64/ld-linux-x86-64.so.2" --library-path "\$root/usr/lib/x86_64-linux-gnu:\$root/usr/lib/x86_64-linux-gnu/private" "\$root$path" "\$@"
EOF
  chmod 755 "$work/bin/${path##*/}"
done
rm -rf "$work/state" "$work/cache"
touch "$work/ready"
mkdir -p "$(dirname "$folder")"
mv -T "$work" "$folder" 2>/dev/null || [ -e "$folder/ready" ]
