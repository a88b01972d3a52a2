"""Holds a stream's outputs against the ledger of what was sent: the accounting law, from outside.

Every record leaves exactly once, in one of three topics, in order, with its bytes, key, timestamp,
partition and headers. Exit 0: so it is. 1: it is not, and stderr shows the first cases. 2: the
ledger or the topics could not be read to their ends.
"""

import argparse
import hashlib
import json
import math
import struct
import sys
import time
from collections import Counter, defaultdict
from dataclasses import dataclass

from cloudevents.kafka import KafkaMessage, from_binary
from inputs import decode

VERDICT, TRACE, CONNECT = "tripline-verdict", "tripline-trace", "__connect.errors."
REASON, REASON_BYTES_MAX = "tripline-reason", 512
TIMESTAMP = "tripline-timestamp"
FLAGGED, CORRECTED, FAULT, OBSERVED, UNSCORED = 1, 2, 4, 8, 16
OUTPUTS = ("sanitized", "quarantine", "dead-letter")
# Where each verdict belongs. In observe mode everything is delivered and verdicts start with "would-".
HOME = {"pass": "sanitized", "unscored": "sanitized", "correct": "sanitized", "quarantine": "quarantine",
        "dead-letter": "dead-letter"}

MUST_BE_ZERO = {
    "lost": "in no output",
    "doubled": "in the outputs more than once",
    "reordered": "behind a later record of its partition",
    "stray": "an output of no record we sent, or without a readable trace",
    "bytes_differ": "passed or held, but not byte for byte",
    "corrected_unreadable": "corrected into something its own format does not allow",
    "key_differ": "",
    "headers_differ": "original headers, in order, then (dead-letter) Connect's, then our two",
    "timestamp_differ": "",
    "partition_differ": "",
    "trace_differ": "flags or p of the trace contradict the verdict",
    "misplaced": "the verdict does not belong in this topic",
    "wrong_reason": "dead-lettered with another fault or position than its own",
    "malformed_elsewhere": "malformed, and not in dead-letter (with --observe: not said to belong there)",
    "clean_in_dead_letter": "clean or attacked, in any case readable, and in dead-letter",
}


@dataclass
class Output:
    """A record as it was read from an output topic."""

    partition: int
    key: bytes | None
    value: bytes | None
    headers: list  # of (name, bytes or None)
    timestamp: int | None  # the sender's; None where only the broker's is there


@dataclass
class Trace:
    flags: int
    partition: int
    offset: int
    p: float
    merged: float
    rows: int
    row: int
    scores: tuple
    reasons: list


def read_trace(raw):
    """The packed header; ValueError unless every byte is accounted for."""
    try:
        version, flags, partition, offset, _bundle, _revision, p, merged, rows, row, k = struct.unpack_from(
            "<BBiq8s8sffIIB", raw
        )
        if version != 4:
            raise ValueError(f"trace version {version}")
        at = struct.calcsize("<BBiq8s8sffIIB")
        scores = struct.unpack_from(f"<{k}f", raw, at)
        at += 4 * k
        (s,) = struct.unpack_from("<B", raw, at)
        if s not in (0, k):
            raise ValueError(f"{s} shares of {k} detectors")
        at += 1 + s
        (r,) = struct.unpack_from("<B", raw, at)
        reasons = [struct.unpack_from("<Ifff", raw, at + 1 + 16 * i) for i in range(r)]
        at += 1 + 16 * r
        (windows,) = struct.unpack_from("<B", raw, at)
        at += 1 + 10 * windows
        if windows > 1 or at != len(raw):
            raise ValueError(f"trace of {len(raw)} bytes, {at} read")
    except struct.error as error:
        raise ValueError(str(error)) from error
    return Trace(flags, partition, offset, p, merged, rows, row, scores, reasons)


