#!/usr/bin/env bash
# Checks the unit and the package without a running systemd:  systemd/check.sh [BINARY]
# BINARY defaults to target/debug/bellwether. Closes with "N passed, N failed, N skipped".
set -uo pipefail

top=$(cd "$(dirname "$0")/.." && pwd)
binary=${1:-${CARGO_TARGET_DIR:-$top/target}/debug/bellwether}
passed=0 failed=0 skipped=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

pass() { passed=$((passed + 1)); echo "  ok    $1"; }
fail() { failed=$((failed + 1)); echo "  FAIL  $1"; [ -z "${2:-}" ] || sed 's/^/          /' <<<"$2"; }
skip() { skipped=$((skipped + 1)); echo "  skip  $1"; }

# check NAME COMMAND…: passes if the command succeeds; shows what it printed if not.
check() {
  local name=$1 output
  shift
  if output=$("$@" 2>&1); then pass "$name"; else fail "$name" "$output"; fi
}

# quiet NAME COMMAND…: passes if the command succeeds and prints nothing (systemd only warns about unknown keys).
quiet() {
  local name=$1 output
  shift
  if output=$("$@" 2>&1) && [ -z "$output" ]; then pass "$name"; else fail "$name" "$output"; fi
}

# --- the unit ---------------------------------------------------------------------------------------------------

stage=$work/stage
mkdir -p "$stage"/usr/{bin,lib/systemd/system,lib/sysusers.d,lib/tmpfiles.d} "$stage"/etc "$stage/var/lib"
ln -s usr/lib "$stage/lib"
ln -s usr/bin "$stage/bin"
if [ -x "$binary" ]; then
  strip -o "$stage/usr/bin/bellwether" "$binary"
else
  skip "no binary at $binary (cargo build makes it): a stand-in takes its place, the configuration is not read"
  cp "$(type -P true)" "$stage/usr/bin/bellwether"
  binary=
fi
# ExecReload wants it; a stand-in will do for looking at the unit.
cp "$(type -P true)" "$stage/usr/bin/kill"
cp "$top/systemd/bellwether.service" "$stage/usr/lib/systemd/system/"
cp "$top/systemd/bellwether.sysusers" "$stage/usr/lib/sysusers.d/bellwether.conf"
cp "$top/systemd/bellwether.tmpfiles" "$stage/usr/lib/tmpfiles.d/bellwether.conf"
for unit in basic sysinit network time-set multi-user shutdown; do
  cp "/usr/lib/systemd/system/$unit.target" "$stage/usr/lib/systemd/system/" 2>/dev/null
done
cp /usr/lib/systemd/system/-.slice /usr/lib/systemd/system/system.slice "$stage/usr/lib/systemd/system/" 2>/dev/null

unit=$top/systemd/bellwether.service
quiet "systemd-analyze verify has nothing to say" \
  systemd-analyze verify --man=no --recursive-errors=one --root="$stage" bellwether.service
check "the sandbox scores at most 1.5" systemd-analyze security --offline=yes --threshold=15 --no-pager "$unit"
sed -i 's/^WatchdogSec=/WatchdogSecs=/' "$stage/usr/lib/systemd/system/bellwether.service"
if [ -n "$(systemd-analyze verify --man=no --recursive-errors=one --root="$stage" bellwether.service 2>&1)" ]; then
  pass "the check above notices a misspelt key"
else
  fail "the check above notices a misspelt key"
fi
sed 's/^\(Protect\|Private\|Restrict\)/#\1/' "$unit" > "$work/open.service"
if systemd-analyze security --offline=yes --threshold=15 --no-pager "$work/open.service" >/dev/null 2>&1; then
  fail "the score notices a sandbox that is taken down"
else
  pass "the score notices a sandbox that is taken down"
fi

# --- account and folders ----------------------------------------------------------------------------------------

