"""Records with canaries: what a stream hides must be in no topic, header, log or metric, and what it seals opens.

`keys` makes keys, `produce` sends records that each hold a canary in fields, key and header, `check` reads every topic but
the input. JWE by joserfc, pseudonyms by Python's hmac. Prints one JSON object; exit 1 if something is wrong.
"""

import argparse
import base64
import csv
import hashlib
import hmac
import json
import os
import struct
import sys
import time

from confluent_kafka import Consumer, Producer, TopicPartition
from joserfc import jwe
from joserfc.jwk import ECKey, import_key

CANARY = b"canary"
KEY = "names-1"


def folder(args, name):
    return os.path.join(args.folder, name)


def b64u(raw):
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def keys(args):
    pair = ECKey.generate_key("P-256", {"kid": "team"}, private=True)
    secret = hashlib.sha256(b"a secret of this test").digest()
    for name, key in [
        ("team-private.jwk", pair.as_dict(private=True)),
        ("team.jwk", pair.as_dict(private=False)),
        ("names.jwk", {"kty": "oct", "k": b64u(secret)}),
    ]:
        with open(folder(args, name), "w") as file:
            json.dump(key, file)
    return {"made": 3}, True


def records(args):
    """(kind, key, headers, value); canaryNNNNN stands in everything that must be hidden."""
    with open(args.table, newline="") as file:
        rows = list(csv.DictReader(file))
    for i in range(args.records):
        row = rows[i % len(rows)]
        canary = f"canary{i:05d}"
        value = {name: float(text) for name, text in row.items() if name != "label"}
        value["customer"] = {"id": f"{canary}-id", "name": f"{canary} \u00e9\"x", "card": f"{canary}4111-1111-1111-{i % 10000:04d}"}
        value["notes"] = [{"text": canary}, {"text": canary, "lang": "en"}]
        kind = "row"
        if i % 50 == 7:
            kind, value = "unreadable", f"{{ no JSON: {canary}"
        elif i % 50 == 17:
            # The row can be read, and the step cannot be applied.
            kind, value["customer"]["card"] = "hidden", {"number": canary}
        elif i % 50 == 27:
            kind, value["x0"] = "outside", 1e9
        raw = value if isinstance(value, str) else json.dumps(value, indent=i % 3 or None, ensure_ascii=i % 2 == 0)
        yield kind, f"{canary}-key", [("x-user", canary), ("x-origin", f"{canary}.example"), ("traceparent", "00-abc")], raw.encode()


def produce(args):
    producer = Producer({"bootstrap.servers": args.brokers, "linger.ms": 5})
    # Of the last five minutes, so that windows end and pages of clients are written.
    began = int(time.time() * 1000) - 300_000
    for i, (kind, key, headers, value) in enumerate(records(args)):
        at = began + i * 300_000 // args.records
        if kind == "row":
            # The deployed model says more than its answer: whoever asked is named, and the question repeated.
            canary = headers[0][1]
            said = json.dumps({"predictions": [i % 7], "user": canary, "instances": [{"name": canary}]})
            producer.produce(args.answers, said, canary, headers=headers, timestamp=at)
        producer.produce(args.topic, value, key.encode(), partition=i % args.partitions, headers=headers, timestamp=at)
        producer.poll(0)
    return {"sent": args.records}, producer.flush(60) == 0


def read(args, topic):
    consumer = Consumer({
        "bootstrap.servers": args.brokers, "group.id": "privacy", "enable.auto.commit": False,
        "isolation.level": "read_committed", "auto.offset.reset": "earliest", "enable.partition.eof": True,
    })
    partitions = consumer.list_topics(topic, timeout=30).topics[topic].partitions
    consumer.assign([TopicPartition(topic, p, 0) for p in partitions])
    ended = set()
    while len(ended) < len(partitions):
        message = consumer.poll(30)
        if message is None:
            sys.exit(f"privacy: {topic} does not come to an end")
        if message.error():
            ended.add(message.partition())
            continue
        yield message
    consumer.close()


def source(headers):
    version, _, partition, offset = struct.unpack_from("<BBiq", headers["tripline-trace"])
    return version, (partition, offset)


def pseudonym(secret, label, value):
    digest = hmac.digest(secret, label.encode() + b"\0" + value.encode(), "sha256")
    return f"p1.{KEY}.{b64u(digest[:16])}"


