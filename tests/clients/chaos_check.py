"""Holds what a stream wrote against what it read, from the topics alone: the invariants of exactly-once.

The input topic is the ledger. Shares no code with Tripline: where the two disagree, one of them is wrong. Prints one
JSON object; exit 0: all hold. 1: one does not, and stderr shows the first cases. 2: a topic could not be read to its end.

It cannot see what happened between the records: whether offsets ever went back, how long a partition stood still.
Whoever ran the stream watches that. Alerts are judged by replaying the evidence, elsewhere.
"""

import argparse
import base64
import hashlib
import json
import struct
import sys
import time
from collections import Counter, defaultdict
from dataclasses import dataclass

from check import CONNECT, FLAGGED, HOME, NotRead, OUTPUTS, TIMESTAMP, TRACE, VERDICT, flags_fit, read_trace, sent_at

TIMESTAMP_MAX = 253_402_300_799_999

WHAT = {
    "I1": "every input offset leaves exactly once",
    "I2": "nothing leaves above the committed offset",
    "I3": "bytes, key, headers and timestamp are the input's",
    "I4": "order per input partition and output topic",
    "I5": "state and evidence are what the committed outputs add up to",
    "I6": "outputs and state are those of an uninterrupted run",
    "I9": "the group is at the end, and no transaction is open",
    "I13": "what judges changes once per partition",
}


def sha(*parts):
    """16 bytes that tell values apart; None is not b""."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(b"-" if part is None else struct.pack("<q", len(part)) + part)
    return digest.digest()[:16]


def pack(headers):
    return sha(*(part for name, value in headers for part in (name.encode(), value)))


class Cases:
    """Counts of what is wrong, by invariant and kind, and the first places of each."""

    def __init__(self):
        self.counts, self.first = Counter(), defaultdict(list)

    def wrong(self, invariant, kind, where):
        self.counts[invariant, kind] += 1
        if len(self.first[invariant, kind]) < 5:
            self.first[invariant, kind].append(where)

    def of(self, invariant):
        return {kind: n for (i, kind), n in self.counts.items() if i == invariant}

    def total(self, kind):
        return sum(n for (_, k), n in self.counts.items() if k == kind)


@dataclass(slots=True)
class Input:
    value: bytes
    key: bytes
    headers: bytes
    timestamp: int
    format: str


@dataclass(slots=True)
class Outcome:
    """What became of one input record."""

    digest: bytes  # of topic, verdict, trace, value
    topic: str
    verdict: str
    flags: int
    p: float


# ---- one stream ---------------------------------------------------------------------------------


def read_inputs(messages):
    """{partition: {offset: Input}}, and how often the load itself repeated a number."""
    inputs, numbers, repeated = defaultdict(dict), set(), 0
    for m in messages:
        headers = m.headers() or []
        found = dict(reversed(headers))
        number = found.get("chaos")
        repeated += number in numbers
        numbers.add(number)
        form = (found.get("content-type") or b"").decode(errors="replace")
        inputs[m.partition()][m.offset()] = Input(
            sha(m.value()), sha(m.key()), pack(headers), m.timestamp()[1], form
        )
    return inputs, repeated


def corrected_readable(form, value):
    try:
        if form == "application/json":
            return all(isinstance(x, (int, float)) for x in json.loads(value))
        return len(value) % 4 == 0 and len(value) > 0
    except (ValueError, TypeError):
        return False


def follow(inputs, topic, messages, outcomes, cases, name):
    """Goes through one output topic: I1's doubles, I3, I4. `outcomes`: {partition: {offset: Outcome}}."""
    newest = defaultdict(lambda: -1)
    n = 0
    for m in messages:
        n += 1
        headers, timestamp = m.headers() or [], sent_at(m)
        if headers and headers[-1][0] == TIMESTAMP:
            headers = headers[:-1]
        place = f"{name}.{topic} partition {m.partition()} offset {m.offset()}"
        try:
            ours = dict(headers[-2:])
            raw, verdict = ours[TRACE], ours[VERDICT].decode()
            trace = read_trace(raw)
            source = inputs[trace.partition][trace.offset]
        except (KeyError, ValueError, AttributeError) as error:
            cases.wrong("I1", "stray", f"{place}: {error!r}")
            continue
        where = f"{place}: input partition {trace.partition} offset {trace.offset}, {verdict}"
        seen = outcomes[trace.partition]
        if trace.offset in seen:
            cases.wrong("I1", "doubled", f"{where}, also in {seen[trace.offset].topic}")
        elif trace.offset < newest[trace.partition]:
            cases.wrong("I4", "reordered", f"{where}, after {newest[trace.partition]}")
        newest[trace.partition] = max(newest[trace.partition], trace.offset)

        said = verdict.partition(":")[0]
        if HOME.get(said) != topic or not flags_fit(trace, said, False):
            cases.wrong("I3", "misplaced", where)
        original = headers[:-2]
        if topic == "dead-letter":
            while original and original[-1][0].startswith(CONNECT):
                original.pop()
        if pack(original) != source.headers:
            cases.wrong("I3", "headers_differ", where)
        if sha(m.key()) != source.key:
            cases.wrong("I3", "key_differ", where)
        dated = topic == "sanitized" or timestamp is not None
        if dated and timestamp != source.timestamp or m.partition() != trace.partition:
            cases.wrong("I3", "place_differ", f"{where}: timestamp {timestamp}, input {source.timestamp}")
        value = sha(m.value())
        if verdict == "correct":
            if not corrected_readable(source.format, m.value()):
                cases.wrong("I3", "corrected_unreadable", where)
        elif value != source.value:
            cases.wrong("I3", "bytes_differ", where)
        digest = sha(topic.encode(), verdict.encode(), raw, value)
        seen[trace.offset] = Outcome(digest, topic, verdict, trace.flags, trace.p)
    return n


