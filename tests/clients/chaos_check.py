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

import hostile
from check import CONNECT, FLAGGED, HOME, NotRead, OUTPUTS, TIMESTAMP, TRACE, VERDICT, flags_fit, read_trace, without_reason
from chaos_topics import Topics
from clock import Clock

POINTER = ("content-type", b"application/vnd.tripline.pointer+json")
OURS = "tripline-"
REFUSALS = ("dead-letter:undeliverable", "dead-letter:refused-timestamp", "dead-letter:refused-record")
BY_BROKER = 2  # confluent_kafka.TIMESTAMP_LOG_APPEND_TIME

WHAT = {
    "I1": "every input offset leaves exactly once",
    "I2": "nothing leaves above the committed offset",
    "I3": "bytes, key, headers and timestamp are the input's",
    "I4": "order per input partition and output topic",
    "I5": "state and evidence are what the committed outputs add up to",
    "I6": "outputs and state are those of an uninterrupted run",
    "I9": "the group is at the end, and no transaction is open",
    "I13": "what scores changes once per partition",
    "I14": "a hostile record becomes what it must, and no other leaves otherwise for it",
}


def sha(*parts):
    """16 bytes that tell values apart; None is not b""."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(b"-" if part is None else struct.pack("<q", len(part)) + part)
    return digest.digest()[:16]


def pack(headers):
    return sha(*(part for name, value in headers for part in (name.encode(errors="surrogateescape"), value)))


def pack_theirs(headers, *ours):
    """Of headers whose names do not begin so, in whatever case."""
    return pack([header for header in headers if not header[0].lower().startswith(ours)])


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
    headers: bytes  # those that go on with it
    headers_dead: bytes  # and those that go to the dead letters
    timestamp: int
    format: str
    kind: str | None  # what of hostile.py it is
    window: int
    misdated: bool  # whether the evidence says so of the record in the middle of the last ones
    bytes: int
    key_bytes: int
    has_excess: bool  # more headers than a record may have
    pointer: dict  # what a pointer to it says


@dataclass(slots=True)
class Outcome:
    """What became of one input record."""

    digest: bytes  # of topic, verdict, trace, value
    topic: str
    verdict: str
    flags: int
    p: float


# ---- one stream ---------------------------------------------------------------------------------


def read_inputs(topics, topic, window_ms):
    """{partition: {offset: Input}}, and how often the load itself repeated a number."""
    inputs, numbers, repeated, clocks = defaultdict(dict), set(), 0, defaultdict(Clock)
    for m in topics.read(topic):
        headers = topics.headers(m)
        found = dict(reversed(headers))
        # The client shows none of more than 100,000 headers, and the load always writes some.
        number = found.get("chaos", (m.partition(), m.offset()))
        repeated += number in numbers
        numbers.add(number)
        kind = found.get("hostile", b"").decode() if headers else "headers-101000"
        has_excess = not 0 < len(headers) <= hostile.HEADERS_MAX
        sizes = (len(name.encode(errors="surrogateescape")) + len(value or b"") for name, value in headers)
        header_bytes = 0 if has_excess else sum(sizes)
        has_excess |= header_bytes > hostile.HEADER_BYTES_MAX
        theirs = [] if has_excess else headers
        dated_by, timestamp = m.timestamp()
        window, misdated = clocks[m.partition()].date(timestamp, window_ms, dated_by == BY_BROKER)
        value, key = m.value() or b"", m.key() or b""
        inputs[m.partition()][m.offset()] = Input(
            value=sha(m.value()),
            key=sha(m.key()),
            headers=pack_theirs(theirs, OURS),
            headers_dead=pack_theirs(theirs, OURS, CONNECT),
            timestamp=timestamp,
            format=(found.get("content-type") or b"").decode(errors="replace"),
            kind=kind or None,
            window=window,
            misdated=misdated,
            bytes=len(value) + len(key) + header_bytes,
            key_bytes=len(key),
            has_excess=has_excess,
            pointer={"topic": topic, "partition": m.partition(), "offset": m.offset(), "bytes": len(value),
                     "sha256": hashlib.sha256(value).hexdigest()},
        )
    return inputs, repeated


def corrected_readable(source, value):
    if source.kind:
        return sha(value) != source.value and len(value) > 0  # in a format of its own
    form = source.format
    try:
        if form == "application/json":
            return all(isinstance(x, (int, float)) for x in json.loads(value))
        return len(value) % 4 == 0 and len(value) > 0
    except (ValueError, TypeError):
        return False


def follow(inputs, topics, topic, outcomes, cases, name):
    """Goes through one output topic: I1's doubles, I3, I4, I14. `outcomes`: {partition: {offset: Outcome}}."""
    newest = defaultdict(lambda: -1)
    n = 0
    for m in topics.read(f"{name}.{topic}"):
        n += 1
        headers, stamped = topics.headers(m), None
        if headers and headers[-1][0] == TIMESTAMP:
            stamped, headers = headers[-1][1], headers[:-1]
        place = f"{name}.{topic} partition {m.partition()} offset {m.offset()}"
        try:
            ours = dict(headers[-2:])
            packed, verdict = ours[TRACE], ours[VERDICT].decode()
            trace = read_trace(packed)
            theirs = without_reason(headers[:-2], verdict)
            source = inputs[trace.partition][trace.offset]
        except (KeyError, ValueError, AttributeError) as error:
            cases.wrong("I1", "stray", f"{place}: {error!r}")
            continue
        where = f"{place}: input partition {trace.partition} offset {trace.offset}, {source.kind or 'honest'}, {verdict}"
        seen = outcomes[trace.partition]
        if trace.offset in seen:
            cases.wrong("I1", "doubled", f"{where}, also in {seen[trace.offset].topic}")
        elif trace.offset < newest[trace.partition]:
            cases.wrong("I4", "reordered", f"{where}, after {newest[trace.partition]}")
        newest[trace.partition] = max(newest[trace.partition], trace.offset)

        said, _, fault = verdict.partition(":")
        if HOME.get(said) != topic or not flags_fit(trace, said, fault, False):
            cases.wrong("I3", "misplaced", where)
        compare_stamps(m, topic, stamped, source, cases, where)
        if m.partition() != trace.partition:
            cases.wrong("I3", "place_differ", where)
        value = sha(m.value())
        while topic == "dead-letter" and theirs and theirs[-1][0].startswith(CONNECT):
            theirs.pop()
        if theirs == [POINTER]:
            compare_pointer(m, topic, source, cases, where)
        else:
            if pack(theirs) != (source.headers_dead if topic == "dead-letter" else source.headers):
                cases.wrong("I3", "headers_differ", where)
            if sha(m.key()) != source.key:
                cases.wrong("I3", "key_differ", where)
            if verdict == "correct":
                if not corrected_readable(source, m.value()):
                    cases.wrong("I3", "corrected_unreadable", where)
            elif value != source.value:
                cases.wrong("I3", "bytes_differ", where)
            if source.has_excess:
                cases.wrong("I14", "headers_kept", where)
        monitor_hostile(verdict, source, cases, where)
        digest = sha(topic.encode(), verdict.encode(), packed, value)
        seen[trace.offset] = Outcome(digest, topic, verdict, trace.flags, trace.p)
    return n