def split_headers(headers):
    """(original + Connect's, verdict, trace): ours are the last two, whatever a client forged before; of what is
    held back the sender's timestamp comes after them."""
    if headers and headers[-1][0] == TIMESTAMP:
        headers = headers[:-1]
    ours = dict(headers[-2:])
    if len(headers) < 2 or set(ours) != {VERDICT, TRACE} or None in ours.values():
        raise ValueError(f"does not end in {VERDICT} and {TRACE}")
    verdict = ours[VERDICT].decode()
    return without_reason(headers[:-2], verdict), verdict, read_trace(ours[TRACE])


def without_reason(headers, verdict):
    """The headers before ours, without the reason in words: only what was flagged or could not be read has one."""
    if not headers or headers[-1][0] != REASON:
        return headers
    said, reason = verdict.removeprefix("would-"), headers[-1][1]
    if said in ("pass", "unscored") or not reason or len(reason) > REASON_BYTES_MAX or not reason.decode().isprintable():
        raise ValueError(f"{verdict} with the reason {reason!r}")
    return headers[:-1]


def matches(entry, value):
    return entry["sha256"] == (None if value is None else hashlib.sha256(value).hexdigest())


def reason_is(entry, fault, verdict, connect):
    """Verdict and Connect headers name this fault at this position."""
    seen = {name.removeprefix(CONNECT): (value or b"").decode() for name, value in connect}
    return (
        verdict == f"dead-letter:{fault}"
        and seen.get("topic") == entry["topic"]
        and seen.get("partition") == str(entry["partition"])
        and seen.get("offset") == str(entry["offset"])
        and fault in seen.get("exception.message", "")
    )


def flags_fit(trace, verdict, fault, observe):
    """The trace's flags and p agree with the verdict's text, which is without "would-", and its fault, if it has one."""
    flags, p = trace.flags, trace.p
    return (
        bool(flags & FAULT) == bool(fault)
        and (bool(fault) or verdict != "dead-letter")
        and bool(flags & UNSCORED) == (verdict == "unscored")
        and bool(flags & CORRECTED) == (verdict == "correct" and not observe)
        and (bool(flags & FLAGGED) or bool(fault) or verdict not in ("correct", "quarantine"))
        and (observe or not flags & OBSERVED)
        and (0 < p <= 1 or math.isnan(p) and (bool(fault) or verdict == "unscored"))
        and not (bool(fault) and not math.isnan(p))
    )