def account(inputs, outcomes, cases, name):
    for partition, records in inputs.items():
        seen = outcomes[partition]
        if len(seen) < len(records):
            for offset in records:
                if offset not in seen:
                    cases.wrong("I1", "lost", f"{name}: input partition {partition} offset {offset}")


# ---- I5: the fold -------------------------------------------------------------------------------


def count(counts, outcome):
    verdict = outcome.verdict.partition(":")[0]
    if verdict == "dead-letter":
        counts["faults"] += 1
    elif verdict != "unscored":
        counts["rows"] += 1
        counts["flagged"] += verdict != "pass"
        counts["corrected"] += verdict == "correct"
        counts["quarantined"] += verdict == "quarantine"


def no_counts():
    return dict.fromkeys(("rows", "flagged", "corrected", "quarantined", "faults"), 0)


def window_of(timestamp, window_ms):
    at = min(max(timestamp, 0), TIMESTAMP_MAX)
    return at - at % window_ms


def fold(records, outcomes, since, until, window_ms):
    """Windows of the outcomes with offsets in `since..until`, as a message of the evidence topic has them."""
    opened = {}
    for offset in sorted(o for o in outcomes if since <= o < until):
        window = window_of(records[offset].timestamp, window_ms)
        part = opened.setdefault(window, {"window": window, "counts": no_counts(), "first_flagged": None})
        count(part["counts"], outcomes[offset])
        if part["first_flagged"] is None and outcomes[offset].verdict in ("correct", "quarantine"):
            part["first_flagged"] = offset
    return [opened[w] for w in sorted(opened)]


def told(said):
    """The windows of a message, without what only a guard can count."""
    counts = lambda tally: {key: n for key, n in tally["counts"].items() if key != "imputed"}
    return [
        {"window": w["window"], "counts": counts(w["tally"]), "first_flagged": w.get("first_flagged")} for w in said["windows"]
    ]


def rows_told(said):
    """Rows that the messages count in each histogram, if they count any: a multiple of the histograms' number."""
    return sum(n for w in said["windows"] for n in cells(w["tally"].get("cells", "")))


def cells(text):
    """Counts by cell: base64 of pairs of varints, how many cells are passed over and what stands in the next one."""
    raw, numbers, value, shift = base64.b64decode(text + "=" * (-len(text) % 4)), [], 0, 0
    for byte in raw:
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            numbers.append(value)
            value, shift = 0, 0
    return numbers[1::2]


