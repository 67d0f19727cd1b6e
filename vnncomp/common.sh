# Shared by the competition's scripts: the protocol's version, the command, unpacked files.
stop() {
  printf '%s: %s\n' "$(basename "$0")" "$1" >&2
  exit "${2:-1}"
}

# version VERSION USAGE: only v1 is spoken.
version() {
  [[ ${1:-} == v1 ]] || stop "speaks version v1 of the protocol, was asked for '${1:-}'; usage: $2" 2
}

# The command: $BOUNDLIGHT, or what install_tool.sh has built.
boundlight() {
  local command=${BOUNDLIGHT:-$(dirname "${BASH_SOURCE[0]}")/../build-release/bin/boundlight}
  [[ -x $command ]] || stop "there is no $command; run install_tool.sh v1, or set BOUNDLIGHT"
  "$command" "$@"
}

# plain FILE FOLDER: prints FILE, or for FILE.gz the unpacked file in FOLDER.
plain() {
  [[ -r $1 ]] || stop "cannot read $1" 2
  if [[ $1 == *.gz ]]; then
    local to
    to=$2/$(basename "${1%.gz}")
    gzip --decompress --stdout -- "$1" > "$to" || stop "cannot unpack $1" 2
    printf '%s\n' "$to"
  else
    printf '%s\n' "$1"
  fi
}
