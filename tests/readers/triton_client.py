"""Triton's client.

The client writes requests and reads answers. Tensors in an answer are tensors in a request under
another name: we hand it the body with `inputs` where it looks for `outputs`, after its own parser.
It is told of a tensor's name, and takes the first one that has it. Where a request is plain JSON, the
reader is RapidJSON, the client's parser and the server's.

The client leaves typed `contents` unread; the server casts them to the datatype, as C does. The view
`cast` is that rule of the server's over the client's message.
"""
import numpy as np
import rapidjson
from tritonclient.grpc import InferResult as GrpcResult
from tritonclient.grpc import service_pb2
from tritonclient.http import InferResult as HttpResult
from tritonclient.http import _infer_result as http_result

from plain import DTYPES, plain
from rows import LENGTH, NAMES, fail, merged

class Renamed:
    """RapidJSON, as `tritonclient.http` calls it; `inputs` becomes `outputs`."""

    @staticmethod
    def loads(content):
        document = rapidjson.loads(content)
        document["outputs"] = document.pop("inputs")
        return document


http_result.json = Renamed


def triton_views(result, names):
    def read(name):
        array = result.as_numpy(name)
        return array if array.ndim else fail("no dimension")

    first = lambda: (lambda array: array.reshape(1, -1) if array.ndim < 2 else array)(read(names[0]))
    views = {"first" if len(names) == 1 else "head": first}
    if len(names) > 1:
        column = lambda name: np.asarray(read(name), dtype=np.float64).reshape(-1, 1)
        views["names"] = lambda: merged([column(name) for name in NAMES])
    return views


def triton_http(value, headers):
    length = headers.get(LENGTH)
    result = HttpResult.from_response_body(value, header_length=length)
    return triton_views(result, [one["name"] for one in result.get_response()["outputs"]])


def triton_grpc(value, _):
    asked = service_pb2.ModelInferRequest.FromString(value)
    answer = service_pb2.ModelInferResponse(raw_output_contents=asked.raw_input_contents)
    for one in asked.inputs:
        answer.outputs.add(name=one.name, datatype=one.datatype, shape=one.shape, contents=one.contents)
    views = triton_views(GrpcResult(answer), [one.name for one in asked.inputs])
    if not asked.raw_input_contents and len(asked.inputs) == 1:
        views["cast"] = lambda: cast(asked.inputs[0])
    return views


FIELDS = {"BOOL": "bool_contents", "INT8": "int_contents", "INT16": "int_contents", "INT32": "int_contents",
          "INT64": "int64_contents", "UINT8": "uint_contents", "UINT16": "uint_contents",
          "UINT32": "uint_contents", "UINT64": "uint64_contents", "FP32": "fp32_contents", "FP64": "fp64_contents"}


def cast(tensor):
    field = FIELDS[tensor.datatype]
    wide = {"f": np.float64, "u": np.uint64}.get(field[0], np.int64)
    array = np.array(getattr(tensor.contents, field), dtype=wide).astype(DTYPES[tensor.datatype])
    array = array.reshape(list(tensor.shape))
    return array.reshape(1, -1) if array.ndim < 2 else array


def triton_every(value, headers):
    views = {}
    for read in (RAPID["j"], RAPID["v"], RAPID["c"], triton_http, triton_grpc):
        try:
            views.update(read(value, headers))
        except Exception:
            pass
    return views or fail("none of the dialects")


RAPID = plain(rapidjson.loads)
TRITON = {"j": RAPID["j"], "v": RAPID["v"], "c": RAPID["c"], "o": triton_http, "p": triton_grpc, "a": triton_every}