def check_state(inputs, outcomes, lanes, evidence, window_ms, cases, name):
    """`lanes`: {partition: last state}. `evidence`: messages of the evidence topic in log order."""
    begun, ends, covered = defaultdict(dict), {}, Counter()
    for said in evidence:
        if said.get("kind") != "counts":
            continue
        partition, since, until = said["partition"], said["from"], said["to"]
        begins = begun[partition]
        begins[said["epoch"]] = min(since, begins.get(said["epoch"], since))
        if since < ends.get(partition, since):
            cases.wrong("I5", "evidence_twice", f"{name}: {said}, after evidence up to {ends[partition]}")
        ends[partition] = until
        # Each message says what its records were.
        parts = fold(inputs[partition], outcomes[partition], since, until, window_ms)
        if parts != told(said):
            cases.wrong("I5", "evidence_differs", f"{name}: {said}; outputs say {parts}")
        rows = sum(part["counts"]["rows"] for part in parts)
        counted = rows_told(said)
        if counted and (not rows or counted % rows):
            cases.wrong("I5", "evidence_differs", f"{name}: {rows} rows, {counted} counted: {said}")
        covered[partition] += sum(part["counts"]["rows"] + part["counts"]["faults"] for part in parts)
    for partition, records in inputs.items():
        if not records:
            continue
        if (lane := lanes.get(partition)) is None:
            cases.wrong("I5", "state_missing", f"{name}: partition {partition}")
            continue
        following = max((offset + 1 for offset in outcomes[partition]), default=None)
        got = (lane["partition"], lane["next"])
        if got != (partition, following) or ends.get(partition) != following:
            cases.wrong("I5", "state_differs", f"{name}: partition {partition}: {got}, evidence up to {ends.get(partition)}; "
                                               f"outputs say {following}")
        scored = sum(outcome.verdict != "unscored" for outcome in outcomes[partition].values())
        if covered[partition] != scored:
            cases.wrong("I5", "evidence_gap", f"{name}: partition {partition}: evidence of {covered[partition]} records, "
                                              f"{scored} left")
    return begun


# ---- I6, I13 ------------------------------------------------------------------------------------


def compare(mine, other, lanes, others, cases):
    """I6: per source position the same verdict, trace and value; per partition the same state."""
    for partition in set(mine) | set(other):
        seen, calm = mine[partition], other[partition]
        for offset in seen.keys() | calm.keys():
            outcome, beside = seen.get(offset), calm.get(offset)
            if outcome is None or beside is None or beside.digest != outcome.digest:
                cases.wrong("I6", "outcome_differs", f"partition {partition} offset {offset}: {outcome}, calm {beside}")
    for partition in set(lanes) | set(others):
        if lanes.get(partition) != others.get(partition):
            cases.wrong("I6", "state_differs", f"partition {partition}: {lanes.get(partition)}, calm {others.get(partition)}")


def check_epochs(evidence, begun, outcomes, budgets, cases, name):
    """I13: no partition returns to knowledge it left, and every verdict is that of the budget then in force."""
    now, left = {}, defaultdict(set)
    for said in evidence:
        if said.get("kind") != "counts":
            continue
        partition, epoch = said["partition"], said["epoch"]
        if now.get(partition, epoch) != epoch:
            left[partition].add(now[partition])
        if epoch in left[partition]:
            cases.wrong("I13", "epoch_returns", f"{name}: {said}")
        now[partition] = epoch
    before, after = sorted(budgets)
    told_apart = 0
    for partition, seen in outcomes.items():
        epochs = sorted(begun[partition].values())
        if len(epochs) > 2:
            cases.wrong("I13", "epochs", f"{name}: partition {partition}: {begun[partition]}")
        turn = epochs[1] if len(epochs) > 1 else None
        for offset, outcome in seen.items():
            if outcome.p != outcome.p:
                continue
            budget = budgets[1] if turn is not None and offset >= turn else budgets[0]
            told_apart += before < outcome.p <= after
            if bool(outcome.flags & FLAGGED) != (outcome.p <= budget):
                cases.wrong("I13", "other_budget", f"{name}: partition {partition} offset {offset}: p {outcome.p}, "
                                                   f"flags {outcome.flags}, budget {budget}")
    return {"partitions_turned": sum(len(e) > 1 for e in begun.values()), "told_apart": told_apart}