def check(args):
    sent = list(records(args))
    offset_of = {}
    at = [0] * args.partitions
    for i in range(len(sent)):
        p = i % args.partitions
        offset_of[p, at[p]] = i
        at[p] += 1
    with open(folder(args, "team-private.jwk")) as file:
        private = import_key(json.load(file))
    with open(folder(args, "names.jwk")) as file:
        k = json.load(file)["k"]
        secret = base64.urlsafe_b64decode(k + "=" * (-len(k) % 4))
    admin = Consumer({"bootstrap.servers": args.brokers, "group.id": "privacy"})
    topics = [t for t in admin.list_topics(timeout=30).topics if t not in (args.topic, args.answers) and not t.startswith("__")]
    wrong, seen, counts, read_of = [], {}, {}, {}

    def count(what):
        counts[what] = counts.get(what, 0) + 1

    for topic in topics:
        for message in read(args, topic):
            read_of[topic] = read_of.get(topic, 0) + 1
            headers = message.headers() or []
            parts = [message.key() or b"", message.value() or b""]
            parts += [name.encode() for name, _ in headers] + [value or b"" for _, value in headers]
            if any(CANARY in part.lower() for part in parts):
                wrong.append(f"{topic}: a canary in {parts}"[:300])
            output = topic.removeprefix(args.stream + ".")
            if output not in ("sanitized", "quarantine", "dead-letter"):
                continue
            names = {name: value for name, value in headers}
            version, place = source(names)
            i = offset_of[place]
            seen[i] = seen.get(i, 0) + 1
            kind, key, _, value = sent[i]
            count(f"{output} {kind}")
            if "x-user" in names or "x-origin" in names or names.get("traceparent") != b"00-abc":
                wrong.append(f"{topic}: headers {sorted(names)}")
            if message.key() != pseudonym(secret, "record-key", key).encode():
                wrong.append(f"{topic}: key {message.key()}")
            if version != (4 if output == "dead-letter" else 5):
                wrong.append(f"{topic}: trace version {version}")
            if output == "sanitized":
                before, after = json.loads(value), json.loads(message.value())
                customer = before["customer"]
                before["customer"] = {
                    "id": pseudonym(secret, "/customer/id", customer["id"]), "card": "***" + customer["card"][-4:],
                }
                for note in before["notes"]:
                    note["text"] = None
                if before != after:
                    wrong.append(f"{topic}: {after}, not {before}")
                continue
            if names["content-type"] != b"application/jose":
                wrong.append(f"{topic}: {names['content-type']}")
            opened = jwe.decrypt_compact(message.value().decode(), private, algorithms=["ECDH-ES", "A256GCM"])
            if opened.plaintext != value:
                wrong.append(f"{topic}: opens to {opened.plaintext[:80]}, not {value[:80]}")
            if opened.protected["kid"] != "team":
                wrong.append(f"{topic}: {opened.protected}")
            count("opened")
    for path in args.text:
        with open(path, "rb") as file:
            text = file.read()
        counts[os.path.basename(path)] = len(text)
        if CANARY in text.lower():
            at = text.lower().index(CANARY)
            wrong.append(f"{path}: {text[max(0, at - 200):at + 100]!r}")
    lost = len(sent) - len(seen)
    doubled = sum(n > 1 for n in seen.values())
    report = {"lost": lost, "doubled": doubled, "wrong": len(wrong), "first": wrong[:3], "counts": counts, "read": read_of}
    return report, not (lost or doubled or wrong)


def main():
    parse = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parse.add_argument("what", choices=["keys", "produce", "check"])
    parse.add_argument("--folder", required=True)
    parse.add_argument("--brokers")
    parse.add_argument("--stream", default="private")
    parse.add_argument("--topic", default="private.requests")
    parse.add_argument("--answers", default="private.answers")
    parse.add_argument("--table")
    parse.add_argument("--records", type=int, default=10000)
    parse.add_argument("--partitions", type=int, default=3)
    parse.add_argument("--text", action="append", default=[], help="a file that must have no canary")
    args = parse.parse_args()
    report, fine = {"keys": keys, "produce": produce, "check": check}[args.what](args)
    print(json.dumps(report))
    sys.exit(0 if fine else 1)


if __name__ == "__main__":
    main()
