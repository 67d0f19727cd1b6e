#!/usr/bin/env python3
"""Concrete evaluation against onnxruntime on two threads, in one run: milliseconds per batch and the ratio.

usage: forward.py BENCH_FORWARD [--shared FOLDER] [--batch 256] [--rounds 5] [MODEL ...]

BENCH_FORWARD is the built program bench/bench_forward; run with the Python of tools/make_venv.sh, which has onnxruntime. The two
take turns, so that a busy machine slows both; processor time of all threads is printed beside, which other work disturbs less.
"""
import argparse
import os
import pathlib
import statistics
import subprocess
import sys
import time

try:
    import numpy as np
    import onnxruntime
except ImportError as missing:
    sys.exit(f"skipped: {missing.name} is not there; make a Python with tools/make_venv.sh")


def session_of(path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


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
    for name in a.models:
        path = pathlib.Path(a.shared) / "data" / "models" / f"{name}.onnx"
        ours, peers = [], []
        for _ in range(a.rounds):
            ours.append([float(x) for x in subprocess.run([a.program, str(path), str(a.batch), "5"], check=True, capture_output=True, text=True).stdout.split()])
            peers.append(peer_times(path, a.batch))
        w, c = (statistics.median(x[k] for x in ours) for k in (0, 1))
        pw, pc = (statistics.median(x[k] for x in peers) for k in (0, 1))
        print(f"| {name} | {a.batch} | {pw:.1f} | {w:.1f} | {pw / w:.2f} | {pc:.1f} | {c:.1f} | {pc / c:.2f} |", flush=True)


main()
