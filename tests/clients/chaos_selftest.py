"""Proves that chaos_check.py can fail: takes a sound run, breaks one thing at a time, and looks.

Needs no broker: .tools/venv/bin/python tests/clients/chaos_selftest.py
"""

import copy
import base64
import hashlib
import json
import random
import struct
import sys
import unittest
from argparse import Namespace

import chaos_check
import chaos_load
import hostile
from chaos_check import CONNECT, OURS, POINTER, fold
from check import CORRECTED, FAULT, FLAGGED, OUTPUTS
from clock import Clock

WINDOW_MS, PARTITIONS, BUDGETS, NOW_MS = 1000, 3, (0.01, 0.05), 1_795_900_000_000
ARGS = Namespace(input="in", group="g", stream="chaos", calm="calm", turned="turned", budgets="0.01,0.05",
                 window_ms=WINDOW_MS, at_least_once=False)


class Message:
    """A record, with the methods of confluent_kafka's."""

    def __init__(self, partition, offset, key, value, headers=(), timestamp=0, dated_by=1):
        self.fields = {"partition": partition, "offset": offset, "key": key, "value": value,
                       "headers": list(headers), "timestamp": (dated_by, timestamp)}

    def __deepcopy__(self, _):
        fields = self.fields
        return Message(*(fields[name] for name in ("partition", "offset", "key", "value", "headers")),
                       *reversed(fields["timestamp"]))

    def __getattr__(self, name):
        if name == "fields" or name.startswith("__"):
            raise AttributeError(name)
        return lambda: self.fields[name]


def trace(partition, offset, flags, p):
    packed = struct.pack("<BBiq8s8sffIIB", 4, flags, partition, offset, b"bundle00", b"revision", p, 1.5, 1, 0, 1)
    return packed + struct.pack("<fBBB", 0.5, 0, 0, 0)


