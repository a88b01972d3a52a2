"""Requests as real client libraries write them, and what the same libraries read when they come out.

Nothing here writes a format by hand that a library can write: KServe's own client (V1, V2, gRPC),
Triton's (V2, binary), the CloudEvents SDK. Exit 0: all is as it must be. 1: it is not, and stderr
shows the first cases. 2: the topics could not be read.
"""

import argparse
import asyncio
import base64
import copy
import hashlib
import json
import sys
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field

import httpx
import numpy as np
import tritonclient.http as triton
from cloudevents.http import CloudEvent
from cloudevents.kafka import KafkaMessage, from_binary, from_structured, to_binary, to_structured
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig
from kserve.protocol.grpc.grpc_predict_v2_pb2 import ModelInferRequest

from check import NotRead, Output, as_output, read_topic, split_headers
from inputs import WIDTH, load_images

MODEL, FEATURE = "fashion", "image"
OUTPUTS = ("sanitized", "quarantine", "dead-letter")
PROTOBUF = ("application/x-protobuf", "application/protobuf", "application/vnd.google.protobuf", "application/grpc+proto")


@dataclass
class Body:
    """What a library made: a value and the headers that go with it; a key, if it has an opinion."""

    value: bytes
    headers: list = field(default_factory=list)  # of (name, bytes)
    key: bytes | None = None


def units(images):
    """f32 [n, 784] in [0, 1], as a model is trained on them."""
    return images.astype(np.float32) / np.float32(255)


def header(headers, name):
    """The last value of a header, as text; None without one."""
    return next((value.decode() for n, value in reversed(headers) if n.lower() == name), None)


# ---- KServe ------------------------------------------------------------------------------------


def captured(protocol, data):
    """The body and headers that KServe's REST client posts for `data`."""
    seen = []

    def answer(request):
        seen.append(request)
        outputs = [{"name": "o", "shape": [1], "datatype": "FP32", "data": [0.0]}]
        answers = {"v1": {"predictions": []}, "v2": {"id": "1", "model_name": MODEL, "outputs": outputs}}
        return httpx.Response(200, json=answers[protocol])

    client = InferenceRESTClient(RESTConfig(protocol=protocol, transport=httpx.MockTransport(answer)))
    asyncio.run(client.infer("http://nowhere", data, model_name=MODEL))
    (request,) = seen
    kept = ("content-type", "inference-header-content-length")
    headers = [(name, request.headers[name].encode()) for name in kept if name in request.headers]
    return Body(request.content, headers)


def kserve_v1(images, number):
    return captured("v1", {"instances": units(images).reshape(-1, 28, 28).tolist(), "session": f"s-{number}"})


def read_v1(value, _headers):
    document = json.loads(value)
    rows = np.array(document.pop("instances"))
    return rows.reshape(-1, WIDTH), document


def kserve_request(images, number, datatype, binary):
    """With a second tensor that is no feature of ours."""
    pixels = units(images) if datatype == "FP32" else images
    pixels = pixels.reshape(-1, 1, 28, 28)
    image = InferInput(FEATURE, list(pixels.shape), datatype, parameters={"unit": "one"})
    image.set_data_from_numpy(pixels, binary_data=binary)
    session = InferInput("session", [1], "BYTES")
    session.set_data_from_numpy(np.array([f"s-{number}"], object), binary_data=binary)
    return InferRequest(MODEL, [session, image], request_id=f"r-{number}", parameters={"priority": 3})


def kserve_v2(datatype, binary):
    return lambda images, number: captured("v2", kserve_request(images, number, datatype, binary))


def kserve_grpc(datatype, raw, bare=False):
    """`bare`: without a content-type, as Seldon Core 2 writes its topics."""

    def build(images, number):
        message = kserve_request(images, number, datatype, raw).to_grpc()
        content_type = PROTOBUF[number % len(PROTOBUF)].encode()
        return Body(message.SerializeToString(), [] if bare else [("content-type", content_type)])

    return build


def pixels_of(array):
    """f32 in [0, 1], whatever the tensor's own type."""
    return units(array) if array.dtype == np.uint8 else array.astype(np.float32)


def read_kserve_v2(value, headers):
    length = int(header(headers, "inference-header-content-length") or len(value))
    request = InferRequest.from_bytes(value, length, MODEL)
    (image,) = [i for i in request.inputs if i.name == FEATURE]
    others = [(i.name, i.shape, i.datatype, i.data) for i in request.inputs if i is not image]
    rest = (request.id, request.parameters, image.shape, image.datatype, image.parameters, others)
    return pixels_of(image.as_numpy()).reshape(-1, WIDTH), rest


