"""Small ONNX graphs of every operator, for comparison with onnxruntime.

Each graph is a Graph: a model, the shapes and ranges of its (float32) inputs, and the operators it is about. Weights are
random with a fixed seed. Integer and boolean tensors occur inside of graphs, made by comparisons, casts and constants.
"""
import dataclasses

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


@dataclasses.dataclass
class Graph:
    name: str
    model: onnx.ModelProto
    inputs: dict  # name -> (shape, low, high)
    operators: set


class Maker:
    """Collects graphs; see `graph`."""

    def __init__(self, seed=7):
        self.random = np.random.default_rng(seed)
        self.graphs = []

    def weights(self, *shape, low=-1.0, high=1.0):
        return self.random.uniform(low, high, shape).astype(np.float32)

    def graph(self, name, inputs, nodes, constants=None, opset=18):
        """inputs: {name: shape or (shape, low, high)}; nodes: [(op, inputs, outputs, attributes)]; the last output is y."""
        ranges = {k: v if isinstance(v[0], (tuple, list)) else (v, -2.0, 2.0) for k, v in inputs.items()}
        made = [helper.make_node(op, ins, outs, name=f"{op}_{i}", **attributes) for i, (op, ins, outs, attributes) in enumerate(nodes)]
        last = nodes[-1]
        graph = helper.make_graph(
            made, name, [helper.make_tensor_value_info(k, TensorProto.FLOAT, list(v[0])) for k, v in ranges.items()],
            [helper.make_empty_tensor_value_info(last[2][0])],
            [numpy_helper.from_array(np.asarray(v), k) for k, v in (constants or {}).items()])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
        model = onnx.shape_inference.infer_shapes(model)  # onnxruntime wants typed outputs
        self.graphs.append(Graph(name, model, ranges, {op for op, _, _, _ in nodes}))

    def one(self, op, shape, constants=None, opset=18, label="", low=-2.0, high=2.0, **attributes):
        """One operator: y = op(x, constants in order; None leaves an input out)."""
        names = ["x"] + ["" if v is None else f"c{i}" for i, v in enumerate(constants or [])]
        given = {f"c{i}": v for i, v in enumerate(constants or []) if v is not None}
        self.graph(op + (" " + label if label else ""), {"x": (shape, low, high)}, [(op, names, ["y"], attributes)], given, opset)

    def two(self, op, a, b, opset=18, label="", low=-2.0, high=2.0, **attributes):
        self.graph(op + " of two" + (" " + label if label else ""), {"a": (a, low, high), "b": (b, low, high)}, [(op, ["a", "b"], ["y"], attributes)], None, opset)


def i64(*values):
    return np.array(values, dtype=np.int64)


def f32(*values):
    return np.array(values, dtype=np.float32)


def linear(m):
    w = m.weights
    m.one("Gemm", (1, 4), [w(4, 4), w(4)])
    m.one("Gemm", (1, 4), [w(3, 4), w(3)], label="transB", transB=1, alpha=0.5, beta=2.0)
    m.one("Gemm", (1, 4), [w(4, 4), w(1, 4)], label="square transB", transB=1)
    m.one("Gemm", (5, 2), [w(5, 3)], label="transA", transA=1)
    m.graph("Gemm of three variables", {"a": (3, 2), "b": (4, 3), "c": (4,)}, [("Gemm", ["a", "b", "c"], ["y"], {"transA": 1, "transB": 1, "alpha": 0.5, "beta": 2.0})])
    m.graph("Gemm with a constant left side", {"b": (3, 4)}, [("Gemm", ["a", "b", "c"], ["y"], {})], {"a": w(2, 3), "c": w(4)})
    m.graph("Gemm with a variable bias", {"a": (2, 3), "c": (2, 1)}, [("Gemm", ["a", "b", "c"], ["y"], {"beta": -1.0})], {"b": w(3, 4)})
    m.one("MatMul", (2, 3), [w(3, 3)])
    m.one("MatMul", (2, 2, 3), [w(3, 4)], label="stacked")
    m.graph("MatMul from the left", {"x": (3, 2)}, [("MatMul", ["w", "x"], ["y"], {})], {"w": w(3, 3)})
    m.two("MatMul", (2, 3, 3), (2, 3, 3))
    m.one("Conv", (1, 2, 6, 5), [w(3, 2, 3, 3), w(3)], pads=[1, 0, 1, 2], strides=[2, 1])
    m.one("Conv", (1, 4, 7, 7), [w(6, 2, 3, 3), w(6)], label="groups dilated", group=2, dilations=[2, 2])
    m.one("Conv", (1, 2, 9), [w(3, 2, 4), w(3)], label="one axis same", auto_pad="SAME_UPPER", strides=[2])
    m.one("ConvTranspose", (1, 3, 4, 4), [w(3, 2, 3, 3), w(2)], strides=[2, 2], pads=[1, 0, 0, 1], output_padding=[1, 0])
    m.one("ConvTranspose", (1, 4, 5), [w(4, 2, 3), w(4)], label="one axis groups", group=2, dilations=[2])
    m.one("BatchNormalization", (1, 3, 4, 4), [w(3), w(3), w(3), w(3, low=0.2, high=2)], epsilon=1e-3)
    m.one("LayerNormalization", (2, 3, 8), [w(8), w(8)], axis=-1)
    m.one("LayerNormalization", (2, 3, 4), [w(3, 4)], label="no bias", axis=1, epsilon=1e-3)