class Topics:
    """Topics in memory: what a faultless guard would have written for three streams."""

    def __init__(self):
        self.records, self.aborted = {"in": []}, []
        ends = [0] * PARTITIONS
        rows = [[float(i + j) for j in range(9)] for i in range(7)]
        tricks = [hostile.Hostile("trick-json", b'{"x0": 1, "x0": 2}')]
        run = chaos_load.schedule(1, 60, 12, 6, rows, rows, hostile.Deck(1, 0.15, rows, tricks))
        for sent in run:
            p = sent.draw % PARTITIONS
            stamp = sent.timestamp(NOW_MS)
            self.records["in"].append(Message(p, ends[p], sent.key, sent.value, sent.headers, stamp))
            ends[p] += 1
        self.highs = ends
        self.committed_ = {s: dict(enumerate(ends)) for s in ("chaos", "calm", "turned")}
        self.open = set()
        for stream in ("chaos", "calm"):
            self.guard(stream, [(0, BUDGETS[0], "a")])
        self.guard("turned", [(0, BUDGETS[0], "a"), (40, BUDGETS[1], "b")])

    def guard(self, stream, baselines):
        outputs = {t: [] for t in (*OUTPUTS, "state", "evidence")}
        seen = {p: {} for p in range(PARTITIONS)}
        inputs, _ = chaos_check.read_inputs(self, "in", WINDOW_MS)
        for m in self.records["in"]:
            p, o = m.partition(), m.offset()
            source = inputs[p][o]
            chance = (p * 31 + o * 7) % 100 / 100 + 0.005
            budget = [b for since, b, _ in baselines if since <= o][-1]
            verdict, flags, extra, value, key = "pass", 0, [], m.value(), m.key()
            if expected := hostile.EXPECTED.get(source.kind):
                verdict = expected[0]
                chance = max(chance, BUDGETS[1] + 0.01)  # not flagged
            elif o % 29 == 3:
                verdict = "dead-letter:unreadable"
            elif chance <= budget and o % 2:
                verdict, flags = "quarantine", FLAGGED
            elif chance <= budget:
                verdict, flags, value = "correct", FLAGGED | CORRECTED, struct.pack("<9f", *range(9))
                if source.format == "application/json":
                    value = json.dumps(list(range(9))).encode()
            topic = {"pass": "sanitized", "correct": "sanitized", "dead-letter": "dead-letter"}.get(
                verdict.partition(":")[0], "quarantine")
            if ":" in verdict:
                flags, chance = FAULT, float("nan")
            theirs = [h for h in self.headers(m) if not h[0].lower().startswith(OURS)]
            if topic == "dead-letter":
                theirs = [h for h in theirs if not h[0].lower().startswith(CONNECT)]
                extra = [("__connect.errors.topic", b"in")]
            if topic == "dead-letter" and (source.has_excess or source.bytes > hostile.HELD_BYTES_MAX):
                theirs, value = [POINTER], json.dumps(source.pointer).encode()
                key = b"%d/%d" % (p, o) if source.key_bytes > hostile.HELD_BYTES_MAX else key
            ours = [("tripline-verdict", verdict.encode()), ("tripline-trace", trace(p, o, flags, chance))]
            at = (m.timestamp()[1] if m.timestamp()[1] != -1 else NOW_MS, 1)
            if topic != "sanitized":
                ours, at = [*ours, ("tripline-timestamp", b"%d" % m.timestamp()[1])], (NOW_MS, 2)
            outputs[topic].append(Message(p, 0, key, value, theirs + extra + ours, *at))
            seen[p][o] = chaos_check.Outcome(b"", topic, verdict, flags, chance)
        for p in range(PARTITIONS):
            records = inputs[p]
            for i, (since, _, baseline) in enumerate(baselines):
                until = baselines[i + 1][0] if i + 1 < len(baselines) else max(records) + 1
                # Committed every ten records, as a guard with many interruptions would.
                last = since
                for cut in (*range(since + 10, until, 10), until):
                    following = max(o for o in seen[p] if o < cut) + 1
                    lane = {"version": 2, "baseline": baseline, "partition": p, "next": following}
                    outputs["state"].append(Message(p, 0, b"lane", json.dumps(lane).encode()))
                    windows = []
                    for part in fold(records, seen[p], last, following):
                        # Two histograms, every row in cell 3 and in cell 200.
                        rows = part["counts"]["rows"]
                        pairs = bytes([3, rows, 196, 1, rows]) if rows else b""
                        tally = {"counts": part["counts"], "cells": base64.b64encode(pairs).decode().rstrip("=")}
                        windows.append({"window": part["window"], "tally": tally, "first_flagged": part["first_flagged"]})
                    said = {"kind": "counts", "baseline": baseline, "partition": p, "from": last, "to": following, "windows": windows}
                    outputs["evidence"].append(Message(0, 0, b"", json.dumps(said).encode()))
                    last = following
        for topic, messages in outputs.items():
            self.records[f"{stream}.{topic}"] = messages

    def headers(self, m):
        # As the client: none of more than 100,000, and names of bytes as chaos_topics.py reads them.
        found = m.headers()
        if len(found) > hostile.HEADERS_MAX:
            return found if len(found) <= 100_000 else []
        name = lambda name: name if isinstance(name, str) else name.decode(errors="surrogateescape")
        return [(name(n), value) for n, value in found]

    def read(self, topic, isolation="read_committed"):
        return iter(self.records[topic] + (self.aborted if isolation == "read_uncommitted" else []))

    def ends(self, topic):
        if topic == "in":
            return {p: (high, high) for p, high in enumerate(self.highs)}
        return {0: (7, 6 if topic in self.open else 7)}

    def committed(self, group, _topic, _partitions):
        return self.committed_[group.removeprefix("g.")]

    def json(self, topic, nth):
        return json.loads(self.records[topic][nth].fields["value"])

    def set_json(self, topic, nth, value):
        self.records[topic][nth].fields["value"] = json.dumps(value).encode()


SOUND = Topics()