def read_kserve_grpc(value, _headers):
    message = ModelInferRequest.FromString(value)
    (image,) = [i for i in InferRequest.from_grpc(message).inputs if i.name == FEATURE]
    rows = pixels_of(image.as_numpy()).reshape(-1, WIDTH)
    for i, tensor in enumerate(message.inputs):
        if tensor.name == FEATURE:
            tensor.ClearField("contents")
            if message.raw_input_contents:
                message.raw_input_contents[i] = b""
    return rows, message.SerializeToString(deterministic=True)


# ---- Triton ------------------------------------------------------------------------------------


def triton_v2(datatype, binary):
    def build(images, number):
        pixels = units(images) if datatype == "FP32" else images
        pixels = pixels.reshape(-1, 28, 28)
        tensor = triton.InferInput("input-0", list(pixels.shape), datatype)
        tensor.set_data_from_numpy(pixels, binary_data=binary)
        body, length = triton.InferenceServerClient.generate_request_body([tensor], request_id=f"r-{number}")
        if length is None:
            return Body(body, [("content-type", b"application/json")])
        headers = [("content-type", b"application/octet-stream"), ("Inference-Header-Content-Length", b"%d" % length)]
        return Body(body, headers)

    return build


def read_triton_v2(value, headers):
    """Triton's client reads responses; with its one key renamed, a request is one."""
    length = int(header(headers, "inference-header-content-length") or len(value))
    document = json.loads(value[:length])
    (tensor,) = document["inputs"]
    tensor.pop("data", None)
    response = value[:length].replace(b'"inputs"', b'"outputs"', 1)
    result = triton.InferenceServerClient.parse_response_body(response + value[length:], header_length=len(response))
    return pixels_of(result.as_numpy("input-0")).reshape(-1, WIDTH), document


# ---- plain -------------------------------------------------------------------------------------


def plain_json(images, number):
    rows = [{"session": f"s-{number}", FEATURE: row.reshape(1, 28, 28).tolist()} for row in units(images)]
    document = rows[0] if len(rows) == 1 else rows
    return Body(json.dumps(document, indent=number % 3).encode(), [("content-type", b"application/json")])


def read_plain_json(value, _headers):
    document = json.loads(value)
    rows = document if isinstance(document, list) else [document]
    pixels = np.array([row.pop(FEATURE) for row in rows])
    return pixels.reshape(-1, WIDTH), rows


def plain_f32(images, _number):
    return Body(units(images).astype("<f4").tobytes(), [("content-type", b"application/x-f32-le")])


def read_plain_f32(value, _headers):
    return np.frombuffer(value, "<f4").reshape(-1, WIDTH), None


def plain_f64(images, _number):
    return Body(units(images).astype(float).tobytes(), [("content-type", b"application/x-f64-le")])


def read_plain_f64(value, _headers):
    rows = np.frombuffer(value).reshape(-1, WIDTH)
    if (rows != rows.astype(np.float32)).any():
        raise ValueError("digits that neither the sender nor a row of the guard has")
    return rows, None


def plain_u8(images, _number):
    return Body(images.tobytes(), [("content-type", b"application/x-u8")])


def read_plain_u8(value, _headers):
    return units(np.frombuffer(value, np.uint8)).reshape(-1, WIDTH), None


# ---- CloudEvents -------------------------------------------------------------------------------


def event(inner, number, data, content_type):
    """What KServe's logger says of a request; the key comes from `partitionkey`."""
    attributes = {
        "type": "org.kubeflow.serving.inference.request",
        "source": "http://localhost:9081/",
        "id": f"e-{number}",
        "subject": inner,
        "inferenceservicename": MODEL,
        "datacontenttype": content_type,
        "partitionkey": f"user-{number % 7}",
    }
    return CloudEvent(attributes, data)


def as_body(message):
    return Body(message.value, list(message.headers.items()), message.key.encode())


def ce_binary(inner, build):
    def wrap(images, number):
        body = build(images, number)
        content_type = header(body.headers, "content-type")
        message = to_binary(event(inner, number, body.value, content_type), data_marshaller=lambda data: data)
        # Headers that are none of the event's stay beside it.
        others = [(name, value) for name, value in body.headers if name != "content-type"]
        made = as_body(message)
        return Body(made.value, made.headers + others, made.key)

    return wrap


def ce_structured(inner, build, embed):
    """`embed`: the data as a JSON value; else base64."""

    def wrap(images, number):
        body = build(images, number)
        data = json.loads(body.value) if embed else body.value
        content_type = header(body.headers, "content-type")
        return as_body(to_structured(event(inner, number, data, content_type)))

    return wrap


