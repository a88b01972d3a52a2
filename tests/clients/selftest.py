"""Proves that check.py can fail: takes a sound run, breaks one thing at a time, and looks.

Needs no broker and takes a few seconds: .tools/venv/bin/python tests/clients/selftest.py
"""

import copy
import struct
import sys
import unittest

import numpy as np

import check
import inputs
from inputs import F32, JSON, MALFORMED, U8, WIDTH
from produce import ledger_entry

IMAGES = np.random.default_rng(0).integers(0, 256, (20, WIDTH), np.uint8)
RUN = dict(records=600, malformed=60, seed=7, partitions=3, attack_share=0.5, attack_from=0.3, attack_to=0.5,
           start_ms=1_700_000_000_000, gap_ms=20, too_large=20_000)


def trace(partition, offset, *, flags=0, p=0.5, scores=(1.0, 2.0), reasons=()):
    packed = struct.pack("<BBiq8s8sffIIB", 4, flags, partition, offset, b"bundle00", b"revision", p, 1.5, 1, 0, len(scores))
    packed += struct.pack(f"<{len(scores)}f", *scores) + struct.pack("<BB", 0, len(reasons))
    return packed + b"".join(struct.pack("<Ifff", *reason, 0.5, 0.25) for reason in reasons) + b"\0"


def guard(requests, observe=False):
    """What a faultless Tripline would make of `requests`: (ledger, outputs). Attacks: half held, half corrected."""
    ledger, outputs, ends = [], {topic: [] for topic in check.OUTPUTS}, {}
    for i, request in enumerate(requests):
        offset = ends[request.partition] = ends.get(request.partition, -1) + 1
        ledger.append(ledger_entry("in", offset, request))
        value, extra, topic = request.value, [], "sanitized"
        verdict, flags, p = "pass", 0, 0.5
        if request.kind == "malformed":
            topic, verdict = "dead-letter", f"dead-letter:{request.expect_fault}"
            flags, p = check.FAULT, float("nan")
            told = {"topic": "in", "partition": str(request.partition), "offset": str(offset),
                    "exception.message": f"{request.expect_fault}: as it happens"}
            extra = [(check.CONNECT + name, text.encode()) for name, text in told.items()]
        elif request.kind == "attack" and i % 2:
            topic, verdict, flags, p = "quarantine", "quarantine", check.FLAGGED, 0.001
        elif request.kind == "attack":
            verdict, flags, p = "correct", check.FLAGGED | check.CORRECTED, 0.001
            value = inputs.encode(request.format, i, IMAGES[0])
        if observe and verdict != "pass":
            topic, value, extra, verdict = "sanitized", request.value, [], f"would-{verdict}"
            flags = flags & ~check.CORRECTED | check.OBSERVED
        ours = [(check.VERDICT, verdict.encode()), (check.TRACE, trace(request.partition, offset, flags=flags, p=p, reasons=[(300, 0.5)] if flags else []))]
        outputs[topic].append(
            check.Output(request.partition, request.key, value, request.headers + extra + ours, request.timestamp)
        )
    # Read partition by partition, as from Kafka.
    return ledger, {topic: sorted(records, key=lambda out: out.partition) for topic, records in outputs.items()}


SOUND = guard(inputs.requests(IMAGES, IMAGES[::-1], **RUN))
OBSERVED = guard(inputs.requests(IMAGES, IMAGES[::-1], **RUN), observe=True)