def pools(m):
    for op in ("MaxPool", "AveragePool"):
        m.one(op, (1, 2, 6, 7), kernel_shape=[3, 2], strides=[2, 2], pads=[1, 1, 0, 0])
        m.one(op, (1, 2, 7, 7), label="ceil", kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1)
        m.one(op, (1, 2, 9), label="one axis", kernel_shape=[3], auto_pad="SAME_LOWER")
    m.one("MaxPool", (1, 1, 8, 8), label="dilated", kernel_shape=[2, 2], dilations=[2, 3])
    m.one("AveragePool", (1, 2, 5, 5), label="pads counted", kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1)
    m.one("GlobalAveragePool", (1, 3, 4, 5))
    m.one("GlobalMaxPool", (1, 3, 4, 5))


def unary(m):
    for op in ("Relu", "Sigmoid", "Tanh", "Softplus", "Softsign", "Erf", "Exp", "Abs", "Neg", "Sign", "Floor", "Ceil", "Round", "Sin", "Cos", "Selu", "HardSwish"):
        m.one(op, (2, 5), low=-4.0, high=4.0)
    for op in ("Log", "Sqrt", "Reciprocal"):
        m.one(op, (2, 5), low=0.1, high=4.0)
    m.one("LeakyRelu", (2, 5), alpha=0.2)
    m.one("Elu", (2, 5), alpha=1.5)
    m.one("ThresholdedRelu", (2, 5), alpha=0.5)
    m.one("Celu", (2, 5), alpha=1.5)
    m.one("HardSigmoid", (2, 5), alpha=0.3, beta=0.4, low=-4.0, high=4.0)
    m.one("Gelu", (2, 5), opset=20)
    m.one("Gelu", (2, 5), opset=20, label="tanh", approximate="tanh")
    m.one("PRelu", (1, 3, 2, 2), [m.weights(3, 1, 1)])
    m.one("Clip", (2, 5), [f32(-0.5).reshape(()), f32(1.0).reshape(())])
    m.one("Clip", (2, 5), [None, f32(0.25).reshape(())], label="above")
    m.one("Clip", (2, 5), opset=10, label="attributes", min=-1.0, max=0.5)
    for axis in (0, 1, -1):
        m.one("Softmax", (2, 3, 4), label=f"axis {axis}", axis=axis)
        m.one("LogSoftmax", (2, 3, 4), label=f"axis {axis}", axis=axis)
    m.one("Softmax", (2, 3, 4), opset=11, label="version 11", axis=1)


def binary(m):
    for op in ("Add", "Sub", "Mul", "Div"):
        m.two(op, (2, 3), (2, 3), low=0.5)
        m.two(op, (2, 3), (3,), label="broadcast", low=0.5)
        m.one(op, (2, 3), [m.weights(2, 1, low=0.5, high=2.0)])
        m.graph(op + " from a constant", {"x": ((2, 3), 0.5, 2.0)}, [(op, ["c", "x"], ["y"], {})], {"c": m.weights(2, 1)})
    m.two("Pow", (2, 3), (2, 3), low=0.5)
    m.one("Pow", (2, 3), [f32(3)])
    m.one("Pow", (2, 3), [f32(0.5)], label="root", low=0.1)
    for op in ("Min", "Max", "Sum", "Mean"):
        m.two(op, (2, 3), (3,))
        m.graph(op + " of three", {"a": (2, 3), "b": (2, 3)}, [(op, ["a", "c", "b"], ["y"], {})], {"c": m.weights(3)})