def ce_read(parse, read):
    def unwrap(value, headers):
        own = {name: v for name, v in headers}
        found = parse(KafkaMessage(own, None, value))
        data = found.get_data()
        data = json.dumps(data).encode() if isinstance(data, (dict, list)) else data
        rows, rest = read(data, headers)
        return rows, (dict(found.get_attributes()), rest)

    return unwrap


def binary(message):
    return from_binary(message, data_unmarshaller=lambda data: data)


FORMATS = {
    "kserve-v1": (kserve_v1, read_v1),
    "kserve-v2-json": (kserve_v2("FP32", False), read_kserve_v2),
    "kserve-v2-json-uint8": (kserve_v2("UINT8", False), read_kserve_v2),
    "kserve-v2-binary": (kserve_v2("FP32", True), read_kserve_v2),
    "kserve-grpc-raw": (kserve_grpc("FP32", True), read_kserve_grpc),
    "kserve-grpc-raw-uint8": (kserve_grpc("UINT8", True), read_kserve_grpc),
    "kserve-grpc-raw-bare": (kserve_grpc("FP32", True, bare=True), read_kserve_grpc),
    "kserve-grpc-typed": (kserve_grpc("FP32", False), read_kserve_grpc),
    "kserve-grpc-typed-uint8": (kserve_grpc("UINT8", False), read_kserve_grpc),
    "triton-v2-json": (triton_v2("FP32", False), read_triton_v2),
    "triton-v2-binary": (triton_v2("FP32", True), read_triton_v2),
    "triton-v2-binary-uint8": (triton_v2("UINT8", True), read_triton_v2),
    "plain-json": (plain_json, read_plain_json),
    "plain-f32-le": (plain_f32, read_plain_f32),
    "plain-f64-le": (plain_f64, read_plain_f64),
    "plain-u8": (plain_u8, read_plain_u8),
    "ce-binary-v1": (ce_binary("v1", kserve_v1), ce_read(binary, read_v1)),
    "ce-binary-v2": (ce_binary("v2", kserve_v2("FP32", False)), ce_read(binary, read_kserve_v2)),
    "ce-binary-v2-binary": (ce_binary("v2", triton_v2("FP32", True)), ce_read(binary, read_triton_v2)),
    "ce-binary-grpc": (ce_binary("grpc", kserve_grpc("FP32", True)), ce_read(binary, read_kserve_grpc)),
    "ce-binary-plain": (ce_binary("plain", plain_json), ce_read(binary, read_plain_json)),
    "ce-structured-v1": (ce_structured("v1", kserve_v1, True), ce_read(from_structured, read_v1)),
    "ce-structured-v2": (ce_structured("v2", kserve_v2("FP32", False), True), ce_read(from_structured, read_kserve_v2)),
    "ce-structured-plain": (ce_structured("plain", plain_json, True), ce_read(from_structured, read_plain_json)),
    "ce-structured-base64-v1": (ce_structured("v1", kserve_v1, False), ce_read(from_structured, read_v1)),
}


# ---- sending -----------------------------------------------------------------------------------


@dataclass
class Sent:
    """A record as it was sent; its rows by pool and number."""

    form: str
    images: list  # of (clean | attack, index)
    key: bytes | None
    value: bytes
    headers: list
    timestamp: int