class CheckFails(unittest.TestCase):
    def setUp(self):
        self.ledger, self.outputs = copy.deepcopy(SOUND)

    def only(self, *expected, observe=False):
        """Exactly these counts are not zero."""
        summary, cases = check.check(self.ledger, self.outputs, observe)
        self.assertEqual({what for what in check.MUST_BE_ZERO if summary[what]}, set(expected))
        self.assertEqual(set(cases), set(expected))
        self.assertEqual(check.sound(summary), not expected)
        return summary

    def wrong(self, observe=False):
        summary, _ = check.check(self.ledger, self.outputs, observe)
        return {what for what in check.MUST_BE_ZERO if summary[what]}

    def find(self, topic, verdict):
        """The first few records with this verdict."""
        return [out for out in self.outputs[topic] if dict(out.headers[-2:])[check.VERDICT].startswith(verdict)]

    def test_a_sound_run_passes_and_is_counted(self):
        summary = self.only()
        self.assertEqual(summary["sent"], 600)
        self.assertEqual(sum(summary["counts"].values()), 600)
        self.assertEqual(summary["counts"]["dead-letter"], 60)
        self.assertGreater(summary["attack_held"], 10)
        self.assertEqual(summary["corrected"], summary["attack_corrected"])
        self.assertEqual(summary["clean_held"], 0)

    def test_observe_mode_delivers_everything_and_says_what_it_would_have_done(self):
        self.ledger, self.outputs = copy.deepcopy(OBSERVED)
        summary = self.only(observe=True)
        self.assertEqual(summary["counts"], {"sanitized": 600, "quarantine": 0, "dead-letter": 0})
        self.assertGreater(summary["attack_flagged"], 30)
        self.only("misplaced", "malformed_elsewhere", "trace_differ")  # these are not an enforcing stream's

    def test_an_enforced_verdict_in_observe_mode_is_seen(self):
        self.ledger, self.outputs = copy.deepcopy(OBSERVED)
        out = self.find("sanitized", b"would-quarantine")[0]
        out.headers[-2] = (check.VERDICT, b"quarantine")
        self.assertIn("misplaced", self.wrong(observe=True))

    def test_a_changed_byte_or_another_fault_in_observe_mode_is_seen(self):
        self.ledger, self.outputs = copy.deepcopy(OBSERVED)
        self.find("sanitized", b"would-correct")[0].value += b" "
        self.find("sanitized", b"would-dead-letter:wrong-arity")[0].headers[-2] = (
            check.VERDICT, b"would-dead-letter:unreadable")
        self.only("bytes_differ", "wrong_reason", observe=True)

    def test_an_unscored_record_is_delivered_and_counted(self):
        out = self.find("sanitized", b"pass")[0]
        out.headers[-2:] = [(check.VERDICT, b"unscored"), (check.TRACE, trace(*source(out), flags=check.UNSCORED, p=float("nan")))]
        self.assertEqual(self.only()["unscored"], 1)

    def test_a_lost_record_is_seen_in_every_topic(self):
        for topic in check.OUTPUTS:
            with self.subTest(topic):
                self.setUp()
                del self.outputs[topic][3]
                self.assertEqual(self.only("lost")["lost"], 1)

    def test_a_doubled_record_is_seen(self):
        self.outputs["sanitized"].insert(5, self.outputs["sanitized"][4])
        self.assertEqual(self.only("doubled")["doubled"], 1)

    def test_a_record_doubled_across_topics_is_seen(self):
        held = self.outputs["quarantine"][0]
        passed = copy.deepcopy(held)
        passed.headers[-2:] = [(check.VERDICT, b"pass"), (check.TRACE, trace(*source(held)))]
        self.outputs["sanitized"].insert(0, passed)
        self.assertIn("doubled", self.wrong())

    def test_a_replayed_tail_is_doubled_not_reordered(self):
        self.outputs["sanitized"] += self.outputs["sanitized"][-4:]
        self.assertEqual(self.only("doubled")["doubled"], 4)

    def test_a_reordered_pair_is_seen(self):
        records = self.outputs["sanitized"]
        records[10], records[11] = records[11], records[10]
        self.assertEqual(self.only("reordered")["reordered"], 1)

    def test_one_changed_byte_is_seen_in_every_topic(self):
        for topic in check.OUTPUTS:
            with self.subTest(topic):
                self.setUp()
                out = next(out for out in self.outputs[topic] if out.value and b"correct" not in dict(out.headers).values())
                out.value = out.value[:-1] + bytes([out.value[-1] ^ 1])
                self.assertEqual(self.only("bytes_differ")["bytes_differ"], 1)

    def test_null_and_empty_are_not_the_same_value(self):
        out = next(out for out in self.outputs["dead-letter"] if out.value is None)
        out.value = b""
        self.only("bytes_differ")

    def test_null_and_empty_are_not_the_same_key(self):
        out = next(out for out in self.outputs["sanitized"] if out.key is None)
        out.key = b""
        self.only("key_differ")

    def test_a_changed_timestamp_is_seen(self):
        self.outputs["sanitized"][0].timestamp += 1
        self.only("timestamp_differ")

    def test_another_partition_is_seen(self):
        self.outputs["sanitized"][0].partition += 1
        self.only("partition_differ")

    def test_a_dropped_a_swapped_and_an_added_header_are_seen(self):
        out = next(out for out in self.outputs["sanitized"] if len(out.headers) > 4)
        whole = out.headers
        for headers in (whole[1:], [whole[1], whole[0], *whole[2:]], [*whole[:-2], ("more", b""), *whole[-2:]]):
            out.headers = headers
            self.only("headers_differ")

    def test_a_missing_or_torn_trace_is_a_stray_and_a_loss(self):
        out = self.outputs["sanitized"][0]
        whole = out.headers
        for headers in (whole[:-1], [*whole[:-1], (check.TRACE, whole[-1][1][:-1])], [*whole[:-1], (check.TRACE, whole[-1][1] + b"\0")]):
            out.headers = headers
            self.only("stray", "lost")

    def test_a_record_nobody_sent_is_a_stray(self):
        out = copy.deepcopy(self.outputs["sanitized"][-1])
        out.headers[-1] = (check.TRACE, trace(0, 999_999))
        self.outputs["sanitized"].append(out)
        self.only("stray")

    def test_a_forged_verdict_among_the_original_headers_changes_nothing(self):
        entry, out = self.ledger[0], None
        for out in self.outputs["sanitized"]:
            if source(out) == (entry["partition"], entry["offset"]):
                break
        entry["headers"].append([check.VERDICT, b"quarantine".hex()])
        out.headers.insert(-2, (check.VERDICT, b"quarantine"))
        self.only()

    def test_a_correction_outside_the_bounds_or_of_another_format_is_seen(self):
        for out in self.find("sanitized", b"correct")[:3]:
            out.value = b"[]"
        self.assertEqual(self.only("corrected_unreadable")["corrected_unreadable"], 3)

    def test_a_verdict_in_the_wrong_topic_is_seen(self):
        out = self.outputs["quarantine"].pop(0)
        self.outputs["sanitized"].insert(0, out)
        self.assertIn("misplaced", self.wrong())

    def test_flags_that_contradict_the_verdict_are_seen(self):
        out = self.find("sanitized", b"pass")[0]
        for flags, p in ((check.CORRECTED, 0.5), (check.FAULT, 0.5), (0, float("nan")), (0, 0.0), (0, 1.5)):
            out.headers[-1] = (check.TRACE, trace(*source(out), flags=flags, p=p))
            self.only("trace_differ")

    def test_another_fault_in_the_verdict_or_in_the_message_is_seen(self):
        out = self.find("dead-letter", b"dead-letter:wrong-arity")[0]
        whole = out.headers
        out.headers = [*whole[:-2], (check.VERDICT, b"dead-letter:unreadable"), whole[-1]]
        self.only("wrong_reason")
        out.headers = [(n, b"it broke" if n.endswith("exception.message") else v) for n, v in whole]
        self.only("wrong_reason")

    def test_a_dead_letter_with_another_position_or_topic_is_seen(self):
        out = self.outputs["dead-letter"][0]
        whole = out.headers
        for name in ("topic", "partition", "offset"):
            out.headers = [(n, b"77" if n == check.CONNECT + name else v) for n, v in whole]
            self.only("wrong_reason")
            out.headers = [(n, v) for n, v in whole if n != check.CONNECT + name]
            self.only("wrong_reason")

    def test_a_malformed_record_that_passed_is_seen(self):
        dead = next(out for out in self.outputs["dead-letter"] if out.value)
        self.outputs["dead-letter"].remove(dead)
        originals = [h for h in dead.headers[:-2] if not h[0].startswith(check.CONNECT)]
        at = source(dead)
        dead.headers = [*originals, (check.VERDICT, b"pass"), (check.TRACE, trace(*at))]
        place = next(i for i, out in enumerate(self.outputs["sanitized"]) if source(out) > at)
        self.outputs["sanitized"].insert(place, dead)
        self.only("malformed_elsewhere")

    def test_a_clean_record_in_dead_letter_is_seen(self):
        self.outputs["dead-letter"].append(self.outputs["sanitized"].pop())
        self.assertIn("clean_in_dead_letter", self.wrong())

    def test_an_empty_run_is_all_lost(self):
        self.outputs = {topic: [] for topic in check.OUTPUTS}
        self.assertEqual(self.only("lost")["lost"], 600)


