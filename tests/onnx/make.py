#!/usr/bin/env python3
"""Makes the networks in this folder, with ONNX's own Python library: what `fit --autoencoder` takes
and what it refuses, on rows of 4; and one of 9 that works until it is asked the wrong thing.

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
    # Gives back what it gets; never comes back where a first feature is above 100, and gives
    # infinities where it is below -13.
    body = helper.make_graph(
        [node("Identity", ["go_on"], "still"), node("Identity", ["value"], "same")], "body",
        [helper.make_tensor_value_info("i", TensorProto.INT64, []),
         helper.make_tensor_value_info("go_on", TensorProto.BOOL, []),
         helper.make_tensor_value_info("value", TensorProto.FLOAT, ["n", 9])],
        [helper.make_tensor_value_info("still", TensorProto.BOOL, []),
         helper.make_tensor_value_info("same", TensorProto.FLOAT, ["n", 9])])
    sick = [
        node("Slice", ["x", "zero", "one", "axis"], "first"),
        node("ReduceMax", ["first"], "highest", keepdims=0),
        node("Sub", ["highest", "hundred"], "above"),
        node("Relu", ["above"], "beyond"),
        node("Mul", ["beyond", "many"], "turns"),
        node("Cast", ["turns"], "trips", to=TensorProto.INT64),
        node("Loop", ["trips", "always", "x"], "came_back", body=body),
        node("Less", ["first", "low"], "is_low"),
        node("Where", ["is_low", "infinity", "nothing"], "more"),
        node("Add", ["came_back", "more"]),
    ]
    save("sick", sick, [
        constant("zero", [0], np.int64), constant("one", [1], np.int64), constant("axis", [1], np.int64),
        constant("hundred", 100), constant("many", 1e15),
        constant("always", True, np.bool_), constant("low", -13),
        constant("infinity", np.inf), constant("nothing", 0)], width=9, inputs=9)
    square = np.eye(4)[:, :3]
    save("narrow", [node("MatMul", ["x", "narrow"])], [constant("narrow", square)], width=3)


main()
