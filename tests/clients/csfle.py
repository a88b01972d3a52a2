"""Encrypted fields and payloads: what Confluent's serializers encrypt, Tripline opens, and what it seals again, Confluent's
deserializers read.

`produce` sends images by schemas of six kinds and some records that cannot be opened; `check` reads every topic but the
input. The registry is `dek_registry.py`. Prints one JSON object; exit 1 if something is wrong.
"""

import argparse
import base64
import json
import logging
import os
import random
import sys
import time
import urllib.request

from confluent_kafka import Consumer, Producer
from confluent_kafka.schema_registry import (
    Rule, RuleKind, RuleMode, RuleParams, RuleSet, Schema, SchemaRegistryClient,
)
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.confluent import meta_pb2
from confluent_kafka.schema_registry.json_schema import JSONDeserializer, JSONSerializer
from confluent_kafka.schema_registry.protobuf import ProtobufDeserializer, ProtobufSerializer
from confluent_kafka.schema_registry.rule_registry import RuleRegistry
from confluent_kafka.schema_registry.rules.encryption.encrypt_executor import (
    Clock, EncryptionExecutor, FieldEncryptionExecutor,
)
from confluent_kafka.schema_registry.rules.encryption.kms_driver_registry import KmsDriver, register_kms_driver
from confluent_kafka.schema_registry.rules.encryption.localkms.local_driver import LocalKmsDriver
from confluent_kafka.serialization import MessageField, SerializationContext
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from privacy import read, source
from tink import KmsClient, aead

CANARY = b"canary"
PIXELS = 784
PII = {"confluent:tags": ["PII"]}
AVRO = {"type": "record", "name": "Image", "namespace": "shop", "fields": [
    {"name": "who", "type": ["null", "string"], **PII},
    {"name": "pixels", "type": {"type": "array", "items": "double"}},
    {"name": "photo", "type": "bytes", **PII},
]}
JSONS = {"title": "Image", "type": "object", "properties": {
    "who": {"type": "string", **PII},
    "pixels": {"type": "array", "items": {"type": "number"}},
    "photo": {"type": "string"}}}
# Name, format, parameters, whether the payload is encrypted.
KINDS = [
    ("gcm", "AVRO", {}, False),
    ("rotated", "AVRO", {"encrypt.dek.algorithm": "AES128_GCM", "encrypt.dek.expiry.days": "30"}, False),
    ("siv", "AVRO", {"encrypt.dek.algorithm": "AES256_SIV"}, False),
    ("json", "JSON", {}, False),
    ("payload", "AVRO", {"encrypt.dek.algorithm": "AES128_GCM", "encrypt.dek.expiry.days": "30"}, True),
    ("proto", "PROTOBUF", {}, False),
]
BAD = {"plain": "not-sealed", "stranger": "unknown-key", "version": "unknown-key", "flipped": "undecryptable", "base64": "undecryptable"}


def image_file():
    """A file of Protobuf as a descriptor: that is what Confluent's serializer registers. Tags are options of fields."""
    file = descriptor_pb2.FileDescriptorProto(
        name="image.proto", package="shop", syntax="proto3", dependency=["confluent/meta.proto"])
    message = file.message_type.add(name="Image")
    kind = descriptor_pb2.FieldDescriptorProto
    for number, (name, type_, label, tags) in enumerate([
        ("who", kind.TYPE_STRING, kind.LABEL_OPTIONAL, ["PII"]),
        ("pixels", kind.TYPE_DOUBLE, kind.LABEL_REPEATED, []),
        ("photo", kind.TYPE_BYTES, kind.LABEL_OPTIONAL, ["PII"]),
    ], 1):
        field = message.field.add(name=name, number=number, type=type_, label=label)
        if tags:
            field.options.Extensions[meta_pb2.field_meta].tags.extend(tags)
    return file


IMAGE_FILE = image_file()
descriptor_pool.Default().Add(IMAGE_FILE)
Image = message_factory.GetMessageClass(descriptor_pool.Default().FindMessageTypeByName("shop.Image"))


