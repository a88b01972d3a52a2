"""The readers that are a JSON library and nothing else; the server looks for the members itself."""
import base64
import json

import numpy as np

from rows import LENGTH, columns, fail, flat, rows, shaped, tensor_views

DTYPES = {"BOOL": "?", "INT8": "<i1", "INT16": "<i2", "INT32": "<i4", "INT64": "<i8", "UINT8": "<u1",
          "UINT16": "<u2", "UINT32": "<u4", "UINT64": "<u8", "FP16": "<f2", "FP32": "<f4", "FP64": "<f8"}


def request(loads, value, length):
    """The tensors of a V2 body, as a server with nothing but a JSON library reads them."""
    head = value if length is None else value[:int(length)]
    at, tensors = len(head), []
    for one in loads(head)["inputs"]:
        size = (one.get("parameters") or {}).get("binary_data_size")
        if one.get("data") is not None or size is None:
            numbers = flat(one["data"], [])
        else:
            numbers = np.frombuffer(value[at:at + size], dtype=DTYPES[one["datatype"]])
            at += size
        tensors.append((one["name"], shaped(numbers, one["shape"])))
    return tensors


def v1_views(document):
    """`instances`, or `inputs`: which of them a server asks for is its own affair."""
    views = {}
    if "instances" in document:
        views["instances"] = lambda: rows(document["instances"])
    if "inputs" in document:
        views["inputs"] = lambda: columns(document["inputs"])
    return views or fail("neither")


def data_of(document):
    """What an event holds; whoever looks for one of the two members first finds it."""
    found = []
    if "data" in document:
        found.append(document["data"])
    if "data_base64" in document:
        found.append(document["data_base64"])
    return found or fail("no data")


def plain(loads):
    """The readers of a JSON library."""
    def named(value, _):
        document = loads(value)
        return {"row": lambda: rows(document)}

    def v1(value, _):
        return v1_views(loads(value))

    def v2(value, headers):
        return tensor_views(request(loads, value, headers.get(LENGTH)))

    def event(value, _):
        views = {}
        for i, data in enumerate(data_of(loads(value))):
            if isinstance(data, str):
                data = base64.b64decode(data)
            else:
                data = json.dumps(data).encode()
            views.update(every(data, {}, f"data{i}."))
        return views

    def every(value, headers, prefix=""):
        views = {}
        for read in (named, v1, v2) if prefix else (named, v1, v2, event):
            try:
                views.update({prefix + name: view for name, view in read(value, headers).items()})
            except Exception:
                pass
        return views or fail("none of the dialects")

    return {"j": named, "v": v1, "o": v2, "c": event, "a": every}