class TheChecker(unittest.TestCase):
    def finds(self, invariant, kind, breaking, sound=()):
        topics = copy.deepcopy(SOUND)
        breaking(topics)
        cases = chaos_check.Cases()
        report = chaos_check.examine(topics, ARGS, cases)
        self.assertIn((invariant, kind), cases.counts)
        self.assertFalse(report["checks"][invariant]["holds"])
        self.assertFalse(report["holds"])
        for other in sound:
            self.assertTrue(report["checks"][other]["holds"], (other, dict(cases.counts)))

    def test_a_sound_run_is_sound_and_every_kind_of_verdict_is_in_it(self):
        report = chaos_check.examine(SOUND, ARGS, chaos_check.Cases())
        self.assertTrue(report["holds"], report)
        self.assertEqual(set(report["chaos"]["verdicts"]), {"pass", "correct", "quarantine", "dead-letter"})
        self.assertEqual(report["turned"]["partitions_turned"], PARTITIONS)
        self.assertGreater(report["turned"]["told_apart"], 10)

    def test_a_record_that_is_lost(self):
        self.finds("I1", "lost", lambda t: t.records["chaos.sanitized"].pop(5), ["I2", "I4"])

    def test_a_record_that_left_twice(self):
        self.finds("I1", "doubled", lambda t: t.records["chaos.quarantine"].append(t.records["chaos.sanitized"][9]))

    def test_a_record_of_nobody(self):
        def stray(t):
            t.records["chaos.sanitized"].append(copy.deepcopy(t.records["chaos.sanitized"][0]))
            t.records["chaos.sanitized"][-1].fields["headers"][-1] = ("tripline-trace", trace(9, 9, 0, 0.5))
        self.finds("I1", "stray", stray)

    def test_two_records_in_the_other_order(self):
        def swap(t):
            records = t.records["chaos.sanitized"]
            i = next(i for i in range(9, 99) if records[i].partition() == records[i + 1].partition())
            records[i], records[i + 1] = records[i + 1], records[i]
        self.finds("I4", "reordered", swap, ["I1", "I3"])

    def test_what_leaves_above_the_committed_offset(self):
        self.finds("I2", "above_committed", lambda t: t.committed_["chaos"].update({1: t.highs[1] - 1}), ["I1"])

    def test_offsets_committed_without_outputs_are_records_lost(self):
        def cut(t):
            t.records["chaos.sanitized"] = [m for m in t.records["chaos.sanitized"] if m.partition() != 2]
        self.finds("I1", "lost", cut, ["I9"])

    def test_other_bytes_key_headers_timestamp(self):
        change = lambda field, value: lambda t: t.records["chaos.sanitized"][4].fields.update({field: value})
        self.finds("I3", "bytes_differ", change("value", b"other"))
        self.finds("I3", "key_differ", change("key", b"other"))
        self.finds("I3", "place_differ", change("timestamp", (1, 5)))
        self.finds("I3", "headers_differ", lambda t: t.records["chaos.sanitized"][4].fields["headers"].pop(0))

    def test_a_verdict_in_another_topic(self):
        self.finds("I3", "misplaced", lambda t: t.records["chaos.sanitized"].append(t.records["chaos.quarantine"].pop(0)))

    def of_kind(self, kind, change):
        """Breaks the output of the first record of a kind, wherever it went."""
        def breaking(t):
            for topic in OUTPUTS:
                for m in t.records[f"chaos.{topic}"]:
                    if ("hostile", kind.encode()) in m.headers():
                        return change(m, t)
            self.fail(f"no output of {kind}")
        return breaking

    def pointer_to(self, kind, change):
        """The same of what left as a pointer."""
        def breaking(t):
            inputs, _ = chaos_check.read_inputs(t, "in", WINDOW_MS)
            for m in t.records["chaos.dead-letter"]:
                trace = chaos_check.read_trace(dict(m.headers())["tripline-trace"])
                if POINTER in m.headers() and inputs[trace.partition][trace.offset].kind == kind:
                    return change(m, t)
            self.fail(f"no pointer to {kind}")
        return breaking

    def test_every_kind_of_hostile_record_is_in_it_and_as_a_pointer_where_it_must(self):
        report = chaos_check.examine(SOUND, ARGS, chaos_check.Cases())
        kinds = {card.kind for family in (hostile.stamps, hostile.headers, hostile.sizes, hostile.values)
                 for card in family(random.Random(1), [0.0] * 9)}
        self.assertEqual(set(report["chaos"]["hostile"]), kinds | {"trick-json"})
        self.assertLessEqual(set(hostile.EXPECTED), kinds)
        for kind in ("headers-1001", "headers-101000", "value-over-held", "key-over-held"):
            self.pointer_to(kind, lambda m, t: None)(SOUND)

    def test_headers_that_a_sender_may_not_set(self):
        def more(name):
            return lambda m, t: m.fields["headers"].insert(2, (name, b"pass"))
        def less(name):
            return lambda m, t: m.fields.update(headers=[h for h in m.headers() if h[0] != name])
        for kind, change in (
            ("names-forged", more("tripline-verdict")), ("names-forged", more("TRIPLINE-x")),
            ("names-forged", less("__connect.errors.topic")), ("names-forged", less("x-tripline-verdict")),
            ("names-forged-dead", more("__Connect.Errors.topic")), ("names-forged-dead", more("tripline-timestamp")),
            ("names-no-utf8", less("\udcff\udcfe")), ("names-no-utf8-dead", less("caf\udce9")),
        ):
            self.finds("I3", "headers_differ", self.of_kind(kind, change), ["I1", "I14"])

    def test_a_record_with_too_many_headers_that_leaves_whole(self):
        def whole(m, t):
            source = json.loads(m.value())
            origin = next(i for i in t.records["in"] if (i.partition(), i.offset()) == (source["partition"], source["offset"]))
            m.fields.update(value=origin.value(), headers=t.headers(origin) + m.headers()[1:])
        self.finds("I14", "headers_kept", self.pointer_to("headers-1001", whole), ["I1"])

    def test_a_pointer_elsewhere_or_to_something_else_or_without_need(self):
        def changed(**more):
            return lambda m, t: m.fields.update(value=json.dumps(json.loads(m.value()) | more).encode())
        for more in ({"offset": 0}, {"bytes": 1}, {"sha256": "0" * 64}, {"topic": "out"}, {"note": ""}):
            self.finds("I3", "pointer_differ", self.pointer_to("value-over-held", changed(**more)), ["I1"])
        self.finds("I3", "pointer_differ", self.pointer_to("headers-10000", lambda m, t: m.fields.update(value=b"[")))

        def delivered(m, t):
            t.records["chaos.dead-letter"].remove(m)
            m.fields["headers"] = [h for h in m.headers() if not h[0].startswith(CONNECT)]
            t.records["chaos.sanitized"].append(m)
        self.finds("I3", "pointer_differ", self.pointer_to("headers-99000", delivered))

        def needless(m, t):
            source = chaos_check.read_trace(dict(m.headers())["tripline-trace"])
            origin = next(i for i in t.records["in"] if (i.partition(), i.offset()) == (source.partition, source.offset))
            pointer = {"topic": "in", "partition": source.partition, "offset": source.offset,
                       "bytes": len(origin.value()), "sha256": hashlib.sha256(origin.value()).hexdigest()}
            m.fields.update(value=json.dumps(pointer).encode(), headers=[POINTER] + m.headers()[-4:])
        self.finds("I14", "pointer_needless", self.of_kind("names-forged-dead", needless), ["I1", "I3"])

    def test_a_key_of_ours_without_need(self):
        bare = lambda m, t: m.fields.update(key=b"1/2")
        self.finds("I3", "key_differ", self.pointer_to("key-over-held", bare))
        self.finds("I3", "key_differ", self.of_kind("key-over-sanitized", bare))
        def own(m, t):
            source = json.loads(m.value())
            m.fields.update(key=b"%d/%d" % (source["partition"], source["offset"]))
        self.finds("I3", "key_differ", self.pointer_to("headers-1001", own))

    def test_timestamps_of_what_is_held_back(self):
        def change(**fields):
            return lambda t: t.records["chaos.quarantine"][3].fields.update(fields)
        self.finds("I3", "place_differ", change(timestamp=(1, NOW_MS)))
        self.finds("I3", "place_differ", lambda t: t.records["chaos.quarantine"][3].fields["headers"].pop(), ["I1"])
        def other(m, t):
            m.fields["headers"][-1] = ("tripline-timestamp", b"5")
        self.finds("I3", "place_differ", self.of_kind("stamp-1970", other), ["I1"])
        # Who reads sanitized finds the sender's; only what had none has got one.
        now = lambda m, t: m.fields.update(timestamp=(1, NOW_MS))
        self.finds("I3", "place_differ", self.of_kind("stamp-50-minutes-old", now))
        self.finds("I3", "place_differ", self.of_kind("stamp-none", lambda m, t: m.fields.update(timestamp=(1, -5))))

    def test_a_hostile_record_that_becomes_something_else(self):
        def becomes(verdict):
            def change(m, t):
                m.fields["headers"][-3:-1] = [("tripline-verdict", verdict), m.headers()[-2]]
            return change
        self.finds("I14", "misjudged", self.of_kind("sick-json", becomes(b"quarantine:other")), ["I1", "I3"])
        self.finds("I14", "misjudged", self.of_kind("stamp-2100", becomes(b"dead-letter:unreadable")), ["I1", "I3"])
        # A verdict of a fault, with the flags of a row that was scored.
        def healthy(m, t):
            found = chaos_check.read_trace(dict(m.headers())["tripline-trace"])
            m.fields["headers"][-2] = ("tripline-trace", trace(found.partition, found.offset, FLAGGED, 0.001))
        self.finds("I3", "misplaced", self.of_kind("sick-f32", healthy), ["I1", "I14"])

    def test_an_honest_record_that_is_refused_with_hostile_ones(self):
        def refused(t):
            m = next(m for m in t.records["chaos.dead-letter"] if "hostile" not in dict(m.headers()) and POINTER not in m.headers())
            m.fields["headers"][-3] = ("tripline-verdict", b"dead-letter:refused-timestamp")
        self.finds("I14", "refused_needlessly", refused, ["I1", "I3"])

    def test_a_row_that_counts_in_the_window_that_its_sender_chose(self):
        def moved(t):
            said = t.json("chaos.evidence", 0)
            said["windows"][-1]["window"] = 4_102_444_800_000
            t.set_json("chaos.evidence", 0, said)
        self.finds("I5", "evidence_differs", moved, ["I1", "I3"])
        def unsaid(t):
            for i in range(len(t.records["chaos.evidence"])):
                said = t.json("chaos.evidence", i)
                for window in said["windows"]:
                    if window["tally"]["counts"].pop("misdated"):
                        return t.set_json("chaos.evidence", i, said)
            self.fail("nothing is misdated")
        self.finds("I5", "evidence_differs", unsaid, ["I1", "I3"])

    def test_state_that_is_not_what_left(self):
        def change(key, by):
            def breaking(t):
                lane = t.json("chaos.state", -1)
                t.set_json("chaos.state", -1, lane | {key: by(lane[key])})
            return breaking
        self.finds("I5", "state_differs", change("next", lambda n: n - 1))
        self.finds("I6", "state_differs", change("baseline", lambda _: "other"))

    def test_evidence_that_counts_twice_or_not_at_all(self):
        def more(t):
            said = t.json("chaos.evidence", -1)
            said["windows"][0]["tally"]["counts"]["rows"] += 1
            t.set_json("chaos.evidence", -1, said)
        def cells(t):
            said = t.json("chaos.evidence", -1)
            said["windows"][0]["tally"]["cells"] = base64.b64encode(bytes([3, 1])).decode().rstrip("=")
            t.set_json("chaos.evidence", -1, said)
        self.finds("I5", "evidence_differs", more)
        self.finds("I5", "evidence_differs", cells)
        self.finds("I5", "evidence_twice", lambda t: t.records["chaos.evidence"].append(t.records["chaos.evidence"][0]))
        self.finds("I5", "evidence_gap", lambda t: t.records["chaos.evidence"].pop(1))

    def test_another_score_than_the_calm_run(self):
        def other(t):
            m = t.records["chaos.sanitized"][0]
            found = chaos_check.read_trace(dict(m.headers())["tripline-trace"])
            m.fields["headers"][-1] = ("tripline-trace", trace(found.partition, found.offset, found.flags, 0.25))
        self.finds("I6", "outcome_differs", other, ["I1", "I3", "I4", "I5"])

    def test_lag_and_an_open_transaction(self):
        self.finds("I9", "lag", lambda t: t.committed_["calm"].update({0: t.highs[0] - 1}))
        self.finds("I9", "open_transaction", lambda t: t.open.add("chaos.evidence"), ["I1"])

    def test_knowledge_that_returns(self):
        def returns(t):
            t.records["turned.evidence"].append(t.records["turned.evidence"][0])
        self.finds("I13", "baseline_returns", returns, ["I1"])

    def test_a_verdict_of_the_other_budget(self):
        self.finds("I13", "other_budget", lambda t: t.guard("turned", [(0, BUDGETS[1], "a"), (40, BUDGETS[1], "b")]))

    def test_a_partition_that_began_after_the_turn_has_the_later_budget_alone(self):
        outcome = Namespace(p=sum(BUDGETS) / 2, flags=FLAGGED)
        begun = {0: {"a": 0, "b": 40}, 1: {"b": 0}}
        for partition, faults in (1, 0), (0, 1):
            cases = chaos_check.Cases()
            chaos_check.check_epochs([], begun, {partition: {0: outcome}}, BUDGETS, cases, "turned")
            self.assertEqual(cases.total("other_budget"), faults)

    def test_aborted_records_are_counted_and_are_no_fault(self):
        topics = copy.deepcopy(SOUND)
        topics.aborted = topics.records["chaos.sanitized"][:4]
        report = chaos_check.examine(topics, ARGS, chaos_check.Cases())
        self.assertEqual((report["aborted_records"], report["holds"]), (12, True))


