#!/bin/bash
# usage: tools/fresh_debian.sh FOLDER [SCRIPT...]       (as root; needs debootstrap and git; default scripts: demo test)
# Clones this repository into a new, minimal Debian 12 under FOLDER and runs ./demo and ./test there, timed.
# The machine's own way to the network (apt sources, proxies, certificates) is copied into FOLDER for the run; nothing of
# it gets into the repository. Uncommitted changes are not part of a clone. FOLDER is left for inspection.
set -euo pipefail
cd "$(dirname "$0")/.."
source tools/common.sh
[[ $# -ge 1 ]] || { sed -n '2,6s/^# //p' "$0"; exit 2; }
[[ $(id -u) -eq 0 ]] || fail "making a Debian root needs root"
root=$(realpath -m "$1")
shift
scripts=("$@")
[[ ${#scripts[@]} -gt 0 ]] || scripts=(demo test)
[[ ! -e $root ]] || fail "$root exists; name a new folder"

say "Debian 12 into $root"
mirror=$(awk '/^URIs:/ { print $2; exit }' /etc/apt/sources.list.d/debian.sources 2>/dev/null || true)
debootstrap --variant=minbase bookworm "$root" "${mirror:-http://deb.debian.org/debian}" > "$root.log" 2>&1 ||
  fail "debootstrap failed; see $root.log"
rm -f "$root/etc/apt/sources.list"
cp -a /etc/apt/sources.list.d/debian.sources "$root/etc/apt/sources.list.d/"
cp -a /etc/apt/apt.conf.d/. "$root/etc/apt/apt.conf.d/"
cp /etc/resolv.conf "$root/etc/resolv.conf"
cp /etc/ssl/certs/ca-certificates.crt "$root/etc/machine-certificates.crt"
git clone -q --no-hardlinks . "$root/boundlight"

mount --bind --make-private /dev "$root/dev"
mount -t proc proc "$root/proc"
mount --bind /dev/pts "$root/dev/pts"
trap 'umount "$root/dev/pts" "$root/proc" "$root/dev"' EXIT
pass=(PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 PIP_CERT=/etc/machine-certificates.crt)
for name in http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY PIP_INDEX_URL CI; do
  [[ -z ${!name:-} ]] || pass+=("$name=${!name}")
done
for script in "${scripts[@]}"; do
  say "./$script from nothing"
  start=$SECONDS
  env -i "${pass[@]}" chroot "$root" /bin/bash -c "cd /boundlight && ./$script" || fail "./$script failed in $root"
  say "./$script took $((SECONDS - start)) s"
done
