#!/bin/sh
# Unpacks a Redis or Valkey server of another Debian release, with the libraries it needs, below DIRECTORY; installs nothing.
# usage: fetch-redis.sh SUITE PACKAGE DIRECTORY        e.g. fetch-redis.sh sid valkey-server ~/.cache/holdfast-tests/valkey-sid
# Leaves DIRECTORY/bin/redis-server (or valkey-server), which runs anywhere. Needs apt-get and dpkg-deb, not root.
set -eu
suite=$1 package=$2 directory=$3
name=${package%-server}
[ ! -x "$directory/bin/$package" ] || exit 0

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/state/lists/partial" "$work/cache/archives/partial" "$work/root"
: >"$work/state/status"
: >"$work/none"
mkdir "$work/empty"
keys=/usr/share/keyrings/debian-archive-keyring.gpg # elsewhere than on Debian: the package debian-archive-keyring
[ ! -e "$keys" ] || signed="[signed-by=$keys] "
echo "deb ${signed-}http://deb.debian.org/debian $suite main" >"$work/sources.list"
cat >"$work/apt.conf" <<EOF
Dir::State "$work/state";
Dir::State::status "$work/state/status";
Dir::Cache "$work/cache";
Dir::Etc::SourceList "$work/sources.list";
Dir::Etc::SourceParts "$work/empty";
Dir::Etc::Preferences "$work/none";
Dir::Etc::PreferencesParts "$work/empty";
Acquire::Languages "none";
APT::Sandbox::User "";
EOF
export APT_CONFIG="$work/apt.conf"
apt-get update -qq
apt-get install -qq -y --no-install-recommends --download-only "$package" >/dev/null
for deb in "$work"/cache/archives/*.deb; do
  case $(basename "$deb") in
  lib*|lua-*|zlib*|"$name"*) dpkg-deb -x "$deb" "$work/root" ;;
  esac
done

# The server is the program that checks files, by another name.
program=usr/bin/$name-check-rdb
loader=$(find "$work/root" -name 'ld-linux-*.so.*' | head -1)
[ -n "$loader" ] && [ -e "$work/root/$program" ] || { echo "fetch-redis.sh: $suite has no $package for this machine" >&2; exit 1; }
loader=${loader#"$work/root/"}
triplet=$(basename "$(find "$work/root/usr/lib" -maxdepth 1 -name '*-linux-gnu' | head -1)")
mkdir -p "$work/root/bin.new"
ln -sf "$name-check-rdb" "$work/root/usr/bin/$package"
for alias in server check-rdb; do
  cat >"$work/root/bin.new/$name-$alias" <<EOF
#!/bin/sh
root=\$(CDPATH= cd -- "\$(dirname -- "\$0")/.." && pwd -P)
exec "\$root/$loader" --library-path "\$root/lib/$triplet:\$root/usr/lib/$triplet" "\$root/usr/bin/$name-$alias" "\$@"
EOF
  chmod 755 "$work/root/bin.new/$name-$alias"
done
rm -rf "$work/root/bin"
mv "$work/root/bin.new" "$work/root/bin"
"$work/root/bin/$package" --version >/dev/null
mkdir -p "$(dirname "$directory")"
rm -rf "$directory"
mv "$work/root" "$directory"
