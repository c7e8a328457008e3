#!/usr/bin/env bash
# Makes the Debian package with dpkg-deb alone:  systemd/build-deb.sh BINARY FOLDER
# Prints the path of the package. The same binary and SOURCE_DATE_EPOCH (default: time of the last commit) give the
# same bytes. DEB_COMPRESSION: xz (default), gzip, zstd or none.
set -euo pipefail

binary=${1:?usage: build-deb.sh BINARY FOLDER}
folder=${2:?usage: build-deb.sh BINARY FOLDER}
top=$(cd "$(dirname "$0")/.." && pwd)
version=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' "$top/Cargo.toml")
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git -C "$top" log -1 --format=%ct)}
export SOURCE_DATE_EPOCH

case $(LC_ALL=C readelf -h "$binary" | sed -n 's/ *Machine: *//p') in
  *X86-64) architecture=amd64 ;;
  AArch64) architecture=arm64 ;;
  ARM) architecture=armhf ;;
  *) echo "build-deb.sh: $binary is for a machine that has no name here: add it" >&2; exit 1 ;;
esac

# What the binary links decides what the package depends on; an unknown library is an error, not a guess.
glibc=$(LC_ALL=C readelf -V "$binary" | grep -o 'GLIBC_[0-9.]*' | sort -uV | tail -n 1)
depends="libc6 (>= ${glibc#GLIBC_})"
for library in $(LC_ALL=C readelf -d "$binary" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'); do
  case $library in
    libc.so.* | libm.so.* | libdl.so.* | libpthread.so.* | librt.so.* | ld-linux*) ;;
    libgcc_s.so.1) depends+=", libgcc-s1" ;;
    *) echo "build-deb.sh: $binary links $library: name its package here" >&2; exit 1 ;;
  esac
done

stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
install -D -m 0755 "$binary" "$stage/usr/bin/bellwether"
strip "$stage/usr/bin/bellwether"
install -D -m 0644 "$top/systemd/bellwether.service" "$stage/usr/lib/systemd/system/bellwether.service"
install -D -m 0644 "$top/systemd/bellwether.sysusers" "$stage/usr/lib/sysusers.d/bellwether.conf"
install -D -m 0644 "$top/systemd/bellwether.tmpfiles" "$stage/usr/lib/tmpfiles.d/bellwether.conf"
install -D -m 0640 "$top/systemd/bellwether.toml" "$stage/etc/bellwether/bellwether.toml"
for document in README.md docs/operations.md docs/glossary.md; do
  install -D -m 0644 "$top/$document" "$stage/usr/share/doc/bellwether/$(basename "$document")"
done
{
  printf 'Bellwether is licensed under either of these, at your choice:\n\n'
  printf '* Apache-2.0, see /usr/share/common-licenses/Apache-2.0\n* MIT:\n\n'
  cat "$top/LICENSE-MIT"
  printf '\nThe program contains these libraries, each under its own licence, with the place of its source:\n\n'
  cargo tree --manifest-path "$top/Cargo.toml" --locked --offline --package bellwether --no-default-features \
    --edges normal --prefix none --format '{p}  [{l}]  {r}' |
    sed 's/ (\*)$//; s/ (proc-macro)//' | grep -v '^bellwether' | LC_ALL=C sort -u
  [ ! -e "$top/web/ui/package-lock.json" ] || node -e '
    for (const [path, library] of Object.entries(require(process.argv[1]).packages))
      if (path && !library.dev)
        console.log(`${path.replace("node_modules/", "")} v${library.version}  [${library.license}]  (dashboard, from npm)`);
  ' "$top/web/ui/package-lock.json"
} > "$stage/usr/share/doc/bellwether/copyright"
chmod 0644 "$stage/usr/share/doc/bellwether/copyright"
{
  printf 'bellwether (%s) unstable; urgency=medium\n\n  * See the commit log.\n\n' "$version"
  printf ' -- Bellwether <root@localhost>  %s\n' "$(LC_ALL=C date -u -R -d "@$SOURCE_DATE_EPOCH")"
} | gzip -9n > "$stage/usr/share/doc/bellwether/changelog.gz"

mkdir "$stage/DEBIAN"
install -m 0755 "$top"/systemd/deb/{postinst,prerm,postrm} "$stage/DEBIAN/"
echo /etc/bellwether/bellwether.toml > "$stage/DEBIAN/conffiles"
cat > "$stage/DEBIAN/control" <<CONTROL
Package: bellwether
Version: $version
Architecture: $architecture
Maintainer: ${DEB_MAINTAINER:-Bellwether <root@localhost>}
Section: net
Priority: optional
Depends: $depends, systemd (>= 250)
Recommends: ca-certificates
Installed-Size: $(du -k --apparent-size -s "$stage" | cut -f 1)
Description: predictive-maintenance gateway
 Reads machine sensors over Modbus and OPC UA, learns on the spot what healthy
 looks like, says what is going wrong and how long there is, and sends only
 that over MQTT. Brings a local dashboard at http://127.0.0.1:8080.
CONTROL
(cd "$stage" && find etc usr -type f -print0 | LC_ALL=C sort -z | xargs -0 md5sum) > "$stage/DEBIAN/md5sums"
chmod 0644 "$stage"/DEBIAN/{control,conffiles,md5sums}
find "$stage" -type d -exec chmod 0755 {} +
chmod 0750 "$stage/etc/bellwether"
find "$stage" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +

mkdir -p "$folder"
package="$folder/bellwether_${version}_${architecture}.deb"
dpkg-deb --root-owner-group "-Z${DEB_COMPRESSION:-xz}" --build "$stage" "$package" >/dev/null
echo "$package"
