#!/bin/bash
# usage: run_instance.sh v1 CATEGORY ONNX VNNLIB RESULTS_FILE TIMEOUT
# Writes unsat, sat (with the counterexample), unknown, timeout or error to RESULTS_FILE. Exit code 0 whenever that file is
# written. BOUNDLIGHT_OPTIONS holds further options of boundlight verify.
source "$(dirname "$0")/common.sh"
version "${1:-}" 'run_instance.sh v1 CATEGORY ONNX VNNLIB RESULTS_FILE TIMEOUT'
[[ $# -eq 6 ]] || stop 'usage: run_instance.sh v1 CATEGORY ONNX VNNLIB RESULTS_FILE TIMEOUT' 2
results=$5
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
rm -f "$results"
model=$(plain "$3" "$folder") && property=$(plain "$4" "$folder") || { echo error > "$results"; exit 0; }
read -ra options <<< "${BOUNDLIGHT_OPTIONS:-}"
boundlight verify "$model" "$property" --timeout "$6" --vnncomp "$results" "${options[@]}"
# Codes of a verdict: 0 unsat, 10 sat, 11 unknown, 12 timeout, 4 memory, 130 interrupted; then the file is there.
[[ -s $results ]] || echo error > "$results"