def check(ledger, outputs, observe=False):
    """`ledger`: entries of produce.py. `outputs`: {sanitized|quarantine|dead-letter: [Output in log order]}.

    Returns (summary, cases): counts, and for each thing gone wrong the first few places.
    """
    counts, tally, cases = Counter(), Counter(), defaultdict(list)
    expected = {(entry["partition"], entry["offset"]): entry for entry in ledger}
    if len(expected) != len(ledger):
        raise ValueError("the ledger names a position twice")
    times_seen = Counter()

    def wrong(what, where):
        counts[what] += 1
        if len(cases[what]) < 5:
            cases[what].append(where)

    for topic in OUTPUTS:
        newest = defaultdict(lambda: -1)  # per source partition
        for nth, out in enumerate(outputs[topic]):
            try:
                headers, verdict, trace = split_headers(out.headers)
                position = (trace.partition, trace.offset)
                entry = expected[position]
            except (ValueError, KeyError) as error:
                wrong("stray", f"{topic} record {nth}: {error!r}")
                continue
            where = f"{topic}: source partition {position[0]} offset {position[1]} ({entry['kind']}, {verdict})"
            times_seen[position] += 1
            if times_seen[position] > 1:
                wrong("doubled", where)
            elif trace.offset < newest[trace.partition]:
                wrong("reordered", where)
            newest[trace.partition] = max(newest[trace.partition], trace.offset)

            dead = topic == "dead-letter"
            said, _, fault = verdict.partition(":")
            if observe and said not in ("pass", "unscored"):
                said = said.removeprefix("would-") if said.startswith("would-") else "done, though only watching"
            if topic != ("sanitized" if observe and said in HOME else HOME.get(said)):
                wrong("misplaced", where)
            if not flags_fit(trace, said, fault, observe):
                wrong("trace_differ", f"{where}: flags {trace.flags:#x} p {trace.p}")

            if verdict == "correct":
                try:
                    decode(entry["format"], out.value or b"")
                except (ValueError, KeyError, TypeError) as error:
                    wrong("corrected_unreadable", f"{where}: {error}")
            elif not matches(entry, out.value):
                wrong("bytes_differ", where)
            if entry["key"] != (None if out.key is None else out.key.hex()):
                wrong("key_differ", where)
            # Where the broker dates records, as it does for all but sanitized, a header has the sender's timestamp.
            dated = topic == "sanitized" or out.timestamp is not None
            if dated and entry["timestamp"] != out.timestamp:
                wrong("timestamp_differ", f"{where}: {entry['timestamp']} became {out.timestamp}")
            if entry["partition"] != out.partition:
                wrong("partition_differ", f"{where}: in partition {out.partition}")

            original = [(name, None if value is None else bytes.fromhex(value)) for name, value in entry["headers"]]
            added = headers[len(original):]
            if headers[: len(original)] != original or not all(dead and name.startswith(CONNECT) for name, _ in added):
                wrong("headers_differ", f"{where}: {headers}")
            if entry["kind"] == "malformed":
                if said != "dead-letter" or not (dead or observe):
                    wrong("malformed_elsewhere", f"{where}: {entry['expect_fault']} expected")
                elif observe:
                    if fault != entry["expect_fault"]:
                        wrong("wrong_reason", f"{where}: {entry['expect_fault']} expected")
                elif not reason_is(entry, entry["expect_fault"], verdict, added):
                    wrong("wrong_reason", f"{where}: {entry['expect_fault']} expected; {added}")
            elif dead or said == "dead-letter":
                wrong("clean_in_dead_letter", where)

            tally[topic] += 1
            tally["corrected"] += verdict == "correct"
            tally["unscored"] += verdict == "unscored"
            tally[entry["kind"], "flagged"] += bool(trace.flags & FLAGGED)
            tally[entry["kind"], topic if verdict != "correct" else "corrected"] += 1

    for position, entry in expected.items():
        if position not in times_seen:
            wrong("lost", f"partition {position[0]} offset {position[1]} ({entry['kind']}, {entry['expect_fault']})")

    summary = {what: counts[what] for what in MUST_BE_ZERO}
    summary |= {
        "sent": len(ledger),
        "counts": {topic: len(outputs[topic]) for topic in OUTPUTS},
        "clean_held": tally["clean", "quarantine"],
        "attack_held": tally["attack", "quarantine"],
        "clean_flagged": tally["clean", "flagged"],
        "attack_flagged": tally["attack", "flagged"],
        "unscored": tally["unscored"],
        "corrected": tally["corrected"],
        "clean_corrected": tally["clean", "corrected"],
        "attack_corrected": tally["attack", "corrected"],
    }
    return summary, cases


def sound(summary):
    return all(summary[what] == 0 for what in MUST_BE_ZERO)


# ---- Kafka ------------------------------------------------------------------------------------


class NotRead(Exception):
    pass


