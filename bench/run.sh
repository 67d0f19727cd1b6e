#!/bin/bash
# usage: run.sh BUILD_FOLDER [OUTPUT_FOLDER]
# Every table of docs/performance.md, one file each, on an otherwise idle machine: about 30 minutes. BUILD_FOLDER was configured with
# -DBOUNDLIGHT_BENCH=ON; the shared data lie in $BOUNDLIGHT_SHARED or shared/ beside the repository.
set -euo pipefail
build=$(cd "$1" && pwd)
out=${2:-$build/bench-results}
mkdir -p "$out"
here=$(cd "$(dirname "$0")" && pwd)
engine=$build/bench/bench_engine
"$engine" --calibrate >"$out/calibration.md"
"$engine" --methods interval,crown --batches 1,64 >"$out/speed.md"
"$engine" --methods combined,alpha --batches 1 --precisions auto --enough 2 >"$out/combined_alpha.md"
"$engine" --plain >"$out/plain.md"
"$engine" --price --methods crown,combined --batches 1 --precisions float,auto >"$out/price.md"
"$engine" --price --methods crown --batches 64 --precisions auto >"$out/price64.md"
"$build/bench/bench_scaling" >"$out/scaling.csv"
python3 "$here/plot_scaling.py" <"$out/scaling.csv" >"$out/scaling.svg"
"$build/bench/bench_vgg" "$out/vgg16.onnx" 2048 float >"$out/vgg16.md"
if peers=$("$here/../tools/make_venv.sh" "$build/peers" "$here/../tests/python/requirements.txt"); then
  "$build/peers/bin/python" "$here/forward.py" "$build/bench/bench_forward" >"$out/forward.md"
else
  echo "$peers"
fi