as_root=yes
[ "$(id -u)" = 0 ] || as_root=
if [ -n "$as_root" ]; then
  check "sysusers makes the account" systemd-sysusers --root="$stage" bellwether.conf
  check "the account has no shell" grep -q '^bellwether:.*:/var/lib/bellwether:/usr/sbin/nologin$' "$stage/etc/passwd"
  check "tmpfiles makes the folders" systemd-tmpfiles --root="$stage" --create bellwether.conf
  check "the configuration is closed to others" [ "$(stat -c '%a' "$stage/etc/bellwether")" = 770 ]
else
  skip "account and folders: needs root"
fi

# --- the configuration ------------------------------------------------------------------------------------------

# keys_absent HEADER…: keys that the gateway knows in the last of these sections and the default configuration does not name.
keys_absent() {
  local key site='[site]\nenterprise = "e"\nsite = "s"\n'
  [ "$1" != "[site]" ] || site=
  { printf "$site"; printf '%s\n' "$@" 'no_such_key = 1'; } > "$work/unknown.toml"
  "$binary" check --config "$work/unknown.toml" 2>&1 | grep no_such_key | sed 's/.*expected//' | grep -o '`[a-z_0-9]*`' | tr -d '`' |
    while read -r key; do
      grep -qE "^#?$key = |^# .*\`$key\`|^#?\[\[?([a-z]*\.)?$key\]\]?" "$top/systemd/bellwether.toml" || printf ' %s.%s' "${!#}" "$key"
    done
}

if [ -n "$binary" ]; then
  # An option is commented out with `#` directly before it.
  sed -E 's/^#([][a-z])/\1/' "$top/systemd/bellwether.toml" > "$work/every-option.toml"
  touch "$work/password" "$work/ca.pem"
  sed -i -E "s|^password_file = .*|password_file = \"$work/password\"|; s|^ca_file = .*|ca_file = \"$work/ca.pem\"|" \
    "$work/every-option.toml"
  check "every option of the default configuration is one the gateway knows" \
    "$binary" check --config "$work/every-option.toml"
  # The gateway lists the keys it knows when it meets one it does not.
  absent=
  for section in gateway site http store analytics; do absent+=$(keys_absent "[$section]"); done
  for array in asset modbus opcua mqtt; do absent+=$(keys_absent "[[$array]]"); done
  for array in modbus opcua; do absent+=$(keys_absent "[[$array]]" "[[$array.tag]]"); done
  check "every option the gateway knows is in the default configuration" [ -z "$absent" ]
  [ -z "$absent" ] || echo "          absent:$absent"
fi

# --- what it tells the service manager --------------------------------------------------------------------------

# One machine, one device that is not there, one broker that is not there: the gateway is ready all the same.
cat > "$work/run.toml" <<'TOML'
[site]
enterprise = "example"
site = "plant"
[[asset]]
path = "utilities/water/pump-1"
[[modbus]]
name = "plc"
endpoint = "127.0.0.1:9"
[[modbus.tag]]
name = "pump-1.current"
asset = "utilities/water/pump-1"
register = { kind = "holding", address = 0, type = "u16" }
[[mqtt]]
name = "scada"
url = "mqtt://127.0.0.1:9"
TOML
mkdir -p "$work/data"
service=("$stage/usr/bin/bellwether" run --config "$work/run.toml" --data-dir "$work/data" --http 127.0.0.1:0)
# As the unit confines it: ProtectProc=invisible and ProcSubset=pid here, user and system calls in confine.py.
hidden_proc=(unshare --mount sh -c 'mount -t proc -o subset=pid,hidepid=invisible proc /proc && exec "$@"' sh)
confine=("${hidden_proc[@]}" python3 "$top/systemd/confine.py" "$unit")
if [ -z "$binary" ] || ! command -v python3 >/dev/null; then
  skip "ready, watchdog, stopping: needs the binary and python3"
elif [ -n "$as_root" ] && "${confine[@]}" true 2>/dev/null; then
  chmod 755 "$work"
  chown nobody "$work/data"
  check "ready, watchdog, a reload and a clean stop, confined as in the unit" \
    python3 "$top/systemd/notify.py" "${confine[@]}" "${service[@]}"
