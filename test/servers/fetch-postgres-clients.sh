#!/bin/sh
# Unpacks PostgreSQL's client programs of another Debian release, with the libraries they need, below DIRECTORY; installs nothing.
# usage: fetch-postgres-clients.sh SUITE MAJOR DIRECTORY        e.g. fetch-postgres-clients.sh sid 18 ~/.cache/holdfast-tests/pg-client-18
# Leaves DIRECTORY/bin/pg_dump, pg_dumpall, pg_restore and psql, which run anywhere. Needs apt-get and dpkg-deb, not root.
set -eu
suite=$1 major=$2 directory=$3
programs='pg_dump pg_dumpall pg_restore psql'
[ ! -x "$directory/bin/psql" ] || exit 0

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/state/lists/partial" "$work/cache/archives/partial" "$work/root" "$work/empty"
: >"$work/state/status"
: >"$work/none"
echo "deb http://deb.debian.org/debian $suite main" >"$work/sources.list"
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
apt-get install -qq -y --no-install-recommends --download-only "postgresql-client-$major" >/dev/null
for deb in "$work"/cache/archives/*.deb; do
  case $(basename "$deb") in
  lib*|zlib*|postgresql-client-"$major"*) dpkg-deb -x "$deb" "$work/root" ;;
  esac
done

loader=$(find "$work/root" -name 'ld-linux-*.so.*' | head -1)
[ -n "$loader" ] && [ -e "$work/root/usr/lib/postgresql/$major/bin/psql" ] || {
  echo "fetch-postgres-clients.sh: $suite has no postgresql-client-$major for this machine" >&2
  exit 1
}
loader=${loader#"$work/root/"}
triplet=$(basename "$(find "$work/root/usr/lib" -maxdepth 1 -name '*-linux-gnu' | head -1)")
mkdir -p "$work/root/bin.new"
# pg_dumpall looks for pg_dump beside itself: by the name it was called, that is the script there.
for program in $programs; do
  cat >"$work/root/bin.new/$program" <<EOF
#!/bin/sh
root=\$(CDPATH= cd -- "\$(dirname -- "\$0")/.." && pwd -P)
exec "\$root/$loader" --argv0 "\$root/bin/$program" --library-path "\$root/lib/$triplet:\$root/usr/lib/$triplet" "\$root/usr/lib/postgresql/$major/bin/$program" "\$@"
EOF
  chmod 755 "$work/root/bin.new/$program"
done
rm -rf "$work/root/bin"
mv "$work/root/bin.new" "$work/root/bin"
"$work/root/bin/pg_dump" --version >/dev/null
mkdir -p "$(dirname "$directory")"
rm -rf "$directory"
mv "$work/root" "$directory"