def compare_stamps(m, topic, stamped, source, cases, where):
    """The sender's timestamp goes on with the record, in a header where it is held back: there the broker's counts."""
    dated_by, timestamp = m.timestamp()
    if topic == "sanitized":
        # What had no timestamp has got one.
        if stamped is not None or timestamp != source.timestamp and (source.timestamp != -1 or timestamp < 0):
            cases.wrong("I3", "place_differ", f"{where}: timestamp {timestamp}, input {source.timestamp}")
    elif stamped != str(source.timestamp).encode() or dated_by != BY_BROKER:
        cases.wrong("I3", "place_differ", f"{where}: {TIMESTAMP} {stamped}, dated by {dated_by}, input {source.timestamp}")


def compare_pointer(m, topic, source, cases, where):
    """Only what has too many headers, or its topic does not take, leaves as a pointer; never to who reads sanitized."""
    try:
        right = topic != "sanitized" and json.loads(m.value()) == source.pointer
    except (ValueError, TypeError):
        right = False
    if not right:
        cases.wrong("I3", "pointer_differ", f"{where}: {m.value()}, not {source.pointer}")
    # A compressed record may be half as large.
    if not source.has_excess and source.bytes < hostile.HELD_BYTES_MAX / 2:
        cases.wrong("I14", "pointer_needless", f"{where}: of {source.bytes} bytes")
    bare = f"{source.pointer['partition']}/{source.pointer['offset']}".encode()
    if sha(m.key()) != source.key and (m.key() != bare or source.key_bytes < hostile.HELD_BYTES_MAX / 2):
        cases.wrong("I3", "key_differ", where)


