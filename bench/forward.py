#!/usr/bin/env python3
"""Concrete evaluation against onnxruntime on two threads, in one run: milliseconds per batch and the ratio.

usage: forward.py BENCH_FORWARD [--shared FOLDER] [--batch 256] [--rounds 5] [MODEL ...]

The shared models have a fixed batch of one, which costs onnxruntime one call per sample; the lines "free batch" give it a copy whose
first dimension is free, so that it gets the whole batch at once.

BENCH_FORWARD is the built program bench/bench_forward; run with the Python of tools/make_venv.sh, which has onnxruntime. The two
take turns, so that a busy machine slows both; processor time of all threads is printed beside, which other work disturbs less.
"""
import argparse
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

try:
    import numpy as np
    import onnx
    import onnxruntime
except ImportError as missing:
    sys.exit(f"skipped: {missing.name} is not there; make a Python with tools/make_venv.sh")


def session_of(path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def with_free_batch(path, folder):
    """A copy whose first dimension is free, checked on three random samples against the model itself."""
    model = onnx.load(str(path))
    constants = {c.name: c for c in model.graph.initializer}
    inputs = [v for v in model.graph.input if v.name not in constants]
    for value in [*inputs, *model.graph.output]:
        value.type.tensor_type.shape.dim[0].dim_param = "samples"
    del model.graph.value_info[:]
    shapes = {node.input[1] for node in model.graph.node if node.op_type == "Reshape"}
    for node in model.graph.node:
        if node.op_type == "Constant" and node.output[0] in shapes:
            constants[node.output[0]] = node.attribute[0].t
    for name in shapes & set(constants):
        sizes = onnx.numpy_helper.to_array(constants[name]).copy()
        if sizes[0] in (1, -1):
            sizes[0], sizes[1:] = (0, sizes[1:]) if -1 in sizes[1:] or len(sizes) > 2 else (0, -1)
            constants[name].CopyFrom(onnx.numpy_helper.from_array(sizes, constants[name].name))
    copy = pathlib.Path(folder) / path.name
    onnx.save(model, str(copy))
    one, many = session_of(path), session_of(copy)
    shape = [d if isinstance(d, int) else 1 for d in one.get_inputs()[0].shape]
    data = np.random.default_rng(2).random([3] + shape[1:], dtype=np.float32)
    name = one.get_inputs()[0].name
    together = many.run(None, {name: data})[0]
    apart = np.concatenate([one.run(None, {name: data[i:i + 1]})[0] for i in range(3)])
    if not np.allclose(together.reshape(apart.shape), apart, rtol=1e-4, atol=1e-5):
        raise ValueError("the copy with a free batch computes something else")
    return copy


def peer_times(path, batch):
    """Milliseconds (wall, processor) per batch; a model with a fixed batch of one runs sample by sample."""
    session = session_of(path)
    node = session.get_inputs()[0]
    shape = [d if isinstance(d, int) else None for d in node.shape]
    free = shape[0] is None
    data = np.random.default_rng(1).random([batch if free else 1] + [d or 1 for d in shape[1:]], dtype=np.float32)
    calls = 1 if free else batch
    wall, cpu = [], []
    for _ in range(6):
        before, busy = time.perf_counter(), time.process_time()
        for _ in range(calls):
            session.run(None, {node.name: data})
        wall.append(1e3 * (time.perf_counter() - before))
        cpu.append(1e3 * (time.process_time() - busy))
    return statistics.median(wall[1:]), statistics.median(cpu[1:])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program")
    parser.add_argument("models", nargs="*", default=["resnet_2b", "mnist_cnn_small"])
    parser.add_argument("--shared", default=os.environ.get("BOUNDLIGHT_SHARED", pathlib.Path(__file__).resolve().parents[1] / "shared"))
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5)
    a = parser.parse_args()
    print("| model | batch | onnxruntime ms | ours ms | ratio | onnxruntime cpu ms | ours cpu ms | cpu ratio |\n|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name in a.models:
            path = pathlib.Path(a.shared) / "data" / "models" / f"{name}.onnx"
            peers = {"as it is": path}
            try:
                peers["free batch"] = with_free_batch(path, folder)
            except Exception as reason:  # a model whose batch cannot be freed is compared as it is
                print(f"note: {name}: no copy with a free batch ({str(reason).splitlines()[0]})", file=sys.stderr)
            ours, theirs = [], {which: [] for which in peers}
            for _ in range(a.rounds):
                ours.append([float(x) for x in subprocess.run([a.program, str(path), str(a.batch), "5"], check=True, capture_output=True, text=True).stdout.split()])
                for which, file in peers.items():
                    theirs[which].append(peer_times(file, a.batch))
            w, c = (statistics.median(x[k] for x in ours) for k in (0, 1))
            for which, times in theirs.items():
                pw, pc = (statistics.median(x[k] for x in times) for k in (0, 1))
                print(f"| {name}, {which} | {a.batch} | {pw:.1f} | {w:.1f} | {pw / w:.2f} | {pc:.1f} | {c:.1f} | {pc / c:.2f} |", flush=True)


main()