else
  skip "system calls of the sandbox: needs root and its own /proc"
  check "ready, watchdog, a reload and a clean stop" python3 "$top/systemd/notify.py" "${service[@]}"
fi

# --- the package ------------------------------------------------------------------------------------------------

export DEB_COMPRESSION=${DEB_COMPRESSION:-none}
build() { "$top/systemd/build-deb.sh" "$stage/usr/bin/bellwether" "$1"; }
if ! package=$(build "$work/one" 2>"$work/error"); then
  fail "the package is built" "$(cat "$work/error")"
  echo "$passed passed, $failed failed, $skipped skipped"
  exit 1
fi
pass "the package is built"
again=$(build "$work/two")
check "a second build gives the same bytes" cmp "$package" "$again"

contents=$(dpkg-deb --contents "$package" | awk '{print $1, $2, $6}')
holds() { check "it holds $2 as $1" grep -qxF -- "$1 root/root .$2" <<<"$contents"; }
holds -rwxr-xr-x /usr/bin/bellwether
holds -rw-r--r-- /usr/lib/systemd/system/bellwether.service
holds -rw-r--r-- /usr/lib/sysusers.d/bellwether.conf
holds -rw-r--r-- /usr/lib/tmpfiles.d/bellwether.conf
holds -rw-r----- /etc/bellwether/bellwether.toml
holds -rw-r--r-- /usr/share/doc/bellwether/copyright
check "its dependencies are named" grep -q 'libc6 (>= 2' <<<"$(dpkg-deb --field "$package" Depends)"

# Installed with its own scripts into a scratch root: nothing of this machine changes.
root=$work/root
scratch_dpkg() {
  dpkg --root="$root" --force-script-chrootless,depends,confold --no-triggers --log=/dev/null "$@" </dev/null
}
new_version() {
  dpkg-deb --raw-extract "$package" "$work/next"
  sed -i 's/^Version: .*/&+next/' "$work/next/DEBIAN/control"
  echo '# a new line in the default' >> "$work/next/etc/bellwether/bellwether.toml"
  dpkg-deb --root-owner-group -Znone --build "$work/next" "$work/next.deb"
}
config=$root/etc/bellwether/bellwether.toml
if [ -z "$as_root" ]; then
  skip "installing it into a scratch root: needs root"
elif ! dpkg --force-help | grep -q script-chrootless; then
  skip "installing it into a scratch root: this dpkg cannot"
else
  mkdir -p "$root"/usr/{bin,sbin,lib} "$root"/etc "$root"/var/lib/dpkg/{info,updates,triggers}
  for folder in bin sbin lib; do ln -s "usr/$folder" "$root/$folder"; done
  touch "$root/var/lib/dpkg/status"
  check "it installs" scratch_dpkg --install "$package"
  check "the account exists" grep -q '^bellwether:' "$root/etc/passwd"
  check "it starts with the machine" [ -L "$root/etc/systemd/system/multi-user.target.wants/bellwether.service" ]
  check "the gateway may read its configuration" \
    [ "$(stat -c '%a %g' "$config")" = "640 $(sed -n 's/^bellwether:[^:]*:\([0-9]*\):.*/\1/p' "$root/etc/group")" ]
  echo '# ours' >> "$config"
  touch "$root/var/lib/bellwether/core.db"
  check "a new version can be made" new_version
  check "it upgrades" scratch_dpkg --install "$work/next.deb"
  check "an upgrade keeps our configuration" grep -qx '# ours' "$config"
  check "it can be removed" scratch_dpkg --remove bellwether
  check "removal keeps configuration and history" [ -e "$config" -a -e "$root/var/lib/bellwether/core.db" ]
  check "it can be purged" scratch_dpkg --purge bellwether
  check "purging deletes both" [ ! -e "$root/etc/bellwether" -a ! -e "$root/var/lib/bellwether" ]
fi
[ -d /run/systemd/system ] || skip "starting the service: systemd does not run here"

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