class TheLoad(unittest.TestCase):
    ROWS = [[float(i + j) for j in range(9)] for i in range(7)]

    def run_(self, seed, deck=None):
        return list(chaos_load.schedule(seed, 60, 12, 6, self.ROWS, self.ROWS, deck))

    def test_the_schedule_is_the_seeds_alone_and_another_seeds_is_another(self):
        deck = lambda seed: hostile.Deck(seed, 0.1, self.ROWS)
        self.assertEqual(self.run_(1), self.run_(1))
        self.assertEqual(self.run_(1, deck(1)), self.run_(1, deck(1)))
        self.assertNotEqual(self.run_(1), self.run_(2))

    def test_a_hostile_sender_changes_nothing_of_what_the_others_send(self):
        calm, disturbed = self.run_(1), self.run_(1, hostile.Deck(1, 0.1, self.ROWS))
        others = [(a, b) for a, b in zip(calm, disturbed, strict=True) if "hostile" not in dict(b.headers)]
        self.assertTrue(all(a == b for a, b in others))
        self.assertTrue(0.85 < len(others) / len(calm) < 0.95)

    def test_records_at_a_bound_are_exactly_there(self):
        deck, found = hostile.Deck(1, 1, self.ROWS), {}
        for sent in self.run_(1, deck):
            found.setdefault(dict(sent.headers)["hostile"].decode(), sent)
        sizes = lambda sent: sum(len(name) + len(value or b"") for name, value in sent.headers)
        self.assertEqual([len(found[f"headers-{n}"].headers) for n in (1000, 1001)], [1000, 1001])
        self.assertEqual([sizes(found[f"header-bytes-{n}"]) for n in ("most", "over")], [65536, 65537])
        self.assertEqual([len(found[f"value-{n}"].value) for n in ("at-most", "over-most")], [600_000, 600_001])