# ---- Kafka --------------------------------------------------------------------------------------


class Topics:
    """Reads topics as they are now."""

    def __init__(self, brokers, deadline):
        self.brokers, self.deadline = brokers, deadline

    def left(self):
        return max(0.1, self.deadline - time.monotonic())

    def consumer(self, isolation, group="chaos-check"):
        from confluent_kafka import Consumer

        return Consumer({
            "bootstrap.servers": self.brokers, "group.id": group, "enable.auto.commit": False,
            "enable.partition.eof": True, "auto.offset.reset": "error", "isolation.level": isolation,
        })

    def bounds(self, consumer, topic):
        from confluent_kafka import TopicPartition

        def ask():
            # The answer also tells the client who leads the partitions now: one of three nodes may have just died.
            known = consumer.list_topics(topic, timeout=min(10, self.left())).topics[topic].partitions
            if not known:
                raise NotRead(f"there is no topic {topic}")
            return {p: consumer.get_watermark_offsets(TopicPartition(topic, p), min(10, self.left())) for p in known}

        return self.patiently(topic, ask)

    def patiently(self, what, ask):
        """Asks again while the cluster refuses to answer, as long as there is time."""
        from confluent_kafka import KafkaException

        while True:
            try:
                return ask()
            except KafkaException as error:
                if time.monotonic() > self.deadline:
                    raise NotRead(f"{what}: {error}") from error
                time.sleep(0.5)

    def ends(self, topic):
        """{partition: (end of the log, end of what is decided)}"""
        whole, decided = self.consumer("read_uncommitted"), self.consumer("read_committed")
        try:
            high, stable = self.bounds(whole, topic), self.bounds(decided, topic)
            return {p: (high[p][1], stable[p][1]) for p in high}
        finally:
            whole.close()
            decided.close()

    def read(self, topic, isolation="read_committed"):
        """Every record, each partition in the order of its log."""
        from confluent_kafka import KafkaError, TopicPartition

        consumer = self.consumer(isolation)
        whole = self.consumer("read_uncommitted")
        try:
            bounds = self.bounds(whole, topic)
            reached = {p: low for p, (low, _) in bounds.items()}
            open_ = {p for p, (low, high) in bounds.items() if low < high}
            consumer.assign([TopicPartition(topic, p, low) for p, (low, _) in bounds.items()])
            while open_:
                if time.monotonic() > self.deadline:
                    raise NotRead(f"{topic}: not to the end in time, an open transaction? {bounds} {reached}")
                for m in consumer.consume(2000, timeout=0.2):
                    p, error = m.partition(), m.error()
                    if error is None:
                        reached[p] = m.offset() + 1
                        yield m
                    elif error.code() == KafkaError._PARTITION_EOF:
                        reached[p] = max(reached[p], m.offset())
                    elif error.fatal():
                        raise NotRead(f"{topic}: {error}")
                    if p in open_ and reached[p] >= bounds[p][1]:
                        open_.discard(p)
        finally:
            consumer.close()
            whole.close()

    def committed(self, group, topic, partitions):
        from confluent_kafka import TopicPartition

        consumer = self.consumer("read_committed", group)
        try:
            asked = [TopicPartition(topic, p) for p in partitions]
            found = self.patiently(group, lambda: consumer.committed(asked, timeout=min(10, self.left())))
            return {at.partition: max(at.offset, 0) for at in found}
        finally:
            consumer.close()


def last_lanes(messages):
    lanes = {}
    for m in messages:
        if m.key() == b"lane" and m.value() is not None:
            lanes[m.partition()] = json.loads(m.value())
    return lanes


