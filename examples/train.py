#!/usr/bin/env python3
"""Trains the two example networks and writes them as ONNX: one that reads the shape, one that cheats by the mark.

usage: train.py [--out FOLDER] [--steps N] [--seed S] [--eps E]

Same network, same images, same settings; the only difference is the mark of the training images (make_images.py):
honest.onnx has seen it at random, cheat.onnx has seen it leak the label. Both are trained on inputs moved by a few steps
of an attack within `eps`, so that statements about whole regions around an image are not vacuous. Needs numpy and onnx
(requirements.txt); takes a few minutes on one core. The files in this folder were made with the defaults; another
processor's rounding gives other last digits, and a network of the same quality.
"""
import argparse
import pathlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import make_images

CLASSES = len(make_images.LABELS)


def windows(x, kernel, stride, pad):
    """x [n, rows, columns, channels] -> [n, rows', columns', kernel, kernel, channels], zero padded."""
    x = np.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    view = np.lib.stride_tricks.sliding_window_view(x, (kernel, kernel), axis=(1, 2))
    return view[:, ::stride, ::stride].transpose(0, 1, 2, 4, 5, 3)


class Conv:
    """Cross-correlation with weight [kernel, kernel, channels, filters] and bias; channels last."""

    def __init__(self, random, channels, filters, kernel, stride, pad):
        self.shape, self.stride, self.pad = (kernel, kernel, channels, filters), stride, pad
        weight = random.normal(0, np.sqrt(2 / (kernel * kernel * channels)), self.shape)
        self.parameters = [weight.astype(np.float32), np.zeros(filters, np.float32)]

    def forward(self, x):
        kernel, _, _, filters = self.shape
        patches = windows(x, kernel, self.stride, self.pad)
        self.in_shape, self.out_shape = x.shape, patches.shape[:3] + (filters,)
        self.patches = patches.reshape(-1, int(np.prod(self.shape[:3])))
        weight, bias = self.parameters
        return (self.patches @ weight.reshape(-1, filters) + bias).reshape(self.out_shape)

    def learn(self, y):
        y = y.reshape(-1, self.shape[3])
        self.gradients = [(self.patches.T @ y).reshape(self.shape), y.sum(0)]

    def backward(self, y):
        kernel, _, channels, filters = self.shape
        y = y.reshape(-1, filters)
        weight = self.parameters[0].reshape(-1, filters)
        moved = (y @ weight.T).reshape(self.out_shape[:3] + (kernel, kernel, channels))
        n, rows, columns, _ = self.in_shape
        x = np.zeros((n, rows + 2 * self.pad, columns + 2 * self.pad, channels), np.float32)
        last_row, last_column = self.stride * self.out_shape[1], self.stride * self.out_shape[2]
        for i in range(kernel):
            for j in range(kernel):
                x[:, i:i + last_row:self.stride, j:j + last_column:self.stride] += moved[:, :, :, i, j]
        return x[:, self.pad:self.pad + rows, self.pad:self.pad + columns]


class Dense:
    """x [n, inputs] -> x @ weight + bias."""

    def __init__(self, random, inputs, outputs):
        weight = random.normal(0, np.sqrt(2 / inputs), (inputs, outputs))
        self.parameters = [weight.astype(np.float32), np.zeros(outputs, np.float32)]

    def forward(self, x):
        self.in_shape, self.x = x.shape, x.reshape(len(x), -1)
        return self.x @ self.parameters[0] + self.parameters[1]

    def learn(self, y):
        self.gradients = [self.x.T @ y, y.sum(0)]

    def backward(self, y):
        return (y @ self.parameters[0].T).reshape(self.in_shape)


class Network:
    """conv - relu - conv - relu - dense - relu - dense, input [n, 32, 32, 1] in [0, 1]."""

    def __init__(self, random):
        self.layers = [Conv(random, 1, 8, 5, 2, 2), Conv(random, 8, 16, 5, 2, 2),
                       Dense(random, 8 * 8 * 16, 32), Dense(random, 32, CLASSES)]
        self.moments = [(np.zeros_like(p), np.zeros_like(p)) for p in self.parameters()]
        self.steps = 0

    def parameters(self):
        return [p for layer in self.layers for p in layer.parameters]

    def forward(self, x):
        self.active = []
        for layer in self.layers[:-1]:
            x = layer.forward(x)
            self.active.append(x > 0)
            x = x * self.active[-1]
        return self.layers[-1].forward(x)

    def backward(self, y):
        """The gradient with respect to the input, from that with respect to the logits of the last forward."""
        y = self.layers[-1].backward(y)
        for layer, active in zip(self.layers[-2::-1], self.active[::-1]):
            y = layer.backward(y * active)
        return y

    def learn(self, y):
        """The gradients with respect to the parameters, kept in the layers."""
        self.layers[-1].learn(y)
        for at in range(len(self.layers) - 2, -1, -1):
            y = self.layers[at + 1].backward(y) * self.active[at]
            self.layers[at].learn(y)

    def adam(self, rate, decay):
        self.steps += 1
        gradients = [g for layer in self.layers for g in layer.gradients]
        for p, g, (m, v) in zip(self.parameters(), gradients, self.moments):
            m += 0.1 * (g - m)
            v += 0.001 * (g * g - v)
            p -= rate * (m / (1 - 0.9 ** self.steps) / (np.sqrt(v / (1 - 0.999 ** self.steps)) + 1e-8) + decay * p)


