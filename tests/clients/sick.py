"""Copies a bundle and makes its autoencoder answer NaN for rows with one number, as a network with a logarithm does.

    sick.py models/shuttle OUT

Every other row is answered to the bit as before: 0 · ln|x − SICK| is added, which is 0 everywhere else.
"""

import hashlib
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from hostile import SICK, SICK_FEATURE


def sicken(path):
    model = onnx.load(path)
    graph = model.graph
    (row,), (answer,) = graph.input, graph.output
    constants = {"sick_from": [SICK_FEATURE], "sick_to": [SICK_FEATURE + 1], "sick_axis": [1]}
    graph.initializer.extend(numpy_helper.from_array(np.array(v, np.int64), name) for name, v in constants.items())
    floats = {"sick_at": SICK, "sick_zero": 0.0}
    graph.initializer.extend(numpy_helper.from_array(np.array(v, np.float32), name) for name, v in floats.items())
    for node in graph.node:
        for i, name in enumerate(node.output):
            if name == answer.name:
                node.output[i] = "sick_healthy"
    node = helper.make_node
    graph.node.extend([
        node("Slice", [row.name, "sick_from", "sick_to", "sick_axis"], ["sick_number"]),
        node("Sub", ["sick_number", "sick_at"], ["sick_distance"]),
        node("Abs", ["sick_distance"], ["sick_positive"]),
        node("Log", ["sick_positive"], ["sick_log"]),
        node("Mul", ["sick_log", "sick_zero"], ["sick_more"]),
        node("Add", ["sick_healthy", "sick_more"], [answer.name]),
    ])
    onnx.checker.check_model(model)
    onnx.save(model, path)


def main():
    bundle, out = map(Path, sys.argv[1:])
    shutil.copytree(bundle, out, ignore=shutil.ignore_patterns("slice", "README.md"))
    network, manifest = out / "autoencoder.onnx", out / "manifest.toml"
    sicken(network)
    digest = hashlib.sha256(network.read_bytes()).hexdigest()
    text, found = re.subn(rf'("{network.name}" = )"[0-9a-f]+"', rf'\1"{digest}"', manifest.read_text())
    if found != 1:
        sys.exit(f"sick: {manifest} names {network.name} {found} times")
    manifest.write_text(text)


if __name__ == "__main__":
    main()
