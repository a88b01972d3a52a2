"""Sends a table's rows to a topic, open loop: what is sent when is fixed by a seed before the first record.

A broker that is slow or gone does not slow the schedule down: records wait here and keep the time at which they
were meant to go, as their timestamp and, with their number, in the header `chaos`. Nothing is written down: the
topic is the ledger. With `--hostile` a share of the records is what hostile.py deals instead. Ends when everything is
delivered; prints one JSON line.
"""

import argparse
import csv
import json
import random
import struct
import sys
import threading
import time
from dataclasses import dataclass

import hostile
import raw

STALLED = 60.0  # seconds without a delivery although the broker answers: that producer is left behind
SETTLED = 4.0  # seconds that a new partition must have been known before records go there


def arguments():
    parse = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parse.add_argument("--brokers", required=True)
    parse.add_argument("--topic", required=True)
    parse.add_argument("--table", required=True, metavar="FILE", help="CSV of numbers with a header and a label")
    parse.add_argument("--seed", type=int, required=True)
    parse.add_argument("--rate", type=float, required=True, help="records per second, on average")
    parse.add_argument("--seconds", type=float, required=True, help="0: until standard input ends")
    parse.add_argument("--wave-every", type=float, default=60, help="seconds between attack waves")
    parse.add_argument("--hostile", type=float, default=0, help="share of records that a hostile sender writes")
    parse.add_argument("--tricks", metavar="FILE", help="more of these, a JSON object a line")
    parse.add_argument("--timeout", type=float, default=180, help="seconds to wait for the broker at the end")
    return parse.parse_args()


def load(path):
    """(clean rows, attacked rows)"""
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    numbers = lambda row: [float(v) for k, v in row.items() if k != "label"]
    clean = [numbers(row) for row in rows if row["label"] == "normal"]
    return clean, [numbers(row) for row in rows if row["label"] != "normal"]


def as_json(row):
    return json.dumps([int(x) if x == int(x) else x for x in row]).encode()


def as_f32(row):
    return struct.pack(f"<{len(row)}f", *row)


def malformed(dice, row):
    """(content type, value): a record that has no row."""
    return dice.choice([
        lambda: (b"application/json", None),
        lambda: (b"application/json", b"not a row at all"),
        lambda: (b"application/json", b"\xff\x00\xfe" * dice.randrange(1, 9)),
        lambda: (b"application/json", as_json(row[:-1])),
        lambda: (b"application/json", b""),
        lambda: (b"application/json", json.dumps([1e30] * len(row)).encode()),
        lambda: (b"application/x-f32-le", as_f32(row)[:-3]),
        lambda: (b"application/x-f32-le", as_f32(row[:-2])),
        lambda: (b"application/x-f32-le", as_f32([float("nan")] + row[1:])),
        lambda: (b"application/x-f32-le", as_f32([float("inf")] * len(row))),
        lambda: (b"application/x-no-such-format", as_f32(row)),
    ])()


@dataclass
class Sent:
    """A record. Its timestamp is in milliseconds; without one it is when the record is due, or so long after."""

    due: float  # seconds from the start
    draw: int  # the partition, modulo how many there are
    key: bytes | None
    value: bytes | None
    headers: list
    stamp: int | None = None
    after_ms: int = 0

    def timestamp(self, start_ms):
        return start_ms + int(self.due * 1000) + self.after_ms if self.stamp is None else self.stamp


def schedule(seed, rate, seconds, wave_every, clean, attacked, deck=None):
    """Records, endless or `seconds` long, by the seed alone.

    Within every `wave_every` seconds a quarter is a wave, in which four of ten records are attacks. What the deck deals
    takes the place of a record; the others are as they were without it.
    """
    dice, due, number = random.Random(seed), 0.0, 0
    while True:
        due += dice.expovariate(rate)
        if seconds and due >= seconds:
            return
        wave = 0.35 < due / wave_every % 1 < 0.6
        kind = dice.random()
        row = dice.choice(attacked if dice.random() < (0.4 if wave else 0.002) else clean)
        if kind < 0.02:
            content_type, value = malformed(dice, row)
        elif kind < 0.6:
            content_type, value = b"application/json", as_json(row)
        else:
            content_type, value = b"application/x-f32-le", as_f32(row)
        headers = [("chaos", struct.pack("<qd", number, due)), ("content-type", content_type)]
        if dice.random() < 0.2:  # repeated, binary, empty, null, and forged ones of Tripline's own
            headers += [("tag", dice.randbytes(dice.randrange(20))), ("tag", b"\x00\xff"), ("tag", b""), ("nil", None)]
        if dice.random() < 0.02:
            headers += [("tripline-verdict", b"pass")]
        key = dice.choice([None, b"", dice.randbytes(8), b"user-%d" % dice.randrange(100)])
        sent = Sent(due, dice.randrange(1 << 30), key, value, headers)
        if deck and (card := deck.deal()):
            sent = replaced(sent, card)
        yield sent
        number += 1


