"""Sends rows by confluent-kafka's own serializers against a schema registry, and reads what comes out
with the matching deserializers.

    registry.py rows FILE                     writes clean rows to fit on, as .npy
    registry.py produce --brokers … --registry … --topic … --ledger … --records N [--from I] [--unknown N]
    registry.py check --brokers … --registry … --topic … --ledger … --stream …

A row is six numbers near a plane; an attacked one has two of them exchanged for what the others
forbid. Every third record is Avro, Protobuf, JSON Schema; each also holds what is no feature.
"""

import argparse
import base64
import json
import random
import struct
import sys
import time
from collections import Counter

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.json_schema import JSONDeserializer, JSONSerializer
from confluent_kafka.schema_registry.protobuf import ProtobufDeserializer, ProtobufSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

NUMBERS = [f"x{j}" for j in range(6)]
FORMATS = ("avro", "protobuf", "json")
OUTPUTS = ("sanitized", "quarantine", "dead-letter")

AVRO = json.dumps({
    "type": "record", "name": "Payment", "namespace": "shop", "fields": [
        {"name": "order", "type": "string"},
        {"name": "x5", "type": "float"},
        {"name": "x0", "type": "double"},
        {"name": "x1", "type": ["null", "double"]},
        {"name": "tags", "type": {"type": "map", "values": "string"}},
        {"name": "x2", "type": "double"},
        {"name": "x3", "type": "double"},
        {"name": "x4", "type": ["double", "null"]},
    ],
})
JSON = json.dumps({
    "title": "Payment", "type": "object",
    "properties": {"order": {"type": "string"}, **{x: {"type": "number"} for x in NUMBERS}},
    "required": ["order", *NUMBERS],
})


def payment_class():
    """shop.Payment, the second message of its file, without a compiler."""
    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="payment.proto", package="shop", syntax="proto3")
    file.message_type.add(name="Other").field.add(name="x0", number=1, type=field.TYPE_STRING, label=1)
    message = file.message_type.add(name="Payment")
    message.field.add(name="order", number=1, type=field.TYPE_STRING, label=field.LABEL_OPTIONAL)
    for j, x in enumerate(NUMBERS):
        kind = field.TYPE_FLOAT if x == "x5" else field.TYPE_DOUBLE
        message.field.add(name=x, number=20 - j, type=kind, label=field.LABEL_OPTIONAL)
    message.field.add(name="tags", number=30, type=field.TYPE_STRING, label=field.LABEL_REPEATED)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("shop.Payment"))


def clean_row(rng):
    a, b = rng.random(), rng.random()
    return [0.1 + 0.7 * (j / 5 * a + (1 - j / 5) * b) + 0.02 * rng.random() for j in range(6)]


def attacked_row(rng):
    """Each number is an ordinary one; together they are far from the plane."""
    row = [0.45 + 0.01 * rng.random() for _ in range(6)]
    row[1], row[4] = 0.75, 0.75
    row[2], row[3] = 0.15, 0.15
    return row


def fields(row, order):
    return {"order": order, **{x: struct.unpack("<f", struct.pack("<f", v))[0] for x, v in zip(NUMBERS, row)}}


class Formats:
    def __init__(self, url, topic):
        client = SchemaRegistryClient({"url": url})
        # One topic, three languages: a subject each.
        def strategy(name):
            return {"subject.name.strategy": lambda ctx, record: f"{topic}-{name}"}
        self.context = SerializationContext(topic, MessageField.VALUE, [])
        self.payment = payment_class()
        protobuf = {"use.deprecated.format": False}
        self.writers = {
            "avro": AvroSerializer(client, AVRO, conf=strategy("avro")),
            "protobuf": ProtobufSerializer(self.payment, client, {**strategy("protobuf"), **protobuf}),
            "json": JSONSerializer(JSON, client, conf=strategy("json")),
        }
        self.readers = {
            "avro": AvroDeserializer(client, conf=strategy("avro")),
            "protobuf": ProtobufDeserializer(self.payment, {**strategy("protobuf"), **protobuf}, client),
            "json": JSONDeserializer(JSON, schema_registry_client=client, conf=strategy("json")),
        }

    def write(self, name, values):
        if name == "avro":
            values = {**values, "tags": {"shop": "7"}}
        if name == "protobuf":
            values = self.payment(**values, tags=["a", "b"])
        return self.writers[name](values, self.context)

    def read(self, name, value):
        read = self.readers[name](value, self.context)
        if name == "protobuf":
            read = {"tags": list(read.tags), "order": read.order, **{x: getattr(read, x) for x in NUMBERS}}
        return read