def requests(clean, attack, forms, each, seed):
    """`each` records of every format, of one row and of several, some of them attacked."""
    rng = np.random.default_rng(seed)
    pools = {"clean": clean, "attack": attack}
    began = int(time.time() * 1000) - len(forms) * each
    number = 0
    for nth in range(each):
        # The same rows in every format, so that what becomes of them can be compared.
        attacked = nth % 2 == 1
        kinds = ["attack" if attacked and rng.random() < 0.6 else "clean" for _ in range(1 + nth // 2 % 4)]
        images = [(kind, int(rng.integers(len(pools[kind])))) for kind in kinds]
        rows = np.stack([pools[kind][index] for kind, index in images])
        for form in forms:
            number += 1
            body = FORMATS[form][0](rows, number)
            headers = [("x-request-id", f"{number:08x}".encode()), *body.headers]
            key = body.key if body.key is not None else f"key-{number}".encode()
            yield Sent(form, images, key, body.value, headers, began + number)


def produce(args):
    from confluent_kafka import Producer

    producer = Producer({"bootstrap.servers": args.brokers, "enable.idempotence": True, "compression.type": "lz4"})
    failed, sent = [], 0
    with open(args.ledger, "w") as ledger:
        def note(record):
            def on_delivery(error, message):
                if error is not None:
                    failed.append(error)
                    return
                entry = vars(record) | {
                    "partition": message.partition(),
                    "offset": message.offset(),
                    "key": record.key.hex(),
                    "value": base64.b64encode(record.value).decode(),
                    "headers": [(name, value.hex()) for name, value in record.headers],
                }
                ledger.write(json.dumps(entry) + "\n")
            return on_delivery

        for record in requests(load_images(args.clean), load_images(args.attack), args.formats, args.each, args.seed):
            producer.produce(args.topic, record.value, record.key, headers=record.headers,
                             timestamp=record.timestamp, on_delivery=note(record))
            producer.poll(0)
            sent += 1
        unsent = producer.flush(60)
    if failed or unsent:
        sys.exit(f"formats: {len(failed)} failed ({failed[:1]}), {unsent} without an answer")
    print(json.dumps({"sent": sent}))
    return 0


# ---- checking ----------------------------------------------------------------------------------


def read_ledger(path):
    with open(path) as file:
        entries = [json.loads(line) for line in file]
    ledger = {}
    for entry in entries:
        headers = [(name, bytes.fromhex(value)) for name, value in entry["headers"]]
        key, value = bytes.fromhex(entry["key"]), base64.b64decode(entry["value"])
        record = Sent(entry["form"], [tuple(i) for i in entry["images"]], key, value, headers, entry["timestamp"])
        ledger[entry["partition"], entry["offset"]] = record
    return ledger


def check(ledger, outputs):
    """`ledger`: {position: Sent}. `outputs`: {topic: [Output]}. Returns (counts per format, cases of what is wrong)."""
    tally, wrong = defaultdict(Counter), []
    agreed = {}  # what must be the same in every format, and the format that was first
    seen = Counter()
    for topic in OUTPUTS:
        for out in outputs[topic]:
            try:
                headers, verdict, trace = split_headers(out.headers)
                sent = ledger[trace.partition, trace.offset]
            except (ValueError, KeyError) as error:
                wrong.append(f"{topic}: an output of no record we sent: {error!r}")
                continue
            where = f"{sent.form} at {trace.partition}/{trace.offset} ({verdict})"
            count = tally[sent.form]
            count[verdict.partition(":")[0]] += 1
            seen[trace.partition, trace.offset] += 1
            if topic == "dead-letter":
                wrong.append(f"{where}: dead-lettered")
                continue
            timestamp = sent.timestamp if topic != "sanitized" and out.timestamp is None else out.timestamp
            if (headers, out.key, timestamp) != (sent.headers, sent.key, sent.timestamp):
                wrong.append(f"{where}: key, timestamp or headers differ: {headers}")
            try:
                agree(agreed, ("flagged", *sent.images), verdict != "pass", sent.form)
            except ValueError as error:
                wrong.append(f"{where}: {error}")
            if verdict != "correct":
                if out.value != sent.value:
                    wrong.append(f"{where}: not byte for byte what was sent")
                if topic != {"pass": "sanitized", "quarantine": "quarantine"}.get(verdict):
                    wrong.append(f"{where}: in {topic}")
                continue
            try:
                check_correction(sent, out, count, agreed)
            except Exception as error:  # whatever the library thinks of it
                wrong.append(f"{where}: {error!r}")
    for position, sent in ledger.items():
        if seen[position] != 1:
            wrong.append(f"{sent.form} at {position}: came out {seen[position]} times")
    return tally, wrong


def agree(agreed, what, value, form):
    """ValueError unless all formats say the same of `what`; those of bytes may round."""
    first = agreed.setdefault(what, (value, form))
    if first[0] != value:
        raise ValueError(f"{what[0]} otherwise than in {first[1]}")


def check_correction(sent, out, count, agreed):
    """ValueError, or what the library raises, unless only whole rows of pixels differ."""
    read = FORMATS[sent.form][1]
    # As a consumer of the library's own headers would: ours are not given to it.
    before, rest_before = read(sent.value, sent.headers)
    after, rest_after = read(out.value, sent.headers)
    if rest_before != rest_after:
        raise ValueError(f"what is no pixel differs: {rest_before} became {rest_after}")
    if before.shape != after.shape:
        raise ValueError(f"{before.shape} became {after.shape}")
    if not (np.isfinite(after).all() and after.min() >= 0 and after.max() <= 1):
        raise ValueError(f"values from {after.min()} to {after.max()}")
    changed = (before != after).any(axis=1)
    if not changed.any():
        raise ValueError("corrected, and nothing changed")
    agree(agreed, ("changed", *sent.images), changed.tolist(), sent.form)
    for (kind, index), is_changed, row in zip(sent.images, changed, after):
        count[f"{kind} rows", "changed" if is_changed else "kept"] += 1
        if is_changed:
            coarse = sent.form.endswith(("-u8", "-uint8"))
            bits = np.floor(row * 255 + 0.5).astype(np.uint8) if coarse else row.astype(np.float32)
            agree(agreed, ("corrected", kind, index, coarse), hashlib.sha256(bits.tobytes()).hexdigest(), sent.form)


def groups(ledger, outputs):
    """Ledger and outputs of the same rows in every format, group by group: what is checked together."""
    parts = defaultdict(lambda: ({}, {topic: [] for topic in OUTPUTS}))
    for position, sent in ledger.items():
        parts[tuple(sent.images)][0][position] = sent
    for topic in OUTPUTS:
        for out in outputs[topic]:
            _, _, trace = split_headers(out.headers)
            parts[tuple(ledger[trace.partition, trace.offset].images)][1][topic].append(out)
    return list(parts.values())


def damages(ledger, outputs, done):
    """Outputs with one thing wrong each: what a check that works must notice. `done`: formats and verdicts had before."""
    for topic in ("sanitized", "quarantine"):
        for i, out in enumerate(outputs[topic]):
            _, verdict, trace = split_headers(out.headers)
            form = ledger[trace.partition, trace.offset].form
            if (form, verdict) in done:
                continue
            done.add((form, verdict))
            for what, value, headers in (
                ("the last byte", out.value[:-1] + bytes([out.value[-1] ^ 1]), out.headers),
                ("a byte in the middle", flipped(out.value), out.headers),
                ("a header", out.value, [("x-request-id", b"another"), *out.headers[1:]]),
                ("all that was corrected", ledger[trace.partition, trace.offset].value, out.headers),
            ):
                if what == "all that was corrected" and verdict != "correct":
                    continue
                damaged = copy.copy(outputs)
                damaged[topic] = list(outputs[topic])
                damaged[topic][i] = Output(out.partition, out.key, value, headers, out.timestamp)
                yield f"{form} ({verdict}): {what}", damaged
    full = next(topic for topic in OUTPUTS if outputs[topic])
    yield "a record lost", outputs | {full: outputs[full][1:]}
    yield "a record twice", outputs | {full: outputs[full] + outputs[full][:1]}


def flipped(value):
    at = len(value) // 2
    return value[:at] + bytes([value[at] ^ 0x10]) + value[at + 1 :]


def self_check(ledger, outputs):
    """How many damages there were, and those that went unnoticed."""
    made, unnoticed, done = 0, [], set()
    for part, outputs_of_it in groups(ledger, outputs):
        for what, damaged in damages(part, outputs_of_it, done):
            made += 1
            if not check(part, damaged)[1]:
                unnoticed.append(what)
    return made, unnoticed


def check_topics(args):
    deadline = time.monotonic() + args.timeout
    try:
        outputs = {
            kind: [as_output(m) for m in read_topic(args.brokers, f"{args.stream}.{kind}", deadline)] for kind in OUTPUTS
        }
    except NotRead as error:
        print(f"formats: {error}", file=sys.stderr)
        return 2
    ledger = read_ledger(args.ledger)
    tally, wrong = check(ledger, outputs)
    report = {form: {" ".join(k) if isinstance(k, tuple) else k: n for k, n in sorted(count.items(), key=str)}
              for form, count in sorted(tally.items())}
    made, unnoticed = self_check(ledger, outputs) if not wrong else (0, [])
    print(json.dumps({"formats": report, "wrong": len(wrong), "damages": made, "unnoticed": unnoticed}))
    for line in wrong[:40]:
        print(f"formats: {line[:400]}", file=sys.stderr)
    return 1 if wrong or unnoticed else 0


def main():
    parse = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parse.add_subparsers(required=True)
    make = commands.add_parser("produce")
    make.set_defaults(run=produce)
    make.add_argument("--topic", required=True)
    make.add_argument("--clean", required=True)
    make.add_argument("--attack", required=True)
    make.add_argument("--each", type=int, default=24, help="records of every format")
    make.add_argument("--seed", type=int, default=0)
    make.add_argument("--formats", nargs="+", default=list(FORMATS), choices=list(FORMATS))
    look = commands.add_parser("check")
    look.set_defaults(run=check_topics)
    look.add_argument("--stream", required=True)
    look.add_argument("--timeout", type=float, default=60)
    for command in (make, look):
        command.add_argument("--brokers", required=True)
        command.add_argument("--ledger", required=True)
    args = parse.parse_args()
    return args.run(args)


if __name__ == "__main__":
    sys.exit(main())
