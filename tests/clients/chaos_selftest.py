"""Proves that chaos_check.py can fail: takes a sound run, breaks one thing at a time, and looks.

Needs no broker: .tools/venv/bin/python tests/clients/chaos_selftest.py
"""

import copy
import base64
import json
import struct
import sys
import unittest
from argparse import Namespace

import chaos_check
import chaos_load
from chaos_check import fold
from check import CORRECTED, FAULT, FLAGGED, OUTPUTS

WINDOW_MS, PARTITIONS, BUDGETS = 1000, 3, (0.01, 0.05)
ARGS = Namespace(input="in", group="g", stream="chaos", calm="calm", turned="turned", budgets="0.01,0.05",
                 window_ms=WINDOW_MS, at_least_once=False)


class Message:
    """A record, with the methods of confluent_kafka's."""

    def __init__(self, partition, offset, key, value, headers=(), timestamp=0):
        self.fields = {"partition": partition, "offset": offset, "key": key, "value": value,
                       "headers": list(headers), "timestamp": (1, timestamp)}

    def __getattr__(self, name):
        if name == "fields" or name.startswith("__"):
            raise AttributeError(name)
        return lambda: self.fields[name]


def trace(partition, offset, flags, p):
    packed = struct.pack("<BBiq8sffIIB", 3, flags, partition, offset, b"bundle00", p, 1.5, 1, 0, 1)
    return packed + struct.pack("<fBBB", 0.5, 0, 0, 0)


class Topics:
    """Topics in memory: what a faultless guard would have written for three streams."""

    def __init__(self):
        self.records, self.aborted = {"in": []}, []
        ends = [0] * PARTITIONS
        rows = [[float(i + j) for j in range(9)] for i in range(7)]
        run = chaos_load.schedule(1, 60, 12, 6, rows, rows)
        for due, draw, key, value, headers in run:
            p = draw % PARTITIONS
            self.records["in"].append(Message(p, ends[p], key, value, headers, int(due * 1000)))
            ends[p] += 1
        self.highs = ends
        self.committed_ = {s: dict(enumerate(ends)) for s in ("chaos", "calm", "turned")}
        self.open = set()
        for stream in ("chaos", "calm"):
            self.guard(stream, [(0, BUDGETS[0], "a")])
        self.guard("turned", [(0, BUDGETS[0], "a"), (40, BUDGETS[1], "b")])

    def guard(self, stream, epochs):
        outputs = {t: [] for t in (*OUTPUTS, "state", "evidence")}
        seen = {p: {} for p in range(PARTITIONS)}
        for m in self.records["in"]:
            p, o, value = m.partition(), m.offset(), m.value()
            chance = (p * 31 + o * 7) % 100 / 100 + 0.005
            budget = [b for since, b, _ in epochs if since <= o][-1]
            topic, verdict, flags, extra = "sanitized", "pass", 0, []
            if o % 29 == 3:
                topic, verdict, flags, chance = "dead-letter", "dead-letter:unreadable", FAULT, float("nan")
                extra = [("__connect.errors.topic", b"in")]
            elif chance <= budget and o % 2:
                topic, verdict, flags = "quarantine", "quarantine", FLAGGED
            elif chance <= budget:
                verdict, flags, value = "correct", FLAGGED | CORRECTED, struct.pack("<9f", *range(9))
                if dict(m.headers())["content-type"] == b"application/json":
                    value = json.dumps(list(range(9))).encode()
            ours = [("tripline-verdict", verdict.encode()), ("tripline-trace", trace(p, o, flags, chance))]
            outputs[topic].append(Message(p, 0, m.key(), value, m.headers() + extra + ours, m.timestamp()[1]))
            seen[p][o] = chaos_check.Outcome(b"", topic, verdict, flags, chance)
        for p in range(PARTITIONS):
            records = {m.offset(): Namespace(timestamp=m.timestamp()[1]) for m in self.records["in"] if m.partition() == p}
            for i, (since, _, epoch) in enumerate(epochs):
                until = epochs[i + 1][0] if i + 1 < len(epochs) else max(records) + 1
                # Committed every ten records, as a guard with many interruptions would.
                last = since
                for cut in (*range(since + 10, until, 10), until):
                    following = max(o for o in seen[p] if o < cut) + 1
                    lane = {"version": 2, "epoch": epoch, "partition": p, "next": following}
                    outputs["state"].append(Message(p, 0, b"lane", json.dumps(lane).encode()))
                    windows = []
                    for part in fold(records, seen[p], last, following, WINDOW_MS):
                        # Two histograms, every row in cell 3 and in cell 200.
                        rows = part["counts"]["rows"]
                        pairs = bytes([3, rows, 196, 1, rows]) if rows else b""
                        tally = {"counts": part["counts"], "cells": base64.b64encode(pairs).decode().rstrip("=")}
                        windows.append({"window": part["window"], "tally": tally, "first_flagged": part["first_flagged"]})
                    said = {"kind": "counts", "epoch": epoch, "partition": p, "from": last, "to": following, "windows": windows}
                    outputs["evidence"].append(Message(0, 0, b"", json.dumps(said).encode()))
                    last = following
        for topic, messages in outputs.items():
            self.records[f"{stream}.{topic}"] = messages

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

    def test_state_that_is_not_what_left(self):
        def change(key, by):
            def breaking(t):
                lane = t.json("chaos.state", -1)
                t.set_json("chaos.state", -1, lane | {key: by(lane[key])})
            return breaking
        self.finds("I5", "state_differs", change("next", lambda n: n - 1))
        self.finds("I6", "state_differs", change("epoch", lambda _: "other"))

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
        self.finds("I13", "epoch_returns", returns, ["I1"])

    def test_a_verdict_of_the_other_budget(self):
        self.finds("I13", "other_budget", lambda t: t.guard("turned", [(0, BUDGETS[1], "a"), (40, BUDGETS[1], "b")]))

    def test_aborted_records_are_counted_and_are_no_fault(self):
        topics = copy.deepcopy(SOUND)
        topics.aborted = topics.records["chaos.sanitized"][:4]
        report = chaos_check.examine(topics, ARGS, chaos_check.Cases())
        self.assertEqual((report["aborted_records"], report["holds"]), (12, True))


class TheLoad(unittest.TestCase):
    def test_the_schedule_is_the_seeds_alone_and_another_seeds_is_another(self):
        rows = [[float(i + j) for j in range(9)] for i in range(7)]
        run = lambda seed: list(chaos_load.schedule(seed, 60, 12, 6, rows, rows))
        self.assertEqual(run(1), run(1))
        self.assertNotEqual(run(1), run(2))


if __name__ == "__main__":
    sys.exit(0 if unittest.main(exit=False).result.wasSuccessful() else 1)