def rows(args):
    rng = random.Random(1)
    n = 4000
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({n}, 6), }}\n".encode()
    with open(args.file, "wb") as file:
        file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header)
        for _ in range(n):
            file.write(struct.pack("<6f", *clean_row(rng)))


def produce(args):
    formats = Formats(args.registry, args.topic)
    producer = Producer({"bootstrap.servers": args.brokers, "enable.idempotence": True})
    partitions = len(producer.list_topics(args.topic, timeout=30).topics[args.topic].partitions)
    rng = random.Random(args.first + 7)
    failed = []
    with open(args.ledger, "a") as ledger:
        for i in range(args.first, args.first + args.records):
            name = FORMATS[i % 3]
            attack = rng.random() < 0.2
            value = formats.write(name, fields(attacked_row(rng) if attack else clean_row(rng), f"order-{i}"))
            kind = "attack" if attack else "clean"
            if i - args.first < args.unknown:
                # An id that no registry ever gave.
                value, kind = b"\0" + struct.pack(">I", 4_000_000_000 + i % 2) + value[5:], "unknown"
            entry = {"kind": kind, "format": name, "value": base64.b64encode(value).decode(), "key": f"k{i}"}
            ledger.write(json.dumps(entry) + "\n")
            producer.produce(args.topic, value, f"k{i}", partition=i % partitions,
                             on_delivery=lambda error, _: error and failed.append(error))
            producer.poll(0)
    if producer.flush(60) or failed:
        sys.exit(f"registry.py: not everything was delivered: {failed[:1]}")


def outputs(brokers, topic):
    consumer = Consumer({"bootstrap.servers": brokers, "group.id": "registry.py", "auto.offset.reset": "earliest",
                         "isolation.level": "read_committed", "enable.auto.commit": False,
                         "enable.partition.eof": True})
    partitions = consumer.list_topics(topic, timeout=30).topics[topic].partitions
    consumer.assign([TopicPartition(topic, p, 0) for p in partitions])
    ended, deadline = set(), time.monotonic() + 60
    while len(ended) < len(partitions):
        if time.monotonic() > deadline:
            sys.exit(f"registry.py: {topic} has no end")
        message = consumer.poll(1)
        if message is None:
            continue
        if message.error():
            ended.add(message.partition())
        else:
            yield message
    consumer.close()


def check(args):
    formats = Formats(args.registry, args.topic)
    with open(args.ledger) as file:
        ledger = {entry["key"]: entry for entry in map(json.loads, file)}
    count, seen, order = Counter(), Counter(), {}
    for output in OUTPUTS:
        for message in outputs(args.brokers, f"{args.stream}.{output}"):
            key = message.key().decode()
            entry = ledger[key]
            seen[key] += 1
            headers = dict(message.headers())
            verdict = headers["tripline-verdict"].decode()
            count[f"{entry['kind']} {verdict}"] += 1
            place = (output, message.partition())
            count["reordered"] += order.get(place, -1) > int(key[1:])
            order[place] = int(key[1:])
            original = base64.b64decode(entry["value"])
            if verdict != "correct":
                count["bytes_differ"] += message.value() != original
            if entry["kind"] == "unknown":
                continue
            before, after = (formats.read(entry["format"], v) for v in (original, message.value()))
            if verdict == "correct":
                count[f"corrected {entry['format']}"] += 1
                count["corrected_the_same"] += all(before[x] == after[x] for x in NUMBERS)
                count["corrected_elsewhere"] += any(before[k] != after[k] for k in before if k not in NUMBERS)
                count["frame_differ"] += message.value()[:5] != original[:5]
            else:
                count["values_differ"] += before != after
    count["lost"] = sum(key not in seen for key in ledger)
    count["doubled"] = sum(n - 1 for n in seen.values())
    count["records"] = len(ledger)
    print(json.dumps(dict(count)))


def main():
    parse = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parse.add_subparsers(dest="command", required=True)
    commands.add_parser("rows").add_argument("file")
    for name in ("produce", "check"):
        command = commands.add_parser(name)
        for option in ("brokers", "registry", "topic", "ledger"):
            command.add_argument(f"--{option}", required=True)
        if name == "produce":
            command.add_argument("--records", type=int, required=True)
            command.add_argument("--first", type=int, default=0, help="number of the first record")
            command.add_argument("--unknown", type=int, default=0, help="so many of them name no schema")
        else:
            command.add_argument("--stream", required=True)
    args = parse.parse_args()
    {"rows": rows, "produce": produce, "check": check}[args.command](args)


if __name__ == "__main__":
    main()
