"""KServe's server: how it decodes a request, and what it hands to a model."""
import json

import numpy as np
import pandas as pd
from cloudevents.http import from_json
from kserve.protocol.dataplane import DataPlane
from kserve.protocol.grpc.grpc_predict_v2_pb2 import ModelInferRequest
from kserve.protocol.infer_type import InferRequest
from kserve.protocol.rest.v2_datamodels import InferenceRequest
from kserve.utils.utils import get_predict_input

from rows import LENGTH, NAMES, fail, merged, rows

PLANE = DataPlane.__new__(DataPlane)  # its decoding asks for nothing that `__init__` makes


def predictable(payload):
    """What a model gets."""
    found = get_predict_input(payload)
    if isinstance(found, pd.DataFrame):
        found = found[NAMES] if set(NAMES) <= set(found.columns) else found
    array = np.asarray(found).astype(np.float64)
    return array.reshape(1, -1) if array.ndim < 2 and isinstance(payload, InferRequest) else array


def kserve_v1(value, headers):
    # HTTP spells Kafka's `ce_` as `ce-`.
    headers = {name.replace("ce_", "ce-", 1) if name.startswith("ce_") else name: text for name, text in headers.items()}
    payload, _ = PLANE.decode(value, headers)
    if not isinstance(payload, dict):
        fail("handed on as bytes")
    return {"v1": lambda: predictable(payload)}


def kserve_v2(value, headers):
    length = headers.get(LENGTH)
    if length is None:  # FastAPI: Python's `json`, then pydantic
        body = InferenceRequest.model_validate(json.loads(value))
        payload = PLANE.decode_inference_request(body, {}, "m")
    else:
        payload = PLANE.decode_inference_request(value, {LENGTH: length}, "m")
    return kserve_views(payload)


def kserve_views(payload):
    views = {"first" if len(payload.inputs) == 1 else "head": lambda: predictable(payload)}
    if len(payload.inputs) > 1:
        column = lambda one: np.asarray(one.as_numpy(), dtype=np.float64).reshape(-1, 1)
        views["order"] = lambda: merged([column(one) for one in payload.inputs])
        views["names"] = lambda: merged([column(payload.get_input_by_name(name)) for name in NAMES])
    return views


def kserve_grpc(value, _):
    return kserve_views(InferRequest.from_grpc(ModelInferRequest.FromString(value)))


def kserve_event(value, headers):
    """A server that gets the event whole, and the SDK that it brings."""
    views = {}
    try:
        data = from_json(value).data
        if isinstance(data, (bytes, str)):
            data = json.loads(data)
        if "inputs" in data and isinstance(data["inputs"], list):
            views.update(kserve_v2(json.dumps(data).encode(), {}))
        elif "instances" in data or "inputs" in data:
            views["sdk"] = lambda: predictable(data)
        else:
            views["sdk"] = lambda: rows(data)
    except Exception:
        pass
    try:
        views.update(kserve_v1(value, {"content-type": "application/cloudevents+json"}))
    except Exception:
        pass
    return views or fail("no event")


def kserve_every(value, headers):
    views = {}
    for read in (kserve_v1, kserve_v2, kserve_grpc, kserve_event):
        try:
            views.update({f"{read.__name__}.{name}": view for name, view in read(value, headers).items()})
        except Exception:
            pass
    return views or fail("none of the dialects")


KSERVE = {"v": kserve_v1, "o": kserve_v2, "p": kserve_grpc, "c": kserve_event, "a": kserve_every}