def replaced(sent, card):
    headers = [sent.headers[0], ("hostile", card.kind.encode())]
    if card.content_type is not None:
        headers.append(("content-type", card.content_type))
    key = sent.key if card.key is None else card.key
    return Sent(sent.due, sent.draw, key, card.value, headers + card.headers, card.stamp, card.after_ms)


class Partitions:
    """How many partitions may be written to: those known for a while, so that the producer knows them too."""

    def __init__(self, producer, topic):
        self.producer, self.topic, self.seen, self.asked = producer, topic, [], float("-inf")
        self.away = time.monotonic()  # when the broker last did not answer
        deadline = time.monotonic() + 30
        while not self.count():
            if time.monotonic() > deadline:
                sys.exit(f"chaos_load: no topic {topic}")

    def count(self):
        from confluent_kafka import KafkaException

        now = time.monotonic()
        if now - self.asked > 1:
            try:
                known = len(self.producer.list_topics(self.topic, timeout=5).topics[self.topic].partitions)
                first = not self.seen
                self.seen += [now - SETTLED if first else now] * (known - len(self.seen))
            except KafkaException:
                self.away = time.monotonic()  # it will be back
            self.asked = time.monotonic()
        return sum(now - since >= SETTLED for since in self.seen)


def main():
    from confluent_kafka import Producer

    args = arguments()
    clean, attacked = load(args.table)
    tricks = hostile.read_tricks(args.tricks) if args.tricks else ()
    deck = hostile.Deck(args.seed, args.hostile, clean, tricks) if args.hostile else None
    failed, delivered, beside, stalled, moved = [], 0, None, [], time.monotonic()
    settings = {
        "bootstrap.servers": args.brokers,
        "enable.idempotence": True,
        "message.timeout.ms": 0,  # never given up
        "message.max.bytes": 2 * hostile.INPUT_BYTES_MAX,
        "linger.ms": 2,
        "queue.buffering.max.messages": 1_000_000,
        "topic.metadata.refresh.interval.ms": 1000,
        "reconnect.backoff.max.ms": 500,
        "log_level": 0,
    }
    producer = Producer(settings)
    producer.poll(0)
    partitions = Partitions(producer, args.topic)

    def on_delivery(error, _):
        nonlocal delivered, moved
        moved = time.monotonic()
        if error is not None:
            failed.append(str(error))
        else:
            delivered += 1

    stop = threading.Event()
    if not args.seconds:
        threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
    start_ms, began, sent, latest = int(time.time() * 1000), time.monotonic(), 0, 0.0
    count = partitions.count()
    for record in schedule(args.seed, args.rate, args.seconds, args.wave_every, clean, attacked, deck):
        while (early := began + record.due - time.monotonic()) > 0:
            producer.poll(min(early, 0.05))
        if stop.is_set():
            break
        latest = max(latest, -early)
        if sent % 64 == 0:
            count = partitions.count()
            if len(producer) and time.monotonic() - max(moved, partitions.away) > STALLED:
                # What it has it may still send: the topic is the ledger.
                stalled.append(producer)
                producer = partitions.producer = Producer(settings)
                moved = time.monotonic()
        partition, timestamp = record.draw % count, record.timestamp(start_ms)
        if any(isinstance(name, bytes) for name, _ in record.headers):
            beside = beside or raw.Producer(settings)
            beside.produce(args.topic, record.value, record.key, partition, record.headers, timestamp)
            continue
        while True:
            try:
                producer.produce(
                    args.topic, record.value, record.key, partition=partition, headers=record.headers,
                    timestamp=timestamp, on_delivery=on_delivery,
                )
                break
            except BufferError:
                producer.poll(0.1)
        sent += 1
        producer.poll(0)
    unsent = producer.flush(args.timeout)
    unsent += beside.flush(args.timeout) if beside else 0
    print(json.dumps({"sent": sent, "delivered": delivered, "unsent": unsent, "failed": failed[:3],
                      "stalled": len(stalled),
                      "latest_s": round(latest, 2), "seconds": round(time.monotonic() - began, 1)}))
    return 1 if failed or unsent else 0


if __name__ == "__main__":
    sys.exit(main())
