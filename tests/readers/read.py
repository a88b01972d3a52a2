"""Python's readers: the standard library's `json`, `orjson`, KServe's server and Triton's client.

    read.py READER...

Frames come on standard input: four bytes of length (little-endian), then the dialect (one byte), the
length of the headers (two bytes), the headers (`name US value RS` …), the value. For each frame a line
goes out: views, separated by tabs, `reader.view=!` (refuses it) or `reader.view=N:HEX`, N rows and all
their numbers as `f32`, little-endian. A view is one way in which a server uses the reader.

KServe and Triton both register `inference.*` messages of their own, so one process cannot hold both.
"""
import json
import logging
import struct
import sys
import warnings

import numpy as np

from plain import plain
from rows import fail


def reader(name):
    if name == "json":
        return plain(json.loads)
    if name == "orjson":
        import orjson
        return plain(orjson.loads)
    if name == "kserve":
        from kserve_server import KSERVE
        return KSERVE
    if name == "triton":
        from triton_client import TRITON
        return TRITON
    sys.exit(f"read.py: no reader is called {name}")


READERS = {name: reader(name) for name in sys.argv[1:]}


def text_of(found):
    """Rows as text; numbers beyond `f32` become infinite, as they do for us."""
    with np.errstate(over="ignore"):
        array = np.asarray(found, dtype=np.float64).astype("<f4")
    if array.ndim < 1 or not array.size:
        fail("nothing")
    return f"{array.shape[0]}:{array.tobytes().hex()}"


def answer(dialect, headers, value):
    said = []
    for name, reader in READERS.items():
        read = reader.get(dialect)
        if read is None:
            continue
        try:
            views = read(value, headers)
        except (Exception, RecursionError):
            said.append(f"{name}=!")
            continue
        for view, rows_of in views.items():
            try:
                said.append(f"{name}.{view}={text_of(rows_of())}")
            except (Exception, RecursionError):
                said.append(f"{name}.{view}=!")
    return "\t".join(said)


def main():
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    frames, lines = sys.stdin.buffer, sys.stdout
    while head := frames.read(4):
        frame = frames.read(struct.unpack("<I", head)[0])
        end = 3 + struct.unpack("<H", frame[1:3])[0]
        pairs = [pair.split("\x1f") for pair in frame[3:end].decode("latin-1").split("\x1e") if pair]
        headers = {name.lower(): text for name, text in pairs}
        lines.write(answer(chr(frame[0]), headers, frame[end:]) + "\n")
        lines.flush()


main()
