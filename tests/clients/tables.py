"""Sends a labelled table through a stream and says what became of its rows.

Every row is one JSON record: an array by position, an object by name, or `--batch` rows of a KServe
V1 request. Prints one JSON object; exit 1 if a record is lost, doubled or has other bytes.
"""

import argparse
import csv
import json
import math
import sys
import time

from confluent_kafka import Consumer, Producer, TopicPartition

from check import FLAGGED, TRACE, VERDICT, read_trace


def arguments():
    parse = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parse.add_argument("--brokers", required=True)
    parse.add_argument("--stream", required=True, help="its input is STREAM.requests")
    parse.add_argument("--table", required=True, metavar="FILE", help="CSV with a header")
    parse.add_argument("--label", default="label", metavar="COLUMN")
    parse.add_argument("--form", choices=["array", "object", "v1"], required=True)
    parse.add_argument("--batch", type=int, default=1, help="rows of one V1 request")
    parse.add_argument("--words", default="", help="columns that hold words, a,b,c")
    parse.add_argument("--timeout", type=float, default=120)
    return parse.parse_args()


def load(path, label, words):
    """[(row as {name: value}, label)]: numbers as numbers, words as words."""
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    read = lambda name, text: text if name in words else float(text)
    return [({k: read(k, v) for k, v in row.items() if k != label}, row[label]) for row in rows]


def records(rows, form, batch):
    """[(value, labels of its rows)]; rows of one kind go together."""
    if form == "v1":
        rows = sorted(rows, key=lambda row: row[1] != "normal")
        out = []
        for i in range(0, len(rows), batch):
            some = rows[i : i + batch]
            out.append((json.dumps({"instances": [list(row.values()) for row, _ in some]}), [l for _, l in some]))
        return out
    write = {"array": lambda row: list(row.values()), "object": dict}[form]
    return [(json.dumps(write(row)), [label]) for row, label in rows]


def auroc(low, high):
    """Share of pairs in which the attack scores higher; ties count half."""
    assert not any(map(math.isnan, low + high)), "a score that is none has no rank"
    order = sorted([(s, 0) for s in low] + [(s, 1) for s in high])
    ranks, i = 0.0, 0
    while i < len(order):
        j = i
        while j < len(order) and order[j][0] == order[i][0]:
            j += 1
        ranks += sum(kind for _, kind in order[i:j]) * (i + j + 1) / 2
        i = j
    return (ranks - len(high) * (len(high) + 1) / 2) / (len(low) * len(high)) if low and high else None


def produce(args, sent):
    producer = Producer({"bootstrap.servers": args.brokers, "enable.idempotence": True, "linger.ms": 5})
    positions = {}

    def delivered(i):
        def done(error, message):
            if error:
                raise SystemExit(f"not delivered: {error}")
            positions[message.partition(), message.offset()] = i
        return done

    for i, (value, _) in enumerate(sent):
        producer.produce(f"{args.stream}.requests", value.encode(), on_delivery=delivered(i),
                         headers=[("content-type", b"application/json")])
        producer.poll(0)
    if producer.flush(args.timeout):
        raise SystemExit("not all records were delivered")
    return positions


def outputs(args, expected):
    """(topic, trace, verdict, value) of so many records, or of all that come in time."""
    consumer = Consumer({"bootstrap.servers": args.brokers, "group.id": "tables.py", "enable.auto.commit": False,
                         "isolation.level": "read_committed", "auto.offset.reset": "earliest"})
    topics = [f"{args.stream}.{kind}" for kind in ("sanitized", "quarantine", "dead-letter")]
    known = consumer.list_topics(timeout=20).topics
    consumer.assign([TopicPartition(t, p, 0) for t in topics for p in known[t].partitions])
    deadline, found = time.monotonic() + args.timeout, []
    while time.monotonic() < deadline and len(found) < expected:
        message = consumer.poll(0.2)
        if message is None or message.error():
            continue
        headers = dict(message.headers())
        found.append((message.topic(), read_trace(headers[TRACE]), headers[VERDICT].decode(), message.value()))
    quiet = time.monotonic() + 2
    while time.monotonic() < quiet:  # one too many would come now
        message = consumer.poll(0.2)
        if message is not None and not message.error():
            found.append((message.topic(), read_trace(dict(message.headers())[TRACE]), "", message.value()))
    consumer.close()
    return found


def main():
    args = arguments()
    sent = records(load(args.table, args.label, set(args.words.split(","))), args.form, args.batch)
    positions = produce(args, sent)
    report = {"sent": len(sent), "lost": 0, "doubled": 0, "bytes_differ": 0, "clean_refused": 0,
              "clean": 0, "clean_flagged": 0, "attacks": 0, "attacks_flagged": 0}
    seen, scores = set(), {True: [], False: []}
    for topic, trace, verdict, value in outputs(args, len(sent)):
        i = positions[trace.partition, trace.offset]
        report["doubled"] += i in seen
        seen.add(i)
        report["bytes_differ"] += value != sent[i][0].encode()
        attacked = any(label != "normal" for label in sent[i][1])
        if math.isnan(trace.merged):  # no row, so no score
            assert topic.endswith("dead-letter") or verdict.startswith("would-dead-letter"), verdict
            report["clean_refused"] += not attacked
            continue
        kind = "attacks" if attacked else "clean"
        report[kind] += 1
        report[f"{kind}_flagged"] += bool(trace.flags & FLAGGED)
        scores[attacked].append(trace.merged)
    report["lost"] = len(sent) - len(seen)
    report["auroc"] = auroc(scores[False], scores[True])
    print(json.dumps(report))
    return any(report[what] for what in ("lost", "doubled", "bytes_differ"))


if __name__ == "__main__":
    sys.exit(main())
