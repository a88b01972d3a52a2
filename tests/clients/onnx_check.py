"""Checks ONNX files with the reference checker and runs each at batch 1 and 7.

    .tools/venv/bin/python tests/clients/onnx_check.py FILE...

Other dynamic dimensions become 1. Rows must not depend on the batch they are in: the first row of
both runs is compared bit for bit, with one thread, as Tripline runs it.
"""

import sys

import numpy as np
import onnx
import onnxruntime

TYPES = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(int64)": np.int64, "tensor(uint8)": np.uint8}


def feeds(session, batch):
    """Random inputs whose row 0 is the same at every batch."""
    made = {}
    for put in session.get_inputs():
        shape = [batch, *(n if isinstance(n, int) else 1 for n in put.shape[1:])]
        made[put.name] = np.random.default_rng(0).random(shape).astype(TYPES[put.type])
    return made


def examine(path):
    onnx.checker.check_model(path, full_check=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [out.name for out in session.get_outputs()]
    first = {}
    for batch in (1, 7):
        given = feeds(session, batch)
        results = dict(zip(names, session.run(None, given)))
        shapes = ", ".join(f"{name} {list(x.shape)}" for name, x in given.items())
        print(f"{path}: {shapes} -> " + ", ".join(f"{name} {list(x.shape)}" for name, x in results.items()))
        for name, x in results.items():
            if not np.isfinite(x).all():
                raise ValueError(f"{name} is not finite")
            if x.ndim == 0 or x.shape[0] != batch:
                raise ValueError(f"{name} has shape {list(x.shape)} for a batch of {batch}")
            if x[0].tobytes() != first.setdefault(name, x[0].tobytes()):
                raise ValueError(f"{name}: row 0 differs between batch 1 and {batch}")


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__.split("\n\n")[1].strip())
    failed = 0
    for path in sys.argv[1:]:
        try:
            examine(path)
        except Exception as error:  # whatever it is, it belongs to this file; the others still get their turn
            print(f"{path}: {type(error).__name__}: {error}", file=sys.stderr)
            failed += 1
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