def monitor_hostile(verdict, source, cases, where):
    expected = hostile.EXPECTED.get(source.kind)
    if expected and verdict not in expected:
        cases.wrong("I14", "misjudged", f"{where}: not one of {expected}")
    if verdict in REFUSALS and source.kind is None:
        cases.wrong("I14", "refused_needlessly", f"{where}: of {source.bytes} bytes, timestamp {source.timestamp}")


def account(inputs, outcomes, cases, name):
    for partition, records in inputs.items():
        seen = outcomes[partition]
        if len(seen) < len(records):
            for offset in records:
                if offset not in seen:
                    cases.wrong("I1", "lost", f"{name}: input partition {partition} offset {offset}")


# ---- I5: the fold -------------------------------------------------------------------------------


def count(counts, outcome, source):
    counts["misdated"] += source.misdated
    verdict, _, fault = outcome.verdict.partition(":")
    if fault:
        counts["faults"] += 1
    elif verdict != "unscored":
        counts["rows"] += 1
        counts["flagged"] += verdict != "pass"
        counts["corrected"] += verdict == "correct"
        counts["quarantined"] += verdict == "quarantine"


def no_counts():
    return dict.fromkeys(("rows", "flagged", "corrected", "quarantined", "faults", "misdated"), 0)


def fold(records, outcomes, since, until):
    """Windows of the outcomes with offsets in `since..until`, as a message of the evidence topic has them."""
    opened = {}
    for offset in sorted(o for o in outcomes if since <= o < until):
        window = records[offset].window
        part = opened.setdefault(window, {"window": window, "counts": no_counts(), "first_flagged": None})
        count(part["counts"], outcomes[offset], records[offset])
        if part["first_flagged"] is None and outcomes[offset].verdict in ("correct", "quarantine"):
            part["first_flagged"] = offset
    return [opened[w] for w in sorted(opened)]


def told(said):
    """The windows of a message, without what only a guard can count."""
    counts = lambda tally: no_counts() | {key: n for key, n in tally["counts"].items() if key != "imputed"}
    return [
        {"window": w["window"], "counts": counts(w["tally"]), "first_flagged": w.get("first_flagged")} for w in said["windows"]
    ]


def rows_told(said):
    """Rows that the messages count in all histograms together."""
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