class TheClock(unittest.TestCase):
    def windows(self, stamps, **more):
        clock = Clock()
        return [clock.date(stamp, WINDOW_MS, **more) for stamp in stamps]

    def test_a_stamp_that_agrees_with_its_neighbours_counts_in_its_own_window_and_the_one_before(self):
        honest = [1_000_000 + 100 * i for i in range(100)]
        self.assertEqual([w for w, _ in self.windows(honest)], [at - at % WINDOW_MS for at in honest])
        late = self.windows([*honest, honest[-1] - 1000, honest[-1] - 2000])[-2:]
        self.assertEqual([w for w, _ in late], [1_008_000, 1_009_000])

    def test_a_stamp_of_a_senders_making_counts_in_the_present(self):
        stamps = [1_000_000 + 100 * i for i in range(100)]
        for wild in (-1, 0, 1_000_000 - 3_000_000, 1_000_000 + 3_000_000, 1 << 62):
            dated = self.windows([wild if i % 5 == 4 else at for i, at in enumerate(stamps)])
            self.assertEqual([w for i, (w, _) in enumerate(dated) if i > 9 and i % 5 == 4],
                             [at - 100 - (at - 100) % WINDOW_MS for i, at in enumerate(stamps) if i > 9 and i % 5 == 4])
        # Of the middle one of 63 records the last of them says that it is far away.
        far = [i - 31 for i, (_, misdated) in enumerate(dated) if misdated]
        self.assertEqual(far, [i for i in range(31, 69) if i % 5 == 4])

    def test_a_broker_needs_no_neighbours(self):
        self.assertEqual([w for w, _ in self.windows([5_000, 9_000_000, 9_000_500], by_broker=True)], [5000, 9_000_000, 9_000_000])


if __name__ == "__main__":
    sys.exit(0 if unittest.main(exit=False).result.wasSuccessful() else 1)
