#!/bin/bash
# usage: prepare_instance.sh v1 CATEGORY ONNX VNNLIB
# Nothing is precomputed: looks whether model and property can be read, so that a broken instance is noticed before its clock
# starts. Processes of other instances are left alone; run_instance.sh ends its own.
source "$(dirname "$0")/common.sh"
version "${1:-}" 'prepare_instance.sh v1 CATEGORY ONNX VNNLIB'
[[ $# -eq 4 ]] || stop 'usage: prepare_instance.sh v1 CATEGORY ONNX VNNLIB' 2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
model=$(plain "$3" "$folder") || exit 2
plain "$4" "$folder" > /dev/null || exit 2
boundlight info "$model" --json "$folder/info.json" > /dev/null