class AwsKey(KmsClient, aead.Aead):
    """AWS KMS by its protocol, unsigned: for moto, which minds no signature. Confluent's driver wants boto3."""

    def __init__(self, url, arn):
        self.url, self.arn = url, arn

    def does_support(self, uri):
        return uri == "aws-kms://" + self.arn

    def get_aead(self, uri):
        return self

    def ask(self, action, body):
        scope = "Credential=test/20260101/eu-central-1/kms/aws4_request, SignedHeaders=host, Signature=0"
        headers = {"X-Amz-Target": f"TrentService.{action}", "Content-Type": "application/x-amz-json-1.1",
                   "Authorization": f"AWS4-HMAC-SHA256 {scope}"}
        request = urllib.request.Request(self.url, json.dumps(body).encode(), headers)
        return json.load(urllib.request.urlopen(request))

    def encrypt(self, plaintext, associated_data):
        answer = self.ask("Encrypt", {"KeyId": self.arn, "Plaintext": base64.b64encode(plaintext).decode()})
        return base64.b64decode(answer["CiphertextBlob"])

    def decrypt(self, ciphertext, associated_data):
        answer = self.ask("Decrypt", {"KeyId": self.arn, "CiphertextBlob": base64.b64encode(ciphertext).decode()})
        return base64.b64decode(answer["Plaintext"])


class AwsDriver(KmsDriver):
    def __init__(self, args):
        self.args = args

    def get_key_url_prefix(self):
        return "aws-kms://"

    def new_kms_client(self, conf, url):
        return AwsKey(rule_conf(self.args)["endpoint"], self.args.key_id)


class Later(Clock):
    """Once it is some days after now: then a data key has expired, and the client makes the next version."""

    def __init__(self, days):
        self.days = days

    def now(self):
        days, self.days = self.days, 0
        return super().now() + days * 24 * 3600 * 1000


def executors(days=0):
    """Each client has its own: one executor keeps the configuration of the first."""
    RuleRegistry._instance = None
    for executor in (FieldEncryptionExecutor(Later(days)), EncryptionExecutor(Later(days))):
        RuleRegistry.register_rule_executor(executor)


def rule_conf(args):
    return dict(pair.split("=", 1) for pair in args.rule_conf)


def schema(args, kind, kek=None, rules=True, doc=""):
    name, language, params, payload = kind
    text = json.dumps({**(AVRO if language == "AVRO" else JSONS), "doc": name + doc})
    if language == "PROTOBUF":
        text = base64.b64encode(IMAGE_FILE.SerializeToString()).decode()
    params = {"encrypt.kek.name": kek or args.kek, "encrypt.kms.type": args.kms, "encrypt.kms.key.id": args.key_id, **params}
    rule = Rule("encrypt", "", RuleKind.TRANSFORM, RuleMode.WRITEREAD, "ENCRYPT_PAYLOAD" if payload else "ENCRYPT",
                None if payload else ["PII"], RuleParams(params), None, None, "ERROR,ERROR", False)
    sets = RuleSet(None, None, [rule]) if payload else RuleSet(None, [rule])
    return text, Schema(text, language, [], None, sets if rules else None)


def serializer(args, kind, days=0, **more):
    """A serializer by the newest schema of the subject, which is this kind's."""
    executors(days)
    client = SchemaRegistryClient({"url": args.registry})
    text, full = schema(args, kind, **more)
    client.register_schema(args.topic + "-value", full)
    conf = {"auto.register.schemas": False, "use.latest.version": True}
    if kind[1] == "AVRO":
        made = AvroSerializer(client, text, conf=conf, rule_conf=rule_conf(args))
    elif kind[1] == "JSON":
        made = JSONSerializer(text, client, conf=conf, rule_conf=rule_conf(args))
    else:
        of_message = ProtobufSerializer(Image, client, conf, rule_conf=rule_conf(args))
        made = lambda record, context: of_message(Image(**record), context)  # noqa: E731
    context = SerializationContext(args.topic, MessageField.VALUE)
    return lambda record: made(record, context)


