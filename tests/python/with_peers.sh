#!/bin/bash
# usage: with_peers.sh FOLDER SCRIPT ARGUMENTS...
# Runs a Python script in the environment of the peers that make_venv.sh made in FOLDER; skips (77) when it is not there.
python=$1/bin/python
shift
if [[ ! -x $python ]]; then
  echo "skipped: the peers are not installed (the test \`peers\` says why)"
  exit 77
fi
exec "$python" "$@"
