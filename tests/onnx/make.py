#!/usr/bin/env python3
"""Makes the networks in this folder, with ONNX's own Python library: what `fit --autoencoder` takes
and what it refuses, on rows of 4; one of 9 that works until it is asked the wrong thing, and hostile ones
that no bundle may have.

    .tools/venv/bin/python tests/onnx/make.py
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HERE = Path(__file__).parent
RANDOM = np.random.default_rng(4)


def constant(name, values, dtype=np.float32):
    return numpy_helper.from_array(np.asarray(values, dtype), name)


def save(name, nodes, constants, opsets=(("", 17),), width=4, inputs=4, **options):
    ends = (("x", inputs), ("twin", width))
    rows = [helper.make_tensor_value_info(end, TensorProto.FLOAT, ["n", d]) for end, d in ends]
    graph = helper.make_graph(nodes, name, rows[:1], rows[1:], constants)
    imports = [helper.make_opsetid(domain, version) for domain, version in opsets]
    model = helper.make_model(graph, producer_name="onnx.helper", opset_imports=imports)
    model.ir_version = 8
    onnx.save_model(model, HERE / f"{name}.onnx", **options)


def node(op, inputs, output="twin", **attributes):
    return helper.make_node(op, inputs, [output], **attributes)


def zeros(shape, output):
    """The operator and the constant that make so many zeros out of nothing."""
    value = numpy_helper.from_array(np.zeros(1, np.float32))
    name = f"shape of {output}"
    return node("ConstantOfShape", [name], output, value=value), constant(name, shape, np.int64)


def hostile():
    """Networks of 9 that stall whoever runs them, or fill its memory."""
    body = helper.make_graph(
        [node("Identity", ["go_on"], "still"), node("Identity", ["value"], "same")], "body",
        [helper.make_tensor_value_info("i", TensorProto.INT64, []),
         helper.make_tensor_value_info("go_on", TensorProto.BOOL, []),
         helper.make_tensor_value_info("value", TensorProto.FLOAT, ["n", 9])],
        [helper.make_tensor_value_info("still", TensorProto.BOOL, []),
         helper.make_tensor_value_info("same", TensorProto.FLOAT, ["n", 9])])
    save("endless", [node("Loop", ["trips", "always", "x"], body=body)],
         [constant("trips", 2 ** 62, np.int64), constant("always", True, np.bool_)], width=9, inputs=9)
    # 40 GB, once, while it is loaded; and for every row, of a size that only the row says.
    large, shape = zeros([10_000, 1_000_000], "large")
    total = [node("ReduceSum", ["large"], "total", keepdims=0), node("Add", ["x", "total"])]
    save("forty-gigabytes", [large, *total], [shape], width=9, inputs=9)
    asked = [node("ReduceMax", ["x"], "most", axes=[0, 1], keepdims=1), node("Reshape", ["most", "flat"], "one"),
             node("Cast", ["one"], "size", to=TensorProto.INT64), node("ConstantOfShape", ["size"], "large")]
    save("as-the-row-says", [*asked, *total], [constant("flat", [1], np.int64)], width=9, inputs=9)
    # A hundred megabytes for each row.
    tall, shape = zeros([1, 5_000, 5_000], "square")
    each = [node("ReduceMax", ["x"], "most", axes=[1], keepdims=1), node("Reshape", ["most", "cube"], "thin"),
            node("Add", ["thin", "square"], "large"), node("ReduceMax", ["large"], "total", axes=[1, 2], keepdims=0),
            node("Reshape", ["total", "column"], "flat"), node("Add", ["x", "flat"])]
    save("hundred-megabytes-a-row", [tall, *each], [
        shape, constant("cube", [-1, 1, 1], np.int64), constant("column", [-1, 1], np.int64)], width=9, inputs=9)
    # A tenth of a second for a row; and so long to load that nobody waits for it.
    for name, width, layers in (("slow", 2000, 100), ("never-loaded", 8000, 400)):
        (first, a), (again, b), (last, c) = zeros([9, width], "first"), zeros([width, width], "again"), zeros([width, 9], "last")
        start = ["x", "first"] if name == "slow" else ["again", "again"]
        chain = [node("MatMul", start, "0")]
        chain += [node("MatMul", [str(i), "again"], str(i + 1)) for i in range(layers)]
        ends = [node("MatMul", [str(layers), "last"], "nothing"), node("Add", ["x", "nothing"])]
        if name != "slow":
            ends = [node("ReduceMax", [str(layers)], "nothing", keepdims=0), node("Add", ["x", "nothing"])]
        save(name, [first, again, last, *chain, *ends], [a, b, c], width=9, inputs=9)


def main():
    weights = [
        constant("cube", [-1, 1, 4], np.int64),
        constant("kernel", RANDOM.normal(0, 0.3, (3, 1, 3))),
        constant("w", RANDOM.normal(0, 0.3, (12, 4))),
        constant("b", RANDOM.normal(0, 0.3, 4)),
    ]
    layers = [
        node("Reshape", ["x", "cube"], "wide"),
        node("Conv", ["wide", "kernel"], "seen", pads=[1, 1]),
        node("Relu", ["seen"], "kept"),
        node("Flatten", ["kept"], "flat"),
        node("Gemm", ["flat", "w", "b"]),
    ]
    save("conv", layers, weights)
    save("external", layers, weights, save_as_external_data=True, location="external.bin",
         size_threshold=0)
    (HERE / "external.bin").unlink()
    noise = node("RandomNormalLike", ["x"], "noise", scale=0.1)
    save("random", [noise, node("Add", ["x", "noise"])], [])
    mean = node("ReduceMean", ["x"], "mean", axes=[0], keepdims=1)
    save("batch-norm", [mean, node("Sub", ["x", "mean"])], [])
    other = helper.make_node("Gelu", ["x"], ["twin"], domain="com.microsoft")
    save("contrib", [other], [], opsets=(("", 17), ("com.microsoft", 1)))
    branch = helper.make_graph(
        [node("Identity", ["x"], "out")], "branch", [],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, ["n", 4])])
    choice = node("If", ["always"], then_branch=branch, else_branch=branch)
    save("branch", [choice], [constant("always", True, np.bool_)])
    # Gives back what it gets, and infinities where a first feature is below -13.
    sick = [
        node("Slice", ["x", "zero", "one", "axis"], "first"),
        node("Less", ["first", "low"], "is_low"),
        node("Where", ["is_low", "infinity", "nothing"], "more"),
        node("Add", ["x", "more"]),
    ]
    save("sick", sick, [
        constant("zero", [0], np.int64), constant("one", [1], np.int64), constant("axis", [1], np.int64),
        constant("low", -13), constant("infinity", np.inf), constant("nothing", 0)], width=9, inputs=9)
    hostile()
    square = np.eye(4)[:, :3]
    save("narrow", [node("MatMul", ["x", "narrow"])], [constant("narrow", square)], width=3)


main()
