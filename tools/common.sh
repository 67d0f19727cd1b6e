# What ./demo and ./test share: packages, configuring, building. Sourced by bash, from the repository's root.
set -euo pipefail

say() { printf '== %s\n' "$*"; }
fail() { printf 'error: %s\n' "$*" >&2; exit 1; }

# Prints the packages of tools/packages.txt that are not installed, one per line.
missing_packages() {
  local package
  while read -r package; do
    [[ -z $package || $package == \#* ]] && continue
    [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || printf '%s\n' "$package"
  done < tools/packages.txt
}

# Installs what is missing, with sudo unless root; touches nothing and asks nobody when all is there.
need_packages() {
  if ! command -v dpkg-query >/dev/null; then
    say "not a Debian system: packages are not checked; tools/packages.txt lists what is needed"
    return
  fi
  local missing
  mapfile -t missing < <(missing_packages)
  if [[ ${#missing[@]} -eq 0 ]]; then
    say "Debian packages: all there"
    return
  fi
  say "Debian packages to install: ${missing[*]}"
  local as_root=()
  if [[ $(id -u) -ne 0 ]]; then
    command -v sudo >/dev/null || fail "packages are missing and there is no sudo; as root run: apt-get install ${missing[*]}"
    as_root=(sudo)
  fi
  "${as_root[@]}" apt-get update -q
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}"
}

# configure FOLDER [cmake arguments]: Ninja, Release unless an argument says otherwise, ccache when it is there.
configure() {
  local folder=$1
  shift
  local launcher=()
  command -v ccache >/dev/null && launcher=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
  say "configure $folder"
  cmake -S . -B "$folder" -G Ninja -DBOUNDLIGHT_UNITY=ON "${launcher[@]}" "$@"
}

# build FOLDER [targets]: two jobs by default, which fits a small machine; JOBS=n for more.
build() {
  local folder=$1
  shift
  say "build $folder"
  cmake --build "$folder" -j "${JOBS:-2}" ${@:+--target "$@"}
}
