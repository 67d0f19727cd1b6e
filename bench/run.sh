#!/bin/bash
# usage: run.sh BUILD_FOLDER [OUTPUT_FOLDER] [--quick]
# Every table of docs/performance.md, one file each, and all of them on the screen: about 10 minutes on an otherwise idle machine
# with 2 cores. BUILD_FOLDER was configured with -DBOUNDLIGHT_BENCH=ON; the shared data lie in $BOUNDLIGHT_SHARED or shared/ beside
# the repository. --quick measures everything once and leaves out what takes minutes: to see that it runs, not for figures.
set -euo pipefail
quick=
arguments=()
for a in "$@"; do
  if [ "$a" = --quick ]; then quick=1; else arguments+=("$a"); fi
done
if [ ${#arguments[@]} -lt 1 ]; then
  sed -n '2s/^# //p' "$0" >&2
  exit 2
fi
build=$(cd "${arguments[0]}" && pwd)
out=${arguments[1]:-$build/bench-results}
mkdir -p "$out"
out=$(cd "$out" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
shared=${BOUNDLIGHT_SHARED:-$here/../shared}
engine() { "$build/bench/bench_engine" "$@" ${quick:+--repeat 1 --enough 0}; }
explain=("$build/bench/bench_explain" ${quick:+--repeat 1})
peers=ACASXU_run2a_1_1_batch_2000,mnist-net_256x2,mnist-net_256x4,mnist_cnn_small,cifar_base_kw,cifar_deep_kw,resnet_2b,resnet_4b
others=ffnnSIGMOID__Point_6x200,decoy_mnist_cnn,mnist_cnn_small_adv,mnist_resnet_bn_pool,Convnet_avgpool,Convnet_maxpool,cifar10_small
dense=mnist-net_256x2,mnist-net_256x4,mnist_cnn_small,cifar_base_kw

# The models of a table; with --quick one.
models() { if [ -n "$quick" ]; then echo mnist-net_256x2; else echo "$1"; fi; }

# table NAME COMMAND ...: what the command prints, into NAME and on the screen, with the seconds that it took.
table() {
  local name=$1 start=$SECONDS
  shift
  echo "## $name"
  "$@" | tee "$out/$name"
  echo "($((SECONDS - start)) s)"
}

table calibration.md engine --calibrate
table crown.md engine --models "$peers" --methods crown --batches 1
table crown64.md engine --models "$(models "$peers")" --methods crown --batches 64 --precisions auto --enough 1
table interval.md engine --models "$peers" --methods interval --batches 1,64 --precisions auto
table others.md engine --models "$others" --methods interval,crown --batches 1 --precisions auto
table plain.md engine --plain --models "$(models "$dense")"
table price.md engine --price --methods crown --batches 1 --precisions auto,float --enough 2
table price64.md engine --price --models "$(models ACASXU_run2a_1_1_batch_2000,mnist-net_256x2,mnist-net_256x4,mnist_cnn_small,cifar_base_kw)" --methods crown --batches 64 --precisions auto --enough 2
table price_combined.md engine --price --models "$(models ACASXU_run2a_1_1_batch_2000,mnist-net_256x2,mnist-net_256x4,mnist_cnn_small,Convnet_avgpool)" --methods combined --batches 1 --precisions auto --enough 2
table methods.md engine --models "$dense" --methods combined,alpha --batches 1 --precisions auto --enough 0.1
table scaling.csv "$build/bench/bench_scaling"
python3 "$here/plot_scaling.py" <"$out/scaling.csv" >"$out/scaling.svg"
table explain_speed.md "${explain[@]}" speed
if [ -z "$quick" ]; then
  table explain_exact.md "${explain[@]}" exact --parts 256
  table verdicts_mnistfc.txt "$build/bench/bench_verdicts" "$shared/data" --match 256x2 --timeout 60 --check
  table verdicts_acasxu.txt "$build/bench/bench_verdicts" "$shared/data" --match acasxu --timeout 20
  table vgg16.md "$build/bench/bench_vgg" "$out/vgg16.onnx" 2048 float
fi
if peers_python=$("$here/../tools/make_venv.sh" "$build/peers" "$here/../tests/python/requirements.txt"); then
  table forward.md "$build/peers/bin/python" "$here/forward.py" "$build/bench/bench_forward"
else
  echo "$peers_python"
fi
echo "all tables are in $out"