def check_stream(topics, name, inputs, args, cases):
    """Everything about one stream; returns (outcomes, lanes, evidence, begun, report)."""
    outcomes = defaultdict(dict)
    report = {"outputs": {t: follow(inputs, t, topics.read(f"{name}.{t}"), outcomes, cases, name) for t in OUTPUTS}}
    account(inputs, outcomes, cases, name)
    lanes = last_lanes(topics.read(f"{name}.state"))
    evidence = [json.loads(m.value()) for m in topics.read(f"{name}.evidence") if m.value()]
    begun = check_state(inputs, outcomes, lanes, evidence, args.window_ms, cases, name)

    ends = topics.ends(args.input)
    committed = topics.committed(f"{args.group}.{name}", args.input, ends)
    for partition, (end, _) in ends.items():
        highest = max(outcomes[partition], default=-1)
        if highest >= committed[partition]:
            cases.wrong("I2", "above_committed", f"{name}: partition {partition}: {highest}, committed {committed[partition]}")
        if committed[partition] != end:
            cases.wrong("I9", "lag", f"{name}: partition {partition}: committed {committed[partition]} of {end}")
    for topic in (*OUTPUTS, "evidence", "state"):
        for partition, (high, stable) in topics.ends(f"{name}.{topic}").items():
            if stable != high:
                cases.wrong("I9", "open_transaction", f"{name}.{topic} partition {partition}: stable {stable} of {high}")
    verdicts = Counter(o.verdict.partition(":")[0] for seen in outcomes.values() for o in seen.values())
    report |= {"verdicts": dict(verdicts), "epochs": sorted({lane["epoch"] for lane in lanes.values()})}
    return outcomes, lanes, evidence, begun, report


def arguments():
    parse = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parse.add_argument("--brokers", required=True)
    parse.add_argument("--input", required=True, metavar="TOPIC")
    parse.add_argument("--group", default="tripline", help="prefix of the consumer groups")
    parse.add_argument("--stream", required=True, help="the one that was disturbed")
    parse.add_argument("--calm", metavar="STREAM", help="the same records, undisturbed")
    parse.add_argument("--turned", metavar="STREAM", help="the same records, another budget half-way")
    parse.add_argument("--budgets", metavar="BEFORE,AFTER", help="of --turned")
    parse.add_argument("--window-ms", type=int, required=True)
    parse.add_argument("--at-least-once", action="store_true", help="doubles are allowed")
    parse.add_argument("--timeout", type=float, default=600)
    return parse.parse_args()


def examine(topics, args, cases):
    """Every invariant that topics can show; returns the report."""
    inputs, repeated = read_inputs(topics.read(args.input))
    report = {"records": sum(map(len, inputs.values())), "repeated_by_the_load": repeated}
    outcomes, lanes, _, _, report[args.stream] = check_stream(topics, args.stream, inputs, args, cases)
    # What was written and undone: the proof that transactions were aborted at all.
    report["aborted_records"] = sum(
        sum(1 for _ in topics.read(f"{args.stream}.{t}", "read_uncommitted")) - n
        for t, n in report[args.stream]["outputs"].items()
    )
    if args.calm:
        calm = check_stream(topics, args.calm, inputs, args, cases)
        report[args.calm] = calm[4]
        compare(outcomes, calm[0], lanes, calm[1], cases)
    if args.turned:
        budgets = [float(b) for b in args.budgets.split(",")]
        outcomes, _, evidence, begun, said = check_stream(topics, args.turned, inputs, args, cases)
        report[args.turned] = said | check_epochs(evidence, begun, outcomes, budgets, cases, args.turned)
    forgiven = {("I1", "doubled"), ("I4", "reordered")} if args.at_least_once else set()
    failed = {i for (i, kind) in cases.counts if (i, kind) not in forgiven}
    report["checks"] = {i: {"holds": i not in failed, "what": what, **cases.of(i)} for i, what in WHAT.items()}
    totals = {kind: cases.total(kind) for kind in ("lost", "doubled", "reordered", "bytes_differ")}
    return report | totals | {"state_equal": not {"I5", "I6"} & failed, "holds": not failed}


def main():
    args = arguments()
    cases = Cases()
    try:
        report = examine(Topics(args.brokers, time.monotonic() + args.timeout), args, cases)
    except NotRead as error:
        print(f"chaos_check: {error}", file=sys.stderr)
        return 2
    print(json.dumps(report))
    for (invariant, kind), places in cases.first.items():
        for place in places:
            print(f"chaos_check: {invariant} {kind}: {place}", file=sys.stderr)
    return 0 if report["holds"] else 1


if __name__ == "__main__":
    sys.exit(main())