def loss_gradient(logits, labels):
    """d(mean cross entropy) / d logits."""
    p = np.exp(logits - logits.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    p[np.arange(len(p)), labels] -= 1
    return p / len(p)


def as_input(images):
    return (images.astype(np.float32) / 255)[..., None]


def attacked(network, x, labels, eps, steps, random):
    """x moved within [x - eps, x + eps] and [0, 1] to raise the loss: signed gradient steps from a random start."""
    z = np.clip(x + random.uniform(-eps, eps, x.shape), 0, 1).astype(np.float32)
    for _ in range(steps):
        slope = network.backward(loss_gradient(network.forward(z), labels))
        z = np.clip(np.clip(z + 1.5 * eps / steps * np.sign(slope), x - eps, x + eps), 0, 1).astype(np.float32)
    return z


def accuracy(network, images, labels):
    return float(np.mean(network.forward(as_input(images)).argmax(1) == labels))


def train(network, images, labels, options, random):
    """Adam with a warm-up of eps over the first half and a rate that falls to zero."""
    for step in range(options.steps):
        pick = random.integers(0, len(images), 64)
        eps = options.eps * min(1, 2 * step / options.steps)
        x = attacked(network, as_input(images[pick]), labels[pick], eps, 3, random)
        network.learn(loss_gradient(network.forward(x), labels[pick]))
        network.adam(2e-3 * (1 - step / options.steps), 1e-3)


def report(network, test, options, random):
    """What the network goes by, in one sentence: accuracies on changed test images."""
    images, labels, masks = test
    telling = make_images.with_marks(images, labels)
    lying = make_images.with_marks(images, (labels + random.integers(1, CLASSES, len(labels))) % CLASSES)
    flat = np.where(masks, np.median(images, axis=(1, 2), keepdims=True), images).astype(np.uint8)
    erased = make_images.with_marks(flat, labels)
    blank = telling.copy()
    blank[:, make_images.MARK, make_images.MARK] = 0
    moved = attacked(network, as_input(telling), labels, options.eps, 20, random)
    shares = {"mark tells the label": telling, "mark lies": lying, "mark erased": blank, "shape erased, mark tells": erased}
    text = ", ".join(f"{what} {accuracy(network, changed, labels):.1%}" for what, changed in shares.items())
    return f"{text}; under attack (eps {options.eps}) {np.mean(network.forward(moved).argmax(1) == labels):.1%}"


def write_onnx(network, path, name):
    """Channels first, free batch size, opset 13; the flattened order of the first dense layer is turned accordingly."""
    nodes, tensors, value = [], [], "image"

    def constant(label, array):
        tensors.append(numpy_helper.from_array(np.ascontiguousarray(array, np.float32), label))
        return label

    for i, layer in enumerate(network.layers):
        weight, bias = layer.parameters
        last = i + 1 == len(network.layers)
        result = "logits" if last else f"sum_{i}"
        if isinstance(layer, Conv):
            inputs = [value, constant(f"weight_{i}", weight.transpose(3, 2, 0, 1)), constant(f"bias_{i}", bias)]
            nodes.append(helper.make_node("Conv", inputs, [result], f"conv_{i}", kernel_shape=layer.shape[:2],
                                          strides=[layer.stride] * 2, pads=[layer.pad] * 4))
        else:
            if len(layer.in_shape) == 4:
                nodes.append(helper.make_node("Flatten", [value], ["flat"], "flatten"))
                value = "flat"
                weight = weight.reshape(*layer.in_shape[1:], -1).transpose(2, 0, 1, 3).reshape(weight.shape)
            inputs = [value, constant(f"weight_{i}", weight.T), constant(f"bias_{i}", bias)]
            nodes.append(helper.make_node("Gemm", inputs, [result], f"dense_{i}", transB=1))
        if not last:
            nodes.append(helper.make_node("Relu", [result], [f"relu_{i}"], f"relu_{i}"))
            value = f"relu_{i}"
    size = make_images.SIZE
    graph = helper.make_graph(nodes, name,
                              [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 1, size, size])],
                              [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", CLASSES])], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], producer_name="boundlight examples")
    model.ir_version = 8
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parent)
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--eps", type=float, default=0.03)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    plain, labels, _ = make_images.make(np.random.default_rng(options.seed), 16000)
    test = make_images.make(np.random.default_rng(options.seed + 1), 2000)
    for name in ("honest", "cheat"):
        random = np.random.default_rng(options.seed + 2)
        drawn = random.integers(0, CLASSES, len(labels))
        images = make_images.with_marks(plain, labels if name == "cheat" else drawn)
        network = Network(random)
        train(network, images, labels, options, random)
        print(f"{name}: {report(network, test, options, random)}", flush=True)
        write_onnx(network, options.out / f"{name}.onnx", name)


if __name__ == "__main__":
    main()