def source(out):
    found = check.split_headers(out.headers)[2]
    return found.partition, found.offset


class Inputs(unittest.TestCase):
    def test_the_same_seed_gives_the_same_requests_and_another_gives_others(self):
        first = list(inputs.requests(IMAGES, IMAGES, **RUN))
        self.assertEqual(first, list(inputs.requests(IMAGES, IMAGES, **RUN)))
        self.assertNotEqual(first, list(inputs.requests(IMAGES, IMAGES, **(RUN | {"seed": 8}))))

    def test_every_kind_of_malformed_record_and_every_format_occurs(self):
        seen = list(inputs.requests(IMAGES, IMAGES, **(RUN | {"malformed": 300})))
        self.assertEqual({r.expect_fault for r in seen} - {None}, {fault for _, fault in MALFORMED})
        self.assertEqual({r.format for r in seen if r.kind == "clean"}, {JSON, F32, U8})
        self.assertEqual(sum(r.kind == "malformed" for r in seen), 300)

    def test_attacks_stay_in_the_middle(self):
        at = [i for i, r in enumerate(inputs.requests(IMAGES, IMAGES, **RUN)) if r.kind == "attack"]
        self.assertTrue(180 <= min(at) and max(at) < 300, at)
        self.assertTrue(30 < len(at) < 90, len(at))

    def test_what_is_not_malformed_decodes_to_its_image(self):
        for form in (JSON, F32, U8):
            np.testing.assert_allclose(inputs.decode(form, inputs.encode(form, 3, IMAGES[1])), IMAGES[1] / 255, atol=1e-7)

    def test_what_is_malformed_does_not_decode(self):
        for request in inputs.requests(IMAGES, IMAGES, **(RUN | {"malformed": 300})):
            if request.kind != "malformed" or request.expect_fault == "null-value":
                continue
            with self.subTest(request.expect_fault):
                if request.expect_fault == "too-large":
                    self.assertGreater(len(request.value), RUN["too_large"])
                    continue
                self.assertLessEqual(len(request.value), RUN["too_large"])
                with self.assertRaises(ValueError):
                    inputs.decode(request.format, request.value)


if __name__ == "__main__":
    sys.exit(not unittest.main(exit=False, verbosity=1).result.wasSuccessful())
