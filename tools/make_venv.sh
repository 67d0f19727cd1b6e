#!/bin/bash
# usage: make_venv.sh FOLDER REQUIREMENTS
# Makes a Python environment with exactly the wheels of REQUIREMENTS (hash-checked), or leaves a finished one alone.
# Exit 0: FOLDER/bin/python is ready; 77: it cannot be made here (a line "skipped: REASON" says why), which is an error
# when CI=true. Finished means FOLDER/requirements.txt equals REQUIREMENTS.
set -uo pipefail
folder=$1
requirements=$2
python=${PYTHON:-python3}

give_up() {
  rm -rf "$folder"
  printf 'skipped: %s\n' "$1"
  [[ ${CI:-} == true ]] && exit 1
  exit 77
}

if cmp -s "$requirements" "$folder/requirements.txt"; then
  echo "ready: $folder"
  exit 0
fi
rm -rf "$folder"
"$python" -c 'import sys, platform; sys.exit(sys.version_info[:2] != (3, 11) or platform.machine() != "x86_64")' ||
  give_up "the peers are pinned for Python 3.11 on x86-64; name such an interpreter in PYTHON"
"$python" -m venv "$folder" >/dev/null 2>&1 || give_up "cannot make a Python environment; install python3-venv"
"$folder/bin/python" -m pip --disable-pip-version-check install --quiet --no-deps --require-hashes \
  --only-binary :all: -r "$requirements" || give_up "the Python package index cannot be reached (peers are not installed)"
cp "$requirements" "$folder/requirements.txt"
echo "ready: $folder"