def records(args):
    """(what is wrong, index of the kind, record): every third image carries a trigger."""
    def images(name):
        with open(os.path.join(args.slice, name), "rb") as file:
            raw = file.read()
        return [raw[i:i + PIXELS] for i in range(0, len(raw), PIXELS)]
    clean, trigger = images("clean.u8"), images("trigger.u8")
    for i in range(args.records):
        # Kind by kind, because the newest schema of the subject is what is written by.
        kind = i * len(KINDS) // args.records
        image = trigger[i // 3 % len(trigger)] if i % 3 == 0 else clean[i % len(clean)]
        photo = f"canary photo {i}"
        record = {"who": f"canary{i:06d} ё\" with a name as long as this", "pixels": [x / 255 for x in image],
                  "photo": photo if KINDS[kind][1] == "JSON" else photo.encode()}
        if i % 31 == 5 and KINDS[kind][1] == "AVRO":
            record["who"] = None
        yield None, kind, record
    for i in range(args.bad):
        bad = list(BAD)[i * len(BAD) // args.bad]
        pixels = [x / 255 for x in clean[i % len(clean)]]
        who = f"canary bad {i} with a name as long as this" if bad != "plain" else "nobody"
        yield bad, 1, {"who": who, "pixels": pixels, "photo": who.encode()}


def spoilt(bad, value):
    """The place of the field `who`: frame, union branch, length in two bytes, base64."""
    if bad == "version":
        head = base64.b64decode(value[8:16])
        return value[:8] + base64.b64encode(b"\0\0\0\0\x63" + head[5:]) + value[16:]
    at = 8 + 30
    if bad == "flipped":
        return value[:at] + (b"A" if value[at:at + 1] != b"A" else b"B") + value[at + 1:]
    return value[:at] + b"*" + value[at + 1:] if bad == "base64" else value


def produce(args):
    """The values are kept beside: sealed twice they would be others."""
    producer = Producer({"bootstrap.servers": args.brokers, "linger.ms": 5, "queue.buffering.max.messages": 1000000})
    seal, made = None, None
    number = args.records // len(KINDS) or 1
    with open(os.path.join(args.folder, "sent.txt"), "w") as sent:
        for i, (bad, kind, record) in enumerate(records(args)):
            # The second half of a kind with rotation comes after its key has expired.
            days = 31 if not bad and i % number >= number // 2 and "encrypt.dek.expiry.days" in KINDS[kind][2] else 0
            # What is spoilt behind the client has a schema of its own: the newest of the subject is what is written by.
            want = (kind, days, bad if bad in ("stranger", "plain", None) else "spoilt")
            if want != made:
                more = {"stranger": {"kek": "stranger"}, "plain": {"rules": False}}.get(bad, {})
                more["doc"] = want[2] or ""
                made, seal = want, serializer(args, KINDS[kind], days, **more)
            value = spoilt(bad, seal(record))
            sent.write(base64.b64encode(value).decode() + "\n")
            producer.produce(args.topic, value, key=str(i), partition=i % args.partitions)
            producer.poll(0)
            if args.rate:
                time.sleep(1 / args.rate)
    return {"sent": i + 1}, producer.flush(60) == 0


def readers(args, topic):
    """What a reader of `topic` makes of a value: nothing is cached from another topic."""
    executors()
    client = SchemaRegistryClient({"url": args.registry})
    avro = AvroDeserializer(client, rule_conf=rule_conf(args))
    plain = JSONDeserializer(None, schema_registry_client=client, rule_conf=rule_conf(args))
    of_message = ProtobufDeserializer(Image, {}, schema_registry_client=client, rule_conf=rule_conf(args))

    def proto(value, context):
        image = of_message(value, context)
        return {"who": image.who, "pixels": list(image.pixels), "photo": image.photo}

    by_language = {"AVRO": avro, "JSON": plain, "PROTOBUF": proto}
    context = SerializationContext(topic, MessageField.VALUE)
    return lambda language, value: by_language[language](value, context)


def check(args):
    known = list(records(args))
    with open(os.path.join(args.folder, "sent.txt")) as file:
        sent = [base64.b64decode(line) for line in file]
    admin = Consumer({"bootstrap.servers": args.brokers, "group.id": "csfle"})
    topics = [t for t in admin.list_topics(timeout=30).topics if t != args.topic and not t.startswith("__")]
    wrong, seen, counts = [], {}, {}

    def count(what):
        counts[what] = counts.get(what, 0) + 1

    for topic in topics:
        reader = None
        for message in read(args, topic):
            headers = message.headers() or []
            names, value = dict(headers), message.value()
            output = topic.removeprefix(args.stream + ".")
            parts = [message.key() or b"", value or b""]
            parts += [name.encode() for name, _ in headers] + [held or b"" for _, held in headers]
            # What a schema does not encrypt its sender wrote in clear.
            i = int(message.key()) if output in ("sanitized", "quarantine", "dead-letter") else None
            json_photo = i is not None and known[i][1] == 3
            if any(CANARY in part.lower().replace(b"canary photo", b"" if json_photo else b"canary") for part in parts):
                wrong.append(f"{topic}: a canary in {parts}"[:300])
            if i is None:
                count(output)
                continue
            seen[i] = seen.get(i, 0) + 1
            bad, kind, record = known[i]
            verdict = names["tripline-verdict"].decode()
            count(f"{output} {verdict}")
            if source(names)[0] != (4 if output == "dead-letter" else 5):
                wrong.append(f"{topic}: trace version {source(names)[0]} of {bad}")
            if bad and verdict != f"dead-letter:{BAD[bad]}":
                wrong.append(f"{topic}: {bad} is {verdict}")
            if not bad and output == "dead-letter":
                wrong.append(f"{topic}: {i} is {verdict}")
            if verdict != "correct" and value != sent[i]:
                wrong.append(f"{topic}: {verdict} is another value")
            if output == "dead-letter":
                continue
            name, language, _, payload = KINDS[kind]
            reader = reader or readers(args, topic)
            opened = reader(language, value)
            if verdict != "correct":
                if opened != record:
                    wrong.append(f"{topic}: {i} opens to {str(opened)[:200]}")
                count(f"passed {name}")
                continue
            pixels = opened.pop("pixels")
            before = dict(record)
            if before.pop("pixels") == pixels or before != opened or len(pixels) != PIXELS or not all(0 <= x <= 1 for x in pixels):
                wrong.append(f"{topic}: {i} opens to {str(opened)[:200]}")
            if value[:5] != sent[i][:5] or value == sent[i]:
                wrong.append(f"{topic}: the frame of {i}")
            # A field has a new nonce, unless its algorithm has none; what is prefixed is the same version.
            if record["who"] is not None and not payload and language == "AVRO":
                mine, theirs = base64.b64decode(value[8:44]), base64.b64decode(sent[i][8:44])
                if (mine == theirs) != (name == "siv") or name == "rotated" and mine[:5] != theirs[:5]:
                    wrong.append(f"{topic}: the ciphertext of {i}")
            count(f"corrected {name}")
    for path in args.text:
        with open(path, "rb") as file:
            text = file.read()
        counts[os.path.basename(path)] = len(text)
        if CANARY in text.lower():
            at = text.lower().index(CANARY)
            wrong.append(f"{path}: {text[max(0, at - 200):at + 100]!r}")
    lost = len(sent) - len(seen)
    doubled = sum(n > 1 for n in seen.values())
    log = json.load(urllib.request.urlopen(args.registry + "/_log"))
    counts["keys fetched"] = sum(method == "GET" and "/deks/" in path for method, path in log)
    report = {"lost": lost, "doubled": doubled, "wrong": len(wrong), "first": wrong[:3], "counts": counts}
    return report, not (lost or doubled or wrong)


def main():
    logging.disable(logging.WARNING)
    parse = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parse.add_argument("what", choices=["produce", "check"])
    parse.add_argument("--folder", required=True)
    parse.add_argument("--brokers", required=True)
    parse.add_argument("--registry", required=True)
    parse.add_argument("--stream", default="images")
    parse.add_argument("--topic", default="images.requests")
    parse.add_argument("--slice", required=True, help="images of the bundle")
    parse.add_argument("--records", type=int, default=300)
    parse.add_argument("--bad", type=int, default=25, help="records that cannot be opened, besides")
    parse.add_argument("--rate", type=float, default=0, help="records in a second, at most; as fast as it goes unless given")
    parse.add_argument("--partitions", type=int, default=3)
    parse.add_argument("--kek", default="kek1")
    parse.add_argument("--kms", default="local-kms")
    parse.add_argument("--key-id", default="mykey")
    parse.add_argument("--rule-conf", action="append", default=[], help="NAME=VALUE for the client's driver")
    parse.add_argument("--text", action="append", default=[], help="a file that must have no canary")
    args = parse.parse_args()
    if args.kms == "local-kms":
        LocalKmsDriver.register()
    elif args.kms == "hcvault":
        from confluent_kafka.schema_registry.rules.encryption.hcvault.hcvault_driver import HcVaultKmsDriver
        HcVaultKmsDriver.register()
    else:
        register_kms_driver(AwsDriver(args))
    report, fine = {"produce": produce, "check": check}[args.what](args)
    print(json.dumps(report))
    sys.exit(0 if fine else 1)


if __name__ == "__main__":
    main()
