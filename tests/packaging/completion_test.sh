#!/bin/bash
# usage: completion_test.sh BOUNDLIGHT
# The bash completion answers what a user would type; the zsh one at least parses where zsh is installed.
set -euo pipefail
boundlight=$1
source <("$boundlight" completion bash)

# expect 'WORDS TYPED SO FAR' 'WORD AMONG THE ANSWERS'; the last typed word is the one being completed ("" after a blank)
expect() {
  read -ra COMP_WORDS <<< "$1"
  [[ $1 != *' ' ]] || COMP_WORDS+=('')
  COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
  _boundlight
  local answer
  for answer in "${COMPREPLY[@]}"; do
    [[ $answer != "$2" ]] || return 0
  done
  printf 'completing "%s" does not offer %s but: %s\n' "$1" "$2" "${COMPREPLY[*]}" >&2
  exit 1
}

expect 'boundlight in' info
expect 'boundlight --v' --version
expect 'boundlight info --gr' --graph
expect 'boundlight completion z' zsh
cd "$(mktemp -d)"
touch model.onnx
expect 'boundlight info mod' model.onnx
expect 'boundlight info model.onnx --json ' model.onnx
# Every command and every long option of the help is offered.
while read -r command; do
  expect "boundlight $command" "$command"
  for option in $("$boundlight" "$command" --help | grep -oE '^  (-[a-z],)?--[a-z-]+' | grep -oE -- '--[a-z-]+'); do
    expect "boundlight $command $option" "$option"
  done
done < <("$boundlight" --help | sed -n '/^Subcommands:/,/^$/s/^  \([a-z]\+\) .*/\1/p')
if command -v zsh > /dev/null; then
  "$boundlight" completion zsh | zsh -n
fi