def logic(m):
    back = ("Cast", ["t"], ["y"], {"to": TensorProto.FLOAT})
    for op in ("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"):
        m.graph(op, {"a": (4, 3), "b": (3,)}, [("Round", ["a"], ["ra"], {}), ("Round", ["b"], ["rb"], {}), (op, ["ra", "rb"], ["t"], {}), back])
        m.graph(op + " a constant", {"a": (4, 3)}, [("Round", ["a"], ["ra"], {}), (op, ["ra", "c"], ["t"], {}), back], {"c": f32(0, 1, -1)})
    for op in ("And", "Or", "Xor"):
        m.graph(op, {"a": (4, 3), "b": (3,)}, [("Greater", ["a", "zero"], ["p"], {}), ("Less", ["b", "zero"], ["q"], {}), (op, ["p", "q"], ["t"], {}), back],
                {"zero": f32(0)})
    m.graph("Not", {"a": (4, 3)}, [("Greater", ["a", "zero"], ["p"], {}), ("Not", ["p"], ["t"], {}), back], {"zero": f32(0)})
    m.graph("Where", {"a": (4, 3), "b": (4, 1)}, [("Less", ["a", "b"], ["p"], {}), ("Where", ["p", "a", "b"], ["y"], {})])
    m.graph("Where of a constant condition", {"a": (4, 3), "b": (4, 1)}, [("Where", ["p", "a", "b"], ["y"], {})], {"p": np.array([True, False, True])})
    for op in ("ArgMax", "ArgMin"):
        m.graph(op, {"x": (3, 4)}, [(op, ["x"], ["t"], {"axis": 1, "keepdims": 0}), back])
        m.graph(op + " last", {"x": (3, 4)}, [("Round", ["x"], ["r"], {}), (op, ["r"], ["t"], {"axis": 0, "select_last_index": 1}), back])
    m.graph("Cast to an integer", {"x": (2, 5)}, [("Cast", ["x"], ["t"], {"to": TensorProto.INT64}), back])
    m.graph("Cast to float64", {"x": (2, 5)}, [("Cast", ["x"], ["d"], {"to": TensorProto.DOUBLE}), ("Mul", ["d", "c"], ["t"], {}), back], {"c": np.array([1.1])})
    m.graph("CastLike", {"x": (2, 5)}, [("CastLike", ["x", "c"], ["t"], {}), back], {"c": i64(1)}, opset=15)


def reductions(m):
    for op in ("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceL1", "ReduceL2"):
        m.one(op, (2, 3, 4), [i64(1)], label="input", keepdims=0)
        m.one(op, (2, 3, 4), label="all")
        m.one(op, (2, 3, 4), opset=11, label="attribute", axes=[0, -1])