def check_state(inputs, outcomes, lanes, evidence, cases, name):
    """`lanes`: {partition: last state}. `evidence`: messages of the evidence topic in log order."""
    begun, ends, covered, histograms = defaultdict(dict), {}, Counter(), []
    for said in evidence:
        if said.get("kind") != "counts":
            continue
        partition, since, until = said["partition"], said["from"], said["to"]
        begins = begun[partition]
        begins[said["baseline"]] = min(since, begins.get(said["baseline"], since))
        if since < ends.get(partition, since):
            cases.wrong("I5", "evidence_twice", f"{name}: {said}, after evidence up to {ends[partition]}")
        ends[partition] = until
        # Each message says what its records were.
        parts = fold(inputs[partition], outcomes[partition], since, until)
        if parts != told(said):
            cases.wrong("I5", "evidence_differs", f"{name}: {said}; outputs say {parts}")
        rows = sum(part["counts"]["rows"] for part in parts)
        counted = rows_told(said)
        if counted and not rows:
            cases.wrong("I5", "evidence_differs", f"{name}: no rows, {counted} counted: {said}")
        elif counted:
            histograms.append((counted, rows, said))
        covered[partition] += sum(part["counts"]["rows"] + part["counts"]["faults"] for part in parts)
    # As many histograms everywhere. Each counts every row, and a record may have several.
    n = min((counted // rows for counted, rows, _ in histograms), default=1)
    for counted, rows, said in histograms:
        if not n or counted % n or counted < n * rows:
            cases.wrong("I5", "evidence_differs", f"{name}: {rows} records, {counted} counted in {n} histograms: {said}")
    for partition, records in inputs.items():
        if not records:
            continue
        if (lane := lanes.get(partition)) is None:
            cases.wrong("I5", "state_missing", f"{name}: partition {partition}")
            continue
        following = max((offset + 1 for offset in outcomes[partition]), default=None)
        got = (lane["partition"], lane["next"])
        # A lane may have gone over what no reader is given: markers, aborted records.
        ends_there = lambda next: following is not None and next is not None and next >= following and not any(
            offset in records for offset in range(following, next))
        if got[0] != partition or not ends_there(got[1]) or not ends_there(ends.get(partition)):
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
        # When somebody last looked at the log is chance, and so is whether its last markers were passed over.
        plain = lambda lane: lane and {k: v for k, v in lane.items() if k not in ("log", "outputs", "next")}
        if plain(lanes.get(partition)) != plain(others.get(partition)):
            cases.wrong("I6", "state_differs", f"partition {partition}: {lanes.get(partition)}, calm {others.get(partition)}")


def check_epochs(evidence, begun, outcomes, budgets, cases, name):
    """I13: no partition returns to knowledge it left, and every verdict is that of the budget then in force."""
    now, left = {}, defaultdict(set)
    for said in evidence:
        if said.get("kind") != "counts":
            continue
        partition, baseline = said["partition"], said["baseline"]
        if now.get(partition, baseline) != baseline:
            left[partition].add(now[partition])
        if baseline in left[partition]:
            cases.wrong("I13", "baseline_returns", f"{name}: {said}")
        now[partition] = baseline
    before, after = sorted(budgets)
    told_apart = 0
    # A partition that was added after the turn has never known another budget.
    later = {max(begins, key=begins.get) for begins in begun.values() if len(begins) > 1}
    for partition, seen in outcomes.items():
        baselines = sorted(begun[partition].values())
        if len(baselines) > 2:
            cases.wrong("I13", "baselines", f"{name}: partition {partition}: {begun[partition]}")
        turn = baselines[1] if len(baselines) > 1 else 0 if later & set(begun[partition]) else None
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


def last_lanes(messages):
    lanes = {}
    for m in messages:
        if m.key() == b"lane" and m.value() is not None:
            lanes[m.partition()] = json.loads(m.value())
    return lanes


def check_stream(topics, name, inputs, args, cases):
    """Everything about one stream; returns (outcomes, lanes, evidence, begun, report)."""
    outcomes = defaultdict(dict)
    report = {"outputs": {t: follow(inputs, topics, t, outcomes, cases, name) for t in OUTPUTS}}
    account(inputs, outcomes, cases, name)
    lanes = last_lanes(topics.read(f"{name}.state"))
    evidence = [json.loads(m.value()) for m in topics.read(f"{name}.evidence") if m.value()]
    begun = check_state(inputs, outcomes, lanes, evidence, cases, name)

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
    verdicts, of_hostile = Counter(), defaultdict(Counter)
    for partition, seen in outcomes.items():
        for offset, outcome in seen.items():
            verdicts[outcome.verdict.partition(":")[0]] += 1
            if kind := inputs[partition][offset].kind:
                of_hostile[kind][outcome.verdict] += 1
    hostile_verdicts = {kind: dict(n) for kind, n in sorted(of_hostile.items())}
    baselines = sorted({lane["baseline"] for lane in lanes.values()})
    report |= {"verdicts": dict(verdicts), "hostile": hostile_verdicts, "baselines": baselines}
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
    inputs, repeated = read_inputs(topics, args.input, args.window_ms)
    kinds = {record.kind for records in inputs.values() for record in records.values()}
    report = {"records": sum(map(len, inputs.values())), "repeated_by_the_load": repeated,
              "hostile_not_sent": sorted(set(hostile.EXPECTED) - kinds)}
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
