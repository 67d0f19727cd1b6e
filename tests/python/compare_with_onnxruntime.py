#!/usr/bin/env python3
"""Compares `boundlight run` with onnxruntime: generated graphs of every operator, mutated graphs, and shared models.

usage: compare_with_onnxruntime.py COMMAND [--shared FOLDER] [--inputs N] [--only TEXT]

COMMAND is the boundlight binary, FOLDER by default $BOUNDLIGHT_SHARED or shared/ beside the repository. Exit status: 0 all equal and every mutation noticed, 1 otherwise, 77 (with a line
"skipped: ...") without onnxruntime.
"""
import argparse
import copy
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

try:
    import numpy as np
    import onnx
    import onnxruntime
except ImportError as missing:
    print(f"skipped: {missing.name} is not there; ./test installs the peers when the package index can be reached")
    sys.exit(77)

import graphs

SAMPLES = 19  # per generated graph: a block of samples side by side (device/sample_lanes.hpp) and part of one
TOLERANCE = 2e-5  # of 1 + the largest reference value; binary32 sums of up to some thousand terms stay far below


class Peer:
    """One model in onnxruntime, single-threaded."""

    def __init__(self, model):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])

    def run(self, inputs):
        """inputs: {name: samples x shape}; every output as samples x values."""
        count = len(next(iter(inputs.values())))
        rows = [self.session.run(None, {k: v[i] for k, v in inputs.items()}) for i in range(count)]
        return [np.stack([np.asarray(row[o], dtype=np.float64).ravel() for row in rows]) for o in range(len(rows[0]))]


class Boundlight:
    def __init__(self, command, folder):
        self.command, self.folder = command, pathlib.Path(folder)

    def json(self, *arguments):
        done = subprocess.run([self.command, *arguments, "--json", "-"], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"exit status {done.returncode}")
        return json.loads(done.stdout)

    def run(self, path, inputs):
        arguments = []
        for i, (name, samples) in enumerate(inputs.items()):
            file = self.folder / f"input_{i}.npy"
            np.save(file, samples)
            arguments += ["--input", f"{name}={file}" if len(inputs) > 1 else str(file)]
        # layout flat: numbers are taken as they are, no image is guessed
        outputs = self.json("run", str(path), *arguments, "--layout", "flat")["outputs"]
        count = len(next(iter(inputs.values())))
        return [np.array(o["values"], dtype=np.float64).reshape(count, -1) for o in outputs]

    def run_model(self, model, inputs):
        path = self.folder / "model.onnx"
        onnx.save(model, path)
        return self.run(path, inputs)


def distance(mine, reference):
    """Largest difference, relative to 1 + the reference's size; infinite when shapes differ."""
    worst = 0.0
    for a, b in zip(mine, reference):
        if a.shape != b.shape or not np.all(np.isfinite(a) == np.isfinite(b)):
            return float("inf")
        if a.size:
            worst = max(worst, float(np.max(np.abs(a - b)) / (1 + np.max(np.abs(b)))))
    return worst if len(mine) == len(reference) else float("inf")


def draw(random, inputs, count):
    return {k: random.uniform(low, high, (count, *shape)).astype(np.float32) for k, (shape, low, high) in inputs.items()}