def read_topic(brokers, topic, deadline, missing_ok=False):
    """Every committed record of `topic`, partition by partition in log order, up to its end at the time of the call."""
    from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

    settings = {
        "bootstrap.servers": brokers,
        "group.id": "tripline-check",  # the client insists on one; we neither join nor commit
        "enable.auto.commit": False,
        "enable.partition.eof": True,
        "auto.offset.reset": "error",
    }

    def left():
        return max(0.1, deadline - time.monotonic())

    # The end of the log, open transactions included, is not what a read_committed consumer is told.
    whole = Consumer(settings | {"isolation.level": "read_uncommitted"})
    consumer = Consumer(settings | {"isolation.level": "read_committed"})
    try:
        partitions = consumer.list_topics(topic, timeout=left()).topics[topic].partitions
        if not partitions:
            if missing_ok:
                return []
            raise NotRead(f"there is no topic {topic}")
        bounds = {p: whole.get_watermark_offsets(TopicPartition(topic, p), left()) for p in partitions}
        records, reached = {p: [] for p in partitions}, {p: low for p, (low, _) in bounds.items()}
        consumer.assign([TopicPartition(topic, p, low) for p, (low, _) in bounds.items()])
        while any(reached[p] < high for p, (_, high) in bounds.items()):
            if time.monotonic() > deadline:
                behind = {p: f"{reached[p]} of {high}" for p, (_, high) in bounds.items() if reached[p] < high}
                raise NotRead(f"{topic}: not to the end, an open transaction? partition: offset {behind}")
            for message in consumer.consume(1000, timeout=0.2):
                error, p = message.error(), message.partition()
                if error is None:
                    records[p].append(message)
                    reached[p] = message.offset() + 1
                elif error.code() == KafkaError._PARTITION_EOF:
                    # Past markers and aborted records, which we never see as messages.
                    reached[p] = max(reached[p], message.offset())
                elif error.fatal() or not error.retriable() and error.code() != KafkaError._ALL_BROKERS_DOWN:
                    raise NotRead(f"{topic}: {error}")
        return [message for p in sorted(records) for message in records[p]]
    except KafkaException as error:
        raise NotRead(f"{topic}: {error}") from error
    finally:
        consumer.close()
        whole.close()


def sent_at(message):
    """The sender's timestamp; None where the broker dated the record and no header of ours says what the sender wrote."""
    dated_by, timestamp = message.timestamp()
    if dated_by != 2:  # LogAppendTime
        return timestamp
    headers = message.headers() or []
    return int(headers[-1][1]) if headers and headers[-1][0] == TIMESTAMP else None


def as_output(message):
    return Output(
        partition=message.partition(),
        key=message.key(),
        value=message.value(),
        headers=message.headers() or [],
        timestamp=sent_at(message),
    )


def as_alert(message):
    if message.value() is None:
        return {"status": "tombstone", "kind": None, "dedup_key": (message.key() or b"").decode(errors="replace")}
    alert = json.loads(message.value())
    # As the CloudEvents SDK understands the record.
    event = from_binary(KafkaMessage(dict(message.headers() or []), message.key(), message.value()))
    said = {field: alert.get(field) for field in ("status", "kind", "dedup_key")}
    return said | {"event": {name: event[name] for name in ("id", "type", "source", "subject", "time")}}


def main():
    parse = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parse.add_argument("--brokers", required=True)
    parse.add_argument("--ledger", required=True, nargs="+", metavar="FILE", help="as written by produce.py")
    parse.add_argument("--stream", required=True, help="reads STREAM.sanitized, .quarantine, .dead-letter")
    parse.add_argument("--alerts", default="tripline.alerts", metavar="TOPIC")
    parse.add_argument("--observe", action="store_true", help='the stream has mode = "observe": all is delivered')
    parse.add_argument("--timeout", type=float, default=60, help="seconds in all")
    args = parse.parse_args()

    deadline = time.monotonic() + args.timeout
    try:
        ledger = []
        for path in args.ledger:
            with open(path) as file:
                ledger += [json.loads(line) for line in file]
        outputs = {
            kind: [as_output(m) for m in read_topic(args.brokers, f"{args.stream}.{kind}", deadline)] for kind in OUTPUTS
        }
        alerts = [as_alert(m) for m in read_topic(args.brokers, args.alerts, deadline, missing_ok=True)]
    except (NotRead, OSError, json.JSONDecodeError) as error:
        print(f"check: {error}", file=sys.stderr)
        return 2
    summary, cases = check(ledger, outputs, args.observe)
    print(json.dumps(summary | {"alerts": alerts}))
    for what, where in cases.items():
        for line in where:
            print(f"check: {what}: {line}", file=sys.stderr)
    return 0 if sound(summary) else 1


if __name__ == "__main__":
    sys.exit(main())