def shapes(m):
    m.one("Reshape", (2, 3, 4), [i64(0, -1, 2)])
    m.one("Flatten", (2, 3, 4), axis=2)
    m.one("Transpose", (2, 3, 4), perm=[2, 0, 1])
    m.one("Transpose", (2, 3), label="default")
    m.one("Squeeze", (1, 3, 1), [i64(0)])
    m.one("Unsqueeze", (2, 3), [i64(0, 2)])
    m.graph("Concat", {"a": (2, 3), "b": (2, 1)}, [("Concat", ["a", "c", "b"], ["y"], {"axis": 1})], {"c": m.weights(2, 2)})
    m.two("Concat", (2, 2), (2, 2), axis=0)
    m.graph("Split", {"x": (5, 4)}, [("Split", ["x", "c"], ["p", "q"], {"axis": 0}), ("Concat", ["q", "p"], ["y"], {"axis": 0})], {"c": i64(2, 3)})
    m.graph("Split evenly", {"x": (5, 4)}, [("Split", ["x"], ["p", "q"], {"axis": 1, "num_outputs": 2}), ("Sub", ["q", "p"], ["y"], {})])
    m.one("Slice", (4, 6), [i64(-1, 1), i64(-100, 5), i64(0, 1), i64(-2, 2)])
    m.one("Slice", (4, 6), opset=9, label="attributes", starts=[1], ends=[-1], axes=[1])
    m.one("Gather", (3, 4), [np.array([[1, -1], [0, 0]])], axis=1)
    m.graph("Gather by a variable", {"x": (4, 3), "i": ((2,), 0.0, 3.9)}, [("Cast", ["i"], ["j"], {"to": TensorProto.INT64}), ("Gather", ["x", "j"], ["y"], {})])
    m.one("GatherElements", (2, 3), [np.array([[0, -1], [2, 1]])], axis=1)
    m.one("GatherND", (2, 3, 2), [np.array([[1, 0], [0, -1]])])
    for mode in ("constant", "reflect", "edge"):
        m.one("Pad", (3, 4), [i64(1, 2, 2, 0), None if mode != "constant" else f32(0.7).reshape(())], label=mode, mode=mode)
    m.one("Pad", (3, 4), opset=10, label="attributes", pads=[0, 1, 1, 0], value=-1.0)
    m.one("Pad", (3, 4), [i64(-1, 1, 0, -2)], label="negative")
    m.one("Resize", (1, 2, 3, 4), [None, f32(1, 1, 2, 2)], label="nearest", mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor")
    m.one("Resize", (1, 2, 3, 4), [None, f32(1, 1, 2, 1.5)], label="linear", mode="linear")
    m.one("Resize", (1, 2, 4, 4), [None, None, i64(1, 2, 7, 3)], label="sizes", mode="linear", coordinate_transformation_mode="align_corners")
    m.one("Upsample", (1, 2, 3, 3), [f32(1, 1, 2, 3)], opset=9, mode="nearest")
    m.one("Expand", (3, 1), [i64(2, 1, 4)])
    m.one("Tile", (2, 3), [i64(2, 2)])
    m.one("DepthToSpace", (1, 8, 2, 3), blocksize=2)
    m.one("DepthToSpace", (1, 8, 2, 3), label="CRD", blocksize=2, mode="CRD")
    m.one("SpaceToDepth", (1, 2, 4, 6), blocksize=2)
    m.one("Trilu", (3, 4), [i64(1).reshape(())], upper=0)
    add = lambda nodes: nodes + [("Cast", ["n"], ["f"], {"to": TensorProto.FLOAT}), ("Add", ["x", "f"], ["y"], {})]
    m.graph("Shape", {"x": (2, 3)}, add([("Shape", ["x"], ["n"], {"start": 1})]))
    m.graph("Size", {"x": (2, 3)}, add([("Size", ["x"], ["n"], {})]))
    m.graph("Range", {"x": (2, 3)}, add([("Range", ["a", "b", "c"], ["n"], {})]), {"a": np.int64(5), "b": np.int64(-1), "c": np.int64(-2)})
    m.graph("Range of floats", {"x": (2, 3)}, [("Range", ["a", "b", "c"], ["n"], {}), ("Mul", ["x", "n"], ["y"], {})],
            {"a": np.float32(0.1), "b": np.float32(0.75), "c": np.float32(0.3)})
    m.graph("Constant", {"x": (2, 3)}, [("Constant", [], ["c"], {"value_floats": [1.0, -2.0, 0.5]}), ("Mul", ["x", "c"], ["y"], {})])
    m.graph("ConstantOfShape", {"x": (2, 3)}, [("ConstantOfShape", ["s"], ["c"], {"value": helper.make_tensor("v", TensorProto.FLOAT, [1], [3.5])}), ("Sub", ["c", "x"], ["y"], {})],
            {"s": i64(2, 1)})
    m.graph("Identity and Dropout", {"x": (2, 3)}, [("Identity", ["x"], ["i"], {}), ("Dropout", ["i"], ["d"], {}), ("Neg", ["d"], ["y"], {})])


def nets(m):
    """Graphs of several operators, as exporters write them."""
    w = m.weights
    m.graph("residual", {"x": (1, 2, 6, 6)}, [
        ("Conv", ["x", "w1", "b1"], ["c1"], {"pads": [1, 1, 1, 1]}), ("Relu", ["c1"], ["r1"], {}),
        ("Conv", ["r1", "w2", "b2"], ["c2"], {"pads": [1, 1, 1, 1]}), ("Add", ["c2", "x"], ["s"], {}), ("Relu", ["s"], ["r2"], {}),
        ("GlobalAveragePool", ["r2"], ["p"], {}), ("Flatten", ["p"], ["f"], {}), ("Gemm", ["f", "w3", "b3"], ["y"], {"transB": 1})],
        {"w1": w(2, 2, 3, 3), "b1": w(2), "w2": w(2, 2, 3, 3), "b2": w(2), "w3": w(2, 2), "b3": w(2)})
    m.graph("attention", {"x": (4, 6)}, [
        ("MatMul", ["x", "wq"], ["q"], {}), ("MatMul", ["x", "wk"], ["k"], {}), ("MatMul", ["x", "wv"], ["v"], {}),
        ("Transpose", ["k"], ["kt"], {"perm": [1, 0]}), ("MatMul", ["q", "kt"], ["s"], {}), ("Div", ["s", "root"], ["d"], {}),
        ("Softmax", ["d"], ["a"], {"axis": -1}), ("MatMul", ["a", "v"], ["y"], {})],
        {"wq": w(6, 6), "wk": w(6, 6), "wv": w(6, 6), "root": f32(2.4494897)})
    m.graph("batch size in the graph", {"x": (1, 2, 3, 4)}, [
        ("Shape", ["x"], ["s"], {}), ("Gather", ["s", "zero"], ["n"], {"axis": 0}), ("Unsqueeze", ["n", "first"], ["n1"], {}),
        ("Concat", ["n1", "rest"], ["t"], {"axis": 0}), ("Reshape", ["x", "t"], ["f"], {}), ("Gemm", ["f", "w", "b"], ["y"], {})],
        {"zero": np.int64(0), "first": i64(0), "rest": i64(-1), "w": w(24, 3), "b": w(3)})


def generated():
    m = Maker()
    for part in (linear, pools, unary, binary, logic, reductions, shapes, nets):
        part(m)
    return m.graphs