SWAPPED = {"Sub", "Div", "Pow", "MatMul", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Concat"}


def mutations(model):
    """Faulty readings of a model: (what, model). Each must change the result."""
    for i, node in enumerate(model.graph.node):
        if node.op_type in ("Gemm", "Conv", "ConvTranspose", "LayerNormalization") and len(node.input) == 3:
            changed = copy.deepcopy(model)
            del changed.graph.node[i].input[2]
            yield "dropped bias", changed
        pair = (1, 2) if node.op_type == "Where" else (0, 1) if node.op_type in SWAPPED else None
        if pair and node.input[pair[0]] != node.input[pair[1]]:
            changed = copy.deepcopy(model)
            a, b = node.input[pair[0]], node.input[pair[1]]
            changed.graph.node[i].input[pair[0]], changed.graph.node[i].input[pair[1]] = b, a
            yield "swapped inputs", changed
        if node.op_type == "Gemm" and any(a.name == "transB" and a.i for a in node.attribute):
            changed = copy.deepcopy(model)
            kept = [a for a in node.attribute if a.name != "transB"]
            del changed.graph.node[i].attribute[:]
            changed.graph.node[i].attribute.extend(kept)
            yield "transB ignored", changed


def compare_generated(mine, only, failures):
    random = np.random.default_rng(11)
    all_graphs = [g for g in graphs.generated() if only in g.name]
    covered, worst, noticed = set(), 0.0, {}
    for g in all_graphs:
        covered |= g.operators
        inputs = draw(random, g.inputs, SAMPLES)
        reference = Peer(g.model).run(inputs)
        try:
            d = distance(mine.run_model(g.model, inputs), reference)
            worst = max(worst, d)
            if not d <= TOLERANCE:
                failures.append(f"{g.name}: differs by {d:.3g}")
        except RuntimeError as error:
            failures.append(f"{g.name}: {error}")
            continue
        for what, changed in mutations(g.model):
            try:
                seen = not distance(mine.run_model(changed, inputs), reference) <= TOLERANCE
            except RuntimeError:
                seen = True  # refused: the shapes no longer fit
            found = noticed.setdefault(what, [0, 0])
            found[0] += seen
            found[1] += 1
            if not seen:
                failures.append(f"{g.name}: {what} was not noticed")
    print(f"generated graphs: {len(all_graphs)} of {len(covered)} operators, {SAMPLES} inputs each, largest difference {worst:.2g}")
    for what, (seen, count) in noticed.items():
        print(f"mutation '{what}': {seen} of {count} noticed")
    if not only:
        missing = {o["name"] for o in mine.json("ops")["operators"]} - covered
        if missing:
            failures.append(f"operators without a generated graph: {', '.join(sorted(missing))}")
        if set(noticed) != {"dropped bias", "swapped inputs", "transB ignored"}:
            failures.append("a kind of mutation never occurred")


def compare_models(mine, folder, count, only, failures):
    random = np.random.default_rng(12)
    worst, done = 0.0, 0
    for path in sorted(folder.rglob("*.onnx")):
        if only not in path.name:
            continue
        model = onnx.load(path)
        known = {t.name for t in model.graph.initializer}
        inputs = {i.name: ([d.dim_value or 1 for d in i.type.tensor_type.shape.dim], 0.0, 1.0) for i in model.graph.input if i.name not in known}
        samples = draw(random, inputs, count)
        try:
            d = distance(mine.run(path, samples), Peer(model).run(samples))
        except RuntimeError as error:
            failures.append(f"{path.name}: {error}")
            continue
        worst, done = max(worst, d), done + 1
        if not d <= TOLERANCE:
            failures.append(f"{path.name}: differs by {d:.3g}")
    print(f"shared models: {done}, {count} random inputs each, largest difference {worst:.2g}")


REFUSED = re.compile(r"operator \w+ is not supported;|only A may be variable, and not transposed")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("command")
    beside = pathlib.Path(__file__).resolve().parents[3] / "shared"
    parser.add_argument("--shared", type=pathlib.Path, default=pathlib.Path(os.environ.get("BOUNDLIGHT_SHARED", beside)))
    parser.add_argument("--inputs", type=int, default=100, help="random inputs per shared model")
    parser.add_argument("--only", default="", help="graphs and models whose name contains this")
    options = parser.parse_args()
    failures = []
    with tempfile.TemporaryDirectory() as folder:
        mine = Boundlight(options.command, folder)
        compare_generated(mine, options.only, failures)
        if (options.shared / "data/models").is_dir():
            compare_models(mine, options.shared / "data/models", options.inputs, options.only, failures)
        else:
            print("skipped: the shared models are not there (BOUNDLIGHT_SHARED)")
    # What the command refuses by name is missing, not wrong: listed, so that nobody takes it for compared.
    refused = [f for f in failures if REFUSED.search(f)]
    wrong = [f for f in failures if not REFUSED.search(f)]
    for refusal in refused:
        print(f"not compared, refused by name: {refusal}")
    print(f"compared with {len(refused)} refusals and {len(wrong)} failures")
    for failure in wrong:
        print(f"FAILED {failure}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
